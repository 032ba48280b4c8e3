//! `GET /api/runs/{id}`: a run with its jobs.

use axum::Json;
use axum::extract::{Path, State};
use honk_protocol::name::RunId;

use crate::problem::ApiError;
use crate::state::Api;
use crate::wire::RunView;

pub(super) async fn handle(State(api): State<Api>, Path(id): Path<String>) -> Result<Json<RunView>, ApiError> {
    let id = RunId::new(id)?;
    let run = api.runs.get(&id).ok_or_else(|| unknown(&id))?;
    Ok(Json(RunView::new(&run, api.clock.now())))
}

pub(super) fn unknown(id: &RunId) -> ApiError {
    let help = "A run exists once intake has read its event; finished runs are kept for a while only. \
                An event that cannot become a run is among the dead letters.";
    ApiError::not_found("run-unknown", format!("run `{id}`")).help(help)
}
