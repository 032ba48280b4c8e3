//! The run record: one execution of a workflow for one dataset, kept under one key. Everything that decides what happens
//! next is in it, so that one compare-and-set both records a fact and decides what follows from it.
//!
//! A record changes only through [`Run::apply`] (`run/apply.rs`); this file is what it is made of.

mod apply;
mod control;
mod fan;
mod graph;
#[cfg(test)]
mod tests;

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use self::apply::{Effect, Refusal, RunEvent};
pub use self::graph::Status;
use crate::event;
use crate::gate::Gate;
use crate::name::{DatasetName, JobName, PoolName, RunId, WorkflowHash, WorkflowName};
use crate::reason::Reason;

/// The record's schema version; a reader refuses others.
pub const RUN_VERSION: u8 = 1;

/// The key of a job's memo under which stands what its parts left: for each name the list of what they left by it, in their order.
pub const PARTS: &str = "parts";

/// Values a job leaves for later jobs and for people.
pub type Outputs = Map<String, Value>;

/// A run of a workflow for a dataset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Run {
    /// [`RUN_VERSION`].
    #[cfg_attr(feature = "schema", schemars(extend("const" = RUN_VERSION)))]
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
    /// What the event brought along: what expressions call `input`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub input: Map<String, Value>,
    /// How long it may take from its beginning, in milliseconds; none means for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_ms: Option<u64>,
    /// When it is ended if it still goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// Whether nothing new starts in it, by a person's wish.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
    /// What must be asked before it may begin, beside its dataset; none if nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<Gate>,
    /// When its turn came, if it had to wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begun_at: Option<Timestamp>,
    /// Its jobs, in the workflow's order.
    pub jobs: Vec<Job>,
}

/// A workflow's name and version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WorkflowRef {
    /// Its name.
    pub name: WorkflowName,
    /// The version, by content.
    pub hash: WorkflowHash,
}

/// An event's identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EventRef {
    /// `CloudEvents` `source`.
    pub source: String,
    /// `CloudEvents` `id`.
    pub id: String,
}

/// Where a run stands. The last six are the results that OpenTelemetry's CI/CD conventions distinguish.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// Another run of the same dataset is live, or its [`Gate`] does not let it begin.
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// A job that it needs is not done.
    Pending,
    /// Dispatched; an agent may be working on it for less than a second already.
    Ready,
    /// An agent is working on it, and has said so.
    Running,
    /// Its matrix is read, and its items are at work.
    Fanned,
    /// Done.
    Success,
    /// Dead-lettered: it can be replayed or discarded.
    Dead,
    /// Its dead letter was discarded.
    Failed,
    /// A job that it needs is dead or failed, or its own condition does not hold.
    Skipped,
    /// The run was given up.
    Cancelled,
}

/// How an attempt that did not succeed is classed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Job {
    /// Its name in the workflow.
    pub name: JobName,
    /// The pool that serves it.
    pub pool: PoolName,
    /// The jobs that must succeed first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<JobName>,
    /// Whether it is its turn when these have ended in whatever way: its condition asks how.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub regardless: bool,
    /// Whether the run goes on as if it had succeeded when it fails.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tolerated: bool,
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
    /// Attempts of this dispatch that do not count: handed back unfinished by agents that shut down, or ended by the wish to be tried again.
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
    /// What an attempt wrote down for the next dispatch of the job, when it split it or put it off; what its parts left is added as
    /// [`PARTS`].
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub memo: Outputs,
    /// Its latest failure, also when a later attempt succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// How its items are done, once its matrix is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fan: Option<Fan>,
    /// Its items, each a job of its own under the name [`JobName::item`]. In a message that carries one of them, the others are left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<Job>,
}

/// How the items of a job are done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Fan {
    /// How many there are.
    pub items: u32,
    /// How many are under way at a time, at most; none means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_parallel: Option<u32>,
    /// Whether the first dead item ends the others.
    pub fail_fast: bool,
    /// Whether the job is dispatched once more when all of them have succeeded: they are parts of its own work, not of a matrix.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rejoins: bool,
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
    /// What the event brought along.
    pub input: Map<String, Value>,
    /// How long the run may take, in milliseconds.
    pub limit_ms: Option<u64>,
    /// What must be asked before it may begin; with one, the run is created waiting.
    pub gate: Option<Gate>,
    /// Every job; the graph is acyclic and names only its own jobs.
    pub jobs: Vec<NewJob>,
}

/// What a job starts from.
#[derive(Debug, Clone)]
pub struct NewJob {
    /// Its name.
    pub name: JobName,
    /// Its pool.
    pub pool: PoolName,
    /// The jobs that it needs.
    pub needs: Vec<JobName>,
    /// [`Job::regardless`].
    pub regardless: bool,
    /// [`Job::tolerated`].
    pub tolerated: bool,
}

