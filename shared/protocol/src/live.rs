//! Progress while a job runs. Sent at most once, stored nowhere: what must not be lost is in the run record.

use serde::{Deserialize, Serialize};

/// What an agent says about an attempt that it works on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Progress {
    /// The attempt, from 1.
    pub attempt: u32,
    /// The agent's name.
    pub agent: String,
    /// Objects done.
    pub objects: u64,
    /// Objects in all, as far as they are known by now.
    pub objects_total: u64,
    /// Bytes done.
    pub bytes: u64,
    /// Bytes in all, as far as they are known by now.
    pub bytes_total: u64,
}
