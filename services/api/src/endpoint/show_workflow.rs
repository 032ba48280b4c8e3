//! `GET /api/workflows/{name}` and `GET /api/workflows/{name}/versions/{hash}`: the current version of a workflow, or another one that is
//! remembered, as it was written and as it is run.

use axum::Json;
use axum::extract::{Path, State};
use honk_protocol::name::{WorkflowHash, WorkflowName};
use honk_protocol::workflow::WorkflowPointer;
use honk_workflow::{Job, Workflow};

use crate::problem::ApiError;
use crate::state::Api;
use crate::versions;
use crate::wire::{WorkflowJob, WorkflowSummary, WorkflowView};

pub(super) async fn handle(State(api): State<Api>, Path(name): Path<String>) -> Result<Json<WorkflowView>, ApiError> {
    let pointer = versions::current(&api, &WorkflowName::new(name)?)?;
    view(&api, &pointer, &pointer.hash).await
}

pub(super) async fn of_version(
    State(api): State<Api>,
    Path((name, hash)): Path<(String, String)>,
) -> Result<Json<WorkflowView>, ApiError> {
    let pointer = versions::current(&api, &WorkflowName::new(name)?)?;
    let hash = versions::resolve(&pointer, &hash)?;
    view(&api, &pointer, &hash).await
}

async fn view(api: &Api, pointer: &WorkflowPointer, hash: &WorkflowHash) -> Result<Json<WorkflowView>, ApiError> {
    let gone = || ApiError::not_found("version-unknown", format!("version {hash} of the workflow `{}`", pointer.name));
    let definition = versions::definition(api, hash).await?.ok_or_else(gone)?;
    let source = versions::source(api, pointer, hash).await?;
    let (source, files) = source.map(|kept| (kept.source, kept.files)).unwrap_or_default();
    let jobs = serde_json::from_value::<Workflow>(definition.clone()).map(|workflow| workflow.jobs);
    let since = pointer.terms().into_iter().rev().find(|term| term.hash == *hash).map(|term| term.since);
    Ok(Json(WorkflowView {
        summary: WorkflowSummary {
            name: pointer.name.clone(),
            hash: hash.clone(),
            registered_at: since.unwrap_or(pointer.registered_at),
            paused: api.is_held(&pointer.name),
        },
        current: pointer.hash == *hash,
        source,
        files,
        jobs: jobs.unwrap_or_default().into_iter().map(job).collect(),
        definition,
    }))
}

fn job(job: Job) -> WorkflowJob {
    WorkflowJob { name: job.name, pool: job.pool, needs: job.needs }
}
