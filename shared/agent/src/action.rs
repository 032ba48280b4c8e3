//! What an action is: a native function that an agent offers and a workflow calls with `uses: NAME`. An action sees a job, never a
//! message: settling is the runtime's work.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use honk_protocol::name::{DatasetName, JobName};
use honk_protocol::reason::Reason;
use honk_protocol::run::{Fence, Outputs, Run};
use honk_protocol::settle::Failed;
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
