//! Runs: as a page, one by one, and as a stream of server-sent events.

use std::collections::BTreeMap;

use honk_protocol::live::Progress;
use honk_protocol::name::{DatasetName, JobName, PoolName, RunId, WorkflowHash, WorkflowName};
use honk_protocol::reason::Reason;
use honk_protocol::run::{Failure, Fault, Job, JobState, Outputs, Run, RunState};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Query of `GET /api/runs`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunQuery {
    /// Only this dataset's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataset: Option<DatasetName>,
    /// Only this workflow's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow: Option<WorkflowName>,
    /// Only those in this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<RunState>,
    /// The `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// How many at most, up to [`super::MAX_LIMIT`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// Answer to `GET /api/runs`: the newest first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RunPage {
    /// The runs.
    pub runs: Vec<RunView>,
    /// The cursor of the next page; none on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Query of `POST /api/runs/{id}/retry`: how a run is done again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RunRetry {
    /// Only the jobs that did not succeed, and what depends on them.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub failed_only: bool,
}

/// A run. Answer to `GET /api/runs/{id}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunView {
    /// Its id.
    pub id: RunId,
    /// The dataset it is for.
    pub dataset: DatasetName,
    /// The workflow.
    pub workflow: WorkflowName,
    /// The version of the workflow that it is pinned to.
    pub workflow_hash: WorkflowHash,
    /// Where it stands.
    pub state: RunState,
    /// When it was created.
    pub created_at: Timestamp,
    /// When its record last changed.
    pub updated_at: Timestamp,
    /// When it came to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// From its creation to its end, or until now, in milliseconds.
    pub duration_ms: u64,
    /// The trace id, 32 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// Attempts that are on record, of all jobs together.
    pub attempts: u32,
    /// Objects of the dataset, as the latest job that counted them says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objects: Option<u64>,
    /// Bytes of the dataset, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// The run of the same dataset that waits for this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub successor: Option<RunId>,
    /// The run that took this one's place while it waited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub superseded_by: Option<RunId>,
    /// Whether nothing new starts in it, by a person's wish.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
    /// When it is ended if it still goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// Its jobs, in the workflow's order.
    pub jobs: Vec<JobView>,
}

/// A job of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobView {
    /// Its name in the workflow.
    pub name: JobName,
    /// The pool that serves it.
    pub pool: PoolName,
    /// The jobs that must succeed first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<JobName>,
    /// Where it stands.
    pub state: JobState,
    /// Which dispatch it is at: above 1 after a replay; 0 before the first.
    pub generation: u32,
    /// Attempts of this dispatch that are on record.
    pub attempts: u32,
    /// The agent of the latest attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// When that attempt began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When the job came to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// What it left.
    #[serde(default, skip_serializing_if = "Outputs::is_empty")]
    pub outputs: Outputs,
    /// Its latest failure, also when a later attempt succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<FailureView>,
    /// The id of its dead letter, while it is dead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letter: Option<String>,
    /// What became of its items, if it has a matrix that was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<ItemsView>,
}

/// The items of a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ItemsView {
    /// How many there are.
    pub total: usize,
    /// How many are in each state.
    pub states: BTreeMap<JobState, usize>,
    /// Those that are dead or have failed, the first twenty of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<JobView>,
}

/// Why an attempt did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureView {
    /// The stable code.
    pub reason: Reason,
    /// What the code means.
    pub meaning: String,
    /// What a person does about it.
    pub advice: String,
    /// Whose fault.
    pub fault: Fault,
    /// What happened.
    pub message: String,
    /// The attempt, from 1.
    pub attempt: u32,
    /// When.
    pub at: Timestamp,
}

/// One server-sent event of `GET /api/runs/{id}/watch`; the variant is the `event:` field, its content the `data:`.
#[derive(Debug, Clone, PartialEq)]
pub enum RunUpdate {
    /// `event: run`: the run as it now is. The first event, and one for every change.
    Run(Box<RunView>),
    /// `event: progress`: what an agent says about the attempt that it works on.
    Progress(ProgressView),
    /// `event: end`: the run came to its end; nothing follows.
    End(RunEnd),
}

/// Progress of an attempt. What is not known is 0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgressView {
    /// The run.
    pub run: RunId,
    /// The job.
    pub job: JobName,
    /// The attempt, its agent and its counts.
    #[serde(flatten)]
    pub progress: Progress,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunEnd {
    /// The run.
    pub run: RunId,
    /// Its result.
    pub state: RunState,
}

