//! Workflows: registering one, the list of them, one with its text, its versions.

use honk_protocol::name::{JobName, PoolName, WorkflowHash, WorkflowName};
use honk_protocol::workflow::SourceFile;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Fault;

/// Answer to `POST /api/workflows` (201 for a new name, else 200), whose body is the YAML text, or `multipart/form-data` with the YAML as
/// the part `workflow` and the files that its steps need as parts `file`, or `executable` for those that are started as programs; their file
/// names are their paths below the work directory. Answer to `POST /api/workflows/{name}/rollback` too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkflowRegistered {
    /// Its name.
    pub name: WorkflowName,
    /// The version, by content.
    pub hash: WorkflowHash,
    /// What became of it.
    pub status: WorkflowStatus,
    /// The paths of the files that came with it, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
    /// What is allowed but probably not meant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Fault>,
}

/// Query of `POST /api/workflows`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkflowRegistration {
    /// Take warnings for errors.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub strict: bool,
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

/// A workflow's current version. Answer to `POST /api/workflows/{name}/pause` and `…/resume` too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkflowSummary {
    /// Its name.
    pub name: WorkflowName,
    /// The version, by content.
    pub hash: WorkflowHash,
    /// Since when this version is, or last was, the current one.
    pub registered_at: Timestamp,
    /// Whether the workflow is paused: none of its runs begins.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
}

/// A version of a workflow: the current one as the answer to `GET /api/workflows/{name}`, the one whose hash begins with the given digits, at
/// least six, as that to `GET /api/workflows/{name}/versions/{hash}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkflowView {
    /// Name, version, and since when.
    #[serde(flatten)]
    pub summary: WorkflowSummary,
    /// Whether it is the current one.
    #[serde(default)]
    pub current: bool,
    /// The YAML as it was registered.
    pub source: String,
    /// The files that came with it, by path.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<SourceFile>,
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

/// Answer to `GET /api/workflows/{name}/history`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkflowHistory {
    /// The workflow.
    pub name: WorkflowName,
    /// Which versions were current, the newest first; the first one is.
    pub versions: Vec<WorkflowTermView>,
}

/// The time for which a version was current.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkflowTermView {
    /// The version.
    pub hash: WorkflowHash,
    /// Since when.
    pub since: Timestamp,
    /// Until when; none if it still is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Whether somebody went back to it, instead of registering it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rollback: bool,
}

/// Body of `POST /api/workflows/{name}/rollback`; an empty body means the same as an empty object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkflowRollback {
    /// The version, by at least six digits of its hash; none means the one before the current one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// Query of `DELETE /api/workflows/{name}`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkflowDeletion {
    /// Also if datasets name it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub force: bool,
}
