//! One attempt at a job: read the message, find out whether it is still to be done, do it, and hand its outcome to
//! `settlement`. Nothing here settles a delivery itself.

use std::sync::Arc;
use std::time::Duration;

use honk_bus::Delivery;
use honk_protocol::dead::HEADER_TRACEPARENT;
use honk_protocol::job::{JobError, JobMessage};
use honk_protocol::name::JobName;
use honk_protocol::reason::Reason;
use honk_protocol::run::{Fence, JobState, Outputs, RunEvent};
use honk_protocol::settle::{self, Failed, Outcome};
use honk_protocol::subject::{JobSubject, LiveSubject};
use honk_service::messaging::process_span;
use honk_workflow::{Job as JobSpec, Step, StepAction};
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::action::{Action, JobContext, ProgressCounters};
use crate::agent::Agent;
use crate::failpoint;
use crate::ledger::{LedgerError, Recorded, Trace};
use crate::supervise::Watched;
use crate::workflows::WorkflowError;

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

/// Steps, each with the action that it calls.
type Plan = Vec<(Arc<dyn Action>, Step)>;

/// What the message turned out to be.
enum Beginning {
    /// A job to do.
    Do(Box<Attempt>),
    /// A job that needs no doing: its attempts are used up.
    Exhausted(Box<Attempt>),
    /// Recorded as done already: only what follows from it may be missing.
    Done(Box<Recorded>, Trace),
    /// Not a job.
    Malformed(JobError),
}

/// Why an attempt could not begin.
#[derive(Debug, thiserror::Error)]
enum BeginError {
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Workflow(#[from] WorkflowError),
    #[error("a replica answered with an older record than the message brings")]
    Stale,
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
                self.settle(delivery, attempt, outcome).await;
            }
            // What is rare is boxed, so that it does not make every attempt's future larger.
            Ok(Beginning::Exhausted(attempt)) => Box::pin(self.settle(delivery, *attempt, Outcome::Exhausted)).await,
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

    /// Reads the message. On a first delivery that is all; a later one reads the record and puts its attempt there, so that the attempt before
    /// it is fenced off.
    async fn begin(&self, delivery: &Delivery, trace: Trace) -> Result<Beginning, BeginError> {
        let message = match JobMessage::decode(&delivery.message.payload) {
            Ok(message) => message,
            Err(error) => return Ok(Beginning::Malformed(error)),
        };
        if let Err(error) = same_job(&delivery.message.subject, &message) {
            return Ok(Beginning::Malformed(error));
        }
        self.note_begin(delivery, &message);
        let fence = Fence { generation: message.generation, attempt: delivery.delivered };
        let first = delivery.delivered == 1;
        let mut known = Recorded::new(message.run, message.revision);
        if !first {
            known = Box::pin(self.ledger.get(&known.run.dataset, &known.run.id)).await?;
            if known.revision < message.revision {
                return Err(BeginError::Stale);
            }
        }
        let Some(job) = known.run.job(&message.job) else { return Ok(Beginning::Done(Box::new(known), trace)) };
        if job.generation > fence.generation || !job.is_due() {
            return Ok(if job.state == JobState::Pending {
                Beginning::Malformed(not_due(&message.job))
            } else {
                Beginning::Done(Box::new(known), trace)
            });
        }
        let handed_back = job.handed_back;
        let workflow = self.workflows.get(&known.run.workflow.hash).await?;
        let Some(spec) = workflow.job(&message.job).cloned() else {
            return Ok(Beginning::Malformed(not_due(&message.job)));
        };
        let exhausted = settle::is_exhausted(delivery.delivered, handed_back, &spec.retry);
        let mut attempt = Attempt { known, job: message.job, fence, spec, trace };
        if exhausted {
            return Ok(Beginning::Exhausted(Box::new(attempt)));
        }
        if !first {
            attempt.known = Box::pin(self.ledger.record(&attempt.known, &self.started(&attempt))).await?.0;
        }
        Ok(Beginning::Do(Box::new(attempt)))
    }

    fn note_begin(&self, delivery: &Delivery, message: &JobMessage) {
        let span = tracing::Span::current();
        span.record("run", message.run.id.as_str());
        span.record("dataset", message.run.dataset.as_str());
        span.record("job", message.job.as_str());
        span.record("trace_id", message.run.trace_id());
        if delivery.delivered == 1 {
            let waited = self.clock.now().duration_since(delivery.message.time);
            self.metrics.waited(waited.try_into().unwrap_or_default());
        }
    }

    fn started(&self, attempt: &Attempt) -> RunEvent {
        RunEvent::Started { job: attempt.job.clone(), fence: attempt.fence, agent: self.config.name.clone() }
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
            with: std::collections::BTreeMap::new(),
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
        let work = match self.plan(&attempt.spec.steps) {
            Ok(plan) => run_steps(plan, context).in_current_span(),
            Err(failed) => return (attempt, Outcome::Failed(failed)),
        };
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

    /// Every step's action, or why the job can never be done here.
    fn plan(&self, steps: &[Step]) -> Result<Plan, Failed> {
        let action_of = |step: &Step| match &step.action {
            StepAction::Uses { action, .. } => self.actions.get(action.as_str()).cloned().ok_or_else(|| {
                let mut offered: Vec<&str> = self.actions.keys().copied().collect();
                offered.sort_unstable();
                let message = format!("the pool `{}` offers {}, not `{action}`", self.config.pool, offered.join(", "));
                Failed::reject(Reason::ActionUnknown, message)
            }),
            StepAction::Run { .. } => {
                Err(Failed::reject(Reason::StepUnsupported, "this version of the agents does not execute `run:` steps"))
            }
        };
        steps.iter().map(|step| Ok((action_of(step)?, step.clone()))).collect()
    }
}

async fn run_steps(plan: Plan, mut context: JobContext) -> Result<Outputs, Failed> {
    let mut outputs = Outputs::new();
    for (action, step) in plan {
        if let StepAction::Uses { with, .. } = step.action {
            context.with = with;
        }
        outputs.extend(action.run(&context).await?);
    }
    Ok(outputs)
}

/// The subject is what dispatches are told apart by: the message must be the one that belongs there.
fn same_job(subject: &str, message: &JobMessage) -> Result<(), JobError> {
    let said: JobSubject = subject.parse().map_err(|error| JobError::Malformed(format!("{error}")))?;
    let belongs = said.run == message.run.id && said.job == message.job && said.generation == message.generation;
    if belongs { Ok(()) } else { Err(JobError::Malformed("it is about another job than its subject".into())) }
}

fn not_due(job: &JobName) -> JobError {
    JobError::Malformed(format!("by its own record the job `{job}` is not due"))
}
