//! What a person does with a dead letter: replay it, or give it up.

use std::time::Duration;

use honk_bus::{BusError, Message, Publication};
use honk_protocol::dead::{DeadLetter, HEADER_TRACEPARENT, StoredDeadLetter};
use honk_protocol::name::{DatasetName, RunId};
use honk_protocol::run::{Failure, Fence, RunEvent};
use honk_protocol::settle::Failed;
use honk_protocol::subject::{DeadSubject, EVENT_ONBOARD, EventKey, JobSubject};
use honk_protocol::topology;
use honk_service::TraceParent;

use super::{ControlError, Ledger, LedgerError, Recorded, Trace};

/// How long the marker of a dead letter that is gone stands, so that every watcher sees it.
pub(super) const KEEP_MARKER: Duration = Duration::from_hours(1);

/// Why a dead letter could not be replayed or discarded.
#[derive(Debug, thiserror::Error)]
pub enum LetterError {
    /// It is not there any more.
    #[error("there is no such dead letter; it may have been replayed or discarded already")]
    Gone,
    /// Another run of the same dataset or group is live or waits.
    #[error("run {0} of the same dataset or group is not finished; wait for its end, or discard this dead letter")]
    LaneTaken(RunId),
    /// A message that no service wrote cannot be made valid by publishing it again.
    #[error("this message is no job, and replaying it would not make it one; discard it")]
    NotReplayable,
    /// The run record.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl From<ControlError> for LetterError {
    fn from(error: ControlError) -> Self {
        match error {
            ControlError::LaneTaken(run) => Self::LaneTaken(run),
            ControlError::Ledger(error) => Self::Ledger(error),
        }
    }
}

impl From<BusError> for LetterError {
    fn from(error: BusError) -> Self {
        Self::Ledger(error.into())
    }
}

impl Ledger {
    /// Stores a dead letter: the message as it was, and why it lies there. A repeat is recognised by the message's sequence.
    pub async fn write_letter(
        &self,
        message: &Message,
        subject: DeadSubject,
        dataset: Option<String>,
        (attempts, failed): (u32, &Failed),
    ) -> Result<(), LedgerError> {
        let letter = DeadLetter {
            subject,
            reason: failed.reason,
            fault: failed.fault,
            error: failed.message.clone(),
            attempts,
            original_subject: message.subject.clone(),
            original_sequence: message.sequence,
            dataset,
            trace: message.headers.get(HEADER_TRACEPARENT).unwrap_or_default().to_owned(),
        };
        let id = format!("dead.{}.{}", letter.original_subject, letter.original_sequence);
        let mut stored = Publication::new(letter.subject.to_string(), message.payload.clone()).message_id(id);
        for (name, value) in message.headers.pairs().filter(|(name, _)| is_event_attribute(name)) {
            stored = stored.header(name, value);
        }
        for (name, value) in letter.headers() {
            stored = stored.header(name, value);
        }
        self.bus.publish(stored).await?;
        Ok(())
    }

