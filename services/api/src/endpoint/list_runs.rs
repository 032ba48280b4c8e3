//! `GET /api/runs`: the newest runs first, by dataset, workflow and state, page by page.

use axum::Json;
use axum::extract::State;

use crate::extract::{Parameters, bad_cursor, page_size};
use crate::problem::ApiError;
use crate::state::Api;
use crate::wire::{RunPage, RunQuery, RunView};

pub(super) async fn handle(
    State(api): State<Api>,
    Parameters(query): Parameters<RunQuery>,
) -> Result<Json<RunPage>, ApiError> {
    let limit = page_size(query.limit)?;
    let page = api.runs.page(&query, limit).ok_or_else(bad_cursor)?;
    let now = api.clock.now();
    Ok(Json(RunPage { runs: page.items.iter().map(|run| RunView::new(run, now)).collect(), next: page.next }))
}
