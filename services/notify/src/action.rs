//! `honk/notify`: the notice goes to the notice stream, then to every receiver. A receiver that fails is the only one that is told
//! again, on its own schedule; the job waits for it and ends only when every receiver has the notice or has been given up.

use bytes::Bytes;
use futures_util::StreamExt as _;
use honk_agent::action::{Action, JobContext};
use honk_agent::registry::{Registry, unavailable};
use honk_bus::{Bus, Publication};
use honk_protocol::entity::Entity;
use honk_protocol::reason::Reason;
use honk_protocol::run::Outputs;
use honk_protocol::settle::Failed;
use honk_protocol::subject;
use honk_service::Clock;
use jiff::Timestamp;
use serde_json::json;
use std::time::Duration;

use crate::delivery::{Deliveries, Delivery, DeliveryId, Kept};
use crate::metrics::NotifyMetrics;
use crate::notice;
use crate::receivers::Receivers;
use crate::schedule::Schedule;
use crate::webhook::{Answer, CLOUD_EVENT, Sender, Webhook};

/// Receivers of one run that are told at the same time.
const AT_ONCE: usize = 8;

/// What the action works with.
#[derive(Debug, Clone)]
pub struct Notify {
    /// Where notices are kept.
    pub bus: Bus,
    /// Where the dataset's entity is read.
    pub registry: Registry,
    /// Who is told.
    pub receivers: Receivers,
    /// What they have been told.
    pub deliveries: Deliveries,
    /// How they are told.
    pub sender: Sender,
    /// When they are told again.
    pub schedule: Schedule,
    /// What time it is.
    pub clock: Clock,
    /// What is counted.
    pub metrics: NotifyMetrics,
}

#[async_trait::async_trait]
impl Action for Notify {
    fn name(&self) -> &'static str {
        "honk/notify"
    }

    async fn run(&self, job: &JobContext) -> Result<Outputs, Failed> {
        let stopped = || Failed::retry(Reason::ReceiverFailed, "stopped before every receiver was told");
        job.cancelled.run_until_cancelled(self.tell_everyone(job)).await.unwrap_or_else(|| Err(stopped()))
    }
}

impl Notify {
    async fn tell_everyone(&self, job: &JobContext) -> Result<Outputs, Failed> {
        let dataset = match self.registry.entity(job.dataset()).await {
            // The notice is due all the same.
            Err(failed) if failed.reason == Reason::EntityMissing => Err(failed),
            read => Ok(read?),
        };
        let body = body(job, dataset.as_ref().ok())?;
        let mut kept = self.deliveries.of(job).await?;
        self.publish(job, &body, &mut kept).await?;
        let addresses = self.receivers.addresses(&dataset?);
        let told = futures_util::stream::iter(addresses.into_iter().map(|address| {
            let id = DeliveryId::of(job, &address);
            let known = kept.remove(&id).unwrap_or_else(|| fresh(job));
            let body = body.clone();
            async move { self.tell(job, &address, (id, known), body).await }
        }));
        let deliveries: Vec<Result<Delivery, Failed>> = told.buffer_unordered(AT_ONCE).collect().await;
        let deliveries = deliveries.into_iter().collect::<Result<Vec<_>, _>>()?;
        verdict(&deliveries, self.clock.now())
    }

    /// Puts the notice on the stream once. The message id covers a crash before the record, the record everything after it.
    async fn publish(
        &self,
        job: &JobContext,
        body: &Bytes,
        kept: &mut std::collections::HashMap<DeliveryId, Kept>,
    ) -> Result<(), Failed> {
        let stream = subject::notice(job.dataset());
        let id = DeliveryId::of(job, &stream);
        let known = kept.remove(&id).unwrap_or_else(|| fresh(job));
        if known.delivery.is_settled() {
            return Ok(());
        }
        let publication = Publication::new(stream, body.clone())
            .header("content-type", CLOUD_EVENT)
            .header("traceparent", job.run.trace.clone())
            .message_id(job.idempotency_key());
        self.bus.publish(publication).await.map_err(|error| unavailable(&error))?;
        self.keep(job, (id, known), Answer::Delivered).await.map(|_delivery| ())
    }

    /// Tells one receiver, if it is its time.
    async fn tell(
        &self,
        job: &JobContext,
        address: &str,
        (id, known): (DeliveryId, Kept),
        body: Bytes,
    ) -> Result<Delivery, Failed> {
        let now = self.clock.now();
        if !known.delivery.is_due(now) {
            return Ok(known.delivery);
        }
        let webhook = Webhook { id: id.webhook_id(), body, trace: job.run.trace.clone() };
        let answer = self.sender.send(address, &webhook, now).await;
        self.metrics.attempted(&answer);
        tracing::info!(webhook = webhook.id, ?answer, "told a receiver");
        self.keep(job, (id, known), answer).await
    }

