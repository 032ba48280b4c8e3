//! `GET /api/datasets/{name}/location`: where a dataset lies, since when, by which run. Read from the server and not from
//! memory: who asks may be a reader right after a cut-over.

use axum::Json;
use axum::extract::{Path, State};
use honk_protocol::dataset::Location;
use honk_protocol::name::DatasetName;
use honk_protocol::subject::location_key;

use crate::problem::ApiError;
use crate::state::Api;
use crate::wire::LocationView;

pub(super) async fn handle(State(api): State<Api>, Path(name): Path<String>) -> Result<Json<LocationView>, ApiError> {
    let name = DatasetName::new(name)?;
    let entry = api.bus.locations().get(&location_key(&name)).await?;
    let location = entry.and_then(|entry| serde_json::from_slice::<Location>(&entry.value).ok());
    if let Some(location) = location {
        return Ok(Json(LocationView::new(&name, &location)));
    }
    api.dataset(&name).await?;
    let help = format!("Say where it lies: `honk dataset location {name} --source s3://… --target s3://…`.");
    Err(ApiError::not_found("location-unknown", format!("location of dataset `{name}` yet")).help(help))
}
