//! A checked workflow, as it is stored, hashed and run. Whoever holds a [`Workflow`] need not ask whether its jobs
//! exist, whether they are in a circle, or whether a number is within its bounds.

use std::collections::BTreeMap;

use honk_protocol::name::{BundleHash, JobName, PoolName, WorkflowHash, WorkflowName};
use honk_protocol::retry::RetryPolicy;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::expr::{Condition, ExprError};
use crate::graph;

mod candidates;
mod limits;
mod schedule;
mod strategy;

pub use self::limits::{Concurrency, Rate};
pub use self::schedule::{Schedule, ScheduleError};
pub use self::strategy::{Axis, AxisValues, Matrix, MatrixError, Strategy};

/// A workflow without faults.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Workflow {
    /// The name it is registered under.
    pub name: WorkflowName,
    /// What starts a run of it.
    pub on: Trigger,
    /// How long a run may take from its start to the end of its last job, in milliseconds; without one, as long as its jobs do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u64>,
    /// Which of its runs are done one at a time; without it, those of one dataset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<Concurrency>,
    /// How many of its runs may begin in how long a time; without it, as many as there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// Files beside the workflow that its steps need and do not name, as globs: for whoever registers it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<String>,
    /// Environment of all steps; a job's and a step's own variables take precedence ([`Workflow::environment`]).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// The files that its steps need, which lie in their work directory; none if they need none. The text of a workflow cannot say
    /// this: whoever registers it adds it, and so another file makes another version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<BundleRef>,
    /// The jobs in the order of the file: at least one, with distinct names.
    pub jobs: Vec<Job>,
}

/// Files that were registered together with a workflow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundleRef {
    /// What they are kept under, and verified by.
    pub hash: BundleHash,
    /// Their paths, relative to the work directory, sorted; with `/` on every system.
    pub files: Vec<String>,
}

/// What starts a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trigger {
    /// Types of events, in the order of the file, each one token of a subject: at least one, unless there is a schedule.
    pub events: Vec<String>,
    /// Times at which runs begin without an event.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub schedule: Vec<Schedule>,
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
    /// Whether it is started ([`Job::condition`]); without one, if all that it needs succeeded.
    #[serde(default, rename = "if", skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// Whether the jobs that need it go on as if it had succeeded when it fails, and the run does too.
    #[serde(default, skip_serializing_if = "is_false")]
    pub continue_on_error: bool,
    /// What it is done for, if for more than the dataset as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<Strategy>,
    /// Whose agents run it.
    pub pool: PoolName,
    /// What it does, one after the other: at least one step.
    pub steps: Vec<Step>,
    /// How often and when a failed attempt is repeated.
    pub retry: RetryPolicy,
    /// How long one attempt may take, in milliseconds.
    pub timeout_ms: u64,
    /// Exit statuses of its programs after which trying again cannot help ([`Job::reject_codes`]).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reject_codes: Vec<u8>,
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
    /// Whether it is done ([`Step::condition`]); without one, if all steps before it succeeded.
    #[serde(default, rename = "if", skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// Whether the job goes on as if it had succeeded when it fails.
    #[serde(default, skip_serializing_if = "is_false")]
    pub continue_on_error: bool,
    /// What it does.
    pub action: StepAction,
    /// Its own instead of its job's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reject_codes: Option<Vec<u8>>,
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

    /// Its `if:`, read.
    ///
    /// # Errors
    /// Not for a workflow that [`crate::parse`] accepted.
    pub fn condition(&self) -> Result<Option<Condition>, ExprError> {
        self.condition.as_deref().map(Condition::parse).transpose()
    }

    /// Whether it is to be started once all that it needs has ended in whatever way, and not only after success: its condition mentions
    /// `always()`, `failure()` or `cancelled()`.
    pub fn regardless(&self) -> bool {
        matches!(self.condition(), Ok(Some(condition)) if condition.is_regardless())
    }

    /// The exit statuses of a step's program after which trying again cannot help: the step's own, else the job's.
    pub fn reject_codes<'a>(&'a self, step: &'a Step) -> &'a [u8] {
        step.reject_codes.as_deref().unwrap_or(&self.reject_codes)
    }
}

impl Step {
    /// Its `if:`, read.
    ///
    /// # Errors
    /// Not for a workflow that [`crate::parse`] accepted.
    pub fn condition(&self) -> Result<Option<Condition>, ExprError> {
        self.condition.as_deref().map(Condition::parse).transpose()
    }
}

impl StepAction {
    /// The shells that a step may ask for.
    pub const SHELLS: [&'static str; 3] = ["bash", "sh", "python"];

    /// Owner and name of an action, `OWNER/NAME`: each a lower-case letter, then lower-case letters, digits, `-` or `_`. `None` if the
    /// text is no action's name.
    pub fn split_name(action: &str) -> Option<(&str, &str)> {
        let part = |part: &&str| {
            part.as_bytes().first().is_some_and(u8::is_ascii_lowercase)
                && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b))
        };
        action.split_once('/').filter(|(owner, name)| part(owner) && part(name))
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}
