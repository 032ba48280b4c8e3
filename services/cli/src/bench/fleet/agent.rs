//! `honk bench agent`, hidden: a migrate agent as `honk-migrate` runs it, until standard input is closed.

use honk_migrate::config::MigrateConfig;
use honk_storage::StorageSettings;
use serde::{Deserialize, Serialize};

use super::super::child::{closed, told};
use super::super::cpu::{peak_kib, used_so_far};
use crate::error::CliError;
use crate::output::Output;
use crate::system::{Services, context};

/// What an agent is told.
#[derive(Serialize, Deserialize)]
pub(super) struct Told {
    /// The server's URL.
    pub(super) nats: String,
    /// How to reach the store.
    pub(super) storage: StorageSettings,
}

/// What it has used when it ends.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Used {
    /// CPU time, in seconds.
    pub(super) cpu_s: f64,
    /// The most memory that it has had resident, in KiB, where the system tells.
    pub(super) peak_kib: Option<u64>,
}

/// Serves until standard input is closed.
pub(crate) async fn run(output: &Output) -> Result<(), CliError> {
    let Told { nats, storage } = told()?;
    let mut context = context("warn")?;
    context.common.nats.url = nats;
    let mut services = Services::new();
    let config = MigrateConfig { storage, ..MigrateConfig::default() };
    services.start(&context, "honk-migrate", config, honk_migrate::serve);
    services.during(&context, closed()).await?;
    output.json(&Used { cpu_s: used_so_far().as_secs_f64(), peak_kib: peak_kib() })
}
