//! Publishing: stored and acknowledged, or an error. An expectation makes a publish a compare-and-set.

use std::time::Duration;

use async_nats::header::{NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, NATS_MESSAGE_ID, NATS_MESSAGE_TTL};
use async_nats::{HeaderMap, Request, Subject};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use jiff::Timestamp;
use serde::Deserialize;

use crate::{Bus, BusError, Message};

/// The server's code for an expectation that does not hold (`JSStreamWrongLastSequenceErrF`).
const WRONG_LAST_SEQUENCE: u64 = 10071;
/// The same for a sequence the server does not name (`JSStreamWrongLastSequenceConstantErr`).
const WRONG_LAST_SEQUENCE_CONSTANT: u64 = 10164;
/// The server's code for a message that the stream finds too large (`JSStreamMessageExceedsMaximumErr`).
const MESSAGE_EXCEEDS_MAXIMUM: u64 = 10054;

/// A message to be stored.
#[derive(Debug, Clone)]
pub struct Publication {
    /// Its subject.
    pub subject: String,
    /// Its bytes.
    pub payload: Bytes,
    /// Its headers.
    pub headers: Vec<(String, String)>,
    /// What must hold for it to be stored.
    pub expect: Expect,
    /// Makes a repeat inside the stream's window a duplicate.
    pub message_id: Option<String>,
    /// After this long it is removed; whole seconds.
    pub ttl: Option<Duration>,
}

/// What must hold for a message to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expect {
    /// Nothing.
    Any,
    /// Nothing is stored under its subject.
    New,
    /// The last message under its subject has this sequence.
    Last(u64),
    /// The last message under any subject that `filter` matches has this sequence; 0 means there is none.
    LastOf {
        /// A subject with wildcards.
        filter: String,
        /// The sequence.
        sequence: u64,
    },
}

/// A message that the server has stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// Its place in the stream.
    pub sequence: u64,
    /// Whether it was there before, by its message id.
    pub duplicate: bool,
}

#[derive(Deserialize)]
struct PubAck {
    #[serde(default)]
    seq: u64,
    #[serde(default)]
    duplicate: bool,
    error: Option<ServerError>,
}

#[derive(Deserialize)]
struct ServerError {
    #[serde(default)]
    err_code: u64,
    #[serde(default)]
    description: String,
}

impl Publication {
    /// A message without headers or expectation.
    pub fn new(subject: impl Into<String>, payload: impl Into<Bytes>) -> Self {
        Self {
            subject: subject.into(),
            payload: payload.into(),
            headers: Vec::new(),
            expect: Expect::Any,
            message_id: None,
            ttl: None,
        }
    }

    /// With what must hold for it to be stored.
    #[must_use]
    pub fn expect(self, expect: Expect) -> Self {
        Self { expect, ..self }
    }

    /// With one more header.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// With an id that makes a repeat a duplicate.
    #[must_use]
    pub fn message_id(self, id: impl Into<String>) -> Self {
        Self { message_id: Some(id.into()), ..self }
    }

    /// Removed after this long.
    #[must_use]
    pub fn ttl(self, ttl: Option<Duration>) -> Self {
        Self { ttl, ..self }
    }

    fn header_map(&self) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in &self.headers {
            map.insert(name.as_str(), value.as_str());
        }
        match &self.expect {
            Expect::Any => {}
            Expect::New => map.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, "0"),
            Expect::Last(sequence) => map.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, sequence.to_string()),
            Expect::LastOf { filter, sequence } => {
                map.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, sequence.to_string());
                map.insert("Nats-Expected-Last-Subject-Sequence-Subject", filter.as_str());
            }
        }
        if let Some(id) = &self.message_id {
            map.insert(NATS_MESSAGE_ID, id.as_str());
        }
        if let Some(ttl) = self.ttl {
            map.insert(NATS_MESSAGE_TTL, format!("{}s", ttl.as_secs().max(1)));
        }
        map
    }
}

impl Bus {
    /// Stores a message and waits for the server's acknowledgement, for a few seconds at most. A duplicate is a success.
    pub async fn publish(&self, publication: Publication) -> Result<Published, BusError> {
        let headers = publication.header_map();
        let subject = Subject::from(publication.subject);
        let what = || format!("publish on {subject}");
        let mut request = Request::new().payload(publication.payload);
        if !headers.is_empty() {
            request = request.headers(headers);
        }
        let answer = self.client.send_request(subject.clone(), request).await;
        let answer = answer.map_err(|error| BusError::request(what(), &error))?;
        let ack: PubAck = serde_json::from_slice(&answer.payload).map_err(|error| BusError::refused(what(), &error))?;
        match ack.error {
            None => Ok(Published { sequence: ack.seq, duplicate: ack.duplicate }),
            Some(error) => Err(error.into_bus_error(what())),
        }
    }

    /// Sends a message that nobody stores, to whoever listens at this moment.
    pub async fn signal(&self, subject: String, payload: impl Into<Bytes>) -> Result<(), BusError> {
        let sent = self.client.publish(subject.clone(), payload.into()).await;
        sent.map_err(|error| BusError::refused(format!("signal on {subject}"), &error))
    }

    /// Listens to messages that nobody stores. They have no sequence and no time.
    pub async fn signals(&self, subject: &str) -> Result<impl Stream<Item = Message> + Unpin + use<>, BusError> {
        let subscription = self.client.subscribe(subject.to_owned()).await;
        let subscription =
            subscription.map_err(|error| BusError::refused(format!("subscribe to {subject}"), &error))?;
        Ok(subscription.map(|message| Message {
            subject: message.subject.into_string(),
            headers: message.headers.into(),
            payload: message.payload,
            sequence: 0,
            time: Timestamp::UNIX_EPOCH,
        }))
    }

    /// Removes what is stored under `subject`, in a stream that keeps one message per subject. For `keep_marker` a marker takes
    /// its place, so that watchers learn of it.
    pub async fn erase(&self, subject: &str, keep_marker: Duration) -> Result<(), BusError> {
        self.erase_if(subject, Expect::Any, keep_marker).await.map(|_| ())
    }

    /// [`Bus::erase`], if what is expected holds. Returns the marker's sequence.
    pub async fn erase_if(&self, subject: &str, expect: Expect, keep_marker: Duration) -> Result<u64, BusError> {
        let marker = Publication::new(subject, Bytes::new())
            .expect(expect)
            .header("KV-Operation", "PURGE")
            .header("Nats-Rollup", "sub")
            .ttl(Some(keep_marker));
        self.publish(marker).await.map(|published| published.sequence)
    }
}

impl ServerError {
    fn into_bus_error(self, what: String) -> BusError {
        match self.err_code {
            WRONG_LAST_SEQUENCE | WRONG_LAST_SEQUENCE_CONSTANT => BusError::Conflict { what },
            MESSAGE_EXCEEDS_MAXIMUM => BusError::TooLarge { what, problem: self.description },
            _ => BusError::Refused { what, problem: self.description },
        }
    }
}
