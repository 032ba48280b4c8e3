//! `honk bench store`, hidden: an embedded store in memory. Reads its keys from standard input, prints where it listens, and serves until
//! standard input is closed, so that it never outlives who started it.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use honk_local::s3::{S3Options, S3Server, Storage};
use serde::{Deserialize, Serialize};

use super::child::{closed, told};
use crate::error::CliError;
use crate::output::Output;

/// What a store is told.
#[derive(Serialize, Deserialize)]
pub(super) struct Told {
    pub(super) access_key: String,
    pub(super) secret_key: String,
    /// How long every request waits before it is looked at, in milliseconds.
    #[serde(default)]
    pub(super) latency_ms: u64,
}

/// What it answers.
#[derive(Serialize, Deserialize)]
pub(super) struct Served {
    /// Where it listens.
    pub(super) url: String,
}

/// Serves until standard input is closed.
pub(crate) async fn run(output: &Output) -> Result<(), CliError> {
    let Told { access_key, secret_key, latency_ms } = told()?;
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let options = S3Options { listen, storage: Storage::Memory, access_key, secret_key };
    let server = S3Server::start_far_away(options, Duration::from_millis(latency_ms)).await;
    let server = server.map_err(|error| CliError::failed("cannot start the store").caused_by(&error))?;
    output.json(&Served { url: server.url() })?;
    closed().await
}
