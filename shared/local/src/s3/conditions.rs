//! Conditional requests, as S3 answers them: 304 and 412 on reads, one winner on writes.

use s3s::dto::{ETag, ETagCondition, Timestamp};
use s3s::{S3Error, S3Result, s3_error};

use super::model::{Object, timestamp};

/// What must hold for the object that a write replaces (or does not find).
#[derive(Debug, Default, Clone)]
pub(super) struct WriteCondition {
    if_match: Option<ETagCondition>,
    if_none_match: bool,
}

impl WriteCondition {
    /// Checks the headers of a conditional write. S3 knows `If-None-Match` only with `*`.
    pub(super) fn new(if_match: Option<ETagCondition>, if_none_match: Option<&ETagCondition>) -> S3Result<Self> {
        if if_none_match.is_some_and(|condition| !condition.is_any()) {
            return Err(s3_error!(NotImplemented, "If-None-Match with an ETag is not implemented for writes"));
        }
        Ok(Self { if_match, if_none_match: if_none_match.is_some() })
    }

    /// To be called under the lock under which the write happens.
    pub(super) fn check(&self, current: Option<&Object>) -> S3Result<()> {
        match (&self.if_match, current) {
            (Some(_), None) => return Err(s3_error!(NoSuchKey)),
            (Some(condition), Some(object)) if !matches(condition, object) => return Err(precondition_failed()),
            _ => {}
        }
        if self.if_none_match && current.is_some() {
            return Err(precondition_failed());
        }
        Ok(())
    }
}

/// What a reader, or a copy of its source, asks for.
#[derive(Debug, Default)]
pub(super) struct ReadCondition {
    pub(super) matches: Option<ETagCondition>,
    pub(super) none_matches: Option<ETagCondition>,
    pub(super) modified_since: Option<Timestamp>,
    pub(super) unmodified_since: Option<Timestamp>,
}

impl ReadCondition {
    /// GET and HEAD: an unchanged object is 304. The order is that of RFC 9110, section 13.2.2.
    pub(super) fn check(&self, object: &Object) -> S3Result<()> {
        self.check_or(object, || s3_error!(NotModified))
    }

    /// The source of a copy: every condition that does not hold is 412.
    pub(super) fn check_source(&self, object: &Object) -> S3Result<()> {
        self.check_or(object, precondition_failed)
    }

    fn check_or(&self, object: &Object, unchanged: impl FnOnce() -> S3Error) -> S3Result<()> {
        let modified = timestamp(object.modified);
        let holds = match (&self.matches, &self.unmodified_since) {
            (Some(condition), _) => matches(condition, object),
            (None, Some(since)) => modified <= *since,
            (None, None) => true,
        };
        if !holds {
            return Err(precondition_failed());
        }
        let is_unchanged = match (&self.none_matches, &self.modified_since) {
            (Some(condition), _) => matches(condition, object),
            (None, Some(since)) => modified <= *since,
            (None, None) => false,
        };
        if is_unchanged { Err(unchanged()) } else { Ok(()) }
    }
}

fn matches(condition: &ETagCondition, object: &Object) -> bool {
    condition.as_etag().is_none_or(|etag: &ETag| etag.value() == object.etag)
}

fn precondition_failed() -> S3Error {
    s3_error!(PreconditionFailed, "At least one of the pre-conditions you specified did not hold")
}
