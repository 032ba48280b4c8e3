//! A checked workflow, as it is stored, hashed and run. Whoever holds a [`Workflow`] need not ask whether its jobs
//! exist, whether they are in a circle, or whether a number is within its bounds.

use std::collections::BTreeMap;

use honk_protocol::name::{JobName, PoolName, WorkflowHash, WorkflowName};
use honk_protocol::retry::RetryPolicy;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::graph;

/// A workflow without faults.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Workflow {
    /// The name it is registered under.
    pub name: WorkflowName,
    /// What starts a run of it.
    pub on: Trigger,
    /// Environment of all steps; a job's and a step's own variables take precedence ([`Workflow::environment`]).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// The jobs in the order of the file: at least one, with distinct names.
    pub jobs: Vec<Job>,
}

/// What starts a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trigger {
    /// Types of events, in the order of the file: at least one, each one token of a subject.
    pub events: Vec<String>,
}

/// A node of the graph.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Its key under `jobs`.
    pub name: JobName,
    /// Its `name`: what people are shown instead of the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The jobs that must succeed first: all exist, none twice, and following them never leads back here.
    pub needs: Vec<JobName>,
    /// Whose agents run it.
    pub pool: PoolName,
    /// What it does, one after the other: at least one step.
    pub steps: Vec<Step>,
    /// How often and when a failed attempt is repeated.
    pub retry: RetryPolicy,
    /// How long one attempt may take, in milliseconds.
    pub timeout_ms: u64,
    /// Environment of all its steps.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
}

/// One step of a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// What people are shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it does.
    pub action: StepAction,
    /// Environment of this step alone.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
}

/// What a step does. Texts may hold expressions ([`crate::expr::Template`]), which are well-formed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepAction {
    /// Calls an action of the agent.
    Uses {
        /// Like `honk/migrate`.
        action: String,
        /// Its inputs; keys are sorted at every level.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        with: BTreeMap<String, Value>,
    },
    /// Starts a program.
    Run {
        /// The program and its arguments, or a script.
        run: Run,
        /// The shell that reads a script ([`StepAction::SHELLS`]); without one, no shell is involved.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        shell: Option<String>,
    },
}

/// What a `run` step starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Run {
    /// With a shell: a script without expressions. Without: one command, split into words *before* expressions are
    /// filled in, so that a value is never more than a part of one argument.
    Text(String),
    /// A program and its arguments, each filled in by itself; not empty.
    Argv(Vec<String>),
}

/// Why a stored workflow is not used.
#[derive(Debug, thiserror::Error)]
pub enum FromJsonError {
    /// Not the JSON of a workflow.
    #[error("the stored workflow is not valid")]
    Json(#[from] serde_json::Error),
    /// JSON of a workflow that [`crate::parse`] would have refused.
    #[error("the stored workflow's graph is not sound: {0}")]
    Graph(String),
}

impl Workflow {
    /// The longest canonical JSON: a stored workflow must fit into one NATS message, whose default limit is 1 MiB.
    pub const MAX_JSON: usize = 900 * 1024;

    /// The canonical JSON: the same workflow always gives the same bytes.
    #[expect(clippy::expect_used, reason = "strings as keys and no non-finite numbers: there is nothing that fails")]
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a workflow is JSON")
    }

    /// Reads what [`Workflow::to_json`] wrote.
    pub fn from_json(json: &[u8]) -> Result<Self, FromJsonError> {
        let workflow: Self = serde_json::from_slice(json)?;
        graph::sound(&workflow).map_err(FromJsonError::Graph)?;
        Ok(workflow)
    }

    /// The version that a run is pinned to.
    pub fn hash(&self) -> WorkflowHash {
        WorkflowHash::of(&self.to_json())
    }

    /// The job of this name.
    pub fn job(&self, name: &JobName) -> Option<&Job> {
        self.jobs.iter().find(|job| job.name == *name)
    }

    /// The variables of a step: its own before its job's before the workflow's. Values may hold expressions.
    pub fn environment<'a>(&'a self, job: &'a Job, step: &'a Step) -> BTreeMap<&'a str, &'a str> {
        [&self.env, &job.env, &step.env].into_iter().flatten().map(|(k, v)| (k.as_str(), v.as_str())).collect()
    }
}

impl Trigger {
    /// The event that onboards a dataset.
    pub const DATASET_ONBOARD: &'static str = "dataset_onboard";

    /// Whether an event of this type starts a run.
    pub fn fires_on(&self, event_type: &str) -> bool {
        self.events.iter().any(|event| event == event_type)
    }
}

impl Job {
    /// How long an attempt may take if the workflow says nothing: one hour, in milliseconds.
    pub const DEFAULT_TIMEOUT_MS: u64 = 60 * 60 * 1000;

    /// What people are shown: the title, else the name.
    pub fn display_name(&self) -> &str {
        self.title.as_deref().unwrap_or_else(|| self.name.as_str())
    }
}

impl StepAction {
    /// The shells that a step may ask for.
    pub const SHELLS: [&'static str; 2] = ["bash", "sh"];
}
