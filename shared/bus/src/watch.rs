//! Watching a stream: the last message of every subject, then every new one, for ever. What a read model is fed with.

use std::time::Duration;

use async_nats::jetstream::consumer::push::{Ordered, OrderedConfig};
use async_nats::jetstream::consumer::{DeliverPolicy, ReplayPolicy};
use futures_util::StreamExt;

use crate::connect::REQUEST_TIMEOUT;
use crate::error::cause;
use crate::{Bus, BusError, Message};

/// The pauses before a watch that ended is begun again; reconnect storms would leave consumers behind otherwise.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A watch of a stream.
pub struct Watch {
    bus: Bus,
    stream: String,
    filter: String,
    messages: Option<Ordered>,
    caught_up: CatchUp,
    pause: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CatchUp {
    /// Older messages are still to come.
    Behind,
    /// None are, and nobody was told yet.
    Reached,
    /// Told.
    Told,
}

/// What a watch sees.
#[derive(Debug)]
pub enum WatchEvent {
    /// A subject's newest message.
    Changed(Message),
    /// A subject's message was removed.
    Removed {
        /// The subject.
        subject: String,
        /// The marker's sequence.
        sequence: u64,
    },
    /// Everything that was there has been seen.
    CaughtUp,
    /// The watch begins again from the start: what is not seen until the next [`WatchEvent::CaughtUp`] is gone.
    Restarted,
}

impl Bus {
    /// Watches the subjects of `stream` that `filter` matches.
    pub async fn watch(&self, stream: &str, filter: &str) -> Result<Watch, BusError> {
        let mut watch = Watch {
            bus: self.clone(),
            stream: stream.to_owned(),
            filter: filter.to_owned(),
            messages: None,
            caught_up: CatchUp::Behind,
            pause: FIRST_PAUSE,
        };
        watch.begin().await?;
        Ok(watch)
    }
}

impl Bus {
    /// The messages of `stream` from sequence `from` on that are there now, in their order. What changed while reading is left for
    /// the next call.
    pub async fn changes(&self, stream: &str, from: u64) -> Result<Vec<Message>, BusError> {
        let policy = DeliverPolicy::ByStartSequence { start_sequence: from };
        let (mut ordered, mut pending) = self.order(stream, "", policy).await?;
        let mut messages = Vec::new();
        while pending > 0 {
            let next = tokio::time::timeout(REQUEST_TIMEOUT, ordered.next()).await;
            let next = next.map_err(|_| BusError::Timeout { what: format!("read stream {stream}") })?;
            let Some(Ok(message)) = next else {
                return Err(BusError::Timeout { what: format!("read stream {stream}") });
            };
            let (message, _, behind) = Message::from_delivery(message)?;
            messages.push(message);
            pending = behind;
        }
        Ok(messages)
    }

    /// An ordered consumer, and how many messages it has to deliver.
    async fn order(
        &self,
        stream: &str,
        filter: &str,
        deliver_policy: DeliverPolicy,
    ) -> Result<(Ordered, u64), BusError> {
        let what = || format!("watch stream {stream}");
        let config = OrderedConfig {
            deliver_subject: self.client.new_inbox(),
            filter_subject: filter.to_owned(),
            deliver_policy,
            replay_policy: ReplayPolicy::Instant,
            ..OrderedConfig::default()
        };
        let consumer = self.context.create_consumer_on_stream(config, stream).await;
        let consumer = consumer.map_err(|error| BusError::refused(what(), &error))?;
        let pending = consumer.cached_info().num_pending;
        let messages = consumer.messages().await.map_err(|error| BusError::refused(what(), &error))?;
        Ok((messages, pending))
    }
}

impl Watch {
    /// The next thing that happens. Never ends: a watch that breaks begins again. Cancel-safe.
    pub async fn next(&mut self) -> WatchEvent {
        loop {
            if self.caught_up == CatchUp::Reached {
                self.caught_up = CatchUp::Told;
                return WatchEvent::CaughtUp;
            }
            let Some(messages) = self.messages.as_mut() else {
                if self.begin_again().await {
                    return WatchEvent::Restarted;
                }
                continue;
            };
            match messages.next().await {
                Some(Ok(message)) => {
                    if let Some(event) = self.read(message) {
                        return event;
                    }
                }
                Some(Err(error)) => self.broke(&cause(&error)),
                None => self.broke("it ended"),
            }
        }
    }

    fn read(&mut self, message: async_nats::jetstream::Message) -> Option<WatchEvent> {
        let read = Message::from_delivery(message).inspect_err(|error| tracing::warn!(%error, "watch")).ok();
        let (message, _, pending) = read?;
        self.pause = FIRST_PAUSE;
        if pending == 0 && self.caught_up == CatchUp::Behind {
            self.caught_up = CatchUp::Reached;
        }
        Some(if message.is_removal() {
            WatchEvent::Removed { subject: message.subject, sequence: message.sequence }
        } else {
            WatchEvent::Changed(message)
        })
    }

    fn broke(&mut self, why: &str) {
        tracing::warn!(stream = self.stream, why, "a watch broke off; beginning it again");
        self.messages = None;
    }

    async fn begin_again(&mut self) -> bool {
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        let begun = self.begin().await;
        begun.inspect_err(|error| tracing::warn!(%error, "watch")).is_ok()
    }

    async fn begin(&mut self) -> Result<(), BusError> {
        let order = self.bus.order(&self.stream, &self.filter, DeliverPolicy::LastPerSubject).await;
        let (messages, pending) = order?;
        self.caught_up = if pending == 0 { CatchUp::Reached } else { CatchUp::Behind };
        self.messages = Some(messages);
        Ok(())
    }
}
