//! Why a copy failed, and whether another attempt can succeed.

use honk_storage::StorageError;

use super::kept::MOST_KEPT;
use super::refused::Refused;
use super::tally::Keys;

/// A copy that did not end in proof.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// A store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// An object was replaced or removed again and again while it was copied.
    #[error("the source object {key:?} keeps changing: {last} - pause its writers and try again")]
    SourceChanged {
        /// The full key.
        key: String,
        /// What was seen last.
        last: String,
    },
    /// Objects of the source are not, or not equally, at the target.
    #[error("{mismatches} objects are not proved equal at the target, the first {key:?}: {reason}")]
    Unverified {
        /// How many.
        mismatches: u64,
        /// The first of them, relative to the prefix.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Objects of the target were there before, differ from those of the source, and must not be replaced.
    #[error("{count} objects at the target are not the source's and were there before: {0} - move them away, or say `existing: overwrite` or `existing: skip`", count = .0.count)]
    Conflicts(Keys),
    /// Nothing is at the source any more: what was copied stays, and readers are not sent to it.
    #[error("there is no object at the source any more; what was copied before stays at the target")]
    SourceEmptied,
    /// There are more objects at the target that are not the migration's than can be remembered.
    #[error(
        "more than {MOST_KEPT} objects that are not the source's lie under the target's prefix in {bucket:?} - migrate into a folder of its own"
    )]
    Crowded {
        /// The target's bucket.
        bucket: String,
    },
    /// A listing did not come in the order of its keys, so that it cannot be merged.
    #[error("the listing of {bucket:?} is not sorted: {key:?} comes after {previous:?}")]
    Unsorted {
        /// Whose listing.
        bucket: String,
        /// The key that is out of order.
        key: String,
        /// The one before it.
        previous: String,
    },
    /// A store refuses some of the objects; the others are copied.
    #[error("{0}")]
    Refused(Refused),
    /// Source and target share objects.
    #[error("source and target are the same place or one lies inside the other")]
    Overlap,
    /// The caller asked to stop.
    #[error("cancelled")]
    Cancelled,
}

impl CopyError {
    /// Whether another attempt may succeed without anybody doing anything.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Storage(error) => error.is_retryable(),
            Self::SourceChanged { .. } | Self::Unverified { .. } => true,
            Self::Conflicts(_)
            | Self::Crowded { .. }
            | Self::SourceEmptied
            | Self::Unsorted { .. }
            | Self::Refused(_)
            | Self::Overlap
            | Self::Cancelled => false,
        }
    }
}
