//! `GET /api/datasets/{name}/consumers`: who is known to read a dataset, and who among them may still read an old place.
//! `POST …/consumers/{consumer}/ack`: a consumer says that it has moved. `DELETE …/consumers/{consumer}`: one that is gone is forgotten.
//!
//! What a consumer has seen only goes forward, by compare-and-set of its own key, so that a late word about an older epoch changes nothing.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use honk_protocol::dataset::{Consumer, Heard, Sighting, consumers, parse_consumer};
use honk_protocol::entity::{Entity, EntityRef};
use honk_protocol::name::DatasetName;
use honk_protocol::subject::{consumer_key, consumers_filter};
use jiff::SignedDuration;

use super::show_location::stored;
use crate::extract::Body;
use crate::problem::{ApiError, conflict};
use crate::state::Api;
use crate::wire::{ConsumerAck, ConsumerList};

/// How often the write is decided again because another writer was faster.
const TRIES: usize = 10;

/// How old a sighting of the same epoch must be to be written again: a consumer may ask every second.
const REFRESH: SignedDuration = SignedDuration::from_hours(1);

pub(super) async fn list(State(api): State<Api>, Path(name): Path<String>) -> Result<Json<ConsumerList>, ApiError> {
    let name = DatasetName::new(name)?;
    let entity = api.dataset(&name).await?;
    let epoch = match stored(&api, &name).await {
        Ok((location, _)) => Some(location.epoch),
        Err(error) if error.status() == StatusCode::NOT_FOUND => None,
        Err(error) => return Err(error),
    };
    let consumers = of(&api, &entity, epoch).await?;
    Ok(Json(ConsumerList { dataset: name, epoch, consumers }))
}

pub(super) async fn acknowledge(
    State(api): State<Api>,
    Path((dataset, consumer)): Path<(String, String)>,
    body: Body,
) -> Result<Json<Consumer>, ApiError> {
    let (dataset, consumer) = (DatasetName::new(dataset)?, name(&consumer)?);
    let asked = if body.0.is_empty() { ConsumerAck::default() } else { body.json()? };
    let (location, _) = stored(&api, &dataset).await?;
    let epoch = asked.epoch.unwrap_or(location.epoch);
    if !(1..=location.epoch).contains(&epoch) {
        let detail = format!("the location of `{dataset}` has epochs 1 to {}, and not {epoch}", location.epoch);
        return Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "epoch-unknown", "There is no such epoch")
            .detail(detail)
            .help("Send the `epoch` of the location that you read, or none for the present one."));
    }
    hear(&api, &dataset, &consumer, (epoch, Heard::Acknowledged)).await?;
    let entity = api.dataset(&dataset).await?;
    let known = of(&api, &entity, Some(location.epoch)).await?;
    let heard = known.into_iter().find(|known| known.consumer == consumer);
    heard.map(Json).ok_or_else(|| conflict().detail(format!("{consumer} was forgotten at the same moment")))
}

pub(super) async fn forget(
    State(api): State<Api>,
    Path((dataset, consumer)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    let (dataset, consumer) = (DatasetName::new(dataset)?, name(&consumer)?);
    let key = consumer_key(&dataset, &consumer);
    if api.bus.consumers().get(&key).await?.is_none() {
        let entity = api.dataset(&dataset).await?;
        let help = if of(&api, &entity, None).await?.iter().any(|known| known.consumer == consumer) {
            "The catalog says that it reads the dataset: correct `dependsOn` or `dependencyOf`, and import it again."
        } else {
            "`honk consumer list DATASET` names those that are known."
        };
        let what = format!("consumer {consumer} of `{dataset}` that was heard");
        return Err(ApiError::not_found("consumer-unknown", what).help(help));
    }
    api.bus.consumers().delete(&key).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A consumer's name, as a path, a query or a header has it.
pub(super) fn name(text: &str) -> Result<EntityRef, ApiError> {
    parse_consumer(text).map_err(|error| {
        ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "consumer-invalid", "A consumer's name is ill-formed")
            .detail(format!("`{text}` {error}"))
            .help("Name an entity, such as `component:default/report`; `report` means the same.")
    })
}

/// Everyone who is known to read the dataset; without an `epoch` there is no place to read, and nobody is behind.
pub(super) async fn of(api: &Api, entity: &Entity, epoch: Option<u64>) -> Result<Vec<Consumer>, ApiError> {
    let catalog: Vec<_> = api.catalog.find("").into_iter().map(|(_, entity)| entity).collect();
    let declared = entity.readers(catalog.iter().map(AsRef::as_ref));
    let heard = api.bus.consumers().get_all(&consumers_filter(&entity.metadata.name)).await?;
    let heard = heard.iter().filter_map(|entry| serde_json::from_slice(&entry.value).ok()).collect();
    Ok(consumers(&declared, heard, epoch.unwrap_or_default()))
}

/// Writes down what a consumer has seen, unless that is known.
pub(super) async fn hear(
    api: &Api,
    dataset: &DatasetName,
    consumer: &EntityRef,
    (epoch, how): (u64, Heard),
) -> Result<(), ApiError> {
    let (bucket, key) = (api.bus.consumers(), consumer_key(dataset, consumer));
    for _ in 0..TRIES {
        let entry = bucket.get(&key).await?;
        let known = entry.as_ref().and_then(|entry| serde_json::from_slice::<Sighting>(&entry.value).ok());
        let sighting = Sighting { consumer: consumer.clone(), epoch, at: api.clock.now(), how };
        if known.is_some_and(|known| !is_news(&known, &sighting)) {
            return Ok(());
        }
        let value = serde_json::to_vec(&sighting).unwrap_or_default();
        let written = match &entry {
            None => bucket.create(&key, value).await,
            Some(entry) => bucket.update(&key, value, entry.revision).await,
        };
        match written {
            Ok(_) => return Ok(()),
            Err(error) if error.is_conflict() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(conflict().detail(format!("{consumer} says what it reads in many places at once")))
}

/// Whether `next` says more than what is known.
fn is_news(known: &Sighting, next: &Sighting) -> bool {
    if next.epoch != known.epoch {
        return next.epoch > known.epoch;
    }
    let is_clearer = known.how == Heard::Resolved && next.how == Heard::Acknowledged;
    is_clearer || (known.how == next.how && next.at.duration_since(known.at) >= REFRESH)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn what_is_known_of_a_consumer_only_goes_forward() {
        let sighting = |epoch, how, minutes| Sighting {
            consumer: name("report").unwrap(),
            epoch,
            at: Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minutes),
            how,
        };
        let known = sighting(2, Heard::Resolved, 0);
        for (next, expected) in [
            (sighting(3, Heard::Resolved, 0), true),
            (sighting(1, Heard::Acknowledged, 600), false),
            (sighting(2, Heard::Resolved, 1), false),
            (sighting(2, Heard::Resolved, 60), true),
            (sighting(2, Heard::Acknowledged, 0), true),
        ] {
            assert_eq!(is_news(&known, &next), expected, "{next:?}");
        }
        assert!(
            !is_news(&sighting(2, Heard::Acknowledged, 0), &sighting(2, Heard::Resolved, 600)),
            "it said more before"
        );
    }
}
