//! What each receiver of a run has been told, kept in a bucket, so that a repeated job goes on where the last attempt ended
//! instead of telling everyone again.

use std::collections::HashMap;

use honk_agent::action::JobContext;
use honk_agent::registry::unavailable;
use honk_bus::{Bucket, Bus, Expect};
use honk_protocol::name::RunId;
use honk_protocol::reason::Reason;
use honk_protocol::settle::Failed;
use honk_protocol::topology::{DELIVERIES, KEEP_DELIVERY};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::schedule::Schedule;
use crate::webhook::Answer;

/// A conflict means that another attempt at the same job is at work: reading again settles it.
const CONFLICTS: usize = 5;

/// What became of a notice at one receiver.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// The dispatch of the job that the attempts belong to; a replay begins anew.
    pub generation: u32,
    /// Attempts so far.
    pub attempts: u32,
    /// When it was delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done_at: Option<Timestamp>,
    /// When it is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_at: Option<Timestamp>,
    /// Why it is not tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given_up: Option<Reason>,
    /// How the latest attempt failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
}

/// Identifies a receiver's delivery: stable over retries, redeliveries and replays, and says nothing of the address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DeliveryId(String);

/// Deliveries, as they are kept.
#[derive(Debug, Clone)]
pub struct Deliveries {
    bus: Bus,
    bucket: Bucket,
}

/// A delivery and what a compare-and-set of it expects; 0 means that nothing is there.
#[derive(Debug, Clone, Default)]
pub struct Kept {
    /// The delivery.
    pub delivery: Delivery,
    /// Its revision.
    pub revision: u64,
}

impl Delivery {
    /// The delivery as dispatch `generation` finds it: what was given up before a replay is tried again, what is done stays done.
    #[must_use]
    pub fn at(self, generation: u32) -> Self {
        if self.done_at.is_some() || self.generation >= generation {
            self
        } else {
            Self { generation, ..Self::default() }
        }
    }

    /// Whether nothing more happens to it.
    pub fn is_settled(&self) -> bool {
        self.done_at.is_some() || self.given_up.is_some()
    }

    /// Whether an attempt is to be made now.
    pub fn is_due(&self, now: Timestamp) -> bool {
        !self.is_settled() && self.next_at.is_none_or(|next| next <= now)
    }

    /// The delivery after one more attempt.
    #[must_use]
    pub fn after(&self, answer: Answer, now: Timestamp, schedule: &Schedule, spread: u8) -> Self {
        let attempts = self.attempts.saturating_add(1);
        let tried = Self { generation: self.generation, attempts, ..Self::default() };
        match answer {
            Answer::Delivered => Self { done_at: Some(now), ..tried },
            Answer::Refused { reason, error } => Self { given_up: Some(reason), last_error: Some(error), ..tried },
            Answer::Failed { error, retry_after } => {
                let delay = schedule.delay(attempts, spread, retry_after);
                let delay = delay.map(|delay| SignedDuration::try_from(delay).unwrap_or(SignedDuration::MAX));
                let next_at = delay.map(|delay| now.saturating_add(delay).unwrap_or(Timestamp::MAX));
                let given_up = next_at.is_none().then_some(Reason::ReceiverFailed);
                Self { next_at, given_up, last_error: Some(error), ..tried }
            }
        }
    }
}

impl DeliveryId {
    /// The id of `job`'s delivery to `receiver`.
    pub fn of(job: &JobContext, receiver: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(job.idempotency_key());
        hash.update([0]);
        hash.update(receiver);
        Self(hex::encode(&hash.finalize()[..16]))
    }

    /// The `webhook-id`; Standard Webhooks allows no `.` in it.
    pub fn webhook_id(&self) -> String {
        format!("msg_{}", self.0)
    }

    fn key(&self, run: &RunId) -> String {
        format!("{run}.{}", self.0)
    }
}

impl Deliveries {
    /// The deliveries that `bus` keeps.
    pub fn new(bus: &Bus) -> Self {
        Self { bus: bus.clone(), bucket: bus.bucket(DELIVERIES) }
    }

