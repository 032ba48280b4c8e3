//! The settings of `honk-validate`.

use honk_storage::StorageSettings;
use serde::{Deserialize, Serialize};

use crate::estimate::Prices;

/// All sections of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ValidateConfig {
    /// How this agent works.
    pub validate: ValidateSection,
    /// How to reach object stores.
    pub storage: StorageSettings,
}

/// How this agent works (`HONK_VALIDATE__SLOTS`, `HONK_VALIDATE__PRICES__GIB_OUT`, …).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ValidateSection {
    /// Datasets validated at a time. Most of the time goes by waiting for listings.
    pub slots: usize,
    /// What requests cost, for the estimate.
    pub prices: Prices,
}

impl Default for ValidateSection {
    fn default() -> Self {
        Self { slots: 16, prices: Prices::default() }
    }
}
