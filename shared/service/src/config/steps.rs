//! How agents run the programs of workflows.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::human_duration;

/// How agents run programs (`HONK_STEPS__PASS_ENV`, …). Programs inherit nothing: they see `PATH`, the locale, what is passed here by name,
/// what the workflow says in `env:`, and what Honk tells them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StepsConfig {
    /// Names of the agent's own variables that programs get too, such as `AWS_PROFILE`. What sounds secret by its name
    /// is masked in logs and in the messages of failures, but not in outputs, which are data.
    pub pass_env: Vec<String>,
    /// Where work directories are made; the system's folder for temporary files if empty.
    pub work_dir: Option<PathBuf>,
    /// Where the files of workflows are kept between jobs; below `work_dir` if empty.
    pub cache_dir: Option<PathBuf>,
    /// Processor time of a program, and of all that it starts.
    #[serde(with = "human_duration")]
    pub cpu: Duration,
    /// Memory of a program and all that it starts, in MiB.
    pub memory_mib: u64,
    /// The largest file it may write, in MiB.
    pub file_mib: u64,
    /// Processes at one time.
    pub processes: u32,
    /// What is kept of its output, in MiB.
    pub log_mib: u64,
}

impl Default for StepsConfig {
    fn default() -> Self {
        Self {
            pass_env: Vec::new(),
            work_dir: None,
            cache_dir: None,
            cpu: Duration::from_hours(1),
            memory_mib: 4 << 10,
            file_mib: 64 << 10,
            processes: 512,
            log_mib: 10,
        }
    }
}
