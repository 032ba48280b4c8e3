//! The engine that copies one dataset: everything under the source's prefix, verified, with the source left as it is.
//!
//! Passes over sorted listings, which are merged and never held (`pass`). Each brings the target to where the source is; one that finds
//! nothing to do is the proof that every object of the source is at the target with the same bytes, and success is only ever such a pass's
//! verdict. A pass may be of one range of keys, so that a dataset can be copied by many agents. Memory is bounded by a byte budget,
//! not by the size or number of objects.

mod budget;
mod chunk;
mod compare;
mod engine;
mod error;
mod join;
pub mod journal;
mod kept;
mod large;
mod marks;
mod pages;
pub(crate) mod pass;
mod patience;
mod policy;
mod progress;
mod proofs;
mod refused;
mod sameness;
mod settings;
mod span;
mod tally;
mod transfer;

use std::sync::Arc;

use honk_storage::{ErrorKind, Place, StorageError, Stores};
use tokio_util::sync::CancellationToken;

pub use budget::Budget;
pub(crate) use chunk::MOST_CHUNKS;
pub use chunk::{Chunk, ChunkSize};
pub use error::CopyError;
pub use policy::{Existing, Policy, SAMPLE, Verify};
pub use progress::{Counters, Progress};
pub use refused::{Refusal, Refused};
pub use settings::CopySettings;
pub use span::KeyRange;
pub use tally::{Keys, NAMED_KEYS, Tally, Work};

pub(crate) use engine::Engine;
use journal::Journal;
pub(crate) use kept::{Kept, MOST_KEPT};
pub(crate) use marks::Marks;
use pass::Pass;
pub(crate) use proofs::Proofs;

/// What passes over the same two places learn from each other.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// What was found out of single versions.
    pub(crate) proofs: Proofs,
    /// Where the keys lie.
    pub(crate) marks: Marks,
}

/// What to copy, and how.
#[derive(Clone, Debug)]
pub struct CopyPlan {
    /// The clients to use.
    pub stores: Stores,
    /// Where the dataset is; only ever read.
    pub source: Place,
    /// Where it goes.
    pub target: Place,
    /// Limits.
    pub settings: CopySettings,
    /// Room for what is held in memory, which other copies may share.
    pub budget: Budget,
    /// Where unfinished uploads are remembered; without one they are aborted.
    pub journal: Option<Arc<dyn Journal>>,
}

/// What was done and proved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CopyReport {
    /// Objects of the source.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Objects copied by this call.
    pub copied: u64,
    /// Objects that the target already had.
    pub already_there: u64,
    /// Parts sent by multipart uploads through this process.
    pub parts: u64,
    /// Objects proved equal at the target; equals `objects`.
    pub verified: u64,
    /// Objects under the target's prefix that the source does not have.
    pub extra: u64,
    /// The digest of the source's listing, as [`honk_storage::listing::Survey`] defines it.
    pub digest: String,
}

/// Passes after the first look before a source that does not come to rest is given up.
const PASSES: u32 = 5;

/// Copies and verifies. Can be repeated after any failure: what is at the target already is not copied again.
pub async fn migrate_objects(
    plan: CopyPlan,
    progress: &Progress,
    cancel: &CancellationToken,
) -> Result<CopyReport, CopyError> {
    let engine = Engine::open(plan, progress.clone(), cancel.child_token(), Arc::default()).await?;
    let begun = engine.go_over(KeyRange::default(), Pass::Begin).await?;
    refuse_conflicts(&begun)?;
    progress.expect(begun.objects);
    let kept = Kept::new(begun.kept);
    let mut copied = 0;
    let mut last = Tally::default();
    for _ in 0..PASSES {
        last = engine.go_over(KeyRange::default(), Pass::Sync(&kept)).await?;
        copied += last.done.objects;
        refuse_problems(&last)?;
        if last.is_clean() {
            let report = report(&last, copied, engine.parts_sent());
            tracing::info!(objects = report.objects, bytes = report.bytes, copied, "copied and verified");
            return Ok(report);
        }
    }
    let key = last.unsettled.first.into_iter().next().unwrap_or_default();
    Err(CopyError::SourceChanged { key, last: format!("after {PASSES} passes there still was something to do") })
}

fn report(last: &Tally, copied: u64, parts: u64) -> CopyReport {
    CopyReport {
        objects: last.objects,
        bytes: last.bytes,
        copied,
        already_there: last.objects.saturating_sub(copied),
        parts,
        verified: last.equal,
        extra: last.foreign + last.skipped.count,
        digest: last.source.to_hex(),
    }
}

/// Nothing is copied where objects are in the way.
pub(crate) fn refuse_conflicts(tally: &Tally) -> Result<(), CopyError> {
    if tally.conflicts.count == 0 { Ok(()) } else { Err(CopyError::Conflicts(tally.conflicts.clone())) }
}

/// What no further pass can set right, after everything else was done.
pub(crate) fn refuse_problems(tally: &Tally) -> Result<(), CopyError> {
    refuse_conflicts(tally)?;
    if let Some(refused) = &tally.refused {
        return Err(CopyError::Refused(refused.clone()));
    }
    match tally.differing.first.first() {
        None => Ok(()),
        Some(key) => Err(CopyError::Unverified {
            mismatches: tally.differing.count,
            key: key.clone(),
            reason: format!("it was copied twice and still differs; all of them: {}", tally.differing),
        }),
    }
}

/// Whether an error says that the source object is not the version that was listed.
fn is_source_change(error: &StorageError) -> bool {
    matches!(error.kind(), ErrorKind::Changed | ErrorKind::NoSuchKey)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_may_move_between_threads() {
        fn is_send(_: impl Send) {}
        let plan = CopyPlan {
            stores: Stores::new(honk_storage::StorageConfig::default()),
            source: Place::new("a", ""),
            target: Place::new("b", ""),
            settings: CopySettings::default(),
            budget: Budget::new(1),
            journal: None,
        };
        is_send(migrate_objects(plan, &Progress::default(), &CancellationToken::new()));
    }
}