    async fn keep(
        &self,
        job: &JobContext,
        (id, known): (DeliveryId, Kept),
        answer: Answer,
    ) -> Result<Delivery, Failed> {
        let delivery = known.delivery.after(answer, self.clock.now(), &self.schedule, spread(job));
        self.deliveries.record(&job.run.id, &id, Kept { delivery, ..known }).await
    }
}

/// A delivery that nobody has begun.
fn fresh(job: &JobContext) -> Kept {
    Kept { delivery: Delivery::default().at(job.fence.generation), revision: 0 }
}

/// A number that differs between runs and is the same for all attempts of one.
fn spread(job: &JobContext) -> u8 {
    job.run.id.as_str().bytes().fold(0, |sum: u8, byte| sum.wrapping_mul(31).wrapping_add(byte))
}

/// What becomes of the job.
fn verdict(deliveries: &[Delivery], now: Timestamp) -> Result<Outputs, Failed> {
    let receivers = deliveries.len();
    let delivered = deliveries.iter().filter(|delivery| delivery.done_at.is_some()).count();
    let missed: Vec<&Delivery> = deliveries.iter().filter(|delivery| delivery.done_at.is_none()).collect();
    let Some(first) = missed.first() else {
        let outputs = json!({ "receivers": receivers, "delivered": delivered, "failed": 0 });
        return Ok(outputs.as_object().cloned().unwrap_or_default());
    };
    let worst = missed.iter().find(|delivery| delivery.given_up.is_some()).unwrap_or(first);
    let message = format!(
        "{} of {receivers} receivers not told: {}",
        missed.len(),
        worst.last_error.as_deref().unwrap_or("not tried yet")
    );
    match missed.iter().filter(|delivery| !delivery.is_settled()).map(|delivery| delivery.next_at.unwrap_or(now)).min()
    {
        Some(next) => {
            let wait = Duration::try_from(next.duration_since(now)).unwrap_or_default();
            Err(Failed::retry(Reason::ReceiverFailed, message).after(wait))
        }
        None => Err(Failed::reject(worst.given_up.unwrap_or(Reason::ReceiverFailed), message)),
    }
}

fn body(job: &JobContext, dataset: Option<&Entity>) -> Result<Bytes, Failed> {
    let json = serde_json::to_vec(&notice::of(job, dataset));
    json.map(Bytes::from).map_err(|error| Failed::reject(Reason::InputInvalid, format!("the notice: {error}")))
}

#[cfg(test)]
mod tests {
    use honk_protocol::settle::Again;
    use jiff::SignedDuration;

    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn done() -> Delivery {
        Delivery { attempts: 1, done_at: Some(NOW), ..Delivery::default() }
    }

    fn waiting(seconds: i64) -> Delivery {
        let next_at = Some(NOW + SignedDuration::from_secs(seconds));
        Delivery { attempts: 1, next_at, last_error: Some("503".into()), ..Delivery::default() }
    }

    fn gone() -> Delivery {
        let given_up = Some(Reason::ReceiverGone);
        Delivery { attempts: 1, given_up, last_error: Some("410".into()), ..Delivery::default() }
    }

    #[test]
    fn a_job_ends_in_success_only_when_every_receiver_was_told() {
        let outputs = verdict(&[done(), done()], NOW).unwrap();
        assert_eq!(
            (&outputs["receivers"], &outputs["delivered"], &outputs["failed"]),
            (&json!(2), &json!(2), &json!(0))
        );
        assert_eq!(verdict(&[], NOW).unwrap()["receivers"], 0);
    }

    #[test]
    fn a_job_waits_for_the_next_receiver_that_is_due_and_a_lost_one_does_not_end_the_wait_of_others() {
        let failed = verdict(&[done(), waiting(300), waiting(5), gone()], NOW).unwrap_err();
        assert_eq!((failed.reason, failed.again), (Reason::ReceiverFailed, Again::After(Duration::from_secs(5))));
        assert_eq!(failed.message, "3 of 4 receivers not told: 410");
        let failed = verdict(&[done(), gone()], NOW).unwrap_err();
        assert_eq!((failed.reason, failed.again), (Reason::ReceiverGone, Again::Never));
    }
}
