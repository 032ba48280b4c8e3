//! The engine that copies one dataset: everything under the source's prefix, verified, with the source left as it is.
//!
//! Two passes over sorted listings, which are merged and never held. The first copies what the target lacks; the second
//! proves that every object of the source is at the target with the same bytes. Success is only ever the second pass's
//! verdict. Memory is bounded by a byte budget, not by the size or number of objects.

mod budget;
mod compare;
mod engine;
mod error;
mod join;
mod large;
mod pages;
mod patience;
mod progress;
mod refused;
mod settings;
mod transfer;
mod verify;

use honk_storage::{ErrorKind, Place, StorageError, Stores, overlap};
use tokio_util::sync::CancellationToken;

pub use error::CopyError;
pub use progress::Progress;
pub use refused::{Refusal, Refused};
pub use settings::CopySettings;

use engine::Engine;

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

/// Copies and verifies. Can be repeated after any failure: what is at the target already is not copied again.
pub async fn migrate_objects(
    plan: CopyPlan,
    progress: &Progress,
    cancel: &CancellationToken,
) -> Result<CopyReport, CopyError> {
    if overlap(&plan.source, &plan.target) {
        return Err(CopyError::Overlap);
    }
    let engine = Engine::open(plan, progress, cancel.child_token()).await?;
    let copied = engine.copy_all().await?;
    let report = engine.verify_all(copied).await?;
    tracing::info!(objects = report.objects, bytes = report.bytes, copied = report.copied, "copied and verified");
    Ok(report)
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
        };
        is_send(migrate_objects(plan, &Progress::default(), &CancellationToken::new()));
    }
}
