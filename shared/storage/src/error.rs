//! What can go wrong with a store, sorted by what a caller can do about it.
//!
//! The SDK's errors are converted once, here: their whole chain of causes becomes one text, and the result has no
//! `source`, so that a cause is printed once.

use std::error::Error;
use std::fmt;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

/// Kinds of failure, by their remedy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The bucket does not exist at this endpoint.
    NoSuchBucket,
    /// The object does not exist.
    NoSuchKey,
    /// The credentials are good and may not do this.
    AccessDenied,
    /// The credentials are wrong, expired or absent.
    BadCredentials,
    /// The object is not the version that was asked for (412).
    Changed,
    /// The server asks for fewer requests (503 `SlowDown`, 429).
    Throttled,
    /// The server failed or could not be reached, or an answer broke off.
    Unavailable,
    /// The request can never succeed as it is.
    Invalid,
    /// The bytes that arrived are not the bytes that were sent.
    Corrupt,
    /// This machine's clock differs too much from the server's.
    ClockSkew,
    /// The object lies in an archive and must be restored before it can be read.
    Archived,
    /// There is no room left, or a quota is used up.
    Full,
    /// The store takes no key of this length.
    KeyTooLong,
}

impl ErrorKind {
    /// Whether the same request may succeed later without anybody doing anything.
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::Throttled | Self::Unavailable | Self::Corrupt)
    }

    fn advice(self) -> &'static str {
        match self {
            Self::NoSuchBucket => "create the bucket or correct its name, endpoint or region",
            Self::NoSuchKey => "the object is gone; check whether something else deletes it",
            Self::AccessDenied => "allow this operation to the agent's credentials",
            Self::BadCredentials => "check the access key, secret key and region configured for this endpoint",
            Self::Changed => "the object was replaced meanwhile; let its writers finish",
            Self::Throttled => "lower the number of objects in flight or try again later",
            Self::Unavailable => "check that the endpoint is reachable and healthy, and try again",
            Self::Invalid => "correct the request; trying again cannot help",
            Self::Corrupt => {
                "bytes were damaged on the way or in the store; try again and check the store if it persists"
            }
            Self::ClockSkew => "set this machine's clock",
            Self::Archived => "restore the object from its archive first",
            Self::Full => "make room at the store or raise its quota",
            Self::KeyTooLong => "choose a shorter target prefix or rename the object",
        }
    }
}

/// A failed operation: what was tried, on what, what came back, and what to do.
#[derive(Clone, Debug)]
pub struct StorageError {
    kind: ErrorKind,
    target: Target,
    detail: String,
    code: Option<String>,
}

/// What an operation was applied to.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) operation: &'static str,
    pub(crate) bucket: String,
    pub(crate) key: Option<String>,
}

impl fmt::Display for StorageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} s3://{}", self.target.operation, self.target.bucket)?;
        if let Some(key) = &self.target.key {
            write!(f, "/{}", key.escape_debug())?;
        }
        write!(f, " failed: {} ({})", self.detail, self.kind.advice())
    }
}

impl Error for StorageError {}

impl StorageError {
    pub(crate) fn new(kind: ErrorKind, target: Target, detail: impl Into<String>) -> Self {
        Self { kind, target, detail: detail.into(), code: None }
    }

    /// What to do about it.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether the same request may succeed later without anybody doing anything.
    pub fn is_retryable(&self) -> bool {
        self.kind.is_retryable()
    }

    /// The key it was about, where it was about one.
    pub fn key(&self) -> Option<&str> {
        self.target.key.as_deref()
    }

    /// The bucket it was about.
    pub fn bucket(&self) -> &str {
        &self.target.bucket
    }

    /// What was tried, such as `list` or `copy to`.
    pub fn operation(&self) -> &'static str {
        self.target.operation
    }

    /// The server's own code, where it gave one.
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    pub(crate) fn of_sdk<E>(target: Target, error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let status = error.raw_response().map(|response| response.status().as_u16());
        let code = error.code().map(str::to_owned);
        let (kind, detail) = match error {
            SdkError::ServiceError(_) => {
                let kind = kind_of(code.as_deref(), status.unwrap_or_default(), target.key.is_some());
                // Without a message it is an answer that could not be read; the causes say why.
                let said = error.message().map_or_else(|| chain(error), str::to_owned);
                let code = code.as_deref().unwrap_or("no code");
                (kind, format!("the server answered {} {code}: {said}", status.unwrap_or_default()))
            }
            SdkError::TimeoutError(_) => (ErrorKind::Unavailable, "timed out".to_owned()),
            SdkError::ConstructionFailure(_) => (ErrorKind::Invalid, chain(error)),
            _ => of_transport(chain(error), status),
        };
        Self { kind, target, detail, code }
    }
}

/// A failure below the protocol: nothing usable came back.
fn of_transport(causes: String, status: Option<u16>) -> (ErrorKind, String) {
    let lower = causes.to_ascii_lowercase();
    let kind = match status {
        Some(status @ 300..) => kind_of(None, status, true),
        None if lower.contains("credential") || lower.contains("identity") => ErrorKind::BadCredentials,
        _ => ErrorKind::Unavailable,
    };
    (kind, causes)
}

