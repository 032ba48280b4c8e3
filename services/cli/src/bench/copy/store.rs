//! `honk bench store`, hidden: an embedded store in memory. Reads its keys from standard input, prints where it listens, and serves until
//! standard input is closed, so that it never outlives who started it.

use std::net::{Ipv4Addr, SocketAddr};

use honk_local::s3::{S3Options, S3Server, Storage};
use serde::{Deserialize, Serialize};

use super::child::told;
use crate::error::CliError;
use crate::output::Output;

/// What a store is told.
#[derive(Serialize, Deserialize)]
pub(super) struct Keys {
    pub(super) access_key: String,
    pub(super) secret_key: String,
}

/// What it answers.
#[derive(Serialize, Deserialize)]
pub(super) struct Served {
    /// Where it listens.
    pub(super) url: String,
}

/// Serves until standard input is closed.
pub(crate) async fn run(output: &Output) -> Result<(), CliError> {
    let Keys { access_key, secret_key } = told()?;
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let server = S3Server::start(S3Options { listen, storage: Storage::Memory, access_key, secret_key }).await;
    let server = server.map_err(|error| CliError::failed("cannot start the store").caused_by(&error))?;
    output.json(&Served { url: server.url() })?;
    // Whatever else arrives, or an error: only the end counts.
    let ended = tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink()));
    ended.await.map(drop).map_err(|error| CliError::failed("the store broke off").caused_by(&error))
}
