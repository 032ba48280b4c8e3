//! What can go wrong between Honk and JetStream. The client's errors print their source and return it too; here each is
//! turned, once, into one that says what was tried and why it failed.

use std::error::Error;

/// A request to the server that did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// No server could be reached, or it refused the connection.
    #[error("cannot connect to NATS at {url}: {problem}")]
    Connect {
        /// The URL, without credentials.
        url: String,
        /// Why.
        problem: String,
    },
    /// The server did not answer in time; it may or may not have done what was asked.
    #[error("{what}: no answer from the server in time")]
    Timeout {
        /// What was tried.
        what: String,
    },
    /// Another writer was faster: the expectation does not hold.
    #[error("{what}: another revision is stored")]
    Conflict {
        /// What was tried.
        what: String,
    },
    /// The stream, bucket, consumer or message does not exist.
    #[error("{what}: it does not exist on the server")]
    NotFound {
        /// What was tried.
        what: String,
    },
    /// The message is larger than the server or the stream allows.
    #[error("{what}: {problem}")]
    TooLarge {
        /// What was tried.
        what: String,
        /// The sizes.
        problem: String,
    },
    /// The server refused.
    #[error("{what}: {problem}")]
    Refused {
        /// What was tried.
        what: String,
        /// The server's words.
        problem: String,
    },
}

impl BusError {
    /// Whether another writer was faster, so that reading again and deciding again helps.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict { .. })
    }

    /// Whether only reading again tells what is stored now: another writer was faster, or nobody has said whether the write was done.
    pub fn leaves_open(&self) -> bool {
        matches!(self, Self::Conflict { .. } | Self::Timeout { .. })
    }

    /// Whether the same request can succeed later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Connect { .. } | Self::Timeout { .. } | Self::NotFound { .. } | Self::Refused { .. })
    }

    pub(crate) fn refused(what: impl Into<String>, error: &dyn Error) -> Self {
        Self::Refused { what: what.into(), problem: cause(error) }
    }

    pub(crate) fn request(what: impl Into<String>, error: &async_nats::RequestError) -> Self {
        use async_nats::RequestErrorKind as Kind;
        let what = what.into();
        match error.kind() {
            Kind::TimedOut => Self::Timeout { what },
            Kind::NoResponders => Self::NotFound { what },
            Kind::MaxPayloadExceeded => Self::TooLarge { what, problem: cause(error) },
            Kind::InvalidSubject | Kind::Other => Self::refused(what, error),
        }
    }
}

/// Why the server's streams and consumers could not be made to match the topology.
#[derive(Debug, thiserror::Error)]
pub enum ProvisionError {
    /// Something exists in a form that cannot be changed without losing messages.
    #[error(
        "{kind} `{name}` exists with {differences}; change it by hand, or set Honk's topology to match: nothing was changed"
    )]
    Differs {
        /// `stream`, `bucket` or `consumer`.
        kind: &'static str,
        /// Its name.
        name: String,
        /// `field: have → want`, separated by commas.
        differences: String,
    },
    /// The server has no room for what a stream or bucket reserves.
    #[error(
        "no room on the server for `{name}`, which reserves {bytes} bytes: give JetStream more with \
         `max_file_store` in the server's configuration or the account's limits (by default a server takes three \
         quarters of the disk that was free when it started), or free some disk and restart the server"
    )]
    NoRoom {
        /// Of the stream.
        name: String,
        /// What it reserves, in bytes, on each server that holds a copy of it.
        bytes: i64,
    },
    /// A request failed.
    #[error(transparent)]
    Bus(#[from] BusError),
}

/// The innermost cause: the outer errors of the client repeat it.
pub(crate) fn cause(error: &dyn Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
