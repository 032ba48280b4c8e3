//! `GET /api/datasets`: the catalog's datasets by name, or those that a selection picks, page by page.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use honk_protocol::name::DatasetName;
use honk_protocol::selector::{Selector, SelectorError};
use honk_protocol::subject::dataset_key;

use super::show_dataset::view;
use crate::extract::{Parameters, bad_cursor, page_size};
use crate::problem::ApiError;
use crate::state::Api;
use crate::wire::{DatasetPage, DatasetQuery};

pub(super) async fn handle(
    State(api): State<Api>,
    Parameters(query): Parameters<DatasetQuery>,
) -> Result<Json<DatasetPage>, ApiError> {
    let limit = page_size(query.limit)?;
    let after = query.cursor.map(DatasetName::new).transpose().map_err(|_| bad_cursor())?;
    let after = after.map(|name| dataset_key(&name));
    let selector = query.selector.as_deref().map(str::parse::<Selector>).transpose()?;
    let all = api.catalog.find("dataset.").into_iter();
    let selected = all.filter(|(_, entity)| selector.as_ref().is_none_or(|selector| selector.matches(entity)));
    let mut rest = selected.skip_while(|(key, _)| after.as_ref().is_some_and(|after| key <= after));
    let entities: Vec<_> = rest.by_ref().take(limit).map(|(_, entity)| entity).collect();
    let next = entities.last().filter(|_| rest.next().is_some()).map(|entity| entity.metadata.name.to_string());
    Ok(Json(DatasetPage { datasets: entities.iter().map(|entity| view(&api, entity)).collect(), next }))
}

impl From<SelectorError> for ApiError {
    fn from(error: SelectorError) -> Self {
        let title = "The selection of datasets is not valid";
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "selector-invalid", title).detail(error.to_string())
    }
}
