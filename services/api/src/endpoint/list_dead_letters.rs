//! `GET /api/dead-letters`: the newest first, by reason, pool and dataset, page by page.

use axum::Json;
use axum::extract::State;

use super::show_dead_letter::view;
use crate::extract::{Parameters, bad_cursor, page_size};
use crate::problem::ApiError;
use crate::state::Api;
use crate::wire::{DeadLetterPage, DeadLetterQuery};

pub(super) async fn handle(
    State(api): State<Api>,
    Parameters(query): Parameters<DeadLetterQuery>,
) -> Result<Json<DeadLetterPage>, ApiError> {
    let limit = page_size(query.limit)?;
    let page = api.letters.page(&query, limit, api.clock.now()).ok_or_else(bad_cursor)?;
    Ok(Json(DeadLetterPage { dead_letters: page.items.iter().map(|letter| view(letter)).collect(), next: page.next }))
}
