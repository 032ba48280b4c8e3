//! `DELETE /api/workflows/{name}`: a workflow and the versions of it that no run needs. As long as datasets name it, that is refused:
//! their next event would be dead-lettered.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use honk_protocol::entity::WORKFLOW;
use honk_protocol::name::WorkflowName;
use honk_protocol::subject::workflow_name_key;

use crate::extract::Parameters;
use crate::problem::ApiError;
use crate::state::Api;
use crate::versions;
use crate::wire::WorkflowDeletion;

/// How many of the datasets that name it are told.
const SHOWN: usize = 10;

pub(super) async fn handle(
    State(api): State<Api>,
    Path(name): Path<String>,
    Parameters(deletion): Parameters<WorkflowDeletion>,
) -> Result<StatusCode, ApiError> {
    let name = WorkflowName::new(name)?;
    let pointer = versions::current(&api, &name)?;
    if !deletion.force {
        check_unused(&api, &name)?;
    }
    api.bus.workflows().delete(&workflow_name_key(&name)).await?;
    // Another workflow of this name, later, is not paused.
    api.ledger.release_workflow(&name).await?;
    let mut all: Vec<_> = pointer.terms().into_iter().map(|term| term.hash).collect();
    all.sort();
    all.dedup();
    versions::remove(&api, &name, &all).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn check_unused(api: &Api, name: &WorkflowName) -> Result<(), ApiError> {
    let datasets = api.catalog.find("dataset.");
    let of_it = datasets.iter().filter(|(_, entity)| entity.annotation(WORKFLOW) == Some(name.as_str()));
    let names: Vec<&str> = of_it.map(|(_, entity)| entity.metadata.name.as_str()).collect();
    if names.is_empty() {
        return Ok(());
    }
    let more = names.len().saturating_sub(SHOWN);
    let shown = names[..names.len() - more].join(", ");
    let shown = if more > 0 { format!("{shown} and {more} more") } else { shown };
    let help = "Let them name another workflow first (annotation `honk/workflow`), or delete it all the same with `force=true` (`--force`).";
    Err(ApiError::new(StatusCode::CONFLICT, "workflow-in-use", "Datasets name the workflow")
        .detail(format!("the workflow `{name}` is named by {shown}"))
        .help(help))
}
