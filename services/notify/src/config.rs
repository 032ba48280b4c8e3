//! The settings of `honk-notify`.

use std::time::Duration;

use honk_service::Secret;
use honk_service::config::human_duration;
use serde::{Deserialize, Serialize};

use crate::schedule::STANDARD_SECONDS;

/// All sections of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NotifyConfig {
    /// How this agent works.
    pub notify: NotifySection,
}

/// How receivers are told (`HONK_NOTIFY__SECRETS`, …).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NotifySection {
    /// Datasets whose receivers are told at a time.
    pub slots: usize,
    /// Signing secrets, `whsec_…` each, the newest first; every notice is signed with all of them. Without any, notices go unsigned.
    pub secrets: Vec<Secret>,
    /// Whether receivers may be at loopback and private addresses. Metadata services are out of reach in any case.
    pub allow_private: bool,
    /// How long a receiver may take to answer.
    #[serde(with = "human_duration")]
    pub timeout: Duration,
    /// How many seconds after its first, second, … failure a receiver is tried again.
    pub retry_seconds: Vec<u64>,
}

impl Default for NotifySection {
    fn default() -> Self {
        Self {
            slots: 32,
            secrets: Vec::new(),
            allow_private: false,
            // Standard Webhooks: 15 to 30 seconds.
            timeout: Duration::from_secs(15),
            retry_seconds: STANDARD_SECONDS.to_vec(),
        }
    }
}
