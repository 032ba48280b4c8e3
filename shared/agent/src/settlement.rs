//! What becomes of an attempt's delivery. The pure decision is [`honk_protocol::settle`]; here it is carried out, always in
//! the order *record, publish, settle*, so that a crash anywhere in between is repaired by the next delivery.

use std::future::Future;
use std::time::Duration;

use honk_bus::{BusError, Delivery};
use honk_protocol::dead::{DeadLetter, HEADER_TRACEPARENT};
use honk_protocol::job::JobError;
use honk_protocol::reason::Reason;
use honk_protocol::run::{Failure, Fence, Refusal, RunEvent};
use honk_protocol::settle::{Failed, Outcome, Settlement, settle};
use honk_protocol::subject::{DeadSubject, EventKey, JobSubject};
use tokio::time::Instant;

use crate::agent::Agent;
use crate::attempt::Attempt;
use crate::failpoint;
use crate::ledger::{LedgerError, Recorded, Trace, dead_letter_publication};

/// How long an attempt's end is tried to be put on record while the server does not answer. After that the delivery is given up,
/// and the job is done again by whoever gets it next.
const PERSIST_FOR: Duration = Duration::from_secs(60);

/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

impl Agent {
    /// Carries out what follows from the attempt's outcome.
    pub(crate) async fn settle(&self, delivery: Delivery, attempt: Attempt, outcome: Outcome) {
        let handed_back = attempt.known.run.job(&attempt.job).map_or(0, |job| job.handed_back);
        let settlement = settle(outcome, delivery.delivered, handed_back, &attempt.spec.retry, fastrand::f64());
        match settlement {
            Settlement::Complete(outputs) => {
                let event = RunEvent::Completed { job: attempt.job.clone(), fence: attempt.fence, outputs };
                self.conclude(delivery, &attempt, &event).await;
            }
            Settlement::Retry { delay, failed } => {
                tracing::warn!(reason = %failed.reason, error = failed.message, attempt = attempt.fence.attempt, "will be tried again");
                let failure = self.failure(&attempt, &failed);
                let event = RunEvent::Retrying { job: attempt.job.clone(), fence: attempt.fence, failure };
                self.return_later(delivery, &attempt, &event, delay).await;
            }
            Settlement::HandBack => {
                let event = RunEvent::HandedBack { job: attempt.job.clone(), fence: attempt.fence };
                self.return_later(delivery, &attempt, &event, Duration::ZERO).await;
            }
            Settlement::DeadLetter(failed) => self.bury(delivery, &attempt, &failed).await,
        }
    }

    /// The job is recorded as done: only what follows from it may be missing.
    pub(crate) async fn repeat(&self, delivery: Delivery, recorded: &Recorded, trace: &Trace) {
        match persist(|| self.ledger.publish_due(recorded, trace)).await {
            Ok(()) => self.acknowledge(delivery, "repeat").await,
            Err(error) => self.give_up(delivery, &error),
        }
    }

    /// The record does not allow the attempt: another one took the job over, or the run was given up.
    pub(crate) async fn step_aside(&self, delivery: Delivery, refusal: Refusal) {
        if let Refusal::Fenced(_) = refusal {
            tracing::warn!(%refusal, "the job was taken over; this attempt counts for nothing");
            self.metrics.settled("fenced");
            delivery.abandon();
        } else {
            tracing::warn!(%refusal, "the job is no longer to be done");
            self.acknowledge(delivery, "refused").await;
        }
    }

    pub(crate) async fn give_back(&self, delivery: Delivery, delay: Duration) {
        if let Err(error) = delivery.give_back(delay).await {
            tracing::warn!(%error, "not given back; it comes back by itself");
        }
    }

    /// Dead-letters a message that is no job. If its subject names one that is due, that job is dead with it.
    pub(crate) async fn bury_malformed(&self, delivery: Delivery, error: &JobError) {
        let reason = match error {
            JobError::Malformed(_) => Reason::MessageMalformed,
            JobError::Version { .. } => Reason::MessageVersion,
        };
        let failed = Failed::reject(reason, error.to_string());
        let buried = persist(|| async {
            let victim = self.victim(&delivery).await?;
            let subject = victim.as_ref().map_or_else(|| unknown(&delivery), |(_, said)| dead_subject(said));
            let dataset = victim.as_ref().map(|(recorded, _)| recorded.run.dataset.to_string());
            self.write_letter(&delivery, subject, dataset, &failed).await?;
            let Some((recorded, said)) = victim else { return Ok(()) };
            let fence = Fence { generation: said.generation, attempt: delivery.delivered };
            let failure = Failure {
                reason,
                fault: failed.fault,
                message: failed.message.clone(),
                attempt: delivery.delivered,
                at: self.clock.now(),
            };
            let trace = Trace::of_run(&recorded.run);
            match self.ledger.advance(recorded, &RunEvent::Died { job: said.job, fence, failure }, &trace).await {
                Ok(_) | Err(LedgerError::Refused(_)) => Ok(()),
                Err(error) => Err(error),
            }
        });
        match buried.await {
            Ok(()) => self.terminate(delivery, reason).await,
            Err(error) => self.give_up(delivery, &error),
        }
    }

