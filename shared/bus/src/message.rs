//! A stored message, as it is read back.

use async_nats::{HeaderMap, HeaderName};
use bytes::Bytes;
use jiff::Timestamp;

use crate::BusError;

/// A message of a stream.
#[derive(Debug, Clone)]
pub struct Message {
    /// The subject it is stored under.
    pub subject: String,
    /// Its headers.
    pub headers: Headers,
    /// Its bytes.
    pub payload: Bytes,
    /// Its place in the stream; of a bucket, the revision.
    pub sequence: u64,
    /// When the server stored it.
    pub time: Timestamp,
}

/// A message's headers. NATS keeps their case and compares it; producers do not agree on it, so a look-up here does not.
#[derive(Debug, Clone, Default)]
pub struct Headers(HeaderMap);

impl Headers {
    /// The first value of the header of this name, in whatever case.
    pub fn get(&self, name: &str) -> Option<&str> {
        let is_it = |key: &HeaderName| AsRef::<[u8]>::as_ref(key).eq_ignore_ascii_case(name.as_bytes());
        let mut found = self.0.iter().filter(|(key, _)| is_it(key));
        found.find_map(|(_, values)| values.first()).map(async_nats::HeaderValue::as_str)
    }

    /// Every header, for copying them to another message.
    pub fn pairs(&self) -> impl Iterator<Item = (String, &str)> {
        self.0.iter().flat_map(|(name, values)| values.iter().map(move |value| (name.to_string(), value.as_str())))
    }
}

impl From<Option<HeaderMap>> for Headers {
    fn from(headers: Option<HeaderMap>) -> Self {
        Self(headers.unwrap_or_default())
    }
}

impl Message {
    /// A message that the server's direct get answered: subject, sequence and time are in headers.
    pub(crate) fn from_direct(message: async_nats::Message) -> Result<Self, BusError> {
        let headers = Headers::from(message.headers);
        let missing = || BusError::Refused {
            what: "direct get".into(),
            problem: "the answer lacks Nats-Subject, Nats-Sequence or Nats-Time-Stamp".into(),
        };
        let subject = headers.get("Nats-Subject").ok_or_else(missing)?.to_owned();
        let sequence = headers.get("Nats-Sequence").and_then(|text| text.parse().ok()).ok_or_else(missing)?;
        let time = headers.get("Nats-Time-Stamp").and_then(|text| text.parse().ok()).ok_or_else(missing)?;
        Ok(Self { subject, payload: message.payload, sequence, time, headers })
    }

    /// A message that a consumer delivered: sequence and time are in the reply subject.
    pub(crate) fn from_delivery(message: async_nats::jetstream::Message) -> Result<(Self, u32, u64), BusError> {
        let info = message.info().map_err(|error| BusError::refused("delivery", error.as_ref()))?;
        let (sequence, pending) = (info.stream_sequence, info.pending);
        let delivered = u32::try_from(info.delivered).unwrap_or(u32::MAX);
        let time = Timestamp::from_nanosecond(info.published.unix_timestamp_nanos()).unwrap_or_default();
        let message = message.message;
        let subject = message.subject.into_string();
        let stored = Self { subject, headers: message.headers.into(), payload: message.payload, sequence, time };
        Ok((stored, delivered, pending))
    }

    /// Whether it marks that its subject's value was removed.
    pub fn is_removal(&self) -> bool {
        matches!(self.headers.get("KV-Operation"), Some("DEL" | "PURGE"))
            || self.headers.get("Nats-Marker-Reason").is_some()
    }
}
