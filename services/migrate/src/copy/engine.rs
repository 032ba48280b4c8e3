//! The first pass: pairs of both listings in, copies of what is lacking out, many at a time.

use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use futures_util::{FutureExt as _, StreamExt as _, pin_mut};
use honk_storage::{Etag, ObjectInfo, Place, StorageError, Store, Stores, is_same_endpoint};
use tokio_util::sync::CancellationToken;

use super::budget::Budget;
use super::error::CopyError;
use super::join::{Pair, pairs};
use super::patience::Patience;
use super::progress::Progress;
use super::refused::{Refusal, Refused};
use super::settings::CopySettings;
use super::{CopyPlan, CopyReport, is_source_change};

/// Proofs kept at a time; each is a key and two `ETag`s. Objects beyond it are compared by reading them.
const MAX_PROOFS: usize = 4_096;

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
pub(super) struct Engine<'p> {
    pub(super) source: Side,
    pub(super) target: Side,
    pub(super) one_endpoint: bool,
    pub(super) settings: CopySettings,
    pub(super) budget: Budget,
    pub(super) progress: &'p Progress,
    pub(super) cancel: CancellationToken,
    pub(super) parts: AtomicU64,
    /// Versions at source and target that were seen to have the same bytes though their `ETag`s differ.
    proofs: Mutex<HashMap<String, (Etag, Etag)>>,
}

/// What became of one object.
#[derive(Debug)]
enum Outcome {
    Copied,
    AlreadyThere,
    NotOurs,
    /// It alone could not be copied.
    Refused(String, Refusal, StorageError),
}

impl<'p> Engine<'p> {
    pub(super) async fn open(
        plan: CopyPlan,
        progress: &'p Progress,
        cancel: CancellationToken,
    ) -> Result<Self, CopyError> {
        Ok(Self {
            source: Side::open(&plan.stores, &plan.source).await?,
            target: Side::open(&plan.stores, &plan.target).await?,
            one_endpoint: is_same_endpoint(&plan.source, &plan.target),
            budget: Budget::new(plan.settings.buffer_bytes),
            settings: plan.settings,
            progress,
            cancel,
            parts: AtomicU64::new(0),
            proofs: Mutex::default(),
        })
    }

    /// All pairs of both listings.
    pub(super) fn pairs(&self) -> impl futures_util::Stream<Item = Result<Pair, CopyError>> + Send + '_ {
        let end = |side| (self.listing(side), side.store.bucket());
        pairs(end(&self.source), end(&self.target))
    }

    /// Copies what the target lacks. After a failure nothing new is begun, and what is under way ends by itself, so that
    /// no upload stays unfinished.
    pub(super) async fn copy_all(&self) -> Result<CopyReport, CopyError> {
        let outcomes = self
            .pairs()
            .take_until(self.cancel.clone().cancelled_owned())
            .map(|pair| self.copy_pair(pair).boxed())
            .buffer_unordered(self.settings.objects_in_flight.max(1));
        pin_mut!(outcomes);
        let mut report = CopyReport::default();
        let (mut failure, mut refused) = (None, None);
        while let Some(outcome) = outcomes.next().await {
            match outcome {
                Ok(Outcome::Copied) => report.copied += 1,
                Ok(Outcome::AlreadyThere) => report.already_there += 1,
                Ok(Outcome::NotOurs) => {}
                Ok(Outcome::Refused(key, why, error)) => {
                    Refused::add(&mut refused, key, why, &error);
                    if let Some(all) = refused.take_if(|all| all.is_hopeless(report.copied + report.already_there)) {
                        self.cancel.cancel();
                        failure.get_or_insert(CopyError::Refused(all.given_up()));
                    }
                }
                Err(error) => {
                    self.cancel.cancel();
                    failure.get_or_insert(error);
                }
            }
        }
        match failure {
            Some(error) => Err(error),
            None if self.cancel.is_cancelled() => Err(CopyError::Cancelled),
            None => {
                if let Some(refused) = refused {
                    return Err(CopyError::Refused(refused));
                }
                self.progress.expect(report.copied + report.already_there);
                report.parts = self.parts.load(Ordering::Relaxed);
                Ok(report)
            }
        }
    }

    async fn copy_pair(&self, pair: Result<Pair, CopyError>) -> Result<Outcome, CopyError> {
        let pair = pair?;
        let Some(source) = pair.source else { return Ok(Outcome::NotOurs) };
        let there = match &pair.target {
            Some(target) => self.is_there(&pair.key, &source, target).await?,
            None => false,
        };
        let outcome = if there {
            self.progress.add_bytes(source.size);
            Outcome::AlreadyThere
        } else {
            match self.copy_current(&pair.key, source).await {
                Ok(()) => Outcome::Copied,
                Err(CopyError::Storage(error)) => {
                    let Some(why) = Refusal::of(&error) else { return Err(error.into()) };
                    return Ok(Outcome::Refused(pair.key, why, error));
                }
                Err(error) => return Err(error),
            }
        };
        self.progress.object_done();
        Ok(outcome)
    }

    /// Copies the listed version, or once the one that replaced it.
    async fn copy_current(&self, key: &str, listed: ObjectInfo) -> Result<(), CopyError> {
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

    /// Remembers that these versions have the same bytes, while there is room.
    pub(super) fn remember_proof(&self, key: &str, source: &Etag, target: &Etag) {
        let mut proofs = self.proofs.lock().unwrap_or_else(PoisonError::into_inner);
        if proofs.len() < MAX_PROOFS {
            proofs.insert(key.to_owned(), (source.clone(), target.clone()));
        }
    }

    /// Whether these very versions were seen to have the same bytes.
    pub(super) fn has_proof(&self, key: &str, source: &Etag, target: &Etag) -> bool {
        let proofs = self.proofs.lock().unwrap_or_else(PoisonError::into_inner);
        proofs.get(key).is_some_and(|proof| (&proof.0, &proof.1) == (source, target))
    }
}