    /// Every delivery of a run that is on record, as this dispatch finds it.
    pub async fn of(&self, job: &JobContext) -> Result<HashMap<DeliveryId, Kept>, Failed> {
        let entries = self.bucket.get_all(&format!("{}.*", job.run.id)).await.map_err(|error| unavailable(&error))?;
        let kept = entries.into_iter().filter_map(|entry| {
            let id = DeliveryId(entry.key.rsplit('.').next()?.to_owned());
            let delivery: Delivery = serde_json::from_slice(&entry.value).ok()?;
            Some((id, Kept { delivery: delivery.at(job.fence.generation), revision: entry.revision }))
        });
        Ok(kept.collect())
    }

    /// Records a delivery, unless another attempt has recorded that it is done. Returns what is on record then.
    pub async fn record(&self, run: &RunId, id: &DeliveryId, new: Kept) -> Result<Delivery, Failed> {
        let Kept { delivery, mut revision } = new;
        let json = serde_json::to_vec(&delivery).unwrap_or_default();
        for _ in 0..CONFLICTS {
            let expect = if revision == 0 { Expect::New } else { Expect::Last(revision) };
            let publication = self.bucket.publication(&id.key(run), json.clone());
            match self.bus.publish(publication.expect(expect).ttl(Some(KEEP_DELIVERY))).await {
                Ok(_stored) => return Ok(delivery),
                Err(error) if !error.is_conflict() => return Err(unavailable(&error)),
                Err(_conflict) => {}
            }
            let last = self.bus.last(&Bucket::stream_of(DELIVERIES), &self.bucket.subject(&id.key(run))).await;
            let last = last.map_err(|error| unavailable(&error))?;
            // The marker of a record that expired counts too: its sequence is what the next write must expect.
            revision = last.as_ref().map_or(0, |message| message.sequence);
            let there = last.filter(|message| !message.is_removal());
            let other = there.and_then(|message| serde_json::from_slice::<Delivery>(&message.payload).ok());
            if let Some(other) = other.filter(|other| other.done_at.is_some()) {
                return Ok(other);
            }
        }
        Err(Failed::retry(Reason::BusUnavailable, "another attempt at this job keeps recording the same delivery"))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn failed(retry_after: Option<Duration>) -> Answer {
        Answer::Failed { error: "no".into(), retry_after }
    }

    #[test]
    fn a_receiver_that_fails_is_tried_on_schedule_and_then_given_up() {
        let schedule = Schedule::new(&[5, 10]);
        let first = Delivery::default().at(1).after(failed(None), NOW, &schedule, 0);
        assert_eq!((first.attempts, first.next_at), (1, Some(NOW + SignedDuration::from_secs(5))));
        assert!(!first.is_due(NOW) && first.is_due(NOW + SignedDuration::from_secs(5)) && !first.is_settled());
        let second = first.after(failed(Some(Duration::from_mins(1))), NOW, &schedule, 0);
        assert_eq!(second.next_at, Some(NOW + SignedDuration::from_secs(60)));
        let third = second.after(failed(None), NOW, &schedule, 0);
        assert_eq!((third.given_up, third.next_at), (Some(Reason::ReceiverFailed), None));
        assert!(third.is_settled() && !third.is_due(Timestamp::MAX));
    }

    #[test]
    fn a_replay_tries_again_what_was_given_up_and_not_what_is_done() {
        let schedule = Schedule::new(&[]);
        let gone = Answer::Refused { reason: Reason::ReceiverGone, error: "410".into() };
        let lost = Delivery::default().at(1).after(gone, NOW, &schedule, 0);
        assert_eq!(lost.given_up, Some(Reason::ReceiverGone));
        assert!(lost.clone().at(1).is_settled());
        assert_eq!(lost.at(2), Delivery { generation: 2, ..Delivery::default() });
        let done = Delivery::default().at(1).after(Answer::Delivered, NOW, &schedule, 0);
        assert_eq!((done.clone().at(2), done.is_settled()), (done, true));
    }
}
