//! Datasets as people see them.

use honk_api::wire::{DatasetView, LocationView};
use honk_protocol::dataset::{Hold, Place, Retired, RetiredState, Side};
use serde_json::{Map, Value};

use super::{fields, optional, time};
use crate::output::{Table, inline};

/// A table of datasets; nothing if there are none.
pub(crate) fn datasets(datasets: &[DatasetView]) -> String {
    let mut table = Table::new(&["DATASET", "OWNER", "ACTIVE", "LOCATION", "LAST RUN", "STATE"]);
    for dataset in datasets {
        let (location, run) = (dataset.location.as_ref(), dataset.last_run.as_ref());
        table.row([
            dataset.name.to_string(),
            dataset.owner.clone().unwrap_or_default(),
            location.map(|location| side(location.active).to_owned()).unwrap_or_default(),
            location.map(|location| location.active_place().to_string()).unwrap_or_default(),
            run.map(|run| run.id.to_string()).unwrap_or_default(),
            run.map(|run| run.state.to_string()).unwrap_or_default(),
        ]);
    }
    if datasets.is_empty() { String::new() } else { table.to_string() }
}

/// All there is to know about a dataset, but for its entity.
pub(crate) fn dataset(dataset: &DatasetView) -> String {
    let forbidden = if dataset.do_not_migrate { "forbidden by honk/do-not-migrate" } else { "" };
    let run = dataset.last_run.as_ref();
    let head = fields(&[
        ("dataset", dataset.name.to_string()),
        ("entity", dataset.reference.clone()),
        ("owner", dataset.owner.clone().unwrap_or_default()),
        ("workflow", optional(dataset.workflow.as_ref())),
        ("migration", forbidden.to_owned()),
        ("status", dataset.metadata.get("status").and_then(Value::as_str).unwrap_or_default().to_owned()),
        ("last run", run.map(|run| format!("{} ({})", run.id, run.state)).unwrap_or_default()),
    ]);
    let place = dataset.location.as_ref().map_or_else(|| no_location(dataset), location);
    let readers = super::after::consumers(&dataset.consumers);
    let readers = if readers.is_empty() { readers } else { format!("\n{readers}") };
    format!("{head}\n{place}{readers}{}", metadata(&dataset.metadata))
}

/// What is written down about a dataset, but for a status, which stands at its head.
fn metadata(metadata: &Map<String, Value>) -> String {
    let rest = metadata.iter().filter(|(key, value)| *key != "status" || !value.is_string());
    // Names are from outside too.
    let lines: Vec<(String, String)> = rest.map(|(key, value)| (inline(key), value.to_string())).collect();
    let lines: Vec<(&str, String)> = lines.iter().map(|(key, value)| (key.as_str(), value.clone())).collect();
    if lines.is_empty() { String::new() } else { format!("\nmetadata\n{}", fields(&lines)) }
}

fn no_location(dataset: &DatasetView) -> String {
    let name = &dataset.name;
    format!("no location; set it with `honk dataset location {name} --source s3://… --target s3://…`\n")
}

/// Where a dataset lies.
pub(crate) fn location(location: &LocationView) -> String {
    let by = location.run.as_ref().map(|run| format!(" (by run {run})")).unwrap_or_default();
    fields(&[
        ("source", place(&location.source)),
        ("target", place(&location.target)),
        ("format", location.format.clone().unwrap_or_default()),
        ("active", side(location.active).to_owned()),
        ("since", format!("{}{by}", time(location.since))),
        ("epoch", location.epoch.to_string()),
        ("writers wait", location.hold.as_ref().map(held).unwrap_or_default()),
        ("source kept until", location.retain_until.map(time).unwrap_or_default()),
        ("the source is", location.retired.as_ref().map(retired).unwrap_or_default()),
    ])
}

/// The same in one line.
pub(crate) fn location_line(location: &LocationView) -> String {
    let hold = location.hold.as_ref().map(|hold| format!("  writers wait {}", held(hold))).unwrap_or_default();
    let retired = location.retired.as_ref().map(|source| format!("  source {}", retired(source))).unwrap_or_default();
    let (since, epoch, active) = (time(location.since), location.epoch, side(location.active));
    format!("{since}  epoch {epoch}  {active}  {}{hold}{retired}", place(location.active_place()))
}

fn held(hold: &Hold) -> String {
    format!("until {} for run {}", time(hold.until), hold.run)
}

fn retired(source: &Retired) -> String {
    let state = match source.state {
        RetiredState::Deprecated => "deprecated",
        RetiredState::Removing => "being removed",
        RetiredState::Removed => "removed",
    };
    format!("{state} since {}", time(source.since))
}

fn place(place: &Place) -> String {
    let Place::S3(s3) = place;
    let endpoint = s3.endpoint.as_ref().map(|endpoint| format!(" at {endpoint}")).unwrap_or_default();
    let region = s3.region.as_ref().map(|region| format!(" in {region}")).unwrap_or_default();
    format!("{place}{endpoint}{region}")
}

const fn side(side: Side) -> &'static str {
    match side {
        Side::Source => "source",
        Side::Target => "target",
    }
}
