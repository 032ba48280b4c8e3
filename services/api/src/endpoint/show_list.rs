//! `GET /api/lists/{name}`: what a retirement removes, or a dry run would: one JSON line for each object, in the order of the keys.

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;
use honk_bus::BusError;
use honk_protocol::dataset::{Removal, RemovalList};
use honk_protocol::name::BundleHash;

use crate::problem::ApiError;
use crate::state::Api;

pub(super) async fn handle(State(api): State<Api>, Path(name): Path<String>) -> Result<Response, ApiError> {
    let unknown = || {
        let help = "Lists are kept for a while; a dry run makes a new one: `honk dataset retire NAME --dry-run`.";
        ApiError::not_found("list-unknown", format!("list `{name}`")).help(help)
    };
    let name = BundleHash::new(name.clone()).map_err(|_| unknown())?;
    let stored = api.bus.lists().get(name.as_str()).await?;
    let list: Option<RemovalList> = stored.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let pieces = list.ok_or_else(unknown)?.pieces.into_iter();
    let lines = unfold((api, pieces), |(api, mut pieces)| async move {
        let piece = lines(&api, &pieces.next()?).await;
        Some((piece, (api, pieces)))
    });
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response())
}

/// The lines of a piece. One that is missing breaks the answer off: half a list must not look like a whole one.
async fn lines(api: &Api, name: &str) -> Result<Bytes, BusError> {
    let missing = || BusError::Timeout { what: format!("read the piece {name} of a list") };
    let bytes = api.bus.lists().get(name).await?.ok_or_else(missing)?;
    let piece: Vec<Removal> = serde_json::from_slice(&bytes).map_err(|_| missing())?;
    let mut lines = Vec::new();
    for entry in piece {
        lines.extend(serde_json::to_vec(&entry).unwrap_or_default());
        lines.push(b'\n');
    }
    Ok(lines.into())
}
