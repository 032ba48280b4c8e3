//! A migration that changes the dataset's form on its way. The work is the program `honk-transform`'s, which runs as a child of this agent:
//! it has the query engine and its own memory limit, and when it crashes, an attempt has failed and no agent is gone. Here it is found,
//! fed, watched and ended, and what it says it wrote is compared with what the target lists.

mod child;
mod program;
mod verify;

use std::path::PathBuf;

use honk_agent::action::JobContext;
use honk_protocol::dataset::LocationSpec;
use honk_protocol::reason::Reason;
use honk_protocol::settle::Failed;
use honk_protocol::transform::{Expect, TransformProgress, TransformRequest, TransformResult, TransformSpec};
use honk_storage::listing::Survey;
use honk_storage::{StorageSettings, Stores};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// How transformations are run.
#[derive(Clone, Debug, Default)]
pub struct TransformSettings {
    /// The program; none given: beside the agent's own, else on `PATH`.
    pub program: Option<PathBuf>,
    /// Bytes that one query may hold in memory.
    pub memory_bytes: u64,
    /// The folder for what does not fit there; none given: the system's own for temporary files.
    pub spill: Option<String>,
    /// How the program is to reach the stores.
    pub storage: StorageSettings,
}

/// What a step's `with:` asks for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Wanted {
    /// How the dataset is to look.
    pub(crate) transform: TransformSpec,
    /// What must hold.
    pub(crate) expect: Expect,
}

impl Wanted {
    /// What the job asks for: nothing if it is to be copied as it is.
    pub(crate) fn of(job: &JobContext) -> Result<Option<Self>, Failed> {
        let invalid = |message: String| Failed::reject(Reason::InputInvalid, message);
        let Some(transform) = job.with.get("transform") else {
            let needless = job.with.contains_key("expect");
            let message =
                "`with: expect` is checked while rows are read: it needs `transform`, if only `transform: {}`";
            return if needless { Err(invalid(message.to_owned())) } else { Ok(None) };
        };
        let transform: TransformSpec = serde_json::from_value(transform.clone())
            .map_err(|error| invalid(format!("`with: transform`: {error}")))?;
        let expect: Option<Expect> = serde_json::from_value(job.with.get("expect").cloned().unwrap_or(Value::Null))
            .map_err(|error| invalid(format!("`with: expect`: {error}")))?;
        let expect = expect.unwrap_or_default();
        match transform.problem().or_else(|| expect.problem()) {
            Some(problem) => Err(invalid(format!("`with`: {problem}"))),
            None => Ok(Some(Self { transform, expect })),
        }
    }
}

/// What was done and proved.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TransformReport {
    /// The program's own evidence.
    pub(crate) result: TransformResult,
    /// The target as it was listed afterwards.
    pub(crate) target: Survey,
}

impl TransformReport {
    /// The evidence that fits into a job's outputs: everything but the single files.
    pub(crate) fn outputs(&self) -> Value {
        let TransformResult { sql, before, after, rejected, quarantine, removed, source_objects, source_bytes, files } =
            &self.result;
        json!({
            "objects": self.target.objects, "bytes": self.target.bytes, "digest": self.target.digest,
            "transform": {
                "sql": sql, "before": before, "after": after, "files": files.len(), "rejected": rejected,
                "quarantine": quarantine, "removed": removed,
                "source_objects": source_objects, "source_bytes": source_bytes,
            },
        })
    }
}

/// Transforms, and verifies that the target lists what was written and nothing else. Can be repeated after any failure.
pub(crate) async fn transform(
    (settings, stores): (&TransformSettings, &Stores),
    (location, wanted): (&LocationSpec, Wanted),
    progress: impl Fn(TransformProgress) + Send,
    cancelled: &CancellationToken,
) -> Result<TransformReport, Failed> {
    let program = program::find(settings.program.as_deref(), &honk_service::environment())?;
    let request = TransformRequest {
        source: location.source.clone(),
        target: location.target.clone(),
        storage: json!(settings.storage),
        transform: wanted.transform,
        expect: wanted.expect,
        memory_bytes: settings.memory_bytes,
        spill: settings.spill.clone(),
        tethered: true,
    };
    let result = tokio::select! {
        done = child::run(&program, &request, progress) => done?,
        () = cancelled.cancelled() => {
            return Err(Failed::retry(Reason::JobTimeout, "stopped before everything was transformed"));
        }
    };
    let target = verify::verify(stores, &stores.resolve(&location.target), &result.files).await?;
    tracing::info!(rows = result.after.rows, files = result.files.len(), "transformed and verified");
    Ok(TransformReport { result, target })
}
