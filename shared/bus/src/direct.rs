//! Reading single messages straight from a stream, without a consumer.
//!
//! Any replica may answer, so what is read may be old. That is harmless for a compare-and-set, whose expectation is checked
//! by the leader; a decision must not be made on it alone.

use bytes::Bytes;
use futures_util::StreamExt;
use serde_json::json;

use crate::connect::REQUEST_TIMEOUT;
use crate::{Bus, BusError, Message};

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
        let what = || format!("read the last messages of {stream}");
        let inbox = self.client.new_inbox();
        let subscription = self.client.subscribe(inbox.clone()).await;
        let mut answers = subscription.map_err(|error| BusError::refused(what(), &error))?;
        let query = json!({ "multi_last": filters, "batch": 1024 }).to_string();
        let asked = self.client.publish_with_reply(format!("$JS.API.DIRECT.GET.{stream}"), inbox, query.into()).await;
        asked.map_err(|error| BusError::refused(what(), &error))?;
        let mut messages = Vec::new();
        loop {
            let answer = tokio::time::timeout(REQUEST_TIMEOUT, answers.next()).await;
            let answer = answer.map_err(|_| BusError::Timeout { what: what() })?;
            let Some(answer) = answer else { return Err(BusError::Timeout { what: what() }) };
            match answer.status.map(|status| status.as_u16()) {
                None => messages.push(Message::from_direct(answer)?),
                Some(204 | 404) => return Ok(messages),
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

fn refused(what: String, description: Option<String>) -> BusError {
    BusError::Refused { what, problem: description.unwrap_or_else(|| "the server refused".into()) }
}
