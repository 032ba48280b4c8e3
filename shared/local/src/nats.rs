//! `nats-server` as a child process: found or fetched once, started, awaited until it serves, stopped or killed.
//!
//! A real server rather than an imitation, because what Honk relies on (compare-and-set on a subject, redelivery,
//! recovery of a store after `kill -9`) is exactly what an imitation would get subtly wrong.

mod fetch;
mod find;
mod process;
mod ready;
mod server;

pub use find::{Lookup, find_or_fetch};
pub use server::{NatsOptions, NatsServer};

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// The oldest `nats-server` that has everything Honk uses (per-message TTL and delete markers, atomic batches).
pub const MINIMUM_VERSION: (u32, u32) = (2, 12);

/// The version that is fetched where none is installed; what Honk is tested with.
pub const PINNED_VERSION: &str = "2.15.1";

/// Why there is no running `nats-server`.
#[derive(Debug, thiserror::Error)]
pub enum NatsError {
    /// The server that was named explicitly is older than [`MINIMUM_VERSION`].
    #[error("{} is nats-server {found}, too old: Honk needs 2.12 or newer; let NATS_SERVER name a newer one, or unset it", path.display())]
    TooOld {
        /// The executable.
        path: PathBuf,
        /// What it says its version is.
        found: String,
    },
    /// The executable cannot be run, or does not answer `--version` as `nats-server` does.
    #[error("{} does not work as nats-server: {reason}; let NATS_SERVER name a nats-server 2.12 or newer, or unset it", path.display())]
    NotAServer {
        /// The executable.
        path: PathBuf,
        /// What it did instead.
        reason: String,
    },
    /// There is no server on this machine and none could be fetched.
    #[error(
        "found no nats-server 2.12 or newer, and fetching {PINNED_VERSION} failed: {reason}\nInstall nats-server, or let NATS_SERVER name it"
    )]
    Fetch {
        /// The step that failed, with the end of what the tool printed.
        reason: String,
    },
    /// A file or a process could not be handled.
    #[error("cannot {doing}")]
    Io {
        /// What was being done, as words that follow "cannot".
        doing: String,
        /// The system's answer.
        source: io::Error,
    },
    /// The server ended while it was being waited for: a port in use, a configuration it refuses, a damaged store.
    #[error("nats-server ended before it was ready ({status}); its log ends with:\n{log}")]
    Died {
        /// Its exit status.
        status: String,
        /// The last lines of its log.
        log: String,
    },
    /// The server runs but did not serve in time.
    #[error("nats-server was not ready after {} s; its log ends with:\n{log}", after.as_secs())]
    NotReady {
        /// How long it was given.
        after: Duration,
        /// The last lines of its log.
        log: String,
    },
}

impl NatsError {
    /// For `map_err`: an I/O error with what was being done.
    fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Io { doing, source }
    }
}
