//! `GET` and `PATCH` of `/api/datasets/{name}/metadata`: what programs and people have written down about a dataset, a JSON object. A
//! patch is a merge patch (RFC 7396): what it has is set, what is null in it is removed, all else stays. Where a dataset lies is not among
//! it: that has a route of its own, with checks.
//!
//! Read from the server and not from memory, so that a step's change shows at once.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use honk_agent::registry::RESERVED;
use honk_protocol::name::DatasetName;
use honk_protocol::reason::Reason;
use honk_protocol::settle::Failed;
use serde_json::{Map, Value};

use crate::extract::Body;
use crate::problem::ApiError;
use crate::state::Api;
use crate::wire::Fault;

pub(super) async fn show(
    State(api): State<Api>,
    Path(name): Path<String>,
) -> Result<Json<Map<String, Value>>, ApiError> {
    let name = DatasetName::new(name)?;
    api.dataset(&name).await?;
    Ok(Json(of(&api, &name).await?))
}

pub(super) async fn change(
    State(api): State<Api>,
    Path(name): Path<String>,
    body: Body,
) -> Result<Json<Map<String, Value>>, ApiError> {
    let name = DatasetName::new(name)?;
    let changes: Map<String, Value> = body.json().map_err(|error| error.help(FORM))?;
    refuse_reserved(&name, &changes)?;
    api.dataset(&name).await?;
    of(&api, &name).await?;
    let written = api.registry.note(&name, &changes).await;
    written.map(Json).map_err(|failed| problem(failed, StatusCode::PAYLOAD_TOO_LARGE, "metadata-too-large"))
}

/// What is written down about a dataset; an empty object if nothing is.
pub(super) async fn of(api: &Api, name: &DatasetName) -> Result<Map<String, Value>, ApiError> {
    let read = api.registry.metadata(name).await;
    let (metadata, _) =
        read.map_err(|failed| problem(failed, StatusCode::INTERNAL_SERVER_ERROR, "metadata-unreadable"))?;
    Ok(metadata)
}

const FORM: &str =
    r#"Send a JSON object of changes, such as {"status":"checked","obsolete":null}; null removes a field."#;

const REPAIR: &str = "Remove what is not needed with nulls; what is no JSON object at all must be removed from the bucket `honk_metadata`.";

fn refuse_reserved(name: &DatasetName, changes: &Map<String, Value>) -> Result<(), ApiError> {
    let fault =
        |key: &str| Fault { path: Some(key.to_owned()), message: "is Honk's own".to_owned(), ..Fault::default() };
    let faults: Vec<Fault> = RESERVED.into_iter().filter(|key| changes.contains_key(*key)).map(fault).collect();
    if faults.is_empty() {
        return Ok(());
    }
    let title = "The metadata has fields that only Honk changes";
    let help =
        format!("Leave them out; where it lies is set with `honk dataset location {name} --source … --target …`.");
    Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "metadata-reserved", title).errors(faults).help(help))
}

/// The fault is the metadata's, with this status and code, or the server could not be reached.
fn problem(failed: Failed, status: StatusCode, code: &str) -> ApiError {
    if failed.reason == Reason::MetadataInvalid {
        ApiError::new(status, code, "The dataset's metadata cannot be used").detail(failed.message).help(REPAIR)
    } else {
        ApiError::unavailable(failed.message)
    }
}
