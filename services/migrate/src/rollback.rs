//! `honk/rollback`: readers go back to the source, and people learn what was written to the target in the meantime.
//!
//! With `with: {epoch: N}` the cut-over of that epoch was rolled back already, and is only reported: a run that has to wait for another must
//! not undo what that one did. Without, the action rolls back itself, for workflows that do so when something after the cut-over fails.

use honk_agent::action::{Action, JobContext};
use honk_agent::registry::{Registered, Registry};
use honk_bus::Bus;
use honk_protocol::dataset::{Former, Location, Side};
use honk_protocol::notice::{DATASET_ROLLED_BACK, ROLLBACK_REPORTED, Relocated};
use honk_protocol::reason::Reason;
use honk_protocol::run::Outputs;
use honk_protocol::settle::Failed;
use honk_storage::Stores;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::atomic::Ordering;

use crate::sides::{Ends, Pair};
use crate::told::tell;

/// The most keys that the outputs name; a run's record has to carry them.
const MOST_KEYS: usize = 100;

/// The longest a key may be in the outputs, in characters.
const LONGEST_KEY: usize = 256;

/// What the action works with.
#[derive(Debug, Clone)]
pub struct Rollback {
    /// Where the dataset lies.
    pub registry: Registry,
    /// Its objects.
    pub stores: Stores,
    /// Where notices are kept.
    pub bus: Bus,
}

/// The step's `with:`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    /// The epoch whose cut-over was rolled back.
    #[serde(default)]
    epoch: Option<u64>,
    /// Go back although the retention is over.
    #[serde(default)]
    force: bool,
}

/// What the target has that the source has not.
#[derive(Debug, Default)]
struct Report {
    added: u64,
    changed: u64,
    /// Of the same size, and nothing but reading them would tell.
    untold: u64,
    /// At the source and not at the target.
    missing: u64,
    /// Of those added and changed.
    bytes: u64,
    keys: Vec<Value>,
}

#[async_trait::async_trait]
impl Action for Rollback {
    fn name(&self) -> &'static str {
        "honk/rollback"
    }

    async fn run(&self, job: &JobContext) -> Result<Outputs, Failed> {
        let stopped = || Failed::retry(Reason::JobTimeout, "stopped before everything was compared");
        let work = Box::pin(self.roll_back(job));
        job.cancelled.run_until_cancelled(work).await.unwrap_or_else(|| Err(stopped()))
    }
}

impl Rollback {
    async fn roll_back(&self, job: &JobContext) -> Result<Outputs, Failed> {
        let parameters: Parameters = job.parameters()?;
        let read = self.registry.location(job.dataset()).await?;
        let read = self.moved(job, &parameters, read).await?;
        let Some(left) = rolled_back(&read.location, parameters.epoch) else {
            let message = format!("no cut-over of `{}` was rolled back, so there is nothing to report", job.dataset());
            return Err(Failed::reject(Reason::NotRollable, message));
        };
        let report = self.compare(job, &read.location, &left).await?;
        self.tell(job, &read.location, &left, &report).await?;
        Ok(outputs(&read.location, &left, &report))
    }

    /// The location after the roll-back, which is made now if nobody says that it was.
    async fn moved(&self, job: &JobContext, asked: &Parameters, read: Registered) -> Result<Registered, Failed> {
        let was_made = asked.epoch.is_some() || (read.location.active == Side::Source && job.fence.attempt > 1);
        if was_made {
            return Ok(read);
        }
        let back = self.registry.roll_back(job.dataset(), &read, asked.force).await?;
        let id = format!("{}.{}.rolled-back", job.dataset().token(), back.location.epoch);
        let told = about(job, &back.location, &read.location.spec.target, None);
        tell(&self.bus, (DATASET_ROLLED_BACK, id), back.location.since, told).await?;
        Ok(back)
    }

    async fn compare(&self, job: &JobContext, location: &Location, left: &Former) -> Result<Report, Failed> {
        let ends = Ends::open(&self.stores, &location.spec.source, &left.place).await?;
        let (mut pairs, mut report) = (ends.pairs(), Report::default());
        while let Some(pair) = pairs.next().await? {
            report.add(&ends, pair).await?;
            job.progress.objects.fetch_add(1, Ordering::Relaxed);
        }
        Ok(report)
    }

    async fn tell(&self, job: &JobContext, location: &Location, left: &Former, report: &Report) -> Result<(), Failed> {
        let data = about(job, location, &left.place, Some(report));
        tell(&self.bus, (ROLLBACK_REPORTED, job.idempotency_key()), location.since, data).await
    }
}

impl Report {
    async fn add(&mut self, ends: &Ends, pair: Pair) -> Result<(), Failed> {
        let Pair { key, source, target } = pair;
        match (source, target) {
            (None, Some(target)) => self.note("added", &key, target.size),
            (Some(_), None) => self.missing += 1,
            (Some(source), Some(target)) => match ends.same(&source, &target).await? {
                Some(true) => {}
                Some(false) => self.note("changed", &key, target.size),
                None => self.untold += 1,
            },
            (None, None) => {}
        }
        Ok(())
    }

    fn note(&mut self, change: &str, key: &str, bytes: u64) {
        match change {
            "added" => self.added += 1,
            _ => self.changed += 1,
        }
        self.bytes += bytes;
        if self.keys.len() < MOST_KEYS {
            let key: String = key.chars().take(LONGEST_KEY).collect();
            self.keys.push(json!({ "key": key, "change": change, "bytes": bytes }));
        }
    }
}

/// The answer that was taken back: that of this epoch, or the newest one.
fn rolled_back(location: &Location, epoch: Option<u64>) -> Option<Former> {
    let mut taken_back = location.former.iter().filter(|former| former.rolled_back);
    taken_back.find(|former| epoch.is_none_or(|epoch| former.epoch == epoch)).cloned()
}

fn about(
    job: &JobContext,
    location: &Location,
    other: &honk_protocol::dataset::Place,
    report: Option<&Report>,
) -> Relocated {
    Relocated {
        dataset: job.dataset().clone(),
        epoch: location.epoch,
        active: location.active_place().clone(),
        other: other.clone(),
        run: Some(job.run.id.clone()),
        objects: report.map(|report| report.added + report.changed).unwrap_or_default(),
        bytes: report.map(|report| report.bytes).unwrap_or_default(),
    }
}

fn outputs(location: &Location, left: &Former, report: &Report) -> Outputs {
    let shown = report.added + report.changed;
    let outputs = json!({
        "epoch": location.epoch, "rolled_back": left.epoch, "active": location.active_place(), "left": left.place,
        "added": report.added, "changed": report.changed, "untold": report.untold, "missing": report.missing,
        "written_bytes": report.bytes, "keys": report.keys,
        "more_keys": shown.saturating_sub(report.keys.len() as u64),
    });
    outputs.as_object().cloned().unwrap_or_default()
}
