//! Which uploads are unfinished, so that whoever goes on with a copy sends only the parts that are missing.
//!
//! An object that is at the target as a whole needs no journal: the listing shows it. An upload that was begun is known to nobody but the
//! server and whoever began it, so it is written down before its first part is sent and struck out when it is completed or aborted. What
//! the journal says is a hint: the store's own list of parts decides, and the proof of the finished object is the same as without it. A
//! journal that fails costs the parts of the objects in flight, and nothing else.

mod bucket;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use honk_storage::{Etag, StorageError, Store, UploadId};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

pub use bucket::BucketJournal;

/// An upload that was begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unfinished {
    /// The bucket that is written.
    pub bucket: String,
    /// The upload.
    pub upload: UploadId,
    /// The version of the source object that is copied.
    pub source_etag: String,
    /// Bytes of the source object.
    pub size: u64,
    /// Bytes of every part but the last.
    pub part_size: u64,
}

impl Unfinished {
    /// What it is kept under: it depends on the bucket and the key that are written and on the version that is read.
    pub fn name(&self) -> String {
        name(&self.bucket, &self.upload.key, &self.source_etag)
    }
}

/// The name of an upload that copies the version `source_etag` to a key of a bucket: 32 hex digits.
pub fn name(bucket: &str, key: &str, source_etag: &str) -> String {
    let mut hash = Sha256::new();
    for part in [bucket, key, source_etag] {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    hex::encode(&hash.finalize()[..16])
}

/// The journal cannot be read or written now.
#[derive(Debug, thiserror::Error)]
#[error("the journal of uploads: {0}")]
pub struct JournalError(pub String);

/// Remembers unfinished uploads of one job, by all agents that work on it.
#[async_trait::async_trait]
pub trait Journal: Send + Sync + fmt::Debug {
    /// The upload of this name.
    async fn find(&self, name: &str) -> Result<Option<Unfinished>, JournalError>;

    /// Writes an upload down, in place of any other of its name.
    async fn remember(&self, unfinished: &Unfinished) -> Result<(), JournalError>;

    /// Strikes an upload out; one that is not there is no error.
    async fn forget(&self, name: &str) -> Result<(), JournalError>;

    /// All uploads that are written down.
    async fn all(&self) -> Result<Vec<Unfinished>, JournalError>;
}

/// Aborts every upload of the journal whose bucket is that of `target`, and strikes it out: for a job that is done, or will never be. Returns how
/// many.
pub async fn sweep(journal: &dyn Journal, target: &Store) -> Result<usize, SweepError> {
    let mut swept = 0;
    for unfinished in journal.all().await? {
        if unfinished.bucket != target.bucket() {
            continue;
        }
        target.resume_upload(&unfinished.upload).abort().await?;
        journal.forget(&unfinished.name()).await?;
        swept += 1;
    }
    Ok(swept)
}

/// Why uploads may have stayed behind.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The journal failed.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// A journal that ends with the process: for tests, and for copies that nobody would go on with.
#[derive(Debug, Default)]
pub struct MemoryJournal(Mutex<BTreeMap<String, Unfinished>>);

impl MemoryJournal {
    fn entries(&self) -> MutexGuard<'_, BTreeMap<String, Unfinished>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait::async_trait]
impl Journal for MemoryJournal {
    async fn find(&self, name: &str) -> Result<Option<Unfinished>, JournalError> {
        Ok(self.entries().get(name).cloned())
    }

    async fn remember(&self, unfinished: &Unfinished) -> Result<(), JournalError> {
        self.entries().insert(unfinished.name(), unfinished.clone());
        Ok(())
    }

    async fn forget(&self, name: &str) -> Result<(), JournalError> {
        self.entries().remove(name);
        Ok(())
    }

    async fn all(&self) -> Result<Vec<Unfinished>, JournalError> {
        Ok(self.entries().values().cloned().collect())
    }
}

/// What a journal, if there is one, is asked and told by a copy; its failures are logged and are no failures of the copy.
#[derive(Clone, Copy)]
pub(super) struct Notes<'j>(pub(super) Option<&'j dyn Journal>);

impl Notes<'_> {
    /// The upload that copies this version to that key. A version without a name cannot be told from another.
    pub(super) async fn find(self, bucket: &str, key: &str, source: &Etag) -> Option<Unfinished> {
        let journal = self.0.filter(|_| !source.as_str().is_empty())?;
        let found = journal.find(&name(bucket, key, source.as_str())).await;
        found.inspect_err(|error| tracing::warn!(%error, "beginning an upload anew")).ok().flatten()
    }

    /// Whether it is written down.
    pub(super) async fn remember(self, unfinished: &Unfinished) -> bool {
        let Some(journal) = self.0.filter(|_| !unfinished.source_etag.is_empty()) else { return false };
        let told = journal.remember(unfinished).await;
        told.inspect_err(|error| tracing::warn!(%error, "an upload will not be gone on with after a failure")).is_ok()
    }

    /// It is completed or aborted.
    pub(super) async fn forget(self, unfinished: &Unfinished) {
        let Some(journal) = self.0 else { return };
        if let Err(error) = journal.forget(&unfinished.name()).await {
            tracing::warn!(%error, "an upload that has ended stays in the journal until it expires");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_depends_on_every_part_and_on_where_it_ends() {
        let names = [name("b", "k", "e"), name("bk", "", "e"), name("b", "ke", ""), name("b", "k", "f")];
        assert!(names.iter().all(|name| name.len() == 32));
        let mut sorted = names.to_vec();
        sorted.sort();
        sorted.dedup();
        assert_eq!(sorted.len(), names.len());
    }
}
