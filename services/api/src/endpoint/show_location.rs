//! `GET /api/datasets/{name}/location`: where a dataset lies, under which epoch, since when, by which run. Read from the server and not from
//! memory: who asks may be a reader right after a cut-over.
//!
//! The answer has a strong `ETag`, so that asking again costs next to nothing (`If-None-Match`, 304), and may be kept for a few seconds, but
//! not at all while a run asks writers to wait. Who says its name (`?consumer=NAME`, or the header `Honk-Consumer`) is known to have moved
//! from then on.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH, VARY};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use honk_bus::Entry;
use honk_protocol::dataset::{Heard, Location};
use honk_protocol::name::DatasetName;
use honk_protocol::subject::location_key;

use super::consumers;
use crate::extract::Parameters;
use crate::problem::ApiError;
use crate::state::Api;
use crate::wire::{CONSUMER_HEADER, LOCATION_MAX_AGE, LocationQuery, LocationView};

pub(super) async fn handle(
    State(api): State<Api>,
    Path(name): Path<String>,
    Parameters(query): Parameters<LocationQuery>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let name = DatasetName::new(name)?;
    let text = |header: &str| headers.get(header).and_then(|value| value.to_str().ok());
    let consumer = query.consumer.as_deref().or_else(|| text(CONSUMER_HEADER));
    let consumer = consumer.map(consumers::name).transpose()?;
    let (location, entry) = stored(&api, &name).await?;
    if let Some(consumer) = &consumer {
        // The reader's answer must not depend on whether that it asked can be written down.
        if let Err(error) = consumers::hear(&api, &name, consumer, (location.epoch, Heard::Resolved)).await {
            tracing::warn!(%consumer, dataset = %name, %error, "cannot note that a consumer has asked for the location");
        }
    }
    let tag = format!("\"{}.{}\"", location.epoch, entry.revision);
    let common = [
        (ETAG, tag.clone()),
        (CACHE_CONTROL, caching(&api, &location, consumer.is_some())),
        (VARY, CONSUMER_HEADER.to_owned()),
    ];
    if text(IF_NONE_MATCH.as_str()).is_some_and(|known| matches(known, &tag)) {
        return Ok((StatusCode::NOT_MODIFIED, common).into_response());
    }
    Ok((common, Json(LocationView::new(&name, &location))).into_response())
}

/// The location as the server has it, or the problem that there is none.
pub(super) async fn stored(api: &Api, name: &DatasetName) -> Result<(Location, Entry), ApiError> {
    let entry = api.bus.locations().get(&location_key(name)).await?;
    let found = entry.and_then(|entry| Some((serde_json::from_slice::<Location>(&entry.value).ok()?, entry)));
    if let Some(found) = found {
        return Ok(found);
    }
    api.dataset(name).await?;
    let help = format!("Say where it lies: `honk dataset location {name} --source s3://… --target s3://…`.");
    Err(ApiError::not_found("location-unknown", format!("location of dataset `{name}` yet")).help(help))
}

/// How long the answer may be kept: a consumer that says its name has to be heard every time.
fn caching(api: &Api, location: &Location, is_named: bool) -> String {
    if location.live_hold(api.clock.now()).is_some() {
        "no-store".to_owned()
    } else if is_named {
        "no-cache".to_owned()
    } else {
        format!("max-age={}, must-revalidate", LOCATION_MAX_AGE.as_secs())
    }
}

/// Whether `If-None-Match` names this tag (RFC 9110, section 13.1.2: compared without regard to weakness).
fn matches(known: &str, tag: &str) -> bool {
    known.split(',').map(str::trim).any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_known_alone_among_others_weakly_and_by_a_star() {
        for (known, expected) in [
            (r#""2.7""#, true),
            (r#""1.3", W/"2.7""#, true),
            ("*", true),
            (r#""2.70""#, false),
            ("2.7", false),
            ("", false),
        ] {
            assert_eq!(matches(known, r#""2.7""#), expected, "{known}");
        }
    }
}
