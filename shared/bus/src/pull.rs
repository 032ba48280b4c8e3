//! Pulling from a durable consumer: as many messages as there are free slots, and not one more, so that none waits in this
//! process while its ack wait runs.
//!
//! The client's own streams are not used: with small batches they lose count of what they asked for and stall, and with
//! large ones they fetch ahead. Here the credit is counted before the request is sent, on one inbox that lives as long as
//! the connection; two heartbeats missed, or a connection lost, mean a new inbox and a new count.

use std::time::Duration;

use async_nats::jetstream;
use async_nats::{Client, Subscriber};
use futures_util::{FutureExt, StreamExt};
use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;

use crate::message::Headers;
use crate::{Bus, BusError, Delivery};

/// How long one request for messages stands at the server.
const EXPIRES: Duration = Duration::from_mins(1);

/// How often the server says that it still knows of a standing request.
const IDLE_HEARTBEAT: Duration = Duration::from_secs(10);

/// The pause before a consumer that does not answer is asked again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Pulls messages from one durable consumer.
#[derive(Debug)]
pub struct Puller {
    bus: Bus,
    request_subject: String,
    /// How long a delivery may go without a sign of life before it is delivered again.
    ack_wait: Duration,
    inbox: String,
    answers: Subscriber,
    /// Messages that were asked for and have not come.
    credit: usize,
    last_sign: Instant,
    not_before: Option<Instant>,
}

/// What a consumer still has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backlog {
    /// Messages that were never delivered.
    pub waiting: u64,
    /// Deliveries that are not settled; those given back with a delay are among them.
    pub unsettled: u64,
}

#[derive(Deserialize)]
struct ConsumerInfo {
    config: Option<ConsumerConfig>,
    #[serde(default)]
    num_pending: u64,
    #[serde(default)]
    num_ack_pending: u64,
}

#[derive(Deserialize)]
struct ConsumerConfig {
    /// Nanoseconds.
    ack_wait: u64,
}

impl Bus {
    /// Opens the durable consumer `consumer` of `stream`, which must exist. Asks for nothing yet.
    pub async fn pull(&self, stream: &str, consumer: &str) -> Result<Puller, BusError> {
        let (_, config) = self.consumer_info(stream, consumer).await?;
        let inbox = self.client.new_inbox();
        let answers = subscribe(&self.client, &inbox).await?;
        Ok(Puller {
            bus: self.clone(),
            request_subject: format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"),
            ack_wait: Duration::from_nanos(config.ack_wait),
            inbox,
            answers,
            credit: 0,
            last_sign: Instant::now(),
            not_before: None,
        })
    }
}

impl Bus {
    /// What the durable consumer still has to do. A call for now and then: in a cluster it goes to the leader.
    pub async fn backlog(&self, stream: &str, consumer: &str) -> Result<Backlog, BusError> {
        let (info, _) = self.consumer_info(stream, consumer).await?;
        Ok(Backlog { waiting: info.num_pending, unsettled: info.num_ack_pending })
    }

    async fn consumer_info(&self, stream: &str, consumer: &str) -> Result<(ConsumerInfo, ConsumerConfig), BusError> {
        let subject = format!("$JS.API.CONSUMER.INFO.{stream}.{consumer}");
        let what = || format!("consumer {consumer} of stream {stream}");
        let answer =
            self.client.request(subject, "".into()).await.map_err(|error| BusError::request(what(), &error))?;
        let read = serde_json::from_slice(&answer.payload);
        let mut info: ConsumerInfo = read.map_err(|error| BusError::refused(what(), &error))?;
        let config = info.config.take().ok_or_else(|| BusError::NotFound { what: what() })?;
        Ok((info, config))
    }
}

impl Puller {
    /// The connection that it pulls over.
    pub fn bus(&self) -> &Bus {
        &self.bus
    }

    /// How long a delivery of this consumer may go without a sign of life.
    pub fn ack_wait(&self) -> Duration {
        self.ack_wait
    }

