//! `PUT /api/datasets/{name}/location`: a person says where a dataset lies and where it shall go. From then on only a
//! migration that has verified every object changes which of the two is active; so the places cannot be changed under one.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use honk_bus::Entry;
use honk_protocol::dataset::{Location, LocationSpec};
use honk_protocol::name::DatasetName;
use honk_protocol::reason::Reason;
use honk_protocol::subject::location_key;

use crate::extract::Body;
use crate::place;
use crate::problem::{ApiError, conflict};
use crate::state::{Api, read_own_write};
use crate::wire::LocationView;

/// How often the write is decided again because another writer was faster.
const TRIES: usize = 10;

pub(super) async fn handle(State(api): State<Api>, Path(name): Path<String>, body: Body) -> Result<Response, ApiError> {
    let name = DatasetName::new(name)?;
    let spec: LocationSpec = body.json().map_err(|error| error.help(FORM))?;
    api.dataset(&name).await?;
    check(&spec)?;
    for _ in 0..TRIES {
        let entry = api.bus.locations().get(&location_key(&name)).await?;
        let stored = entry.as_ref().and_then(|entry| serde_json::from_slice::<Location>(&entry.value).ok());
        if let Some(same) = stored.as_ref().filter(|stored| stored.spec == spec) {
            return Ok(Json(LocationView::new(&name, same)).into_response());
        }
        refuse_while_live(&api, &name).await?;
        let now = api.clock.now();
        let location = match &stored {
            Some(stored) => stored.registered_anew(spec.clone(), now),
            None => Location::registered(spec.clone(), now),
        };
        if let Some(response) = write(&api, &name, &location, entry.as_ref()).await? {
            return Ok(response);
        }
    }
    Err(conflict().detail(format!("the location of `{name}` is being changed by others")))
}

const FORM: &str = r#"Send {"source":{"s3":{"bucket":"old","prefix":"a"}},"target":{"s3":{"bucket":"new"}}}."#;

fn check(spec: &LocationSpec) -> Result<(), ApiError> {
    let faults = place::check(spec);
    if !faults.is_empty() {
        let title = "A place is not well-formed";
        return Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "location-invalid", title)
            .errors(faults)
            .help(FORM));
    }
    if place::overlap(spec) {
        let detail = format!("the source is {}, the target is {}", spec.source, spec.target);
        return Err(ApiError::of_reason(StatusCode::UNPROCESSABLE_ENTITY, Reason::LocationsOverlap)
            .detail(detail)
            .help("Choose a target outside the source, and the source outside the target."));
    }
    Ok(())
}

async fn refuse_while_live(api: &Api, name: &DatasetName) -> Result<(), ApiError> {
    let lane = api.ledger.lane(name).await?;
    match lane.live() {
        None => Ok(()),
        Some(live) => {
            let title = "The dataset is being migrated";
            let help = "Wait for the run's end: a location must not change under a migration.";
            let problem = ApiError::new(StatusCode::CONFLICT, "dataset-busy", title);
            Err(problem.detail(format!("run {} of `{name}` is not finished", live.run.id)).help(help))
        }
    }
}

/// The answer; none if another writer was faster.
async fn write(
    api: &Api,
    name: &DatasetName,
    location: &Location,
    entry: Option<&Entry>,
) -> Result<Option<Response>, ApiError> {
    let value = serde_json::to_vec(location).unwrap_or_default();
    let (bucket, key) = (api.bus.locations(), location_key(name));
    let (status, written) = match entry {
        Some(entry) => (StatusCode::OK, bucket.update(&key, value, entry.revision).await),
        None => (StatusCode::CREATED, bucket.create(&key, value).await),
    };
    match written {
        Ok(revision) => {
            read_own_write(&api.locations, revision).await;
            Ok(Some((status, Json(LocationView::new(name, location))).into_response()))
        }
        Err(error) if error.is_conflict() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(source: &str, target: &str) -> Option<String> {
        let spec = format!(r#"{{"source":{{"s3":{source}}},"target":{{"s3":{target}}}}}"#);
        check(&serde_json::from_str(&spec).unwrap()).err().map(|error| error.into_problem().code)
    }

    #[test]
    fn places_that_cannot_work_are_refused_with_their_code() {
        assert_eq!(problem(r#"{"bucket":"a"}"#, r#"{"bucket":"b"}"#), None);
        assert_eq!(
            problem(r#"{"bucket":"a"}"#, r#"{"bucket":"a","prefix":"x"}"#).as_deref(),
            Some("locations-overlap")
        );
        assert_eq!(problem(r#"{"bucket":""}"#, r#"{"bucket":"b"}"#).as_deref(), Some("location-invalid"));
    }
}
