//! The settings of `honk-runner`.

use honk_protocol::name::PoolName;
use serde::{Deserialize, Serialize};

/// All sections of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunnerConfig {
    /// How this agent works.
    pub runner: RunnerSection,
}

/// How this agent works (`HONK_RUNNER__POOLS`, …).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunnerSection {
    /// The pools that it serves; each must have been provisioned.
    pub pools: Vec<PoolName>,
    /// Programs at a time, for each pool.
    pub slots: usize,
}

impl Default for RunnerSection {
    fn default() -> Self {
        Self { pools: vec![PoolName::default_pool()], slots: 4 }
    }
}
