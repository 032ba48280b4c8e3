//! What the catalog and the location registry say about a dataset, for actions. Each answer that an action cannot work with is
//! already the failure that ends its job, with its reason.

use honk_bus::{Bucket, Bus, BusError, Entry};
use honk_protocol::dataset::Location;
use honk_protocol::entity::Entity;
use honk_protocol::name::{DatasetName, RunId};
use honk_protocol::reason::Reason;
use honk_protocol::settle::Failed;
use honk_protocol::subject;
use honk_service::Clock;
use serde::de::DeserializeOwned;

/// Reads entities and locations, and moves locations. Clones share the connection.
#[derive(Debug, Clone)]
pub struct Registry {
    catalog: Bucket,
    locations: Bucket,
    clock: Clock,
}

/// A location as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// The location.
    pub location: Location,
    /// What a compare-and-set of it expects.
    pub revision: u64,
}

impl Registry {
    /// The registry behind `bus`; `clock` dates cut-overs.
    pub fn new(bus: &Bus, clock: Clock) -> Self {
        Self { catalog: bus.catalog(), locations: bus.locations(), clock }
    }

    /// The dataset's entity. Missing or unreadable, it can only be imported again.
    pub async fn entity(&self, dataset: &DatasetName) -> Result<Entity, Failed> {
        let missing = |problem: String| Failed::reject(Reason::EntityMissing, problem);
        let entry = self.catalog.get(&subject::dataset_key(dataset)).await.map_err(|error| unavailable(&error))?;
        let entry = entry.ok_or_else(|| missing(format!("there is no dataset `{dataset}` in the catalog")))?;
        decode(&entry).map_err(|problem| missing(format!("the entity of `{dataset}` cannot be read: {problem}")))
    }

    /// Where the dataset lies. Missing or unreadable, it can only be registered again.
    pub async fn location(&self, dataset: &DatasetName) -> Result<Registered, Failed> {
        let missing = |problem: String| Failed::reject(Reason::LocationMissing, problem);
        let entry = self.locations.get(&subject::location_key(dataset)).await.map_err(|error| unavailable(&error))?;
        let entry = entry.ok_or_else(|| missing(format!("`{dataset}` has no location")))?;
        let location = decode(&entry);
        let location =
            location.map_err(|problem| missing(format!("the location of `{dataset}` cannot be read: {problem}")))?;
        Ok(Registered { location, revision: entry.revision })
    }

    /// Makes the target the dataset's active place, if the location is still what was `read`. If `run` did so before and only the
    /// answer was lost, that is a success too.
    pub async fn cut_over(&self, dataset: &DatasetName, read: &Registered, run: &RunId) -> Result<Location, Failed> {
        let moved = read.location.cut_over(run, self.clock.now());
        let json =
            serde_json::to_vec(&moved).map_err(|error| Failed::reject(Reason::LocationMissing, error.to_string()))?;
        match self.locations.update(&subject::location_key(dataset), json, read.revision).await {
            Ok(_revision) => Ok(moved),
            Err(error) if error.is_conflict() => self.after_conflict(dataset, &moved, run).await,
            Err(error) => Err(unavailable(&error)),
        }
    }

    /// A conflict is this run's own earlier write, or somebody else's.
    async fn after_conflict(&self, dataset: &DatasetName, moved: &Location, run: &RunId) -> Result<Location, Failed> {
        let Registered { location, .. } = self.location(dataset).await?;
        if location.run.as_ref() == Some(run) && location.spec == moved.spec && location.active == moved.active {
            return Ok(location);
        }
        let message =
            format!("the location of `{dataset}` was changed while it was being migrated; nothing was cut over");
        Err(Failed::reject(Reason::LocationChanged, message))
    }
}

/// The failure of a job that could not read or write what it needs.
pub fn unavailable(error: &BusError) -> Failed {
    Failed::retry(Reason::BusUnavailable, error.to_string())
}

fn decode<T: DeserializeOwned>(entry: &Entry) -> Result<T, String> {
    serde_json::from_slice(&entry.value).map_err(|error| error.to_string())
}