    /// Dead-letters a message that no agent could make an attempt at. If its subject names a job that is due, the job is dead with it.
    pub async fn bury(&self, message: &Message, attempts: u32, failed: &Failed) -> Result<(), LedgerError> {
        let Some((recorded, said)) = self.victim(message).await? else {
            let key = EventKey::of_message(message.sequence, message.time.as_nanosecond());
            return self.write_letter(message, DeadSubject::Message { key }, None, (attempts, failed)).await;
        };
        let subject = DeadSubject::Job { pool: said.pool, run: said.run, job: said.job.clone() };
        let dataset = recorded.run.dataset.to_string();
        self.write_letter(message, subject, Some(dataset), (attempts, failed)).await?;
        let known = recorded.run.job(&said.job).map_or(0, |job| job.attempt);
        let fence = Fence { generation: said.generation, attempt: attempts.max(known) };
        let Failed { reason, fault, message, .. } = failed.clone();
        let failure = Failure { reason, fault, message, attempt: fence.attempt, at: self.clock.now() };
        let trace = Trace::of_run(&recorded.run);
        match self.advance(&recorded, &RunEvent::Died { job: said.job, fence, failure }, &trace).await {
            Ok(_) | Err(LedgerError::Refused(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The due job that a message's subject names.
    async fn victim(&self, message: &Message) -> Result<Option<(Recorded, JobSubject)>, LedgerError> {
        let Ok(said) = message.subject.parse::<JobSubject>() else { return Ok(None) };
        match self.find(&said.run).await {
            Ok(recorded) => {
                let due =
                    recorded.run.job(&said.job).is_some_and(|job| job.is_due() && job.generation == said.generation);
                Ok(due.then_some((recorded, said)))
            }
            Err(LedgerError::NoRun(_) | LedgerError::Unreadable { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads a dead letter by its subject.
    pub async fn letter(&self, subject: &DeadSubject) -> Result<(StoredDeadLetter, Message), LetterError> {
        let message = self.bus.last(topology::DEAD, &subject.to_string()).await?;
        let message = message.filter(|message| !message.is_removal()).ok_or(LetterError::Gone)?;
        let letter =
            DeadLetter::from_headers(&message.subject, |name| message.headers.get(name)).ok_or(LetterError::Gone)?;
        Ok((StoredDeadLetter { letter, sequence: message.sequence, time: message.time }, message))
    }

    /// Does the dead letter's job (or event) again, in a new trace that is linked to the old one. The record moves first, then the
    /// job is published, then the letter goes.
    pub async fn replay(&self, subject: &DeadSubject, trace: &TraceParent) -> Result<(), LetterError> {
        let (stored, message) = self.letter(subject).await?;
        match subject {
            DeadSubject::Job { run, job, .. } => {
                let dataset = dataset_of(&stored)?;
                let event = RunEvent::Replayed { job: job.clone() };
                let recorded = self.reopen(&dataset, run, &event).await?;
                self.publish_due(&recorded, &Trace::new(*trace)).await?;
            }
            DeadSubject::Event { key } => {
                let mut event = Publication::new(EVENT_ONBOARD, message.payload.clone())
                    .message_id(format!("replay.{key}.{}", stored.sequence))
                    .header(HEADER_TRACEPARENT, trace.to_string());
                for (name, value) in
                    message.headers.pairs().filter(|(name, _)| name.to_ascii_lowercase().starts_with("ce-"))
                {
                    event = event.header(name, value);
                }
                self.bus.publish(event).await?;
            }
            DeadSubject::Message { .. } => return Err(LetterError::NotReplayable),
        }
        self.bus.erase(&subject.to_string(), KEEP_MARKER).await?;
        Ok(())
    }

    /// Gives the dead letter's job (or event) up.
    pub async fn discard(&self, subject: &DeadSubject) -> Result<(), LetterError> {
        let (stored, _) = self.letter(subject).await?;
        if let DeadSubject::Job { run, job, .. } = subject {
            let dataset = dataset_of(&stored)?;
            match self.get(&dataset, run).await {
                Ok(known) => {
                    let event = RunEvent::Discarded { job: job.clone() };
                    match self.record(&known, &event).await {
                        // Whatever became of the job, this letter is about a dispatch that is over.
                        Ok(_) | Err(LedgerError::Refused(_)) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
                Err(LedgerError::NoRun(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.bus.erase(&subject.to_string(), KEEP_MARKER).await?;
        Ok(())
    }
}

/// A binary event's attributes are in its headers: without them it would be another event.
fn is_event_attribute(name: &str) -> bool {
    name.to_ascii_lowercase().starts_with("ce-")
}

fn dataset_of(stored: &StoredDeadLetter) -> Result<DatasetName, LetterError> {
    let name = stored.letter.dataset.clone().unwrap_or_default();
    DatasetName::new(name).map_err(|_| LetterError::NotReplayable)
}
