//! `POST /api/datasets/{name}/retire`: a run lists, marks or removes the source that readers have left. What can be refused is refused here,
//! with everyone who is not ready by name; the run asks the same again, because it may begin much later.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use honk_protocol::dataset::NotRetirable;
use honk_protocol::name::{BundleHash, DatasetName};
use honk_protocol::reason::Reason;
use serde_json::{Map, json};
use uuid::Uuid;

use super::shipped::{self, Asked};
use super::{consumers, show_location};
use crate::extract::Body;
use crate::problem::ApiError;
use crate::state::Api;
use crate::wire::{Fault, RetireRequest};

/// `CloudEvents` `source` of the events that start the runs.
const SOURCE: &str = "/honk/retire";

pub(super) async fn handle(
    State(api): State<Api>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let name = DatasetName::new(name)?;
    let asked = if body.0.is_empty() { RetireRequest::default() } else { body.json()? };
    check(&asked)?;
    is_due(&api, &name, &asked).await?;
    let input = json!({
        "dry_run": asked.dry_run, "remove": asked.remove, "list": asked.list.unwrap_or_default(),
    });
    let start = Asked {
        workflow: shipped::RETIRE,
        dataset: &name,
        event: (SOURCE, Uuid::new_v4().to_string()),
        input: input.as_object().cloned().unwrap_or_else(Map::new),
    };
    let accepted = shipped::start(&api, start, &headers).await?;
    Ok((StatusCode::ACCEPTED, Json(accepted)).into_response())
}

fn check(asked: &RetireRequest) -> Result<(), ApiError> {
    let fault = if asked.dry_run && asked.remove {
        "`dry_run` and `remove` exclude each other"
    } else if asked.list.is_some() && !asked.remove {
        "`list` is what `remove` removes, and means nothing without"
    } else if asked.list.as_ref().is_some_and(|list| BundleHash::new(list.clone()).is_err()) {
        "`list` is not the name of a list, which has 64 hexadecimal digits"
    } else {
        return Ok(());
    };
    let title = "The retirement is not asked for as it can be";
    Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "retire-invalid", title).detail(fault))
}

async fn is_due(api: &Api, name: &DatasetName, asked: &RetireRequest) -> Result<(), ApiError> {
    let (location, _) = show_location::stored(api, name).await?;
    match location.retirable(api.clock.now()) {
        Err(why) if !asked.dry_run || why == NotRetirable::Active => {
            let detail = format!("the source of `{name}` cannot be retired: {why}");
            return Err(ApiError::of_reason(StatusCode::CONFLICT, Reason::SourceRetained).detail(detail));
        }
        // What would be removed can be looked at before its time.
        _ if asked.dry_run => return Ok(()),
        _ => {}
    }
    let entity = api.dataset(name).await?;
    let known = consumers::of(api, &entity, Some(location.epoch)).await?;
    let behind: Vec<Fault> = known.iter().filter(|one| !one.current).map(fault).collect();
    if behind.is_empty() {
        return Ok(());
    }
    let detail = format!("{} of {} consumers of `{name}` may still read an old place", behind.len(), known.len());
    Err(ApiError::of_reason(StatusCode::CONFLICT, Reason::ConsumersBehind).detail(detail).errors(behind))
}

fn fault(behind: &honk_protocol::dataset::Consumer) -> Fault {
    let seen = behind.epoch.map_or_else(|| "was never heard".to_owned(), |epoch| format!("has seen epoch {epoch}"));
    Fault {
        message: format!("{} {seen}", behind.consumer),
        path: Some(behind.consumer.to_string()),
        ..Fault::default()
    }
}