    /// The next message. `free` is how many could be begun at once; requests for that many are kept standing. Cancel-safe.
    pub async fn next(&mut self, free: usize) -> Delivery {
        loop {
            if let Err(error) = self.demand(free).await {
                self.pause(&error).await;
                continue;
            }
            let deadline = self.not_before.unwrap_or(self.last_sign + IDLE_HEARTBEAT * 2);
            match tokio::time::timeout_at(deadline, self.answers.next()).await {
                Ok(Some(answer)) => {
                    if let Some(delivery) = self.receive(answer) {
                        return delivery;
                    }
                }
                Ok(None) => self.start_over("the subscription ended").await,
                Err(_) if self.not_before.take().is_some() => {}
                Err(_) if self.credit == 0 => self.last_sign = Instant::now(),
                Err(_) => self.start_over("no heartbeat from the server").await,
            }
        }
    }

    /// Stops asking. What has arrived and was not begun goes back to the server at once.
    pub async fn close(mut self) {
        if let Err(error) = self.answers.unsubscribe().await {
            tracing::debug!(%error, "unsubscribing from a consumer's inbox");
        }
        while let Some(Some(answer)) = self.answers.next().now_or_never() {
            drop(self.receive(answer));
        }
    }

    /// Asks for what is missing. Small top-ups are saved up to a quarter of the slots while others are standing: each request costs
    /// the server as much as a message.
    async fn demand(&mut self, free: usize) -> Result<(), BusError> {
        let missing = free.saturating_sub(self.credit);
        if self.not_before.is_some() || missing == 0 || (self.credit > 0 && missing < free.div_ceil(4)) {
            return Ok(());
        }
        let request = json!({
            "batch": missing,
            "expires": u64::try_from(EXPIRES.as_nanos()).unwrap_or(u64::MAX),
            "idle_heartbeat": u64::try_from(IDLE_HEARTBEAT.as_nanos()).unwrap_or(u64::MAX),
        });
        self.credit += missing;
        self.last_sign = Instant::now();
        let subject = self.request_subject.clone();
        let sent = self.bus.client.publish_with_reply(subject, self.inbox.clone(), request.to_string().into()).await;
        sent.map_err(|error| BusError::refused("pull request", &error))
    }

    fn receive(&mut self, answer: async_nats::Message) -> Option<Delivery> {
        self.last_sign = Instant::now();
        match answer.status.map(|status| status.as_u16()) {
            None => {
                self.credit = self.credit.saturating_sub(1);
                let message =
                    jetstream::Message { message: answer, context: jetstream::Context::clone(&self.bus.context) };
                let delivery = Delivery::new(&self.bus.client, message);
                delivery.inspect_err(|error| tracing::warn!(%error, "a delivery could not be read")).ok()
            }
            Some(100) => None,
            Some(status) => {
                self.note_end(status, answer);
                None
            }
        }
    }

    /// A request came to its end; what it did not bring is no longer on its way.
    fn note_end(&mut self, status: u16, answer: async_nats::Message) {
        let description = answer.description.clone().unwrap_or_default();
        let headers = Headers::from(answer.headers);
        let unanswered = headers.get("Nats-Pending-Messages").and_then(|text| text.parse::<usize>().ok());
        self.credit = self.credit.saturating_sub(unanswered.unwrap_or(self.credit));
        // 408 is a request that expired; 404 one that asked for nothing but what was there.
        if !matches!(status, 404 | 408) {
            tracing::warn!(status, description, "the consumer ended a pull request");
            self.not_before = Some(Instant::now() + RETRY_PAUSE);
        }
    }

    async fn start_over(&mut self, why: &str) {
        tracing::warn!(why, "asking the consumer anew");
        let inbox = self.bus.client.new_inbox();
        match subscribe(&self.bus.client, &inbox).await {
            Ok(answers) => {
                self.inbox = inbox;
                // What the old inbox still holds was delivered to us: it must be worked on or given back.
                let mut old = std::mem::replace(&mut self.answers, answers);
                while let Some(Some(answer)) = old.next().now_or_never() {
                    drop(self.receive(answer));
                }
            }
            Err(error) => self.pause(&error).await,
        }
        self.credit = 0;
        self.last_sign = Instant::now();
    }

    async fn pause(&mut self, error: &BusError) {
        tracing::warn!(%error, "pulling");
        self.credit = 0;
        tokio::time::sleep(RETRY_PAUSE).await;
    }
}

async fn subscribe(client: &Client, inbox: &str) -> Result<Subscriber, BusError> {
    client.subscribe(inbox.to_owned()).await.map_err(|error| BusError::refused("subscribe to an inbox", &error))
}
