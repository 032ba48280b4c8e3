//! `honk/retire`: what becomes of a source after its retention. When it is due and every known consumer has moved, it is marked as
//! deprecated; with `with: {remove: true}` its objects are then removed.
//!
//! Nothing is removed that was not listed first (`list`), and of what is listed only what the target still has as it was proved to have it
//! (`remove`). The list is on record before the first object goes, so that an attempt that goes on after a crash goes on with the same
//! list, and a roll-back is refused from then on. A source that is not due yet is no failure: a schedule asks every night.

mod list;
mod remove;

use honk_agent::action::{Action, JobContext};
use honk_agent::registry::{Registered, Registry};
use honk_bus::Bus;
use honk_protocol::dataset::{Location, NotRetirable, RemovalList, RetiredState};
use honk_protocol::notice::{Relocated, SOURCE_DEPRECATED, SOURCE_REMOVED};
use honk_protocol::reason::Reason;
use honk_protocol::run::Outputs;
use honk_protocol::settle::Failed;
use honk_service::Clock;
use honk_storage::Stores;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::told::tell;

/// What the action works with.
#[derive(Debug, Clone)]
pub struct Retire {
    /// Where the dataset lies, and who reads it.
    pub registry: Registry,
    /// Its objects.
    pub stores: Stores,
    /// Where lists and notices are kept.
    pub bus: Bus,
    /// What time it is.
    pub clock: Clock,
}

/// The step's `with:`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Parameters {
    /// Remove the source's objects, instead of only marking it.
    remove: bool,
    /// Only list what would be removed.
    dry_run: bool,
    /// Remove what this list has, instead of listing now.
    list: Option<String>,
}

/// A list and its name.
struct Listed {
    name: String,
    list: RemovalList,
    /// The first keys, for people.
    keys: Vec<Value>,
}

#[async_trait::async_trait]
impl Action for Retire {
    fn name(&self) -> &'static str {
        "honk/retire"
    }

    async fn run(&self, job: &JobContext) -> Result<Outputs, Failed> {
        let stopped = || Failed::retry(Reason::JobTimeout, "stopped before the source was retired");
        let work = Box::pin(self.retire(job));
        job.cancelled.run_until_cancelled(work).await.unwrap_or_else(|| Err(stopped()))
    }
}

impl Retire {
    async fn retire(&self, job: &JobContext) -> Result<Outputs, Failed> {
        let parameters: Parameters = job.parameters()?;
        let read = self.registry.location(job.dataset()).await?;
        let due = read.location.retirable(self.clock.now());
        if parameters.dry_run {
            return match due {
                Err(NotRetirable::Active) => Ok(waiting(&NotRetirable::Active.to_string(), &[])),
                _ => Ok(outputs("listed", Some(&self.list(job, &read.location).await?))),
            };
        }
        if let Err(why) = due {
            return Ok(waiting(&why.to_string(), &[]));
        }
        let behind = self.behind(job, &read.location).await?;
        if !behind.is_empty() {
            return Ok(waiting("consumers have not said that they read the new place", &behind));
        }
        let marked = self.mark(job, read).await?;
        if !parameters.remove {
            return Ok(outputs("deprecated", None));
        }
        self.remove(job, marked, parameters.list).await
    }

    /// The consumers that may still read an old place.
    async fn behind(&self, job: &JobContext, location: &Location) -> Result<Vec<String>, Failed> {
        let known = self.registry.consumers(job.dataset(), location).await?;
        Ok(known.into_iter().filter(|one| !one.current).map(|one| one.consumer.to_string()).collect())
    }

    /// Says on record and to everyone that nobody should read the source any more.
    async fn mark(&self, job: &JobContext, read: Registered) -> Result<Registered, Failed> {
        let mark = (&job.run.id, RetiredState::Deprecated, None);
        let marked = self.registry.retire(job.dataset(), &read, mark).await?;
        self.tell(job, SOURCE_DEPRECATED, &marked.location, None).await?;
        Ok(marked)
    }

    async fn remove(&self, job: &JobContext, read: Registered, wanted: Option<String>) -> Result<Outputs, Failed> {
        let Some(retired) = &read.location.retired else { return Ok(outputs("deprecated", None)) };
        // An expression that has nothing to say is an empty text.
        let wanted = wanted.filter(|list| !list.is_empty());
        let listed = match (retired.state, retired.list.clone().or(wanted)) {
            (RetiredState::Removed, _) => return Ok(outputs("removed", None)),
            (_, Some(name)) => list::load(&self.bus, job.dataset(), name).await?,
            (_, None) => self.list(job, &read.location).await?,
        };
        if (&listed.list.source, &listed.list.target) != (&read.location.spec.source, &read.location.spec.target) {
            let message = format!("the list {} was made for other places; make a new one with a dry run", listed.name);
            return Err(Failed::reject(Reason::LocationChanged, message));
        }
        let begun = (&job.run.id, RetiredState::Removing, Some(listed.name.clone()));
        let begun = self.registry.retire(job.dataset(), &read, begun).await?;
        let removed = remove::all(self, job, &listed).await?;
        let ended = (&job.run.id, RetiredState::Removed, Some(listed.name.clone()));
        let ended = self.registry.retire(job.dataset(), &begun, ended).await?;
        self.tell(job, SOURCE_REMOVED, &ended.location, Some(&listed.list)).await?;
        let mut outputs = outputs("removed", Some(&listed));
        outputs.insert("kept".to_owned(), json!(listed.list.kept + removed.kept));
        outputs.insert("removed_objects".to_owned(), json!(removed.objects));
        outputs.insert("removed_bytes".to_owned(), json!(removed.bytes));
        Ok(outputs)
    }

    async fn list(&self, job: &JobContext, location: &Location) -> Result<Listed, Failed> {
        let spec = &location.spec;
        list::make(self, job, (&spec.source, &spec.target)).await
    }

    async fn tell(
        &self,
        job: &JobContext,
        kind: &str,
        location: &Location,
        list: Option<&RemovalList>,
    ) -> Result<(), Failed> {
        let Some(retired) = &location.retired else { return Ok(()) };
        let data = Relocated {
            dataset: job.dataset().clone(),
            epoch: location.epoch,
            active: location.active_place().clone(),
            other: location.spec.source.clone(),
            run: Some(job.run.id.clone()),
            objects: list.map(|list| list.objects).unwrap_or_default(),
            bytes: list.map(|list| list.bytes).unwrap_or_default(),
        };
        let id = format!("{}.{}.{:?}", job.dataset().token(), location.epoch, retired.state).to_lowercase();
        // Who asked for it already knows; a repeat some days later would tell everyone again.
        if retired.run.as_ref() != Some(&job.run.id) {
            return Ok(());
        }
        tell(&self.bus, (kind, id), retired.since, data).await
    }
}

/// It is not time yet.
fn waiting(why: &str, behind: &[String]) -> Outputs {
    let outputs = json!({ "outcome": "waiting", "why": why, "behind": behind });
    outputs.as_object().cloned().unwrap_or_default()
}

fn outputs(outcome: &str, listed: Option<&Listed>) -> Outputs {
    let mut outputs = Outputs::new();
    outputs.insert("outcome".to_owned(), outcome.into());
    if let Some(Listed { name, list, keys }) = listed {
        let RemovalList { source, objects, bytes, kept, .. } = list;
        let more = json!({
            "list": name, "source": source, "listed_objects": objects, "listed_bytes": bytes, "kept": kept,
            "keys": keys, "more_keys": objects.saturating_sub(keys.len() as u64),
        });
        outputs.extend(more.as_object().cloned().unwrap_or_default());
    }
    outputs
}
