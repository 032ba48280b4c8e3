//! Reading messages straight from a stream, without a consumer: one, the last of each subject, or a part of the stream.
//!
//! Any replica may answer, so what is read may be old. That is harmless for a compare-and-set, whose expectation is checked
//! by the leader; a decision must not be made on it alone.

use bytes::Bytes;
use futures_util::StreamExt;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::connect::REQUEST_TIMEOUT;
use crate::{Bus, BusError, Headers, Message};

/// How many bytes a part of a stream has, about.
const MAX_PART_BYTES: usize = 1024 * 1024;

/// Where a part of a stream begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At this sequence, or the next one there is.
    Sequence(u64),
    /// With the first message that was stored at this time or later.
    Time(Timestamp),
}

/// A part of a stream.
#[derive(Debug, Default)]
pub struct Part {
    /// Its messages, in their order.
    pub messages: Vec<Message>,
    /// Whether more of them follow.
    pub more: bool,
}

impl Bus {
    /// The last message under `subject`.
    pub async fn last(&self, stream: &str, subject: &str) -> Result<Option<Message>, BusError> {
        self.direct_get(format!("$JS.API.DIRECT.GET.{stream}.{subject}"), Bytes::new()).await
    }

    /// The message with this sequence.
    pub async fn message_at(&self, stream: &str, sequence: u64) -> Result<Option<Message>, BusError> {
        let query = json!({ "seq": sequence }).to_string();
        self.direct_get(format!("$JS.API.DIRECT.GET.{stream}"), query.into()).await
    }

    /// The last message of every subject that one of `filters` matches, at most 1,024 of them (the server's own bound).
    pub async fn last_of(&self, stream: &str, filters: &[String]) -> Result<Vec<Message>, BusError> {
        let query = json!({ "multi_last": filters, "batch": 1024 });
        self.direct_get_many(stream, &query).await.map(|part| part.messages)
    }

    /// The messages under subjects that `filter` matches, from `start` on in their order, at most `limit` of them and not many more bytes
    /// than one message may have.
    pub async fn part(&self, stream: &str, filter: &str, start: Start, limit: usize) -> Result<Part, BusError> {
        let mut query = json!({ "next_by_subj": filter, "batch": limit, "max_bytes": MAX_PART_BYTES });
        match start {
            Start::Sequence(sequence) => query["seq"] = sequence.max(1).into(),
            Start::Time(time) => query["start_time"] = time.min(last_time()).to_string().into(),
        }
        self.direct_get_many(stream, &query).await
    }

    async fn direct_get_many(&self, stream: &str, query: &Value) -> Result<Part, BusError> {
        let what = || format!("read messages of {stream}");
        let inbox = self.client.new_inbox();
        let subscription = self.client.subscribe(inbox.clone()).await;
        let mut answers = subscription.map_err(|error| BusError::refused(what(), &error))?;
        let query = query.to_string();
        let asked = self.client.publish_with_reply(format!("$JS.API.DIRECT.GET.{stream}"), inbox, query.into()).await;
        asked.map_err(|error| BusError::refused(what(), &error))?;
        let mut messages = Vec::new();
        loop {
            let answer = tokio::time::timeout(REQUEST_TIMEOUT, answers.next()).await;
            let answer = answer.map_err(|_| BusError::Timeout { what: what() })?;
            let Some(answer) = answer else { return Err(BusError::Timeout { what: what() }) };
            match answer.status.map(|status| status.as_u16()) {
                None => messages.push(Message::from_direct(answer)?),
                Some(204 | 404) => return Ok(Part { messages, more: pending(answer) > 0 }),
                Some(503) => return Err(BusError::NotFound { what: what() }),
                Some(_) => return Err(refused(what(), answer.description)),
            }
        }
    }

    async fn direct_get(&self, subject: String, query: Bytes) -> Result<Option<Message>, BusError> {
        let answer = self.client.request(subject.clone(), query).await;
        let answer = answer.map_err(|error| BusError::request(format!("get {subject}"), &error))?;
        match answer.status.map(|status| status.as_u16()) {
            None => Message::from_direct(answer).map(Some),
            Some(404) => Ok(None),
            Some(_) => Err(refused(format!("get {subject}"), answer.description)),
        }
    }
}

/// The last time that the server's nanoseconds can count to, in the year 2262.
fn last_time() -> Timestamp {
    Timestamp::from_nanosecond(i64::MAX.into()).unwrap_or(Timestamp::MAX)
}

/// How many messages follow the part that this one ends.
fn pending(end: async_nats::Message) -> u64 {
    let headers = Headers::from(end.headers);
    headers.get("Nats-Num-Pending").and_then(|text| text.parse().ok()).unwrap_or_default()
}

fn refused(what: String, description: Option<String>) -> BusError {
    BusError::Refused { what, problem: description.unwrap_or_else(|| "the server refused".into()) }
}
