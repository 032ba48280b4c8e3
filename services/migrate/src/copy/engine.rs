//! What all passes share: the two ends, the limits, what is known so far; and how one object is copied, whatever becomes of it meanwhile.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use honk_storage::{Etag, ObjectInfo, Place, StorageError, Store, Stores, is_same_endpoint, overlap};
use tokio_util::sync::CancellationToken;

use super::budget::Budget;
use super::error::CopyError;
use super::join::{Pair, pairs};
use super::journal::{self, Journal};
use super::patience::Patience;
use super::progress::Progress;
use super::proofs::{Fact, Proofs};
use super::refused::{Refusal, Refused};
use super::settings::CopySettings;
use super::{CopyPlan, is_source_change};

/// One end of the copy.
pub(super) struct Side {
    pub(super) store: Store,
    pub(super) prefix: String,
}

impl Side {
    async fn open(stores: &Stores, place: &Place) -> Result<Self, CopyError> {
        Ok(Self { store: stores.open(place).await?, prefix: place.prefix() })
    }
}

/// A copy under way.
pub(crate) struct Engine<'p> {
    pub(super) source: Side,
    pub(super) target: Side,
    pub(super) one_endpoint: bool,
    pub(super) settings: CopySettings,
    pub(super) budget: Budget,
    pub(super) journal: Option<Arc<dyn Journal>>,
    pub(super) progress: &'p Progress,
    pub(super) cancel: CancellationToken,
    pub(super) parts: AtomicU64,
    /// What was found out of single versions.
    pub(super) proofs: Arc<Proofs>,
    counts: Counts,
}

/// What tells refused objects from a store that refuses everything.
#[derive(Debug, Default)]
struct Counts {
    copied: AtomicU64,
    refused: Mutex<Option<Refused>>,
}

impl<'p> Engine<'p> {
    pub(crate) async fn open(
        plan: CopyPlan,
        progress: &'p Progress,
        cancel: CancellationToken,
        proofs: Arc<Proofs>,
    ) -> Result<Self, CopyError> {
        if overlap(&plan.source, &plan.target) {
            return Err(CopyError::Overlap);
        }
        Ok(Self {
            source: Side::open(&plan.stores, &plan.source).await?,
            target: Side::open(&plan.stores, &plan.target).await?,
            one_endpoint: is_same_endpoint(&plan.source, &plan.target),
            budget: Budget::new(plan.settings.buffer_bytes, plan.settings.large_in_flight()),
            journal: plan.journal,
            settings: plan.settings,
            progress,
            cancel,
            parts: AtomicU64::new(0),
            proofs,
            counts: Counts::default(),
        })
    }

    /// All pairs of both listings behind the key `after`.
    pub(super) fn pairs(
        &self,
        after: Option<&str>,
    ) -> impl futures_util::Stream<Item = Result<Pair, CopyError>> + Send + use<'_, 'p> {
        let end = |side| (self.listing(side, after), side.store.bucket());
        pairs(end(&self.source), end(&self.target))
    }

    /// Aborts uploads that nobody will go on with. One that stays costs space at the target until the bucket's own rules remove it.
    pub(crate) async fn sweep_uploads(&self) {
        let Some(journal) = &self.journal else { return };
        if let Err(error) = journal::sweep(journal.as_ref(), &self.target.store).await {
            tracing::warn!(%error, "unfinished uploads may stay behind");
        }
    }

    /// Parts sent by uploads through this process so far.
    pub(crate) fn parts_sent(&self) -> u64 {
        self.parts.load(Ordering::Relaxed)
    }

    pub(super) fn note_copied(&self) {
        self.counts.copied.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes a refused object; if so many were and none was copied that something else must be wrong, gives all of them back.
    pub(super) fn refused_in_vain(&self, key: &str, why: Refusal, error: &StorageError) -> Option<Refused> {
        let mut refused = self.counts.refused.lock().unwrap_or_else(PoisonError::into_inner);
        Refused::add(&mut refused, key.to_owned(), why, error);
        let copied = self.counts.copied.load(Ordering::Relaxed);
        refused.as_ref().filter(|all| all.is_hopeless(copied)).cloned().map(Refused::given_up)
    }

    /// Copies the listed version, or once the one that replaced it.
    pub(super) async fn copy_current(&self, key: &str, listed: ObjectInfo) -> Result<(), CopyError> {
        let changed = match Box::pin(self.copy_version(key, &listed)).await {
            Err(CopyError::Storage(error)) if is_source_change(&error) => error,
            other => return other,
        };
        let lost = |error: StorageError| CopyError::SourceChanged { key: listed.key.clone(), last: error.to_string() };
        tracing::info!(error = %changed, "the source object changed; looking again");
        let head = match self.retrying(|| self.source.store.head(&listed.key)).await {
            Err(CopyError::Storage(error)) if is_source_change(&error) => return Err(lost(error)),
            other => other?,
        };
        let current = ObjectInfo { size: head.size, etag: head.etag, ..listed.clone() };
        match Box::pin(self.copy_version(key, &current)).await {
            Err(CopyError::Storage(error)) if is_source_change(&error) => Err(lost(error)),
            other => other,
        }
    }

    /// Tries a request until it succeeds, fails for good, or patience or the caller ends it. Requests are dropped midway
    /// when the caller cancels.
    pub(super) async fn retrying<T, F>(&self, mut request: impl FnMut() -> F) -> Result<T, CopyError>
    where
        F: Future<Output = Result<T, StorageError>>,
    {
        let mut patience = Patience::new(&self.settings);
        loop {
            match self.cancel.run_until_cancelled(request()).await {
                None => return Err(CopyError::Cancelled),
                Some(Ok(answer)) => return Ok(answer),
                // The same request cannot succeed, but a new upload can.
                Some(Err(error)) if error.code() == Some("NoSuchUpload") => return Err(error.into()),
                Some(Err(error)) => patience.wait(error, &self.cancel).await?,
            }
        }
    }

    /// Remembers that these versions have the same bytes.
    pub(super) fn remember_proof(&self, key: &str, source: &Etag, target: &Etag) {
        self.proofs.remember(Fact::SameBytes, key, (source, target));
    }
}
