//! Which version of a workflow is current. The versions themselves are immutable and kept by their hash.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::name::{WorkflowHash, WorkflowName};

/// What [`crate::subject::workflow_name_key`] keeps: a workflow's current version, which
/// [`crate::subject::workflow_version_key`] has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkflowPointer {
    /// The workflow.
    pub name: WorkflowName,
    /// Its current version.
    pub hash: WorkflowHash,
    /// Since when that is its current version.
    pub registered_at: Timestamp,
    /// The YAML as it was registered, with its comments; for people.
    pub source: String,
}
