//! The second line of dead-lettering: messages that the server itself gave up, because they were delivered too often or because somebody
//! terminated them. The server says so once, without the message; here the message is looked up and dead-lettered, unless
//! it has been already.

use std::sync::Arc;
use std::time::Duration;

use honk_agent::{Ledger, LedgerError, persist};
use honk_bus::{Delivery, Message};
use honk_protocol::reason::Reason;
use honk_protocol::settle::Failed;
use honk_protocol::subject::{DeadSubject, EventKey, JobSubject};
use honk_protocol::topology;
use serde::Deserialize;

/// The pause before an advisory is delivered again that could not be handled now.
const PAUSE: Duration = Duration::from_secs(5);

/// Handles advisories.
#[derive(Debug)]
pub struct Watcher {
    ledger: Ledger,
}

/// What the server says (`io.nats.jetstream.advisory.v1.max_deliver` and `….terminated`).
#[derive(Debug, Deserialize)]
struct Advisory {
    stream: String,
    stream_seq: u64,
    #[serde(default)]
    deliveries: u32,
    /// Of a termination: what the one who did it said.
    #[serde(default)]
    reason: String,
}

impl Watcher {
    /// With the ledger that it dead-letters through.
    pub fn new(ledger: Ledger) -> Self {
        Self { ledger }
    }

    /// Handles one advisory and settles its delivery.
    pub async fn handle(self: Arc<Self>, delivery: Delivery) {
        let settled = match serde_json::from_slice::<Advisory>(&delivery.message.payload) {
            Ok(advisory) => match persist(|| self.bury(&advisory)).await {
                Ok(()) => delivery.ack().await,
                Err(error) => {
                    tracing::warn!(%error, "an advisory cannot be handled now");
                    delivery.give_back(PAUSE).await
                }
            },
            Err(error) => {
                tracing::warn!(%error, "an advisory cannot be read");
                delivery.terminate("unreadable").await
            }
        };
        if let Err(error) = settled {
            tracing::debug!(%error, "settling was not answered");
        }
    }

    async fn bury(&self, advisory: &Advisory) -> Result<(), LedgerError> {
        // Whoever terminates a message with one of our reasons has dead-lettered it before.
        if advisory.reason.parse::<Reason>().is_ok() {
            return Ok(());
        }
        let Some(message) = self.ledger.bus().message_at(&advisory.stream, advisory.stream_seq).await? else {
            return Ok(());
        };
        let said = match advisory.reason.as_str() {
            "" => format!("the server gave it up after {} deliveries", advisory.deliveries),
            reason => format!("terminated: {reason}"),
        };
        let failed = Failed::reject(Reason::Undeliverable, said);
        if advisory.stream == topology::EVENTS {
            let key = EventKey::of_message(message.sequence, message.time.as_nanosecond());
            let letter = (advisory.deliveries, &failed);
            return self.ledger.write_letter(&message, DeadSubject::Event { key }, None, letter).await;
        }
        if self.is_done_with(&message).await? {
            return Ok(());
        }
        tracing::warn!(subject = message.subject, "dead-lettered from the server's advisory");
        self.ledger.bury(&message, advisory.deliveries.max(1), &failed).await
    }

    /// Whether the job that the message is about is not waiting for it.
    async fn is_done_with(&self, message: &Message) -> Result<bool, LedgerError> {
        let Ok(subject) = message.subject.parse::<JobSubject>() else { return Ok(false) };
        match self.ledger.find(&subject.run).await {
            Ok(recorded) => {
                let job = recorded.run.job(&subject.job);
                Ok(!job.is_some_and(|job| job.is_due() && job.generation == subject.generation))
            }
            Err(LedgerError::NoRun(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
