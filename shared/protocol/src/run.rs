//! The run record: one execution of a workflow for one dataset, kept under one key. Everything that decides what happens
//! next is in it, so that one compare-and-set both records a fact and decides what follows from it.
//!
//! A record changes only through [`Run::apply`] (`run/apply.rs`); this file is what it is made of.

mod apply;
mod graph;
#[cfg(test)]
mod tests;

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use self::apply::{Effect, Refusal, RunEvent};
use crate::name::{DatasetName, JobName, PoolName, RunId, WorkflowHash, WorkflowName};
use crate::reason::Reason;

/// The record's schema version; a reader refuses others.
pub const RUN_VERSION: u8 = 1;

/// Values a job leaves for later jobs and for people.
pub type Outputs = Map<String, Value>;

/// A run of a workflow for a dataset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// [`RUN_VERSION`].
    pub v: u8,
    /// The run's id.
    pub id: RunId,
    /// The dataset it is for.
    pub dataset: DatasetName,
    /// The workflow, pinned to one version.
    pub workflow: WorkflowRef,
    /// The event that asked for it.
    pub event: EventRef,
    /// Where it stands.
    pub state: RunState,
    /// When it was created.
    pub created_at: Timestamp,
    /// When the record last changed.
    pub updated_at: Timestamp,
    /// When it came to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// W3C `traceparent` of its trace's origin; empty if there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub trace: String,
    /// The run of the same dataset that waits for this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub successor: Option<RunId>,
    /// The run that took this one's place while it waited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub superseded_by: Option<RunId>,
    /// Its jobs, in the workflow's order.
    pub jobs: Vec<Job>,
}

/// A workflow's name and version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkflowRef {
    /// Its name.
    pub name: WorkflowName,
    /// The version, by content.
    pub hash: WorkflowHash,
}

/// An event's identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventRef {
    /// `CloudEvents` `source`.
    pub source: String,
    /// `CloudEvents` `id`.
    pub id: String,
}

/// Where a run stands. The last six are the results that OpenTelemetry's CI/CD conventions distinguish.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// Another run of the same dataset is live.
    Waiting,
    /// It has jobs to do.
    Running,
    /// Every job succeeded.
    Success,
    /// A job failed by its own fault.
    Failure,
    /// A job failed by the system's fault.
    Error,
    /// A job took too long.
    Timeout,
    /// It was given up before its end.
    Cancelled,
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// A job that it needs is not done.
    Pending,
    /// Dispatched; an agent may be working on it for less than a second already.
    Ready,
    /// An agent is working on it, and has said so.
    Running,
    /// Done.
    Success,
    /// Dead-lettered: it can be replayed or discarded.
    Dead,
    /// Its dead letter was discarded.
    Failed,
    /// A job that it needs is dead or failed.
    Skipped,
    /// The run was given up.
    Cancelled,
}

/// How an attempt that did not succeed is classed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fault {
    /// The job's own fault.
    Failure,
    /// It took longer than its `timeout`.
    Timeout,
    /// The system's fault: the agent was killed, the storage was gone.
    Error,
}

/// Why an attempt did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The stable code.
    pub reason: Reason,
    /// Whose fault.
    pub fault: Fault,
    /// What happened, for people.
    pub message: String,
    /// The attempt, from 1.
    pub attempt: u32,
    /// When.
    pub at: Timestamp,
}

/// Which attempt of which dispatch: the token that fences off an agent whose job was taken over. Later is greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fence {
    /// The dispatch, from 1.
    pub generation: u32,
    /// The delivery of it, from 1.
    pub attempt: u32,
}

/// A job of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Its name in the workflow.
    pub name: JobName,
    /// The pool that serves it.
    pub pool: PoolName,
    /// The jobs that must succeed first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<JobName>,
    /// Where it stands.
    pub state: JobState,
    /// The dispatch it is at; 0 before the first.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub generation: u32,
    /// The latest attempt that is on record for this dispatch; 0 before.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub attempt: u32,
    /// Attempts of the dispatches before this one.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub earlier_attempts: u32,
    /// Attempts of this dispatch that were handed back unfinished by agents that shut down; they do not count as failed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub handed_back: u32,
    /// The agent of that attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// When that attempt began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When the job came to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// What it left.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub outputs: Outputs,
    /// Its latest failure, also when a later attempt succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

