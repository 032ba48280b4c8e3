//! Where this crate's words meet the contract's: a registered place becomes one that can be opened, and a failure becomes a
//! job's failure, with the reason code that tells a person what to do.

use honk_protocol::dataset::{self, Side};
use honk_protocol::reason::Reason;
use honk_protocol::settle::Failed;

use crate::error::{ErrorKind, StorageError};
use crate::place::Place;

/// What a kind of failure means at either side, and whether the same job may succeed later.
struct Meaning {
    source: Reason,
    target: Reason,
    passes: bool,
}

impl Meaning {
    const fn sides(source: Reason, target: Reason, passes: bool) -> Self {
        Self { source, target, passes }
    }

    const fn both(reason: Reason, passes: bool) -> Self {
        Self::sides(reason, reason, passes)
    }

    const fn of(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::NoSuchBucket => Self::sides(Reason::SourceMissing, Reason::TargetMissing, false),
            ErrorKind::AccessDenied => Self::sides(Reason::SourceDenied, Reason::TargetDenied, false),
            ErrorKind::BadCredentials => Self::both(Reason::CredentialsInvalid, false),
            // A source is not written to, so it cannot be full; what says so of it is out of order.
            ErrorKind::Full => Self::sides(Reason::StorageRefused, Reason::TargetFull, false),
            ErrorKind::Archived => Self::sides(Reason::SourceArchived, Reason::StorageRefused, false),
            ErrorKind::KeyTooLong => Self::both(Reason::KeyRefused, false),
            // Listing again shows what is there now.
            ErrorKind::NoSuchKey | ErrorKind::Changed => {
                Self::sides(Reason::SourceChanged, Reason::VerifyMismatch, true)
            }
            ErrorKind::Throttled => Self::both(Reason::StorageThrottled, true),
            ErrorKind::Unavailable => Self::both(Reason::StorageUnavailable, true),
            ErrorKind::Corrupt => Self::both(Reason::CopyCorrupt, true),
            ErrorKind::Invalid => Self::both(Reason::StorageRefused, false),
            // Another agent's clock may be right.
            ErrorKind::ClockSkew => Self::both(Reason::ClockSkew, true),
        }
    }
}

impl StorageError {
    /// The failure of the job that met this error at `side`.
    pub fn failed(&self, side: Side) -> Failed {
        let meaning = Meaning::of(self.kind());
        let reason = match side {
            Side::Source => meaning.source,
            Side::Target => meaning.target,
        };
        let decide = if meaning.passes { Failed::retry } else { Failed::reject };
        decide(reason, self.to_string())
    }

    /// At which of two places it happened. Where bucket and key could be either's, a write was the target's and anything
    /// else the source's.
    pub fn side(&self, source: &Place, target: &Place) -> Side {
        let may_be_at = |place: &Place| {
            self.bucket() == place.bucket && self.key().is_none_or(|key| key.starts_with(&place.prefix()))
        };
        match (may_be_at(source), may_be_at(target)) {
            (true, false) => Side::Source,
            (false, true) => Side::Target,
            _ if matches!(
                self.operation(),
                "list" | "read" | "describe" | "describe the parts of" | "look up bucket"
            ) =>
            {
                Side::Source
            }
            _ => Side::Target,
        }
    }
}

impl From<&dataset::Place> for Place {
    fn from(place: &dataset::Place) -> Self {
        let dataset::Place::S3(s3) = place;
        Self {
            bucket: s3.bucket.clone(),
            prefix: s3.prefix.clone(),
            endpoint: s3.endpoint.clone(),
            region: s3.region.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use honk_protocol::settle::Again;

    use super::*;
    use crate::error::Target;

    fn error(kind: ErrorKind, operation: &'static str, bucket: &str, key: Option<&str>) -> StorageError {
        let target = Target { operation, bucket: bucket.into(), key: key.map(str::to_owned) };
        StorageError::new(kind, target, "said so")
    }

    #[test]
    fn every_kind_has_a_reason_at_both_sides() {
        use ErrorKind as Kind;
        let table = [
            (Kind::NoSuchBucket, Reason::SourceMissing, Reason::TargetMissing, false),
            (Kind::NoSuchKey, Reason::SourceChanged, Reason::VerifyMismatch, true),
            (Kind::AccessDenied, Reason::SourceDenied, Reason::TargetDenied, false),
            (Kind::BadCredentials, Reason::CredentialsInvalid, Reason::CredentialsInvalid, false),
            (Kind::Full, Reason::StorageRefused, Reason::TargetFull, false),
            (Kind::Archived, Reason::SourceArchived, Reason::StorageRefused, false),
            (Kind::KeyTooLong, Reason::KeyRefused, Reason::KeyRefused, false),
            (Kind::Changed, Reason::SourceChanged, Reason::VerifyMismatch, true),
            (Kind::Throttled, Reason::StorageThrottled, Reason::StorageThrottled, true),
            (Kind::Unavailable, Reason::StorageUnavailable, Reason::StorageUnavailable, true),
            (Kind::Invalid, Reason::StorageRefused, Reason::StorageRefused, false),
            (Kind::Corrupt, Reason::CopyCorrupt, Reason::CopyCorrupt, true),
            (Kind::ClockSkew, Reason::ClockSkew, Reason::ClockSkew, true),
        ];
        for (kind, at_source, at_target, passes) in table {
            for (side, reason) in [(Side::Source, at_source), (Side::Target, at_target)] {
                let failed = error(kind, "list", "b", None).failed(side);
                assert_eq!((failed.reason, failed.again != Again::Never), (reason, passes), "{kind:?} at {side:?}");
                assert!(failed.message.contains("list s3://b"), "{}", failed.message);
            }
        }
    }

    #[test]
    fn an_error_is_traced_to_the_place_it_came_from() {
        let (old, new) = (Place::new("data", "a"), Place::new("data", "b"));
        let kind = ErrorKind::AccessDenied;
        assert_eq!(error(kind, "read", "data", Some("a/x")).side(&old, &new), Side::Source);
        assert_eq!(error(kind, "describe", "data", Some("b/x")).side(&old, &new), Side::Target);
        assert_eq!(error(kind, "list", "other", None).side(&old, &Place::new("other", "")), Side::Target);
        let same = Place::new("data", "").at("http://elsewhere");
        assert_eq!(error(kind, "write", "data", Some("x")).side(&Place::new("data", ""), &same), Side::Target);
        assert_eq!(error(kind, "read", "data", Some("x")).side(&Place::new("data", ""), &same), Side::Source);
    }
}
