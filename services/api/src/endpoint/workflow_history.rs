//! `GET /api/workflows/{name}/history`: which versions of a workflow were current, and since when.

use axum::Json;
use axum::extract::{Path, State};
use honk_protocol::name::WorkflowName;

use crate::problem::ApiError;
use crate::state::Api;
use crate::versions;
use crate::wire::{WorkflowHistory, WorkflowTermView};

pub(super) async fn handle(
    State(api): State<Api>,
    Path(name): Path<String>,
) -> Result<Json<WorkflowHistory>, ApiError> {
    let name = WorkflowName::new(name)?;
    let pointer = versions::current(&api, &name)?;
    let mut until = None;
    let newest_first = pointer.terms().into_iter().rev().map(|term| {
        let ended = until.replace(term.since);
        WorkflowTermView { hash: term.hash, since: term.since, until: ended, rollback: term.rollback }
    });
    Ok(Json(WorkflowHistory { name, versions: newest_first.collect() }))
}
