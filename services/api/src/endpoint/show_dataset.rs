//! `GET /api/datasets/{name}`: a dataset, where it lies, who reads it, what is written down about it, and its newest run.

use axum::Json;
use axum::extract::{Path, State};
use honk_protocol::entity::{Entity, WORKFLOW};
use honk_protocol::name::{DatasetName, WorkflowName};
use honk_protocol::subject::location_key;
use serde_json::Map;

use super::{consumers, metadata};
use crate::problem::ApiError;
use crate::state::Api;
use crate::wire::{DatasetView, LocationView, RunView};

pub(super) async fn handle(State(api): State<Api>, Path(name): Path<String>) -> Result<Json<DatasetView>, ApiError> {
    let name = DatasetName::new(name)?;
    let entity = api.dataset(&name).await?;
    let whole = serde_json::to_value(&*entity).ok();
    let metadata = metadata::of(&api, &name).await?;
    let view = view(&api, &entity);
    let epoch = view.location.as_ref().map(|location| location.epoch);
    let consumers = consumers::of(&api, &entity, epoch).await?;
    Ok(Json(DatasetView { entity: whole, metadata, consumers, ..view }))
}

/// The dataset without its entity, its metadata and its consumers.
pub(super) fn view(api: &Api, entity: &Entity) -> DatasetView {
    let name = &entity.metadata.name;
    let location = api.locations.get(&location_key(name));
    let last_run = api.runs.newest_of(name);
    DatasetView {
        name: name.clone(),
        reference: entity.reference().to_string(),
        owner: entity.owner().map(|owner| owner.to_string()),
        workflow: entity.annotation(WORKFLOW).and_then(|name| WorkflowName::new(name).ok()),
        do_not_migrate: entity.forbids_migration(),
        entity: None,
        metadata: Map::new(),
        consumers: Vec::new(),
        location: location.map(|location| LocationView::new(name, &location)),
        last_run: last_run.map(|run| Box::new(RunView::new(&run, api.clock.now()))),
    }
}
