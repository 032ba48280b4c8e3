//! A message on loan from a consumer. It ends settled: acknowledged, given back, or terminated; one that is dropped
//! before gives itself back.

use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, Subject};
use bytes::Bytes;
use futures_util::FutureExt;
use serde_json::json;

use crate::{BusError, Message};

/// A delivery of a message by a durable consumer.
#[derive(Debug)]
pub struct Delivery {
    /// The message.
    pub message: Message,
    /// The how-manieth delivery of it this is, from 1.
    pub delivered: u32,
    /// How many messages wait behind it.
    pub pending: u64,
    reply: Subject,
    client: Arc<Client>,
    settled: bool,
}

impl Delivery {
    pub(crate) fn new(client: &Arc<Client>, message: async_nats::jetstream::Message) -> Result<Self, BusError> {
        let reply = message.reply.clone().unwrap_or_else(|| Subject::from_static(""));
        let (message, delivered, pending) = Message::from_delivery(message)?;
        Ok(Self { message, delivered, pending, reply, client: Arc::clone(client), settled: false })
    }

    /// Tells the server that the message is done with. Does not wait until the server knows: what is lost on the way comes back as a
    /// delivery that finds its work done, while a wait would cost every message a seventh of what it costs in all.
    pub async fn ack(mut self) -> Result<(), BusError> {
        let sent = self.client.publish(self.reply.clone(), Bytes::from_static(b"+ACK")).await;
        self.settled = sent.is_ok();
        sent.map_err(|error| BusError::refused(format!("acknowledge {}", self.message.subject), &error))
    }

    /// Gives the message back, to be delivered again after `delay`, and waits until the server knows.
    pub async fn give_back(mut self, delay: Duration) -> Result<(), BusError> {
        self.settle(nak(delay)).await
    }

    /// Tells the server never to deliver the message again, and waits until it knows. The reason goes into the server's advisory.
    pub async fn terminate(mut self, reason: &str) -> Result<(), BusError> {
        self.settle(format!("+TERM {reason}").into()).await
    }

    /// Leaves the message alone, because it belongs to a later delivery by now.
    pub fn abandon(mut self) {
        self.settled = true;
    }

    /// Something that can say, from another task, that the work goes on.
    pub fn heartbeat(&self) -> Heartbeat {
        Heartbeat { client: Arc::clone(&self.client), reply: self.reply.clone() }
    }

    /// A plain request on the shared inbox. (The client's own `double_ack` takes "no responders" for an answer, and costs a
    /// subscription each.) That the server answers proves that it has heard, not that the message was still ours.
    async fn settle(&mut self, verb: Bytes) -> Result<(), BusError> {
        let answer = self.client.request(self.reply.clone(), verb).await;
        self.settled = true;
        answer.map(|_| ()).map_err(|error| BusError::request(format!("settle {}", self.message.subject), &error))
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if !self.settled {
            // Nothing can wait here; if the client's queue is full, the message comes back after its ack wait.
            let sent = self.client.publish(self.reply.clone(), nak(Duration::ZERO)).now_or_never();
            tracing::debug!(subject = self.message.subject, sent = sent.is_some(), "gave back an unsettled delivery");
        }
    }
}

/// Says that the work on a delivery goes on. The server answers it whether or not the delivery is still ours.
#[derive(Debug, Clone)]
pub struct Heartbeat {
    client: Arc<Client>,
    reply: Subject,
}

impl Heartbeat {
    /// Resets the server's timer for this delivery.
    pub async fn beat(&self) -> Result<(), BusError> {
        let sent = self.client.publish(self.reply.clone(), Bytes::from_static(b"+WPI")).await;
        sent.map_err(|error| BusError::refused("heartbeat", &error))
    }
}

fn nak(delay: Duration) -> Bytes {
    if delay.is_zero() {
        Bytes::from_static(b"-NAK")
    } else {
        let nanoseconds = u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX);
        format!("-NAK {}", json!({ "delay": nanoseconds })).into()
    }
}
