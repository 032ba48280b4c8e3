//! What becomes of an attempt's delivery. The pure decision is [`honk_protocol::settle`]; here it is carried out, always in
//! the order *record, publish, settle*, so that a crash anywhere in between is repaired by the next delivery.

use std::time::Duration;

use honk_bus::Delivery;
use honk_protocol::job::JobError;
use honk_protocol::reason::Reason;
use honk_protocol::run::{Failure, Refusal, RunEvent};
use honk_protocol::settle::{Again, Completion, Failed, Outcome, Settlement, settle};
use honk_protocol::subject::DeadSubject;

use crate::agent::Agent;
use crate::attempt::Attempt;
use crate::failpoint;
use crate::ledger::{LedgerError, Recorded, Trace};
use crate::persist::persist;

impl Agent {
    /// Carries out what follows from the attempt's outcome.
    pub(crate) async fn settle(&self, delivery: Delivery, attempt: Attempt, outcome: Outcome) {
        let handed_back = attempt.known.run.job(&attempt.job).map_or(0, |job| job.handed_back);
        let settlement = settle(outcome, delivery.delivered, handed_back, &attempt.spec.retry, fastrand::f64());
        match settlement {
            Settlement::Complete(completion) => {
                let (job, fence) = (attempt.job.clone(), attempt.fence);
                let event = match completion {
                    Completion::Done(outputs) => RunEvent::Completed { job, fence, outputs },
                    Completion::Skipped => RunEvent::Skipped { job, fence },
                    Completion::FanOut(fan) => RunEvent::FannedOut { job, fence, fan },
                    Completion::Split(fan, memo) => RunEvent::Split { job, fence, fan, memo },
                    Completion::Postponed(memo) => RunEvent::Postponed { job, fence, memo },
                };
                self.conclude(delivery, &attempt, &event).await;
            }
            Settlement::Retry { delay, failed } => {
                tracing::warn!(reason = %failed.reason, error = failed.message, attempt = attempt.fence.attempt, "will be tried again");
                let failure = self.failure(&attempt, &failed);
                let counts = !matches!(failed.again, Again::Whatever | Again::NotBefore(_));
                let event = RunEvent::Retrying { job: attempt.job.clone(), fence: attempt.fence, failure, counts };
                Box::pin(self.return_later(delivery, &attempt, &event, delay)).await;
            }
            Settlement::HandBack => {
                let event = RunEvent::HandedBack { job: attempt.job.clone(), fence: attempt.fence };
                Box::pin(self.return_later(delivery, &attempt, &event, Duration::ZERO)).await;
            }
            Settlement::DeadLetter(failed) => Box::pin(self.bury(delivery, &attempt, &failed)).await,
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

    /// The run is paused and the job was not begun: it waits in the record, not in the queue.
    pub(crate) async fn shelve(&self, delivery: Delivery, attempt: &Attempt) {
        let event = RunEvent::Shelved { job: attempt.job.clone(), fence: attempt.fence };
        self.conclude(delivery, attempt, &event).await;
    }

    pub(crate) async fn give_back(&self, delivery: Delivery, delay: Duration) {
        if let Err(error) = delivery.give_back(delay).await {
            tracing::warn!(%error, "not given back; it comes back by itself");
        }
    }

    /// Dead-letters a message that is no job.
    pub(crate) async fn bury_malformed(&self, delivery: Delivery, error: &JobError) {
        let reason = match error {
            JobError::Malformed(_) => Reason::MessageMalformed,
            JobError::Version { .. } => Reason::MessageVersion,
        };
        let failed = Failed::reject(reason, error.to_string());
        match persist(|| self.ledger.bury(&delivery.message, delivery.delivered, &failed)).await {
            Ok(()) => self.terminate(delivery, reason).await,
            Err(error) => self.give_up(delivery, &error),
        }
    }

    /// Record, publish, acknowledge.
    async fn conclude(&self, delivery: Delivery, attempt: &Attempt, event: &RunEvent) {
        match persist(|| self.ledger.advance(&attempt.known, event, &attempt.trace)).await {
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
        match persist(|| self.ledger.record(&attempt.known, event)).await {
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
            let about = Some(run.dataset.to_string());
            // A failure that the workflow tolerates is nobody's to repair.
            if !attempt.spec.continue_on_error {
                self.ledger
                    .write_letter(&delivery.message, subject.clone(), about, (delivery.delivered, failed))
                    .await?;
            }
            failpoint::hit("after-dead-letter");
            self.ledger.advance(&attempt.known, &event, &attempt.trace).await
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
