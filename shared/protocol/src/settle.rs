//! What becomes of a delivery: one pure function from how the attempt ended, which attempt it was and what the workflow allows.

use std::time::Duration;

use crate::reason::Reason;
use crate::retry::RetryPolicy;
use crate::run::{Fan, Fault, Outputs};

/// Deliveries beyond the workflow's own attempts that the server makes before it gives a message up. An agent that receives
/// one of them dead-letters it unseen.
pub const DELIVERY_MARGIN: u32 = 2;

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It came to its end.
    Done(Completion),
    /// It failed.
    Failed(Failed),
    /// The agent shuts down and gives it back unfinished.
    HandedBack,
    /// It was not begun, because the attempts before it used up the budget without a word.
    Exhausted,
}

/// What came of an attempt that succeeded.
#[derive(Debug, Clone, PartialEq)]
pub enum Completion {
    /// The job is done, and left this.
    Done(Outputs),
    /// Its condition does not hold: it is not to be done.
    Skipped,
    /// Its matrix is read: its items are to be done.
    FanOut(Fan),
    /// Its work is to be done in parts, and then it is to be dispatched once more.
    Split(Fan, Outputs),
    /// A person must say that it may go on.
    Postponed(Outputs),
}

/// A failed attempt, with its own view of whether trying again can help.
#[derive(Debug, Clone, PartialEq)]
pub struct Failed {
    /// The stable code.
    pub reason: Reason,
    /// Whose fault.
    pub fault: Fault,
    /// What happened.
    pub message: String,
    /// Whether trying again can help, and when.
    pub again: Again,
}

impl Failed {
    /// The system's fault, and it may pass: tried again after the workflow's delay.
    pub fn retry(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, fault: Fault::Error, message: message.into(), again: Again::Later }
    }

    /// The job's own fault, and it will not pass: dead-lettered at once.
    pub fn reject(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, fault: Fault::Failure, message: message.into(), again: Again::Never }
    }

    /// The same, tried again after `delay` instead of the workflow's own.
    #[must_use]
    pub fn after(self, delay: Duration) -> Self {
        Self { again: Again::After(delay), ..self }
    }
}

/// Whether trying again can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// It can, after the workflow's own delay.
    Later,
    /// It can, after this long.
    After(Duration),
    /// It can, whatever the workflow says of how often: the job itself asks for it.
    Whatever,
    /// Its time has not come: not before this long, and this attempt does not count.
    NotBefore(Duration),
    /// It never can.
    Never,
}

/// What the runtime does with the delivery.
#[derive(Debug, Clone, PartialEq)]
pub enum Settlement {
    /// Record it, publish what follows, acknowledge.
    Complete(Completion),
    /// Record the failure, give the message back for this long.
    Retry {
        /// Until the next delivery.
        delay: Duration,
        /// Why.
        failed: Failed,
    },
    /// Copy the message to the dead letters, record it, terminate it.
    DeadLetter(Failed),
    /// Record that it does not count, give the message back at once.
    HandBack,
}

/// Decides. `delivery` counts from 1; `handed_back` of the deliveries before it do not count as attempts. `random` is uniform in `0.0..1.0`.
pub fn settle(outcome: Outcome, delivery: u32, handed_back: u32, policy: &RetryPolicy, random: f64) -> Settlement {
    let attempt = delivery.saturating_sub(handed_back).max(1);
    match outcome {
        Outcome::Done(completion) => Settlement::Complete(completion),
        Outcome::HandedBack => Settlement::HandBack,
        Outcome::Exhausted => Settlement::DeadLetter(Failed {
            reason: Reason::AgentLost,
            fault: Fault::Error,
            message: format!("{} attempts ended without a result", attempt.saturating_sub(1)),
            again: Again::Never,
        }),
        Outcome::Failed(failed) if is_final(failed.again, delivery, attempt, policy) => Settlement::DeadLetter(failed),
        Outcome::Failed(failed) => {
            let delay = match failed.again {
                Again::After(delay) | Again::NotBefore(delay) => delay,
                Again::Later | Again::Whatever | Again::Never => policy.delay(attempt, random),
            };
            Settlement::Retry { delay, failed }
        }
    }
}

fn is_final(again: Again, delivery: u32, attempt: u32, policy: &RetryPolicy) -> bool {
    match again {
        Again::Never => true,
        Again::Whatever | Again::NotBefore(_) => delivery > RetryPolicy::MAX_RETRY_COUNT,
        Again::Later | Again::After(_) => attempt >= policy.attempts(),
    }
}

/// Whether the attempts before this delivery used up the budget, so that it must not be begun.
pub fn is_exhausted(delivery: u32, handed_back: u32, policy: &RetryPolicy) -> bool {
    delivery.saturating_sub(handed_back) > policy.attempts()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(again: Again) -> Failed {
        Failed { reason: Reason::StorageUnavailable, fault: Fault::Error, message: "503".into(), again }
    }

    fn policy(retry_count: u32) -> RetryPolicy {
        RetryPolicy { retry_count, initial_ms: 1_000, factor: 2.0, max_ms: 60_000 }
    }

    #[test]
    fn every_outcome_is_settled_as_attempts_and_policy_say() {
        let later = || Outcome::Failed(failed(Again::Later));
        let retry = |ms| Settlement::Retry { delay: Duration::from_millis(ms), failed: failed(Again::Later) };
        let dead = || Settlement::DeadLetter(failed(Again::Later));
        for (outcome, delivery, handed_back, retries, expected) in [
            (Outcome::Done(Completion::Skipped), 1, 0, 0, Settlement::Complete(Completion::Skipped)),
            (Outcome::HandedBack, 9, 0, 0, Settlement::HandBack),
            (later(), 1, 0, 0, dead()),
            (later(), 1, 0, 2, retry(1_000)),
            (later(), 2, 0, 2, retry(2_000)),
            (later(), 3, 0, 2, dead()),
            (later(), 3, 1, 2, retry(2_000)),
            (Outcome::Failed(failed(Again::Never)), 1, 0, 9, Settlement::DeadLetter(failed(Again::Never))),
            (
                Outcome::Failed(failed(Again::After(Duration::from_secs(7)))),
                1,
                0,
                1,
                Settlement::Retry {
                    delay: Duration::from_secs(7),
                    failed: failed(Again::After(Duration::from_secs(7))),
                },
            ),
        ] {
            let shown = format!("{outcome:?} at {delivery}");
            assert_eq!(settle(outcome, delivery, handed_back, &policy(retries), 1.0), expected, "{shown}");
        }
    }

    #[test]
    fn a_delivery_beyond_the_budget_is_dead_lettered_unseen() {
        assert!(!is_exhausted(3, 0, &policy(2)));
        assert!(is_exhausted(4, 0, &policy(2)));
        assert!(!is_exhausted(4, 1, &policy(2)));
        let settled = settle(Outcome::Exhausted, 4, 0, &policy(2), 0.5);
        assert!(matches!(
            settled,
            Settlement::DeadLetter(Failed { reason: Reason::AgentLost, fault: Fault::Error, .. })
        ));
    }
}
