//! `honk/migrate`: copies or transforms, verifies, and only then makes the target the dataset's active place, by compare-and-set on the location
//! it read before the first byte. The source is only read. Done again at any point, it goes on from what is at the target.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::BoxFuture;
use honk_agent::action::{Action, JobContext, Worked};
use honk_agent::registry::{Registered, Registry};
use honk_bus::Bus;
use honk_protocol::dataset::{Location, LocationSpec, Side};
use honk_protocol::reason::Reason;
use honk_protocol::run::Outputs;
use honk_protocol::settle::Failed;
use honk_service::Clock;
use honk_storage::Stores;
use serde_json::{Value, json};

use crate::book::{Book, Entry};
use crate::copy::{Budget, CopySettings, Progress};
use crate::cut_over::outputs;
use crate::metrics::MigrateMetrics;
use crate::migration::{Migration, object};
use crate::transform::TransformSettings;
use crate::with::With;

/// How often the counters that others watch are brought up to date.
const PROGRESS_PERIOD: Duration = Duration::from_millis(200);

/// What the action works with.
#[derive(Debug, Clone)]
pub struct Migrate {
    /// Where the dataset lies.
    pub registry: Registry,
    /// What migrations must not forget.
    pub book: Book,
    /// Its objects.
    pub stores: Stores,
    /// Limits of one copy.
    pub settings: CopySettings,
    /// What all of them together may hold in memory.
    pub budget: Budget,
    /// The folder for what has to be on disk for a while: files of inventories.
    pub folder: PathBuf,
    /// What is counted.
    pub metrics: MigrateMetrics,
    /// How datasets are transformed.
    pub transform: TransformSettings,
    /// Dates holds and proofs.
    pub clock: Clock,
}

#[async_trait::async_trait]
impl Action for Migrate {
    fn name(&self) -> &'static str {
        "honk/migrate"
    }

    /// All of it by one agent.
    async fn run(&self, job: &JobContext) -> Result<Outputs, Failed> {
        let alone = JobContext { may_split: false, ..job.clone() };
        match self.attempt(&alone).await? {
            Worked::Done(outputs) => Ok(outputs),
            Worked::Split(_) | Worked::Postponed(_) => {
                Err(Failed::reject(Reason::ActionUnknown, "a job that must not be split was split: a defect"))
            }
        }
    }

    async fn attempt(&self, job: &JobContext) -> Result<Worked, Failed> {
        let with = With::of(job)?;
        let mut read = self.registry.location(job.dataset()).await?;
        if read.location.hold.as_ref().is_some_and(|hold| hold.run == job.run.id) {
            // An earlier attempt may be frozen and wake up: after this it can no longer cut over by what it had compared.
            self.registry.release(job.dataset(), &job.run.id).await?;
            read = self.registry.location(job.dataset()).await?;
        }
        if read.location.active == Side::Target {
            return self.already_moved(job, &read.location).await.map(Worked::Done);
        }
        is_as_validated(job, &read.location.spec)?;
        let progress = Progress::default();
        expect(job, &progress);
        let mut migration = Migration::new(self, job, with, &read, &progress);
        if migration.with.transform.is_some() {
            return migration.transform(&read).await;
        }
        let worked = tokio::select! {
            worked = share(&mut migration, &read) => worked,
            never = keep_showing(&progress, job) => match never {},
        };
        show(&progress, job);
        worked
    }
}

/// This delivery's share of the work, boxed outside of any `async`: only here can the compiler see that it may move between threads.
fn share<'m>(migration: &'m mut Migration<'_>, read: &'m Registered) -> BoxFuture<'m, Result<Worked, Failed>> {
    Box::pin(async move {
        match migration.job.part() {
            Some(part) => migration.part(part).await.map(Worked::Done),
            None => Box::pin(migration.bring_over(read)).await,
        }
    })
}

impl Migrate {
    /// With these limits of each copy, which share their memory; what is counted is shown to nobody.
    pub fn new(bus: &Bus, stores: Stores, settings: CopySettings, clock: Clock) -> Self {
        Self {
            registry: Registry::new(bus, clock.clone()),
            book: Book::new(bus),
            stores,
            budget: Budget::new(settings.buffer_bytes),
            settings,
            folder: std::env::temp_dir(),
            metrics: MigrateMetrics::default(),
            transform: TransformSettings::default(),
            clock,
        }
    }

    /// The dataset was cut over before this attempt. By this run: what is left is to say so again. By another: there is nothing to
    /// move, and copying would undo what readers and writers did at the target since.
    async fn already_moved(&self, job: &JobContext, location: &Location) -> Result<Outputs, Failed> {
        if location.run.as_ref() == Some(&job.run.id)
            && let Some((Entry { proved: Some(proved), .. }, _)) = self.book.find(job).await?
        {
            return Ok(outputs(&proved));
        }
        let LocationSpec { source, target, .. } = &location.spec;
        Ok(object(json!({ "from": source, "to": target, "already_migrated": true, "objects": 0, "bytes": 0 })))
    }
}

/// The failure of a job whose dataset somebody moved meanwhile.
pub(crate) fn location_changed(job: &JobContext) -> Failed {
    let message = format!("the location of `{}` is not the one that was validated", job.dataset());
    Failed::reject(Reason::LocationChanged, message)
}

/// The location is the one that an earlier job of the run validated, if one did. A replay is a person's word that the present one
/// is meant.
fn is_as_validated(job: &JobContext, spec: &LocationSpec) -> Result<(), Failed> {
    let validated = job.run.jobs.iter().filter_map(|job| job.outputs.get("source").zip(job.outputs.get("target")));
    let differs = |(source, target): (&Value, &Value)| (source, target) != (&json!(spec.source), &json!(spec.target));
    if job.fence.generation > 1 || !validated.into_iter().any(differs) {
        return Ok(());
    }
    Err(location_changed(job))
}

/// Says how much there is to do, as far as validation found out.
fn expect(job: &JobContext, progress: &Progress) {
    let Some(validated) = job.run.jobs.iter().find(|other| other.outputs.contains_key("source")) else { return };
    let number = |name: &str| validated.outputs.get(name).and_then(Value::as_u64);
    job.progress.bytes_total.store(number("bytes").unwrap_or_default(), Ordering::Relaxed);
    if let Some(objects) = number("objects") {
        progress.expect(objects);
    }
}

/// Shows the progress until it is dropped.
async fn keep_showing(progress: &Progress, job: &JobContext) -> Infallible {
    let mut period = tokio::time::interval(PROGRESS_PERIOD);
    loop {
        period.tick().await;
        show(progress, job);
    }
}

fn show(progress: &Progress, job: &JobContext) {
    job.progress.objects.store(progress.objects_done(), Ordering::Relaxed);
    job.progress.bytes.store(progress.bytes_done(), Ordering::Relaxed);
    if let Some(total) = progress.objects_total() {
        job.progress.objects_total.store(total, Ordering::Relaxed);
    }
}