impl From<(JobName, PoolName, Vec<JobName>)> for NewJob {
    /// A job that needs the others to succeed, and whose failure is the run's.
    fn from((name, pool, needs): (JobName, PoolName, Vec<JobName>)) -> Self {
        Self { name, pool, needs, regardless: false, tolerated: false }
    }
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
            Self::Fanned => "fanned",
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

    fn new(new: NewJob) -> Self {
        Self {
            name: new.name,
            pool: new.pool,
            needs: new.needs,
            regardless: new.regardless,
            tolerated: new.tolerated,
            state: JobState::Pending,
            generation: 0,
            attempt: 0,
            earlier_attempts: 0,
            handed_back: 0,
            agent: None,
            started_at: None,
            finished_at: None,
            outputs: Outputs::new(),
            memo: Outputs::new(),
            failure: None,
            fan: None,
            items: Vec::new(),
        }
    }

    /// The job, or its items, of which a message should be on its way.
    fn due(&self) -> impl Iterator<Item = &Self> {
        std::iter::once(self).chain(&self.items).filter(|job| job.is_due())
    }

    /// Attempts that are on record, its items' among them.
    fn attempts(&self) -> u32 {
        self.earlier_attempts + self.attempt + self.items.iter().map(Self::attempts).sum::<u32>()
    }
}

impl JobState {
    /// Whether nothing more becomes of it by itself.
    pub const fn is_ended(self) -> bool {
        matches!(self, Self::Success | Self::Dead | Self::Failed | Self::Skipped | Self::Cancelled)
    }
}

impl Run {
    /// A new run with its first jobs ready, and the effects that dispatch them. If `waiting`, it has none until it is promoted.
    pub fn create(new: NewRun, waiting: bool, now: Timestamp) -> (Self, Vec<Effect>) {
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
            input: new.input,
            limit_ms: new.limit_ms,
            deadline: None,
            paused: false,
            gate: new.gate,
            begun_at: None,
            jobs: new.jobs.into_iter().map(Job::new).collect(),
        };
        if !waiting {
            run.go_on(now);
        }
        let due = run.due();
        (run, due)
    }

    /// The job of this name, or the item of one.
    pub fn job(&self, name: &JobName) -> Option<&Job> {
        match name.parent() {
            None => self.jobs.iter().find(|job| job.name == *name),
            Some(parent) => self.job(&parent)?.items.iter().find(|item| item.name == *name),
        }
    }

    /// What expressions call `input`: the event's payload.
    pub fn expression_input(&self) -> Map<String, Value> {
        event::expression_input(&self.dataset, &self.input)
    }

    /// By which runs that wait for the same thing are told apart: the later one takes the place of the earlier.
    pub fn seniority(&self) -> (Timestamp, &RunId) {
        (self.created_at, &self.id)
    }

    /// Jobs and items that have a dead letter.
    pub fn dead_jobs(&self) -> impl Iterator<Item = &Job> {
        let jobs = self.jobs.iter().flat_map(|job| std::iter::once(job).chain(&job.items));
        jobs.filter(|job| job.state == JobState::Dead && job.items.is_empty())
    }

    /// The run's trace id (32 hexadecimal digits), or nothing.
    pub fn trace_id(&self) -> &str {
        self.trace.split('-').nth(1).unwrap_or_default()
    }

    /// Attempts that are on record for all its jobs together; a job that succeeded at once counts as one.
    pub fn attempts(&self) -> u32 {
        self.jobs.iter().map(Job::attempts).sum()
    }

    /// What should be on its way by now, whether or not it was published before: publishing it again changes nothing.
    pub fn due(&self) -> Vec<Effect> {
        let mut due: Vec<Effect> = self.due_jobs().map(Effect::dispatch).collect();
        due.extend(self.ending());
        due
    }

    /// Jobs and items of which a message should be on its way, or with an agent.
    pub fn due_jobs(&self) -> impl Iterator<Item = &Job> {
        self.jobs.iter().flat_map(Job::due)
    }

    /// What is due because the run came to its end.
    fn ending(&self) -> Vec<Effect> {
        let mut due = Vec::new();
        if self.state.is_finished() {
            due.push(Effect::Finished);
            due.extend(self.successor.clone().map(Effect::Promote));
        }
        due
    }

    /// The record as the message of an item carries it: without the others, of which there may be thousands. Such a record is for
    /// reading only.
    #[must_use]
    pub fn without_items(&self) -> Self {
        let mut run = self.clone();
        run.jobs.iter_mut().for_each(|job| job.items.clear());
        run
    }

    /// Puts `item` in the place of all items of its job, in a record [`Run::without_items`].
    pub fn carry_item(&mut self, item: Job) {
        let parent = item.name.parent();
        let job = self.jobs.iter_mut().find(|job| Some(&job.name) == parent.as_ref());
        if let Some(job) = job {
            job.items = vec![item];
        }
    }
}
