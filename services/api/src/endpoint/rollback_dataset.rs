//! `POST /api/datasets/{name}/rollback`: readers are sent back to the source, at once; what was written to the target since the cut-over is
//! then found out by a run. Doing it again after an answer that was lost changes nothing, and says the same.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use honk_bus::Publication;
use honk_protocol::dataset::{Location, NotRollable, Side};
use honk_protocol::name::DatasetName;
use honk_protocol::notice::{DATASET_ROLLED_BACK, Notice, Relocated};
use honk_protocol::reason::Reason;
use honk_protocol::subject::{location_key, notice};
use serde_json::{Map, json};

use super::shipped::{self, Asked};
use super::show_location::stored;
use crate::extract::Body;
use crate::problem::{ApiError, conflict};
use crate::state::{Api, read_own_write};
use crate::wire::{EventAccepted, LocationView, RollbackRequest, RolledBack};

/// How often the write is decided again because another writer was faster.
const TRIES: usize = 10;

/// `CloudEvents` `source` of the events that start the runs.
const SOURCE: &str = "/honk/rollback";

pub(super) async fn handle(
    State(api): State<Api>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<RolledBack>, ApiError> {
    let name = DatasetName::new(name)?;
    let asked = if body.0.is_empty() { RollbackRequest::default() } else { body.json()? };
    let location = roll_back(&api, &name, &asked).await?;
    tell(&api, &name, &location).await?;
    let left = location.former.first().map(|former| former.epoch).unwrap_or_default();
    let start = Asked {
        workflow: shipped::ROLLBACK,
        dataset: &name,
        event: (SOURCE, format!("{name}.{}", location.epoch)),
        input: Map::from_iter([("epoch".to_owned(), json!(left))]),
    };
    let EventAccepted { run, url } = shipped::start(&api, start, &headers).await?;
    Ok(Json(RolledBack { location: LocationView::new(&name, &location), run, url }))
}

/// The location after the roll-back, which may have been made by an earlier request.
async fn roll_back(api: &Api, name: &DatasetName, asked: &RollbackRequest) -> Result<Location, ApiError> {
    for _ in 0..TRIES {
        let (location, entry) = stored(api, name).await?;
        if location.active == Side::Source && location.former.first().is_some_and(|former| former.rolled_back) {
            return Ok(location);
        }
        let back = location.rolled_back(api.clock.now(), asked.force).map_err(|why| refused(name, &why))?;
        let value = serde_json::to_vec(&back).unwrap_or_default();
        match api.bus.locations().update(&location_key(name), value, entry.revision).await {
            Ok(revision) => {
                read_own_write(&api.locations, revision).await;
                return Ok(back);
            }
            Err(error) if error.is_conflict() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(conflict().detail(format!("the location of `{name}` is being changed by others")))
}

fn refused(name: &DatasetName, why: &NotRollable) -> ApiError {
    let help = match why {
        NotRollable::NothingCutOver => "There is nothing to undo; `honk dataset location NAME` shows where it lies.",
        NotRollable::Held(_) => "Wait for the run, or cancel it: `honk run cancel RUN`.",
        NotRollable::Removed(_) => {
            "Migrate it back: register the target as the source, and another place as the target."
        }
        NotRollable::NotRetained(_) => "If you know that the source is whole, insist with `--force`.",
    };
    ApiError::of_reason(StatusCode::CONFLICT, Reason::NotRollable)
        .detail(format!("`{name}` cannot be rolled back: {why}"))
        .help(help)
}

/// Tells everyone who follows the dataset's notices. The message's id makes a repeat the same notice.
async fn tell(api: &Api, name: &DatasetName, location: &Location) -> Result<(), ApiError> {
    let id = format!("{}.{}.rolled-back", name.token(), location.epoch);
    let data = Relocated {
        dataset: name.clone(),
        epoch: location.epoch,
        active: location.active_place().clone(),
        other: location.spec.target.clone(),
        run: None,
        objects: 0,
        bytes: 0,
    };
    let told = Notice::of_location(DATASET_ROLLED_BACK, id.clone(), location.since, data);
    let publication = Publication::new(notice(name), serde_json::to_vec(&told).unwrap_or_default())
        .header("content-type", "application/cloudevents+json")
        .message_id(id);
    api.bus.publish(publication).await?;
    Ok(())
}
