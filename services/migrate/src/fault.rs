//! What a failed copy means for the job.

use honk_protocol::reason::Reason;
use honk_protocol::run::Fault;
use honk_protocol::settle::Failed;
use honk_storage::Place;

use crate::copy::{CopyError, Refusal};

/// The failure of the job whose copy from `source` to `target` ended so.
pub fn failed(error: &CopyError, source: &Place, target: &Place) -> Failed {
    // Writers at either end did it, not the system; the next attempt sees what is there then.
    let unsettled = |reason| Failed { fault: Fault::Failure, ..Failed::retry(reason, error.to_string()) };
    match error {
        CopyError::Storage(storage) => storage.failed(storage.side(source, target)),
        CopyError::SourceChanged { .. } => unsettled(Reason::SourceChanged),
        CopyError::Unverified { .. } => unsettled(Reason::VerifyMismatch),
        CopyError::Conflicts(_) => Failed::reject(Reason::TargetConflict, error.to_string()),
        CopyError::SourceEmptied => Failed::reject(Reason::SourceEmpty, error.to_string()),
        CopyError::Crowded { .. } => Failed::reject(Reason::TargetCrowded, error.to_string()),
        CopyError::Unsorted { .. } => Failed::reject(Reason::StorageRefused, error.to_string()),
        CopyError::Refused(refused) => Failed::reject(reason_of(refused.why), error.to_string()),
        CopyError::Overlap => Failed::reject(Reason::LocationsOverlap, error.to_string()),
        CopyError::Cancelled => Failed::retry(Reason::JobTimeout, "stopped before everything was copied"),
    }
}

/// Why a copy that left objects out failed.
fn reason_of(refusal: Refusal) -> Reason {
    match refusal {
        Refusal::Denied => Reason::ObjectsDenied,
        Refusal::Archived => Reason::SourceArchived,
        Refusal::Key => Reason::KeyRefused,
        Refusal::Invalid => Reason::StorageRefused,
    }
}

#[cfg(test)]
mod tests {
    use honk_protocol::settle::Again;

    use super::*;

    #[test]
    fn only_what_can_pass_is_tried_again() {
        let text = || String::from("k");
        let cases = [
            (CopyError::SourceChanged { key: text(), last: text() }, Reason::SourceChanged, Again::Later),
            (
                CopyError::Unverified { mismatches: 1, key: text(), reason: text() },
                Reason::VerifyMismatch,
                Again::Later,
            ),
            (
                CopyError::Unsorted { bucket: text(), key: text(), previous: text() },
                Reason::StorageRefused,
                Again::Never,
            ),
            (CopyError::Overlap, Reason::LocationsOverlap, Again::Never),
            (CopyError::Cancelled, Reason::JobTimeout, Again::Later),
        ];
        for (error, reason, again) in cases {
            let failed = failed(&error, &Place::new("a", ""), &Place::new("b", ""));
            assert_eq!((failed.reason, failed.again), (reason, again), "{error}");
        }
    }
}