fn kind_of(code: Option<&str>, status: u16, has_key: bool) -> ErrorKind {
    match (code.unwrap_or_default(), status) {
        ("NoSuchBucket", _) => ErrorKind::NoSuchBucket,
        ("NoSuchKey", _) => ErrorKind::NoSuchKey,
        ("AccessDenied" | "AllAccessDisabled" | "AccountProblem", _) => ErrorKind::AccessDenied,
        (
            "SignatureDoesNotMatch"
            | "InvalidAccessKeyId"
            | "InvalidToken"
            | "ExpiredToken"
            | "AuthorizationHeaderMalformed"
            | "UnauthorizedAccess",
            _,
        )
        | (_, 401) => ErrorKind::BadCredentials,
        ("RequestTimeTooSkewed", _) => ErrorKind::ClockSkew,
        ("InvalidObjectState", _) => ErrorKind::Archived,
        ("KeyTooLongError" | "KeyTooLong", _) => ErrorKind::KeyTooLong,
        (code, status) if status == 507 || is_full(code) => ErrorKind::Full,
        ("PreconditionFailed", _) | (_, 412) => ErrorKind::Changed,
        ("SlowDown" | "ServiceUnavailable" | "Throttling" | "ThrottlingException" | "TooManyRequests", _)
        | (_, 429 | 503) => ErrorKind::Throttled,
        ("BadDigest" | "XAmzContentSHA256Mismatch" | "XAmzContentChecksumMismatch" | "InvalidDigest", _) => {
            ErrorKind::Corrupt
        }
        (
            "RequestTimeout" | "IncompleteBody" | "OperationAborted" | "ConditionalRequestConflict" | "NoSuchUpload",
            _,
        ) => ErrorKind::Unavailable,
        ("NotImplemented", _) | (_, 501) => ErrorKind::Invalid,
        ("NotFound" | "", 404) => {
            if has_key {
                ErrorKind::NoSuchKey
            } else {
                ErrorKind::NoSuchBucket
            }
        }
        (_, 403) => ErrorKind::AccessDenied,
        // An error in an answer with status 200 is S3's way to fail a request that it had begun to answer.
        ("InternalError", _) | (_, 500.. | 200..=299 | 408) => ErrorKind::Unavailable,
        _ => ErrorKind::Invalid,
    }
}

/// S3 itself has no limit of space; these are the words of servers that have one.
fn is_full(code: &str) -> bool {
    ["QuotaExceeded", "StorageFull", "InsufficientStorage", "InsufficientCapacity"]
        .iter()
        .any(|word| code.contains(word))
}

/// All causes of an error, outermost first, each once.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut texts = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !texts.iter().any(|earlier| earlier.contains(&text)) {
            texts.push(text);
        }
        cause = error.source();
    }
    texts.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_sorted_by_their_remedy() {
        let cases = [
            (Some("NoSuchBucket"), 404, ErrorKind::NoSuchBucket),
            (Some("NoSuchKey"), 404, ErrorKind::NoSuchKey),
            (Some("NotFound"), 404, ErrorKind::NoSuchKey),
            (Some("AccessDenied"), 403, ErrorKind::AccessDenied),
            (None, 403, ErrorKind::AccessDenied),
            (Some("SignatureDoesNotMatch"), 403, ErrorKind::BadCredentials),
            (Some("InvalidAccessKeyId"), 403, ErrorKind::BadCredentials),
            (Some("RequestTimeTooSkewed"), 403, ErrorKind::ClockSkew),
            (Some("PreconditionFailed"), 412, ErrorKind::Changed),
            (None, 412, ErrorKind::Changed),
            (Some("SlowDown"), 503, ErrorKind::Throttled),
            (Some("SlowDown"), 200, ErrorKind::Throttled),
            (None, 503, ErrorKind::Throttled),
            (None, 429, ErrorKind::Throttled),
            (Some("InternalError"), 500, ErrorKind::Unavailable),
            (Some("InternalError"), 200, ErrorKind::Unavailable),
            (None, 502, ErrorKind::Unavailable),
            (Some("RequestTimeout"), 400, ErrorKind::Unavailable),
            (Some("BadDigest"), 400, ErrorKind::Corrupt),
            (Some("NotImplemented"), 501, ErrorKind::Invalid),
            (Some("EntityTooLarge"), 400, ErrorKind::Invalid),
            (Some("KeyTooLongError"), 400, ErrorKind::KeyTooLong),
            (Some("InvalidObjectState"), 403, ErrorKind::Archived),
            (Some("ExpiredToken"), 400, ErrorKind::BadCredentials),
            (Some("QuotaExceeded"), 403, ErrorKind::Full),
            (Some("XMinioStorageFull"), 507, ErrorKind::Full),
            (None, 507, ErrorKind::Full),
        ];
        for (code, status, kind) in cases {
            assert_eq!(kind_of(code, status, true), kind, "{code:?} {status}");
        }
        assert_eq!(kind_of(Some("NotFound"), 404, false), ErrorKind::NoSuchBucket);
    }

    #[test]
    fn a_message_names_what_was_tried_and_what_to_do() {
        let target = Target { operation: "read", bucket: "b".into(), key: Some("a\nb".into()) };
        let error = StorageError::new(ErrorKind::AccessDenied, target, "the server answered 403");
        let text = error.to_string();
        assert_eq!(
            text,
            "read s3://b/a\\nb failed: the server answered 403 (allow this operation to the agent's credentials)"
        );
        assert!(error.source().is_none() && !error.is_retryable());
    }

    #[test]
    fn a_cause_that_its_error_already_names_is_not_repeated() {
        #[derive(Debug, thiserror::Error)]
        #[error("outer: {0}")]
        struct Outer(#[source] std::io::Error);
        let error = Outer(std::io::Error::other("reset"));
        assert_eq!(chain(&error), "outer: reset");
    }
}
