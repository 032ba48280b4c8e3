//! Key-value buckets with one value a key, read and written as the streams that they are: the client's own store can
//! carry neither headers nor a time to live with a compare-and-set.

use bytes::Bytes;
use honk_protocol::topology;
use jiff::Timestamp;

use crate::{Bus, BusError, Expect, Message, Publication, Watch};

/// A bucket. Clones share the connection.
#[derive(Debug, Clone)]
pub struct Bucket {
    bus: Bus,
    name: String,
}

/// A key's value.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// The value.
    pub value: Bytes,
    /// What a compare-and-set of this value expects.
    pub revision: u64,
    /// When it was written.
    pub time: Timestamp,
}

impl Bus {
    /// The bucket of this name.
    pub fn bucket(&self, name: &str) -> Bucket {
        Bucket { bus: self.clone(), name: name.to_owned() }
    }
}

impl Bucket {
    /// The stream that a bucket of this name is.
    pub fn stream_of(name: &str) -> String {
        format!("KV_{name}")
    }

    /// The subject that `key` is kept under.
    pub fn subject(&self, key: &str) -> String {
        format!("$KV.{}.{key}", self.name)
    }

    /// The value of `key`.
    pub async fn get(&self, key: &str) -> Result<Option<Entry>, BusError> {
        let message = self.bus.last(&Self::stream_of(&self.name), &self.subject(key)).await?;
        Ok(message.and_then(|message| self.entry(message)))
    }

    /// The values of all keys that `filter` matches, at most 1,024.
    pub async fn get_all(&self, filter: &str) -> Result<Vec<Entry>, BusError> {
        let messages = self.bus.last_of(&Self::stream_of(&self.name), &[self.subject(filter)]).await?;
        Ok(messages.into_iter().filter_map(|message| self.entry(message)).collect())
    }

    /// Writes whatever is there. Returns the revision.
    pub async fn put(&self, key: &str, value: impl Into<Bytes>) -> Result<u64, BusError> {
        self.write(key, value.into(), Expect::Any).await
    }

    /// Writes if nothing is there; a conflict otherwise. A key that was deleted counts as there: update it at its marker's revision.
    pub async fn create(&self, key: &str, value: impl Into<Bytes>) -> Result<u64, BusError> {
        let value = value.into();
        match self.write(key, value.clone(), Expect::New).await {
            Err(error) if error.is_conflict() => {
                let last = self.bus.last(&Self::stream_of(&self.name), &self.subject(key)).await?;
                match last {
                    Some(marker) if marker.is_removal() => self.write(key, value, Expect::Last(marker.sequence)).await,
                    _ => Err(error),
                }
            }
            written => written,
        }
    }

    /// Writes if `revision` is still the key's; a conflict otherwise.
    pub async fn update(&self, key: &str, value: impl Into<Bytes>, revision: u64) -> Result<u64, BusError> {
        self.write(key, value.into(), Expect::Last(revision)).await
    }

    /// Removes the key; watchers learn of it.
    pub async fn delete(&self, key: &str) -> Result<(), BusError> {
        let marker = Publication::new(self.subject(key), Bytes::new()).header("KV-Operation", "DEL");
        self.bus.publish(marker).await.map(|_| ())
    }

    /// A publication of this key's value, for those that need headers, a time to live or another expectation.
    pub fn publication(&self, key: &str, value: impl Into<Bytes>) -> Publication {
        Publication::new(self.subject(key), value)
    }

    /// The value of every key that `filter` matches (`>` matches all), and then every change of them, for ever.
    pub async fn watch(&self, filter: &str) -> Result<Watch, BusError> {
        self.bus.watch(&Self::stream_of(&self.name), &self.subject(filter)).await
    }

    /// The key of a subject of this bucket.
    pub fn key<'s>(&self, subject: &'s str) -> Option<&'s str> {
        subject.strip_prefix("$KV.")?.strip_prefix(self.name.as_str())?.strip_prefix('.')
    }

    async fn write(&self, key: &str, value: Bytes, expect: Expect) -> Result<u64, BusError> {
        let publication = self.publication(key, value).expect(expect);
        self.bus.publish(publication).await.map(|published| published.sequence)
    }

    fn entry(&self, message: Message) -> Option<Entry> {
        let key = self.key(&message.subject)?.to_owned();
        let present = !message.is_removal();
        present.then_some(Entry { key, value: message.payload, revision: message.sequence, time: message.time })
    }
}

/// The bucket of run records.
impl Bus {
    /// Run records ([`topology::RUNS`]).
    pub fn runs(&self) -> Bucket {
        self.bucket(topology::RUNS)
    }

    /// Workflows ([`topology::WORKFLOWS`]).
    pub fn workflows(&self) -> Bucket {
        self.bucket(topology::WORKFLOWS)
    }

    /// Catalog entities ([`topology::CATALOG`]).
    pub fn catalog(&self) -> Bucket {
        self.bucket(topology::CATALOG)
    }

    /// What people wish of runs ([`topology::CONTROL`]).
    pub fn control(&self) -> Bucket {
        self.bucket(topology::CONTROL)
    }

    /// What is written down about datasets ([`topology::METADATA`]).
    pub fn metadata(&self) -> Bucket {
        self.bucket(topology::METADATA)
    }

    /// What consumers have seen of locations ([`topology::CONSUMERS`]).
    pub fn consumers(&self) -> Bucket {
        self.bucket(topology::CONSUMERS)
    }

    /// Where datasets lie ([`topology::LOCATIONS`]).
    pub fn locations(&self) -> Bucket {
        self.bucket(topology::LOCATIONS)
    }
}
