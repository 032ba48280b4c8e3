//! Workflows: registering one, the list of them, and one with its text.

use honk_protocol::name::{JobName, PoolName, WorkflowHash, WorkflowName};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Fault;

/// Answer to `POST /api/workflows` (201 for a new name, else 200), whose body is the YAML text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkflowRegistered {
    /// Its name.
    pub name: WorkflowName,
    /// The version, by content.
    pub hash: WorkflowHash,
    /// What became of it.
    pub status: WorkflowStatus,
    /// What is allowed but probably not meant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Fault>,
}

/// What became of a registered workflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WorkflowStatus {
    /// There was none of this name.
    Created,
    /// There was another version of this name; runs that have begun keep theirs.
    Updated,
    /// It is the current version already.
    Unchanged,
}

/// Answer to `GET /api/workflows`: all of them, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkflowPage {
    /// The workflows.
    pub workflows: Vec<WorkflowSummary>,
}

/// A workflow's current version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkflowSummary {
    /// Its name.
    pub name: WorkflowName,
    /// The version, by content.
    pub hash: WorkflowHash,
    /// When this version was registered.
    pub registered_at: Timestamp,
}

/// A workflow. Answer to `GET /api/workflows/{name}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkflowView {
    /// Name, version, and since when.
    #[serde(flatten)]
    pub summary: WorkflowSummary,
    /// The YAML as it was registered.
    pub source: String,
    /// Its jobs, in the order of the file.
    pub jobs: Vec<WorkflowJob>,
    /// The checked workflow as it is run.
    pub definition: Value,
}

/// A job of a workflow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkflowJob {
    /// Its name.
    pub name: JobName,
    /// The pool that serves it.
    pub pool: PoolName,
    /// The jobs that must succeed first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<JobName>,
}
