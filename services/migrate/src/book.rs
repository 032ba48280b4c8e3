//! What a migration must not forget between deliveries, kept where every agent finds it: that it has begun and what was at the target
//! before, how its work was cut up, what was proved of single objects, and what was proved in the end.

use std::sync::Arc;

use honk_agent::JobContext;
use honk_agent::registry::unavailable;
use honk_bus::{Bucket, Bus, BusError, Objects};
use honk_protocol::evidence::Evidence;
use honk_protocol::reason::Reason;
use honk_protocol::settle::Failed;
use honk_protocol::topology::{JOURNAL, KEEP_JOURNAL, PLANS};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::copy::journal::{BucketJournal, Journal};
use crate::copy::{Chunk, Kept, Proofs};
use crate::transform::Transformed;

/// The book of all migrations. Clones share the connection.
#[derive(Debug, Clone)]
pub struct Book {
    bus: Bus,
    entries: Bucket,
    pages: Objects,
}

/// One migration's entry.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// How many names at the target are not the migration's; if there are any, they are on a page of their own.
    pub(crate) kept: u64,
    /// What was transformed last, so that it is not done again while nothing has changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) transformed: Option<Transformed>,
    /// What was proved, written before readers are sent to the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) proved: Option<Proved>,
}

/// What was proved, and how much was copied for it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Proved {
    pub(crate) evidence: Evidence,
    pub(crate) copied: u64,
}

/// A plan: what the parts of one split are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(crate) chunks: Vec<Chunk>,
}

impl Book {
    /// The book behind `bus`.
    pub fn new(bus: &Bus) -> Self {
        Self { bus: bus.clone(), entries: bus.bucket(JOURNAL), pages: bus.objects(PLANS) }
    }

    /// The migration's entry and the names that are not its own; none if it has not begun.
    pub(crate) async fn find(&self, job: &JobContext) -> Result<Option<(Entry, Kept)>, Failed> {
        let found = self.entries.get(&key(job)).await.map_err(|error| unavailable(&error))?;
        let Some(found) = found else { return Ok(None) };
        let entry: Entry = read(&found.value)?;
        let kept = if entry.kept == 0 { Kept::default() } else { self.page(&page("kept", job)).await? };
        Ok(Some((entry, kept)))
    }

    /// Writes down that it has begun. Before this, nothing was copied; after it, what is at the target beside `kept` is its own.
    pub(crate) async fn begin(&self, job: &JobContext, kept: &Kept) -> Result<Entry, Failed> {
        let entry = Entry { kept: kept.len() as u64, ..Entry::default() };
        if entry.kept > 0 {
            self.write_page(&page("kept", job), &write(kept)?).await?;
        }
        self.put(job, &entry).await?;
        Ok(entry)
    }

    /// Writes down what was proved.
    pub(crate) async fn prove(&self, job: &JobContext, entry: &Entry, proved: &Proved) -> Result<(), Failed> {
        self.put(job, &Entry { proved: Some(proved.clone()), ..entry.clone() }).await
    }

    /// Writes down what was transformed.
    pub(crate) async fn transformed(&self, job: &JobContext, entry: &Entry) -> Result<(), Failed> {
        self.put(job, entry).await
    }

    /// Writes a plan down for the parts of the split that this attempt ends with, and returns its name.
    pub(crate) async fn write_plan(&self, job: &JobContext, plan: &Plan) -> Result<String, Failed> {
        let name = format!("{}.{}.{}", page("plan", job), job.fence.generation, job.fence.attempt);
        self.write_page(&name, &write(plan)?).await?;
        Ok(name)
    }

    /// A plan by its name.
    pub(crate) async fn plan(&self, name: &str) -> Result<Plan, Failed> {
        self.page(name).await
    }

    /// Leaves what was found out of single objects for the attempts after this one, and returns under which name; none if it is nothing.
    pub(crate) async fn write_proofs(&self, job: &JobContext, proofs: &Proofs) -> Result<Option<String>, Failed> {
        if proofs.is_empty() {
            return Ok(None);
        }
        let name = proofs_name(job, job.fence.attempt);
        self.write_page(&name, &proofs.to_bytes()).await?;
        Ok(Some(name))
    }

    /// Takes over what others have left, as far as it is still there: without it objects are compared once more.
    pub(crate) async fn take_over<'n>(&self, names: impl IntoIterator<Item = &'n str>, proofs: &Proofs) {
        for name in names {
            match self.pages.get(name).await {
                Ok(Some(bytes)) => proofs.take_over(&bytes),
                Ok(None) => {}
                Err(error) => tracing::warn!(%error, name, "what was proved before cannot be read"),
            }
        }
    }

    /// The names under which the attempts before this one may have left something.
    pub(crate) fn earlier(job: &JobContext) -> Vec<String> {
        (1..job.fence.attempt).map(|attempt| proofs_name(job, attempt)).collect()
    }

    /// Removes pages that nobody will read again. What cannot be removed costs space and nothing else.
    pub(crate) async fn forget<'n>(&self, names: impl IntoIterator<Item = &'n str>) {
        for name in names {
            if let Err(error) = self.pages.delete(name).await {
                tracing::debug!(%error, name, "a page that nobody needs any more stays");
            }
        }
    }

    /// Unfinished uploads of the migration, to be gone on with by whoever comes next.
    pub(crate) fn uploads(&self, job: &JobContext) -> Arc<dyn Journal> {
        Arc::new(BucketJournal::new(&self.bus, JOURNAL, key(job)))
    }

    async fn put(&self, job: &JobContext, entry: &Entry) -> Result<(), Failed> {
        let publication = self.entries.publication(&key(job), write(entry)?).ttl(Some(KEEP_JOURNAL));
        self.bus.publish(publication).await.map(drop).map_err(|error| unavailable(&error))
    }

    async fn page<T: DeserializeOwned>(&self, name: &str) -> Result<T, Failed> {
        match self.pages.get(name).await.map_err(|error| unavailable(&error))? {
            Some(bytes) => read(&bytes),
            None => Err(Failed::reject(Reason::PlanMissing, format!("`{name}` is not in the object store `{PLANS}`"))),
        }
    }

    async fn write_page(&self, name: &str, bytes: &[u8]) -> Result<(), Failed> {
        let written: Result<bool, BusError> = self.pages.put(name, bytes).await;
        written.map(drop).map_err(|error| unavailable(&error))
    }
}

/// Parts share their job's entry; items of a matrix are migrations of their own.
fn key(job: &JobContext) -> String {
    let name = job.part().and_then(|_| job.job.parent()).unwrap_or_else(|| job.job.clone());
    format!("{}.{}", job.run.id, name.as_str().replace(':', "="))
}

fn page(kind: &str, job: &JobContext) -> String {
    format!("{kind}.{}", key(job))
}

fn proofs_name(job: &JobContext, attempt: u32) -> String {
    let part = job.part().map_or_else(|| "all".to_owned(), |part| part.to_string());
    format!("{}.{part}.{}.{attempt}", page("proofs", job), job.fence.generation)
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failed> {
    let unreadable = |error: serde_json::Error| {
        Failed::reject(Reason::PlanMissing, format!("what the migration had written down cannot be read: {error}"))
    };
    serde_json::from_slice(bytes).map_err(unreadable)
}

fn write<T: Serialize>(value: &T) -> Result<Vec<u8>, Failed> {
    serde_json::to_vec(value).map_err(|error| Failed::reject(Reason::PlanMissing, error.to_string()))
}
