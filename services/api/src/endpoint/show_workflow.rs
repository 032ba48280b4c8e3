//! `GET /api/workflows/{name}`: a workflow's current version, as it was written and as it is run.

use axum::Json;
use axum::extract::{Path, State};
use honk_protocol::name::WorkflowName;
use honk_protocol::subject::{workflow_name_key, workflow_version_key};
use honk_workflow::{Job, Workflow};

use super::list_workflows::{pointer, summary};
use crate::problem::ApiError;
use crate::state::Api;
use crate::wire::{WorkflowJob, WorkflowView};

pub(super) async fn handle(State(api): State<Api>, Path(name): Path<String>) -> Result<Json<WorkflowView>, ApiError> {
    let name = WorkflowName::new(name)?;
    let unknown = || {
        let help = "Register it: `honk register FILE`, or POST its YAML to /api/workflows.";
        ApiError::not_found("workflow-unknown", format!("workflow `{name}`")).help(help)
    };
    let pointer = api.workflows.get(&workflow_name_key(&name)).and_then(|value| pointer(&value)).ok_or_else(unknown)?;
    let version = api.workflows.get(&workflow_version_key(&pointer.hash)).ok_or_else(unknown)?;
    let jobs = serde_json::from_value::<Workflow>((*version).clone()).map(|workflow| workflow.jobs).unwrap_or_default();
    Ok(Json(WorkflowView {
        summary: summary(&pointer),
        source: pointer.source,
        jobs: jobs.into_iter().map(job).collect(),
        definition: (*version).clone(),
    }))
}

fn job(job: Job) -> WorkflowJob {
    WorkflowJob { name: job.name, pool: job.pool, needs: job.needs }
}
