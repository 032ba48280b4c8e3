//! A migration that changes the dataset's form on its way. The work is the program `honk-transform`'s, which runs as a child of this agent:
//! it has the query engine and its own memory limit, and when it crashes, an attempt has failed and no agent is gone. `program` finds it,
//! `child` feeds, watches and ends it, `look` compares what it says it wrote with what the target lists, and `course` is the migration
//! around it.

mod child;
mod course;
mod look;
mod program;

use std::path::PathBuf;
use std::sync::atomic::Ordering;

use honk_agent::action::JobContext;
use honk_protocol::dataset::LocationSpec;
use honk_protocol::settle::Failed;
use honk_protocol::transform::{TransformProgress, TransformRequest, TransformResult};
use honk_storage::StorageSettings;
use serde_json::json;

use crate::copy::Kept;
use crate::with::With;

pub(crate) use course::Transformed;

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

impl TransformSettings {
    /// Runs the program to its end; dropped before that, it is killed. Can be repeated after any failure.
    async fn run(
        &self,
        job: &JobContext,
        location: &LocationSpec,
        (with, kept): (&With, &Kept),
    ) -> Result<TransformResult, Failed> {
        let program = program::find(self.program.as_deref(), &honk_service::environment())?;
        let request = TransformRequest {
            source: location.source.clone(),
            target: location.target.clone(),
            storage: json!(self.storage),
            transform: with.transform.clone().unwrap_or_default(),
            expect: with.expect.clone().unwrap_or_default(),
            memory_bytes: self.memory_bytes,
            spill: self.spill.clone(),
            kept: Some(kept.names().to_vec()),
            tethered: true,
        };
        let show = |made: TransformProgress| {
            job.progress.objects.store(made.objects, Ordering::Relaxed);
            job.progress.objects_total.store(made.objects_total, Ordering::Relaxed);
            job.progress.bytes.store(made.bytes, Ordering::Relaxed);
            job.progress.bytes_total.store(made.bytes_total, Ordering::Relaxed);
        };
        child::run(&program, &request, show).await
    }
}
