//! `POST /api/datasets/{name}/plan`: a run says what a migration would do. Nothing is changed by it.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use honk_protocol::name::DatasetName;
use serde_json::Map;
use uuid::Uuid;

use super::shipped::{self, Asked};
use super::show_location;
use crate::problem::{ApiError, conflict};
use crate::state::Api;

/// `CloudEvents` `source` of the events that start the runs.
const SOURCE: &str = "/honk/plan";

pub(super) async fn handle(
    State(api): State<Api>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let name = DatasetName::new(name)?;
    show_location::stored(&api, &name).await?;
    // A plan would wait for the run, or take the place of one that waits.
    if let Some(run) = api.runs.newest_of(&name).filter(|run| !run.state.is_finished()) {
        let problem = conflict().detail(format!("the run {} of `{name}` is {}", run.id, run.state));
        return Err(problem.help("Plan when it has ended; `honk run watch` follows it."));
    }
    let start = Asked {
        workflow: shipped::PLAN,
        dataset: &name,
        event: (SOURCE, Uuid::new_v4().to_string()),
        input: Map::new(),
    };
    let accepted = shipped::start(&api, start, &headers).await?;
    Ok((StatusCode::ACCEPTED, Json(accepted)).into_response())
}
