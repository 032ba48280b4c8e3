//! What an action is: a native function that an agent offers and a workflow calls with `uses: NAME`. An action sees a job, never a
//! message: settling is the runtime's work.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use honk_protocol::name::{DatasetName, JobName};
use honk_protocol::reason::Reason;
use honk_protocol::run::{Fan, Fence, Outputs, Run};
use honk_protocol::settle::{Completion, Failed};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

/// A native function that agents offer to workflows.
///
/// It may run more than once for one job: redelivered after a crash at any point, or beside an earlier attempt that was
/// frozen and woke up. So whatever it does outside, doing it again must change nothing.
#[async_trait]
pub trait Action: Send + Sync + 'static {
    /// The name that `uses:` calls it by, such as `honk/validate`.
    fn name(&self) -> &'static str;

    /// Does the work. A failure says itself whether trying again can help.
    async fn run(&self, job: &JobContext) -> Result<Outputs, Failed>;

    /// Does the work, or so much of it as one agent should do at a time. What [`JobContext::may_split`] allows it may split into parts, or
    /// put off until a person says so; all others are done by [`Action::run`].
    async fn attempt(&self, job: &JobContext) -> Result<Worked, Failed> {
        self.run(job).await.map(Worked::Done)
    }
}

/// What an attempt came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Worked {
    /// The work is done, and left this.
    Done(Outputs),
    /// It is to be done in parts.
    Split(Split),
    /// The run is to be paused; when it goes on, the job is dispatched once more with this as its [`JobContext::memo`].
    Postponed(Outputs),
}

/// Work in parts, each a delivery of its own to any agent of the pool: the same action with a [`JobContext::part`]. When all have
/// succeeded the job is dispatched once more.
#[derive(Debug, Clone, PartialEq)]
pub struct Split {
    /// How many parts; at least one, and at most some hundreds, because each stands in the run's record.
    pub parts: u32,
    /// How many may be under way at a time; none means all.
    pub max_parallel: Option<u32>,
    /// What parts and the next dispatch find as their [`JobContext::memo`].
    pub memo: Outputs,
}

impl From<Worked> for Completion {
    fn from(worked: Worked) -> Self {
        match worked {
            Worked::Done(outputs) => Self::Done(outputs),
            Worked::Split(Split { parts, max_parallel, memo }) => {
                let fan = Fan { items: parts, max_parallel, fail_fast: false, rejoins: true };
                Self::Split(fan, memo)
            }
            Worked::Postponed(memo) => Self::Postponed(memo),
        }
    }
}

/// A job, as an action sees it.
#[derive(Debug, Clone)]
pub struct JobContext {
    /// The run record when the attempt began.
    pub run: Arc<Run>,
    /// The job.
    pub job: JobName,
    /// Which attempt this is.
    pub fence: Fence,
    /// Whether the attempt may end as [`Worked::Split`] or [`Worked::Postponed`]: the step is its job's only one, and the job is neither an
    /// item of a matrix nor a part.
    pub may_split: bool,
    /// The step's `with:`.
    pub with: BTreeMap<String, Value>,
    /// Cancelled when the attempt must stop: its deadline passed, or the agent shuts down and has waited long enough.
    pub cancelled: CancellationToken,
    /// What the action has done so far, for those who watch.
    pub progress: Arc<ProgressCounters>,
}

/// Counts that an action raises while it works.
#[derive(Debug, Default)]
pub struct ProgressCounters {
    /// Objects done.
    pub objects: AtomicU64,
    /// Objects in all, as far as known.
    pub objects_total: AtomicU64,
    /// Bytes done.
    pub bytes: AtomicU64,
    /// Bytes in all, as far as known.
    pub bytes_total: AtomicU64,
}

impl ProgressCounters {
    /// Adds finished objects and bytes.
    pub fn done(&self, objects: u64, bytes: u64) {
        self.objects.fetch_add(objects, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl JobContext {
    /// The dataset that the run is for.
    pub fn dataset(&self) -> &DatasetName {
        &self.run.dataset
    }

    /// Which part of its job this is, from 0; none if it is all of it.
    pub fn part(&self) -> Option<u32> {
        let parent = self.run.job(&self.job.parent()?)?;
        parent.fan.is_some_and(|fan| fan.rejoins).then(|| self.job.item_number()).flatten()
    }

    /// What an earlier attempt wrote down when it split the job or put it off; empty if none did.
    pub fn memo(&self) -> &Outputs {
        static EMPTY: LazyLock<Outputs> = LazyLock::new(Outputs::new);
        let job = self.job.parent().unwrap_or_else(|| self.job.clone());
        self.run.job(&job).map_or(&*EMPTY, |job| &job.memo)
    }

    /// What an earlier job of the run left; nothing if it is not done.
    pub fn outputs_of(&self, job: &JobName) -> Option<&Outputs> {
        self.run.job(job).map(|job| &job.outputs)
    }

    /// The same for every attempt and every replay of the job: what makes an effect outside recognisable as done before.
    pub fn idempotency_key(&self) -> String {
        format!("{}.{}", self.run.id, self.job)
    }

    /// The step's `with:` as a type. What does not fit is the workflow's fault.
    pub fn parameters<T: DeserializeOwned>(&self) -> Result<T, Failed> {
        let values = Value::Object(self.with.clone().into_iter().collect());
        serde_json::from_value(values).map_err(|error| Failed::reject(Reason::InputInvalid, format!("`with`: {error}")))
    }
}