impl RunUpdate {
    /// The word in the `event:` field.
    pub const fn event(&self) -> &'static str {
        match self {
            Self::Run(_) => "run",
            Self::Progress(_) => "progress",
            Self::End(_) => "end",
        }
    }

    /// The JSON in the `data:` field.
    pub fn data(&self) -> Result<String, serde_json::Error> {
        match self {
            Self::Run(run) => serde_json::to_string(run),
            Self::Progress(progress) => serde_json::to_string(progress),
            Self::End(end) => serde_json::to_string(end),
        }
    }

    /// Reads an event; one of another name is none of these, and to be passed over.
    pub fn read(event: &str, data: &str) -> Result<Option<Self>, serde_json::Error> {
        Ok(match event {
            "run" => Some(Self::Run(serde_json::from_str(data)?)),
            "progress" => Some(Self::Progress(serde_json::from_str(data)?)),
            "end" => Some(Self::End(serde_json::from_str(data)?)),
            _ => None,
        })
    }
}

impl RunView {
    /// The run as it is shown at `now`.
    pub fn new(run: &Run, now: Timestamp) -> Self {
        let end = run.finished_at.unwrap_or(now);
        let trace_id = run.trace_id();
        Self {
            id: run.id.clone(),
            dataset: run.dataset.clone(),
            workflow: run.workflow.name.clone(),
            workflow_hash: run.workflow.hash.clone(),
            state: run.state,
            created_at: run.created_at,
            updated_at: run.updated_at,
            finished_at: run.finished_at,
            duration_ms: u64::try_from(end.duration_since(run.created_at).as_millis()).unwrap_or_default(),
            trace_id: (!trace_id.is_empty()).then(|| trace_id.to_owned()),
            attempts: run.attempts(),
            objects: latest_count(run, "objects"),
            bytes: latest_count(run, "bytes"),
            successor: run.successor.clone(),
            superseded_by: run.superseded_by.clone(),
            paused: run.paused,
            deadline: run.deadline,
            jobs: run.jobs.iter().map(|job| JobView::new(&run.id, job)).collect(),
        }
    }
}

/// The output of that name of the job that ended last.
fn latest_count(run: &Run, name: &str) -> Option<u64> {
    let counts = run.jobs.iter().filter_map(|job| Some((job.finished_at, job.outputs.get(name)?.as_u64()?)));
    counts.max_by_key(|(finished, _)| *finished).map(|(_, count)| count)
}

impl JobView {
    fn new(run: &RunId, job: &Job) -> Self {
        Self {
            name: job.name.clone(),
            pool: job.pool.clone(),
            needs: job.needs.clone(),
            state: job.state,
            generation: job.generation,
            attempts: job.attempt,
            agent: job.agent.clone(),
            started_at: job.started_at,
            finished_at: job.finished_at,
            outputs: job.outputs.clone(),
            failure: job.failure.as_ref().map(FailureView::from),
            dead_letter: (job.state == JobState::Dead && job.items.is_empty()).then(|| dead_letter_id(run, job)),
            items: (!job.items.is_empty()).then(|| ItemsView::new(run, &job.items)),
        }
    }
}

impl ItemsView {
    fn new(run: &RunId, items: &[Job]) -> Self {
        const MOST_SHOWN: usize = 20;
        let mut states = BTreeMap::new();
        for item in items {
            *states.entry(item.state).or_default() += 1;
        }
        let lost = items.iter().filter(|item| matches!(item.state, JobState::Dead | JobState::Failed));
        Self { total: items.len(), states, lost: lost.take(MOST_SHOWN).map(|item| JobView::new(run, item)).collect() }
    }
}

fn dead_letter_id(run: &RunId, job: &Job) -> String {
    honk_protocol::subject::DeadSubject::Job { pool: job.pool.clone(), run: run.clone(), job: job.name.clone() }.id()
}

impl From<&Failure> for FailureView {
    fn from(failure: &Failure) -> Self {
        Self {
            reason: failure.reason,
            meaning: failure.reason.meaning().to_owned(),
            advice: failure.reason.advice().to_owned(),
            fault: failure.fault,
            message: failure.message.clone(),
            attempt: failure.attempt,
            at: failure.at,
        }
    }
}
