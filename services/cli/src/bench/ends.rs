//! The endpoints of a measurement: those that the command names, or embedded stores of its own.

use honk_storage::StorageSettings;

use super::child::Process;
use super::store::{Served, Told};
use crate::arguments::StoreArguments;
use crate::error::CliError;

/// Endpoints, and how to reach them.
pub(super) struct Ends {
    /// Keys and region.
    pub(super) storage: StorageSettings,
    /// At least one.
    pub(super) urls: Vec<String>,
    /// Stores of one's own are gone with their processes.
    servers: Vec<Process>,
}

impl Ends {
    /// The given ones; if there are none, `count` stores of one's own that keep everything in memory, at each of which every request waits
    /// `latency_ms` before it is looked at.
    pub(super) async fn open(given: &StoreArguments, count: usize, latency_ms: u64) -> Result<Self, CliError> {
        let StoreArguments { endpoint, access_key, secret_key, region } = given;
        let mut urls: Vec<String> = endpoint.iter().map(ToString::to_string).collect();
        let mut servers = Vec::new();
        for _ in 0..if urls.is_empty() { count } else { 0 } {
            let told = Told { access_key: access_key.clone(), secret_key: secret_key.clone(), latency_ms };
            let mut server = Process::start("store", &told).await?;
            let Served { url } = server.answer().await?;
            urls.push(url);
            servers.push(server);
        }
        let storage = StorageSettings {
            region: region.clone(),
            access_key: Some(access_key.clone()),
            secret_key: Some(secret_key.clone().into()),
            ..StorageSettings::default()
        };
        Ok(Self { storage, urls, servers })
    }

    /// Whether they are gone with this process, so that nothing needs to be removed there.
    pub(super) fn is_own(&self) -> bool {
        !self.servers.is_empty()
    }

    /// Where the source is.
    pub(super) fn first(&self) -> Result<&str, CliError> {
        self.urls.first().map(String::as_str).ok_or_else(|| CliError::usage("there is no endpoint to measure"))
    }
}