/// What a run starts from.
#[derive(Debug, Clone)]
pub struct NewRun {
    /// The run's id.
    pub id: RunId,
    /// The dataset.
    pub dataset: DatasetName,
    /// The workflow's version.
    pub workflow: WorkflowRef,
    /// The event.
    pub event: EventRef,
    /// W3C `traceparent` of its origin; empty if there is none.
    pub trace: String,
    /// Name, pool and needs of every job; the graph is acyclic and names only its own jobs.
    pub jobs: Vec<(JobName, PoolName, Vec<JobName>)>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if passes a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl RunState {
    /// Whether the run came to its end.
    pub fn is_finished(self) -> bool {
        !matches!(self, Self::Waiting | Self::Running)
    }

    /// The word that records and programs use.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Error => "error",
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for RunState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl JobState {
    /// The word that records and programs use.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Ready => "ready",
            Self::Running => "running",
            Self::Success => "success",
            Self::Dead => "dead",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl From<Fault> for RunState {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Failure => Self::Failure,
            Fault::Timeout => Self::Timeout,
            Fault::Error => Self::Error,
        }
    }
}

impl Job {
    /// The attempt that is on record.
    pub fn fence(&self) -> Fence {
        Fence { generation: self.generation, attempt: self.attempt }
    }

    /// Whether a message should be on its way, or with an agent.
    pub fn is_due(&self) -> bool {
        matches!(self.state, JobState::Ready | JobState::Running)
    }
}

impl Run {
    /// A new run with its first jobs ready, and the effects that dispatch them. If `waiting`, it has none until it is promoted.
    pub fn create(new: NewRun, waiting: bool, now: Timestamp) -> (Self, Vec<Effect>) {
        let jobs = new.jobs.into_iter().map(|(name, pool, needs)| Job {
            name,
            pool,
            needs,
            state: JobState::Pending,
            generation: 0,
            attempt: 0,
            earlier_attempts: 0,
            handed_back: 0,
            agent: None,
            started_at: None,
            finished_at: None,
            outputs: Outputs::new(),
            failure: None,
        });
        let mut run = Self {
            v: RUN_VERSION,
            id: new.id,
            dataset: new.dataset,
            workflow: new.workflow,
            event: new.event,
            state: RunState::Waiting,
            created_at: now,
            updated_at: now,
            finished_at: None,
            trace: new.trace,
            successor: None,
            superseded_by: None,
            jobs: jobs.collect(),
        };
        if !waiting {
            run.begin(now);
        }
        let due = run.due();
        (run, due)
    }

    /// The job of this name.
    pub fn job(&self, name: &JobName) -> Option<&Job> {
        self.jobs.iter().find(|job| job.name == *name)
    }

    /// The run's trace id (32 hexadecimal digits), or nothing.
    pub fn trace_id(&self) -> &str {
        self.trace.split('-').nth(1).unwrap_or_default()
    }

    /// Attempts that are on record for all its jobs together; a job that succeeded at once counts as one.
    pub fn attempts(&self) -> u32 {
        self.jobs.iter().map(|job| job.earlier_attempts + job.attempt).sum()
    }

    /// What should be on its way by now, whether or not it was published before: publishing it again changes nothing.
    pub fn due(&self) -> Vec<Effect> {
        let dispatch =
            |job: &Job| Effect::Dispatch { job: job.name.clone(), pool: job.pool.clone(), generation: job.generation };
        let mut due: Vec<Effect> = self.jobs.iter().filter(|job| job.is_due()).map(dispatch).collect();
        if self.state.is_finished() {
            due.push(Effect::Finished);
            due.extend(self.successor.clone().map(Effect::Promote));
        }
        due
    }
}
