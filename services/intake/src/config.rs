//! The settings of `honk-intake`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// All sections of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct IntakeConfig {
    /// How intake works.
    pub intake: IntakeSection,
}

/// How intake works (`HONK_INTAKE__SLOTS`, …).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct IntakeSection {
    /// Events handled at a time.
    pub slots: usize,
    /// The workflow of datasets whose entity and event name none.
    pub default_workflow: String,
    /// How often to look for runs that no message carries.
    #[serde(with = "honk_service::config::human_duration")]
    pub sweep_every: Duration,
    /// How long a run must have stood still before it is looked at; longer than an ack wait.
    #[serde(with = "honk_service::config::human_duration")]
    pub sweep_after: Duration,
    /// Whether to make streams and consumers that are missing, at the start and at every sweep. Needs a user that may.
    pub provision: bool,
}

impl Default for IntakeSection {
    fn default() -> Self {
        Self {
            slots: 64,
            default_workflow: "migrate-dataset".into(),
            sweep_every: Duration::from_secs(30),
            sweep_after: Duration::from_secs(90),
            provision: false,
        }
    }
}