    /// The due job that a malformed message's subject names.
    async fn victim(&self, delivery: &Delivery) -> Result<Option<(Recorded, JobSubject)>, LedgerError> {
        let Ok(said) = delivery.message.subject.parse::<JobSubject>() else { return Ok(None) };
        match self.ledger.find(&said.run).await {
            Ok(recorded) => {
                let due =
                    recorded.run.job(&said.job).is_some_and(|job| job.is_due() && job.generation == said.generation);
                Ok(due.then_some((recorded, said)))
            }
            Err(LedgerError::NoRun(_) | LedgerError::Unreadable { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Record, publish, acknowledge.
    async fn conclude(&self, delivery: Delivery, attempt: &Attempt, event: &RunEvent) {
        match persist(|| self.ledger.advance(attempt.known.clone(), event, &attempt.trace)).await {
            Ok(recorded) => {
                self.count_finished(&recorded);
                self.acknowledge(delivery, "ok").await;
                failpoint::hit("after-ack");
            }
            Err(LedgerError::Refused(refusal)) => self.step_aside(delivery, refusal).await,
            Err(error) => self.give_up(delivery, &error),
        }
    }

    /// Record, and give the message back.
    async fn return_later(&self, delivery: Delivery, attempt: &Attempt, event: &RunEvent, delay: Duration) {
        match persist(|| self.ledger.record(attempt.known.clone(), event)).await {
            Ok(_) => {
                failpoint::hit("after-record");
                self.metrics.settled(if delay.is_zero() { "handed-back" } else { "retry" });
                self.give_back(delivery, delay).await;
            }
            Err(LedgerError::Refused(refusal)) => self.step_aside(delivery, refusal).await,
            Err(error) => self.give_up(delivery, &error),
        }
    }

    /// Copy to the dead letters, record, terminate.
    async fn bury(&self, delivery: Delivery, attempt: &Attempt, failed: &Failed) {
        tracing::error!(reason = %failed.reason, error = failed.message, "dead-lettered");
        let (run, pool) = (&attempt.known.run, &self.config.pool);
        let subject = DeadSubject::Job { pool: pool.clone(), run: run.id.clone(), job: attempt.job.clone() };
        let failure = self.failure(attempt, failed);
        let event = RunEvent::Died { job: attempt.job.clone(), fence: attempt.fence, failure };
        let buried = persist(|| async {
            self.write_letter(&delivery, subject.clone(), Some(run.dataset.to_string()), failed).await?;
            failpoint::hit("after-dead-letter");
            self.ledger.advance(attempt.known.clone(), &event, &attempt.trace).await
        });
        match buried.await {
            Ok(recorded) => {
                self.count_finished(&recorded);
                self.terminate(delivery, failed.reason).await;
            }
            Err(LedgerError::Refused(refusal)) => self.step_aside(delivery, refusal).await,
            Err(error) => self.give_up(delivery, &error),
        }
    }

    async fn write_letter(
        &self,
        delivery: &Delivery,
        subject: DeadSubject,
        dataset: Option<String>,
        failed: &Failed,
    ) -> Result<(), LedgerError> {
        let message = &delivery.message;
        let letter = DeadLetter {
            subject,
            reason: failed.reason,
            fault: failed.fault,
            error: failed.message.clone(),
            attempts: delivery.delivered,
            original_subject: message.subject.clone(),
            original_sequence: message.sequence,
            dataset,
            trace: message.headers.get(HEADER_TRACEPARENT).unwrap_or_default().to_owned(),
        };
        self.ledger.bus().publish(dead_letter_publication(&letter, message.payload.clone())).await?;
        Ok(())
    }

    async fn acknowledge(&self, delivery: Delivery, outcome: &'static str) {
        self.metrics.settled(outcome);
        // Not heard is no harm: the next delivery finds the job done.
        if let Err(error) = delivery.ack().await {
            tracing::debug!(%error, "an acknowledgement was not answered");
        }
    }

    async fn terminate(&self, delivery: Delivery, reason: Reason) {
        self.metrics.settled("dead");
        if let Err(error) = delivery.terminate(reason.code()).await {
            tracing::debug!(%error, "a termination was not answered");
        }
    }

    /// Dropping the delivery gives it back.
    fn give_up(&self, delivery: Delivery, error: &LedgerError) {
        tracing::error!(%error, "the attempt's end could not be recorded; the job will be done again");
        self.metrics.settled("unrecorded");
        drop(delivery);
    }

    fn failure(&self, attempt: &Attempt, failed: &Failed) -> Failure {
        Failure {
            reason: failed.reason,
            fault: failed.fault,
            message: failed.message.clone(),
            attempt: attempt.fence.attempt,
            at: self.clock.now(),
        }
    }

    fn count_finished(&self, recorded: &Recorded) {
        if recorded.run.state.is_finished() {
            self.metrics.run_finished(recorded.run.state.word());
        }
    }
}

/// Repeats `action` while the server does not answer, with growing pauses, for a bounded time.
async fn persist<T, F: Future<Output = Result<T, LedgerError>>>(action: impl Fn() -> F) -> Result<T, LedgerError> {
    let (begin, mut pause) = (Instant::now(), Duration::from_millis(50));
    loop {
        match action().await {
            Err(LedgerError::Bus(error)) if is_worth_repeating(&error) && begin.elapsed() < PERSIST_FOR => {
                tracing::warn!(%error, "trying again");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            result => return result,
        }
    }
}

fn is_worth_repeating(error: &BusError) -> bool {
    error.is_transient() || error.is_conflict()
}

fn dead_subject(job: &JobSubject) -> DeadSubject {
    DeadSubject::Job { pool: job.pool.clone(), run: job.run.clone(), job: job.job.clone() }
}

fn unknown(delivery: &Delivery) -> DeadSubject {
    let time = delivery.message.time.as_nanosecond();
    DeadSubject::Message { key: EventKey::of_message(delivery.message.sequence, time) }
}
