//! The journal in a key-value bucket, where any agent finds it.

use std::time::Duration;

use honk_bus::{Bucket, Bus, BusError, Entry};

use super::{Journal, JournalError, Unfinished};

/// How long an upload is remembered. Uploads that nobody goes on with for so long are left to the rules of the target's bucket.
const KEEP: Duration = Duration::from_hours(24 * 7);

/// How long it is remembered that an upload was struck out: only watchers, of which there are none, would need to know.
const KEEP_MARK: Duration = Duration::from_mins(1);

/// Uploads of one job, in a bucket that lets a value carry its own time to live, under keys with one prefix.
#[derive(Clone, Debug)]
pub struct BucketJournal {
    bus: Bus,
    bucket: Bucket,
    prefix: String,
}

impl BucketJournal {
    /// The entries `<prefix>.<name>` of `bucket`; the prefix is `<run>.<job>`.
    pub fn new(bus: &Bus, bucket: &str, prefix: impl Into<String>) -> Self {
        Self { bus: bus.clone(), bucket: bus.bucket(bucket), prefix: prefix.into() }
    }

    fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.prefix)
    }
}

#[async_trait::async_trait]
impl Journal for BucketJournal {
    async fn find(&self, name: &str) -> Result<Option<Unfinished>, JournalError> {
        let entry = self.bucket.get(&self.key(name)).await.map_err(failed)?;
        Ok(entry.as_ref().and_then(decoded))
    }

    async fn remember(&self, unfinished: &Unfinished) -> Result<(), JournalError> {
        let value = serde_json::to_vec(unfinished).map_err(|error| JournalError(error.to_string()))?;
        let publication = self.bucket.publication(&self.key(&unfinished.name()), value).ttl(Some(KEEP));
        self.bus.publish(publication).await.map(drop).map_err(failed)
    }

    async fn forget(&self, name: &str) -> Result<(), JournalError> {
        let marker = self.bucket.publication(&self.key(name), Vec::new());
        let marker = marker.header("KV-Operation", "DEL").ttl(Some(KEEP_MARK));
        self.bus.publish(marker).await.map(drop).map_err(failed)
    }

    /// At most a thousand, which is more than are ever unfinished; who strikes these out and asks again sees the rest.
    async fn all(&self) -> Result<Vec<Unfinished>, JournalError> {
        let entries = self.bucket.get_all(&self.key("*")).await.map_err(failed)?;
        Ok(entries.iter().filter_map(decoded).collect())
    }
}

/// What a newer release may have written otherwise is no upload to go on with.
fn decoded(entry: &Entry) -> Option<Unfinished> {
    serde_json::from_slice(&entry.value)
        .inspect_err(|error| tracing::warn!(key = entry.key, %error, "an entry of the journal cannot be read"))
        .ok()
}

#[expect(clippy::needless_pass_by_value, reason = "as `map_err` wants it")]
fn failed(error: BusError) -> JournalError {
    JournalError(error.to_string())
}
