//! One attempt at a job: read the message, find out whether it is still to be done, do it, and hand its outcome to
//! `settlement`. Nothing here settles a delivery itself.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use honk_bus::Delivery;
use honk_protocol::dead::HEADER_TRACEPARENT;
use honk_protocol::name::JobName;
use honk_protocol::run::Fence;
use honk_protocol::settle::Outcome;
use honk_protocol::subject::LiveSubject;
use honk_service::messaging::process_span;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::action::{JobContext, ProgressCounters};
use crate::agent::Agent;
use crate::begin::{BeginError, Beginning};
use crate::failpoint;
use crate::ledger::{LedgerError, Recorded, Trace};
use crate::steps::JobWork;
use crate::supervise::{Watched, kept_alive};
use crate::workflows::JobSpec;

/// The pause before a job is delivered again whose record or workflow could not be read.
pub(crate) const UNREADABLE_PAUSE: Duration = Duration::from_secs(2);

/// A job that was found to be still to be done.
pub(crate) struct Attempt {
    /// The record, as the latest that is known of it.
    pub(crate) known: Recorded,
    /// The job.
    pub(crate) job: JobName,
    /// Which attempt this is.
    pub(crate) fence: Fence,
    /// What the workflow says of it.
    pub(crate) spec: JobSpec,
    /// The trace that its message came in.
    pub(crate) trace: Trace,
}

impl Agent {
    /// Makes an attempt and settles the delivery.
    pub(crate) async fn attempt(self: Arc<Self>, delivery: Delivery, ack_wait: Duration, hard_stop: CancellationToken) {
        let trace = Trace::from_header(delivery.message.headers.get(HEADER_TRACEPARENT));
        let pool = &self.config.pool;
        let span = process_span(format_args!("honk.job.{pool}"), delivery.delivered, trace.parent());
        self.attempt_in_span(delivery, ack_wait, hard_stop, trace).instrument(span).await;
    }

    async fn attempt_in_span(
        &self,
        delivery: Delivery,
        ack_wait: Duration,
        hard_stop: CancellationToken,
        trace: Trace,
    ) {
        match self.begin(&delivery, trace).await {
            Ok(Beginning::Do(attempt)) => {
                failpoint::hit("before-work");
                let (attempt, outcome) = self.work(*attempt, &delivery, ack_wait, hard_stop).await;
                failpoint::hit("after-work");
                let heartbeat = delivery.heartbeat();
                // To be recorded, an end may have to wait for its turn among a thousand others.
                let settled = pin!(self.settle(delivery, attempt, outcome));
                kept_alive(&heartbeat, ack_wait, settled).await;
            }
            // What is rare is boxed, so that it does not make every attempt's future larger.
            Ok(Beginning::Exhausted(attempt)) => Box::pin(self.settle(delivery, *attempt, Outcome::Exhausted)).await,
            Ok(Beginning::Held(attempt)) => Box::pin(self.shelve(delivery, &attempt)).await,
            Ok(Beginning::Done(recorded, trace)) => Box::pin(self.repeat(delivery, &recorded, &trace)).await,
            Ok(Beginning::Malformed(error)) => Box::pin(self.bury_malformed(delivery, &error)).await,
            Err(BeginError::Ledger(LedgerError::Refused(refusal))) => {
                Box::pin(self.step_aside(delivery, refusal)).await;
            }
            Err(error) => {
                tracing::warn!(%error, "the job cannot be begun now");
                self.give_back(delivery, UNREADABLE_PAUSE).await;
            }
        }
    }

    /// Does the job's steps under supervision.
    async fn work(
        &self,
        attempt: Attempt,
        delivery: &Delivery,
        ack_wait: Duration,
        hard_stop: CancellationToken,
    ) -> (Attempt, Outcome) {
        let begin = Instant::now();
        let cancelled = CancellationToken::new();
        let progress = Arc::new(ProgressCounters::default());
        let context = JobContext {
            run: Arc::clone(&attempt.known.run),
            job: attempt.job.clone(),
            fence: attempt.fence,
            may_split: attempt.spec.steps.len() == 1 && attempt.job.item_number().is_none(),
            with: BTreeMap::new(),
            cancelled: cancelled.clone(),
            progress: Arc::clone(&progress),
        };
        let watched = Watched {
            heartbeat: delivery.heartbeat(),
            ack_wait,
            timeout: Duration::from_millis(attempt.spec.timeout_ms),
            live: LiveSubject { run: attempt.known.run.id.clone(), job: attempt.job.clone() },
            fence: attempt.fence,
            progress,
            cancelled,
            hard_stop,
        };
        let work = JobWork { spec: attempt.spec.clone(), context };
        let steps = Arc::clone(&self.steps);
        let work = async move { steps.run(work).await }.in_current_span();
        let attempt = Mutex::new(attempt);
        let outcome = self.supervise(work, watched, || Box::pin(self.hold(&attempt))).await;
        self.metrics.worked(begin.elapsed());
        (attempt.into_inner(), outcome)
    }

    /// Puts the attempt on record, or looks whether it is still the latest there. An unanswered look is no harm: the end of the attempt
    /// decides.
    async fn hold(&self, attempt: &Mutex<Attempt>) -> bool {
        let mut attempt = attempt.lock().await;
        let run = &attempt.known.run;
        let held = match self.ledger.get(&run.dataset, &run.id).await {
            Ok(latest) if latest.revision >= attempt.known.revision => {
                self.ledger.record(&latest, &self.started(&attempt)).await.map(|(recorded, _)| recorded)
            }
            Ok(_) => return true,
            Err(error) => Err(error),
        };
        match held {
            Ok(recorded) => attempt.known = recorded,
            Err(LedgerError::Refused(refusal)) => {
                tracing::warn!(%refusal, "stopping the work");
                return false;
            }
            Err(error) => tracing::warn!(%error, "the attempt is not on record"),
        }
        true
    }
}
