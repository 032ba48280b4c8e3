//! What a delivery turns out to be, before anything is done: a job to do, one that was done already, one that must not be begun, or no
//! job at all.

use honk_bus::Delivery;
use honk_protocol::job::{JobError, JobMessage};
use honk_protocol::name::JobName;
use honk_protocol::run::{Fence, Job, JobState, RunEvent};
use honk_protocol::settle;
use honk_protocol::subject::JobSubject;

use crate::agent::Agent;
use crate::attempt::Attempt;
use crate::ledger::{LedgerError, Recorded, Trace};
use crate::workflows::{JobSpec, WorkflowError};

/// What the message turned out to be.
pub(crate) enum Beginning {
    /// A job to do.
    Do(Box<Attempt>),
    /// A job that needs no doing: its attempts are used up.
    Exhausted(Box<Attempt>),
    /// A job of a paused run: it must not be begun now.
    Held(Box<Attempt>),
    /// Recorded as done already: only what follows from it may be missing.
    Done(Box<Recorded>, Trace),
    /// Not a job.
    Malformed(JobError),
}

/// Why an attempt could not begin.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BeginError {
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Workflow(#[from] WorkflowError),
    #[error("a replica answered with an older record than the message brings")]
    Stale,
}

impl Agent {
    /// Reads the message. On a first delivery that is all, unless somebody wishes something of the run; a later one reads the record and puts
    /// its attempt there, so that the attempt before it is fenced off.
    pub(crate) async fn begin(&self, delivery: &Delivery, trace: Trace) -> Result<Beginning, BeginError> {
        let message = match read(delivery) {
            Ok(message) => message,
            Err(error) => return Ok(Beginning::Malformed(error)),
        };
        self.note_begin(delivery, &message);
        let fence = Fence { generation: message.generation, attempt: delivery.delivered };
        let first = delivery.delivered == 1;
        let mut known = Recorded::new(message.run, message.revision);
        if !first || self.wishes.of(&known.run.id).is_some() {
            known = Box::pin(self.ledger.get(&known.run.dataset, &known.run.id)).await?;
            if known.revision < message.revision {
                return Err(BeginError::Stale);
            }
        }
        let Some(job) = known.run.job(&message.job) else { return Ok(Beginning::Done(Box::new(known), trace)) };
        if job.state == JobState::Pending && job.generation < fence.generation {
            return Ok(Beginning::Malformed(not_due(&message.job)));
        }
        if job.generation > fence.generation || !job.is_due() {
            return Ok(Beginning::Done(Box::new(known), trace));
        }
        let held = known.run.paused && job.state == JobState::Ready;
        let handed_back = job.handed_back;
        let workflow = self.workflows.get(&known.run.workflow.hash).await?;
        let Some(spec) = JobSpec::of(workflow, &workflow_name(job)) else {
            return Ok(Beginning::Malformed(not_due(&message.job)));
        };
        let exhausted = settle::is_exhausted(delivery.delivered, handed_back, &spec.retry);
        let mut attempt = Attempt { known, job: message.job, fence, spec, trace };
        if held {
            return Ok(Beginning::Held(Box::new(attempt)));
        }
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

    pub(crate) fn started(&self, attempt: &Attempt) -> RunEvent {
        RunEvent::Started { job: attempt.job.clone(), fence: attempt.fence, agent: self.config.name.clone() }
    }
}

/// The message, if it is a job, and the one that belongs under its subject: dispatches are told apart by that.
fn read(delivery: &Delivery) -> Result<JobMessage, JobError> {
    let message = JobMessage::decode(&delivery.message.payload)?;
    let said: JobSubject = delivery.message.subject.parse().map_err(|error| JobError::Malformed(format!("{error}")))?;
    let belongs = said.run == message.run.id && said.job == message.job && said.generation == message.generation;
    if belongs { Ok(message) } else { Err(JobError::Malformed("it is about another job than its subject".into())) }
}

/// What the workflow calls the job: an item by its job's name.
fn workflow_name(job: &Job) -> JobName {
    job.name.parent().unwrap_or_else(|| job.name.clone())
}

fn not_due(job: &JobName) -> JobError {
    JobError::Malformed(format!("by its own record the job `{job}` is not due"))
}
