//! What the catalog and the location registry say about a dataset, for actions. Each answer that an action cannot work with is
//! already the failure that ends its job, with its reason.

use std::collections::BTreeMap;
use std::time::Duration;

use honk_bus::{Bucket, Bus, BusError, Entry, WatchEvent};
use honk_protocol::dataset::{Consumer, Location, Retired, RetiredState, Side, consumers};
use honk_protocol::entity::Entity;
use honk_protocol::name::{DatasetName, RunId};
use honk_protocol::reason::Reason;
use honk_protocol::settle::Failed;
use honk_protocol::subject;
use honk_service::Clock;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::steps::metadata;
pub use crate::steps::metadata::{MAX_NOTES, RESERVED};

/// Reads entities and locations, and moves locations. Clones share the connection.
#[derive(Debug, Clone)]
pub struct Registry {
    catalog: Bucket,
    locations: Bucket,
    metadata: Bucket,
    consumers: Bucket,
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
        Self {
            catalog: bus.catalog(),
            locations: bus.locations(),
            metadata: bus.metadata(),
            consumers: bus.consumers(),
            clock,
        }
    }

    /// The dataset's entity. Missing or unreadable, it can only be imported again.
    pub async fn entity(&self, dataset: &DatasetName) -> Result<Entity, Failed> {
        let missing =
            || Failed::reject(Reason::EntityMissing, format!("there is no dataset `{dataset}` in the catalog"));
        self.find_entity(dataset).await?.ok_or_else(missing)
    }

    /// The same, or nothing if there is none.
    pub async fn find_entity(&self, dataset: &DatasetName) -> Result<Option<Entity>, Failed> {
        let entry = self.catalog.get(&subject::dataset_key(dataset)).await.map_err(|error| unavailable(&error))?;
        let decoded = entry.map(|entry| decode(&entry)).transpose();
        decoded.map_err(|problem| {
            Failed::reject(Reason::EntityMissing, format!("the entity of `{dataset}` cannot be read: {problem}"))
        })
    }

    /// Where the dataset lies. Missing or unreadable, it can only be registered again.
    pub async fn location(&self, dataset: &DatasetName) -> Result<Registered, Failed> {
        let missing = || Failed::reject(Reason::LocationMissing, format!("`{dataset}` has no location"));
        self.find_location(dataset).await?.ok_or_else(missing)
    }

    /// The same, or nothing if there is none.
    pub async fn find_location(&self, dataset: &DatasetName) -> Result<Option<Registered>, Failed> {
        let entry = self.locations.get(&subject::location_key(dataset)).await.map_err(|error| unavailable(&error))?;
        let Some(entry) = entry else { return Ok(None) };
        let location = decode(&entry).map_err(|problem| {
            Failed::reject(Reason::LocationMissing, format!("the location of `{dataset}` cannot be read: {problem}"))
        })?;
        Ok(Some(Registered { location, revision: entry.revision }))
    }

    /// What is written down about the dataset, and the revision that a compare-and-set of it expects; 0 if nothing was ever.
    pub async fn metadata(&self, dataset: &DatasetName) -> Result<(Map<String, Value>, u64), Failed> {
        let entry = self.metadata.get(&subject::location_key(dataset)).await.map_err(|error| unavailable(&error))?;
        let Some(entry) = entry else { return Ok((Map::new(), 0)) };
        let notes = decode(&entry).map_err(|problem| {
            Failed::reject(Reason::MetadataInvalid, format!("the metadata of `{dataset}` cannot be read: {problem}"))
        })?;
        Ok((notes, entry.revision))
    }

    /// Writes changes down (an RFC 7396 merge patch), and returns all that is then written down about the dataset. Doing it again changes
    /// nothing.
    ///
    /// # Errors
    /// The server cannot be reached, or the whole would have more than [`MAX_NOTES`] bytes: then no program could read it any more.
    pub async fn note(
        &self,
        dataset: &DatasetName,
        changes: &Map<String, Value>,
    ) -> Result<Map<String, Value>, Failed> {
        let key = subject::location_key(dataset);
        loop {
            let (before, revision) = self.metadata(dataset).await?;
            let mut notes = before.clone();
            metadata::merge(&mut notes, changes);
            if notes == before {
                return Ok(notes);
            }
            let json = encode_notes(dataset, &notes)?;
            let written = match revision {
                0 => self.metadata.create(&key, json).await,
                revision => self.metadata.update(&key, json, revision).await,
            };
            match written {
                Ok(_) => return Ok(notes),
                Err(error) if error.is_conflict() => {}
                Err(error) => return Err(unavailable(&error)),
            }
        }
    }

    /// Asks writers to wait until `until`, if the location is still what was `read` and no other run does so. Doing it again moves the end. If
    /// only the answer to an earlier call was lost, that is a success too.
    ///
    /// # Errors
    /// Another run holds the dataset; the location was changed; the server cannot be reached.
    pub async fn hold(
        &self,
        dataset: &DatasetName,
        read: &Registered,
        run: &RunId,
        until: Timestamp,
    ) -> Result<Registered, Failed> {
        let mut read = read.clone();
        loop {
            self.refuse_if_not_ours(dataset, &read.location, run)?;
            let held = read.location.held(run, until);
            let stored = self.store(dataset, held, read.revision).await?;
            let Stored::Conflict(held) = stored else { return self.settled(dataset, stored).await };
            let found = self.location(dataset).await?;
            if found.location == held || is_moved_by(&found.location, run) {
                return Ok(found);
            }
            // A hold of an earlier attempt of this run, which was thought to be lost, may have come in between, and nothing else.
            if found.location.released(run) != read.location.released(run) {
                return Err(changed(dataset));
            }
            read = found;
        }
    }

    /// Lets writers go on: ends the hold of `run`, and no other's.
    ///
    /// # Errors
    /// The location is gone, or the server cannot be reached.
    pub async fn release(&self, dataset: &DatasetName, run: &RunId) -> Result<(), Failed> {
        loop {
            let read = self.location(dataset).await?;
            let released = read.location.released(run);
            if released == read.location {
                return Ok(());
            }
            if let Stored::Yes(_) = self.store(dataset, released, read.revision).await? {
                return Ok(());
            }
        }
    }

    /// Makes the target the dataset's active place, under the next epoch, if the location is still what was `read`; the source is kept for
    /// `retain`. If `run` did so before and only the answer was lost, that is a success too.
    ///
    /// # Errors
    /// A person has rolled this very run back; another run holds the dataset; the location was changed; the server cannot be reached.
    pub async fn cut_over(
        &self,
        dataset: &DatasetName,
        read: &Registered,
        run: &RunId,
        retain: Option<Duration>,
    ) -> Result<Registered, Failed> {
        self.refuse_if_not_ours(dataset, &read.location, run)?;
        if is_moved_by(&read.location, run) {
            return Ok(read.clone());
        }
        let moved = read.location.cut_over(run, self.clock.now(), retain);
        match self.store(dataset, moved, read.revision).await? {
            Stored::Yes(moved) => Ok(moved),
            Stored::Conflict(moved) => self.after_conflict(dataset, &moved, run).await,
        }
    }

    /// Sends readers back to the source, if the location is still what was `read`; see [`Location::rolled_back`] for `force`.
    ///
    /// # Errors
    /// There is nothing to go back to, or not now; the location was changed; the server cannot be reached.
    pub async fn roll_back(&self, dataset: &DatasetName, read: &Registered, force: bool) -> Result<Registered, Failed> {
        let back = read.location.rolled_back(self.clock.now(), force);
        let back = back
            .map_err(|why| Failed::reject(Reason::NotRollable, format!("`{dataset}` cannot be rolled back: {why}")))?;
        self.settled(dataset, self.store(dataset, back, read.revision).await?).await
    }

    /// Who is known to read the dataset, and who among them has seen the present epoch of its `location`.
    ///
    /// Reads the whole catalog for it, because any entity may say that it reads the dataset: not for what happens often.
    ///
    /// # Errors
    /// The dataset's entity is gone, or the server cannot be reached.
    pub async fn consumers(&self, dataset: &DatasetName, location: &Location) -> Result<Vec<Consumer>, Failed> {
        let entity = self.entity(dataset).await?;
        let catalog = self.whole_catalog().await.map_err(|error| unavailable(&error))?;
        let heard = self.consumers.get_all(&subject::consumers_filter(dataset)).await;
        let heard = heard.map_err(|error| unavailable(&error))?;
        let heard = heard.iter().filter_map(|entry| decode(entry).ok()).collect();
        Ok(consumers(&entity.readers(&catalog), heard, location.epoch))
    }

    /// Every entity that can be read.
    async fn whole_catalog(&self) -> Result<Vec<Entity>, BusError> {
        let mut watch = self.catalog.watch(">").await?;
        let mut entities = BTreeMap::new();
        loop {
            match watch.next().await {
                WatchEvent::Changed(message) => {
                    if let Ok(entity) = serde_json::from_slice::<Entity>(&message.payload) {
                        entities.insert(message.subject, entity);
                    }
                }
                WatchEvent::Removed { subject, .. } => drop(entities.remove(&subject)),
                WatchEvent::Restarted => entities.clear(),
                WatchEvent::CaughtUp => return Ok(entities.into_values().collect()),
            }
        }
    }

    /// Says what has become of the source that readers have left, if the location is still what was `read`; `list` is what is removed of it.
    ///
    /// # Errors
    /// The source may not be retired (any more), the location was changed, or the server cannot be reached.
    pub async fn retire(
        &self,
        dataset: &DatasetName,
        read: &Registered,
        (run, state, list): (&RunId, RetiredState, Option<String>),
    ) -> Result<Registered, Failed> {
        let next = Retired { list, ..Retired::new(state, Some(run), self.clock.now()) };
        let retired = read.location.retired(next);
        let retired = retired.map_err(|why| {
            Failed::reject(Reason::SourceRetained, format!("the source of `{dataset}` cannot be retired: {why}"))
        })?;
        if retired == read.location {
            return Ok(read.clone());
        }
        self.settled(dataset, self.store(dataset, retired, read.revision).await?).await
    }

    /// What is stored, also if only the answer to storing it was lost.
    async fn settled(&self, dataset: &DatasetName, stored: Stored) -> Result<Registered, Failed> {
        match stored {
            Stored::Yes(registered) => Ok(registered),
            Stored::Conflict(wanted) => {
                let found = self.location(dataset).await?;
                if found.location == wanted { Ok(found) } else { Err(changed(dataset)) }
            }
        }
    }

    /// What was taken back may not be done again by a late repeat, and a hold is for its run alone.
    fn refuse_if_not_ours(&self, dataset: &DatasetName, location: &Location, run: &RunId) -> Result<(), Failed> {
        if location.was_rolled_back(run) {
            let message = format!("`{dataset}` was rolled back after this run had cut it over");
            return Err(Failed::reject(Reason::RolledBack, message));
        }
        match location.live_hold(self.clock.now()).filter(|hold| hold.run != *run) {
            None => Ok(()),
            Some(hold) => {
                let message = format!("run {} holds `{dataset}` until {}", hold.run, hold.until);
                Err(Failed::retry(Reason::DatasetHeld, message))
            }
        }
    }

    /// Writes the location if nobody has since `revision`.
    async fn store(&self, dataset: &DatasetName, location: Location, revision: u64) -> Result<Stored, Failed> {
        let json = serde_json::to_vec(&location)
            .map_err(|error| Failed::reject(Reason::LocationMissing, error.to_string()))?;
        match self.locations.update(&subject::location_key(dataset), json, revision).await {
            Ok(revision) => Ok(Stored::Yes(Registered { location, revision })),
            Err(error) if error.is_conflict() => Ok(Stored::Conflict(location)),
            Err(error) => Err(unavailable(&error)),
        }
    }

    /// A conflict is this run's own earlier write, or somebody else's.
    async fn after_conflict(&self, dataset: &DatasetName, moved: &Location, run: &RunId) -> Result<Registered, Failed> {
        let found = self.location(dataset).await?;
        let location = &found.location;
        if location.run.as_ref() == Some(run) && location.spec == moved.spec && location.active == moved.active {
            return Ok(found);
        }
        Err(changed(dataset))
    }
}

