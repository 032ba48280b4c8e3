//! `POST /api/workflows/{name}/pause` and `…/resume`: while a workflow is paused, none of its runs begins; what has begun goes on, and what is
//! asked for waits. Each answers with the workflow as it then is; doing one again changes nothing.

use axum::Json;
use axum::extract::{Path, State};
use honk_protocol::name::WorkflowName;

use super::list_workflows::summary;
use crate::problem::ApiError;
use crate::state::{Api, read_own_write};
use crate::versions;
use crate::wire::WorkflowSummary;

pub(super) async fn pause(State(api): State<Api>, Path(name): Path<String>) -> Result<Json<WorkflowSummary>, ApiError> {
    let name = WorkflowName::new(name)?;
    let pointer = versions::current(&api, &name)?;
    let revision = api.ledger.hold_workflow(&name).await?;
    read_own_write(&api.holds, revision).await;
    Ok(Json(WorkflowSummary { paused: true, ..summary(&api, &pointer) }))
}

pub(super) async fn resume(
    State(api): State<Api>,
    Path(name): Path<String>,
) -> Result<Json<WorkflowSummary>, ApiError> {
    let name = WorkflowName::new(name)?;
    let pointer = versions::current(&api, &name)?;
    let revision = api.ledger.release_workflow(&name).await?;
    read_own_write(&api.holds, revision).await;
    Ok(Json(WorkflowSummary { paused: false, ..summary(&api, &pointer) }))
}
