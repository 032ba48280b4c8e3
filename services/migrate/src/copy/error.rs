//! Why a copy failed, and whether another attempt can succeed.

use honk_storage::StorageError;

use super::refused::Refused;

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
            Self::Unsorted { .. } | Self::Refused(_) | Self::Overlap | Self::Cancelled => false,
        }
    }
}
