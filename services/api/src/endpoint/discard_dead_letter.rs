//! `DELETE /api/dead-letters/{id}`: a person gives the dead job, or event, up.

use axum::extract::{Path, State};
use axum::http::StatusCode;

use super::show_dead_letter::find;
use crate::problem::ApiError;
use crate::state::Api;

pub(super) async fn handle(State(api): State<Api>, Path(id): Path<String>) -> Result<StatusCode, ApiError> {
    let subject = find(&api, &id)?;
    api.ledger.discard(&subject).await?;
    api.letters.forget(&subject);
    Ok(StatusCode::NO_CONTENT)
}
