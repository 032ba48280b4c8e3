//! `honk bench mover`, hidden: copies and verifies one prefix with the engine of `honk/migrate`, as its agent would, and says what that took.

use honk_migrate::config::MigrateSection;
use honk_migrate::copy::{CopyPlan, Progress, migrate_objects};
use honk_storage::{Place, StorageSettings, Stores};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::super::cpu::used_so_far;
use super::child::told;
use crate::error::CliError;
use crate::output::Output;

/// What to copy. Places are bucket, prefix and URL.
#[derive(Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) source: (String, String, String),
    pub(super) target: (String, String, String),
    pub(super) storage: StorageSettings,
}

/// What was done, and what it took.
#[derive(Serialize, Deserialize)]
pub(super) struct Moved {
    /// Objects copied and proved equal.
    pub(super) objects: u64,
    /// Their bytes.
    pub(super) bytes: u64,
    /// CPU time of the whole process, in seconds.
    pub(super) cpu_s: f64,
    /// The most memory that the process has had resident, in KiB, where the system tells.
    pub(super) peak_kib: Option<u64>,
}

/// Does what standard input says.
pub(crate) async fn run(output: &Output) -> Result<(), CliError> {
    let Order { source, target, storage } = told()?;
    let place = |(bucket, prefix, url): (String, String, String)| Place::new(bucket, prefix).at(url);
    let plan = CopyPlan {
        stores: Stores::new(storage.into()),
        source: place(source),
        target: place(target),
        settings: MigrateSection { slots: 1, ..MigrateSection::default() }.copy_settings(),
        journal: None,
    };
    let copied = Box::pin(migrate_objects(plan, &Progress::default(), &CancellationToken::new())).await;
    let report = copied.map_err(|error| CliError::failed("the copy failed").caused_by(&error))?;
    if report.copied != report.objects {
        return Err(CliError::failed("something was at the target before the measurement"));
    }
    output.json(&Moved {
        objects: report.objects,
        bytes: report.bytes,
        cpu_s: used_so_far().as_secs_f64(),
        peak_kib: peak_kib(),
    })
}

/// `VmHWM` (proc(5)).
fn peak_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
