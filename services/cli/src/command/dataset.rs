//! `honk dataset`: the catalog's datasets, where they lie, and what comes after a migration.

pub(super) mod after;

use honk_api::wire::{DatasetPage, DatasetQuery, DatasetView, LocationView};
use honk_protocol::dataset::{LocationSpec, Place, S3Place};
use honk_protocol::name::DatasetName;
use reqwest::{Method, Url};

use crate::api::{Api, Body, Doing, follow_location};
use crate::arguments::{DatasetCommand, LocationArguments};
use crate::error::{CliError, Exit};
use crate::output::Output;
use crate::view;

pub(super) async fn run(command: DatasetCommand, api: &Api, output: &Output) -> Result<Exit, CliError> {
    match command {
        DatasetCommand::List { limit } => list(limit, api, output).await,
        DatasetCommand::Show { name } => {
            let dataset: DatasetView =
                api.get(&["api", "datasets", name.as_str()]).await.doing(&format!("show the dataset {name}"))?;
            output.data(&dataset, view::dataset)?;
            Ok(Exit::Done)
        }
        DatasetCommand::Location(arguments) if arguments.watch => watch(&arguments.name, api, output).await,
        DatasetCommand::Location(arguments) => location(arguments, api, output).await,
        DatasetCommand::Rollback(arguments) => after::roll_back(arguments, api, output).await,
        DatasetCommand::Retire(arguments) => after::retire(arguments, api, output).await,
    }
}

async fn list(limit: usize, api: &Api, output: &Output) -> Result<Exit, CliError> {
    let found = api.list::<DatasetPage>(&["api", "datasets"], &DatasetQuery::default(), limit).await;
    let found = found.doing("list the datasets")?;
    output.data(&found.items, |items| view::datasets(items))?;
    if found.items.is_empty() {
        output.note("no datasets; import some with `honk catalog import FILE`");
    }
    super::note_more(found.more, output);
    Ok(Exit::Done)
}

async fn location(arguments: LocationArguments, api: &Api, output: &Output) -> Result<Exit, CliError> {
    let name = arguments.name.clone();
    let path = ["api", "datasets", name.as_str(), "location"];
    let location: LocationView = match spec(arguments) {
        None => api.get(&path).await.doing(&format!("show the location of {name}"))?,
        Some(spec) => {
            let doing = format!("set the location of {name}");
            let body = Body::json(&spec).doing(&doing)?;
            api.send(Method::PUT, &path, Some(body)).await.doing(&doing)?
        }
    };
    output.data(&location, view::location)?;
    Ok(Exit::Done)
}

/// Prints the location, and again after every change, until nobody reads it any more.
async fn watch(name: &DatasetName, api: &Api, output: &Output) -> Result<Exit, CliError> {
    let followed = follow_location(api, name, |location| {
        if output.is_json() { output.json(location) } else { output.text(&view::location_line(location)) }
    });
    match followed.await {
        Ok(()) => Ok(Exit::Done),
        Err(error) => Err(error.told(&format!("watch the location of {name}"))),
    }
}

/// The location to set, if there is one.
fn spec(arguments: LocationArguments) -> Option<LocationSpec> {
    let source = place(arguments.source?, arguments.source_endpoint, arguments.source_region);
    let target = place(arguments.target?, arguments.target_endpoint, arguments.target_region);
    Some(LocationSpec { source, target, format: arguments.format })
}

fn place(place: S3Place, endpoint: Option<Url>, region: Option<String>) -> Place {
    let endpoint = endpoint.map(|url| url.as_str().trim_end_matches('/').to_owned());
    Place::S3(S3Place { endpoint, region, ..place })
}