/// Whether this very run has sent readers to the target.
fn is_moved_by(location: &Location, run: &RunId) -> bool {
    location.active == Side::Target && location.run.as_ref() == Some(run)
}

/// What became of a compare-and-set.
enum Stored {
    /// It is stored.
    Yes(Registered),
    /// Somebody was faster, perhaps this process itself, unheard; this is what was not stored.
    Conflict(Location),
}

fn changed(dataset: &DatasetName) -> Failed {
    let message = format!("the location of `{dataset}` was changed meanwhile; nothing was moved");
    Failed::reject(Reason::LocationChanged, message)
}

/// The failure of a job that could not read or write what it needs.
pub fn unavailable(error: &BusError) -> Failed {
    Failed::retry(Reason::BusUnavailable, error.to_string())
}

/// As it is stored. Programs find it with indentation, and that is what has to fit.
fn encode_notes(dataset: &DatasetName, notes: &Map<String, Value>) -> Result<Vec<u8>, Failed> {
    let invalid = |problem: String| Failed::reject(Reason::MetadataInvalid, problem);
    let pretty = serde_json::to_vec_pretty(notes).map_err(|error| invalid(error.to_string()))?;
    if pretty.len() as u64 > MAX_NOTES {
        return Err(invalid(format!("the metadata of `{dataset}` would have more than {MAX_NOTES} bytes")));
    }
    serde_json::to_vec(notes).map_err(|error| invalid(error.to_string()))
}

fn decode<T: DeserializeOwned>(entry: &Entry) -> Result<T, String> {
    serde_json::from_slice(&entry.value).map_err(|error| error.to_string())
}
