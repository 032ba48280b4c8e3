//! `honk/migrate`: copies, verifies, and only then makes the target the dataset's active place, by compare-and-set on the location
//! it read before the first byte. The source is only read. Done again at any point, it goes on from what is at the target.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::BoxFuture;
use honk_agent::action::{Action, JobContext};
use honk_agent::registry::{Registered, Registry};
use honk_protocol::dataset::{Location, LocationSpec, Side};
use honk_protocol::reason::Reason;
use honk_protocol::run::Outputs;
use honk_protocol::settle::Failed;
use honk_protocol::transform::TransformProgress;
use honk_storage::{Place, StorageError, Stores, listing};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::copy::{CopyError, CopyPlan, CopyReport, CopySettings, Progress, migrate_objects};
use crate::fault;
use crate::metrics::MigrateMetrics;
use crate::transform::{TransformSettings, Wanted, transform};

/// How often the counters that others watch are brought up to date.
const PROGRESS_PERIOD: Duration = Duration::from_millis(200);

/// What the action works with.
#[derive(Debug, Clone)]
pub struct Migrate {
    /// Where the dataset lies.
    pub registry: Registry,
    /// Its objects.
    pub stores: Stores,
    /// Limits of one copy.
    pub settings: CopySettings,
    /// What is counted.
    pub metrics: MigrateMetrics,
    /// How datasets are transformed.
    pub transform: TransformSettings,
}

#[async_trait::async_trait]
impl Action for Migrate {
    fn name(&self) -> &'static str {
        "honk/migrate"
    }

    async fn run(&self, job: &JobContext) -> Result<Outputs, Failed> {
        let read = self.registry.location(job.dataset()).await?;
        let spec = &read.location.spec;
        if read.location.active == Side::Target {
            return self.already_moved(job, &read.location).await;
        }
        is_as_validated(job, spec)?;
        if let Some(wanted) = Wanted::of(job)? {
            return self.transformed(job, &read, wanted).await;
        }
        let report = self.copy(job, spec).await?;
        self.registry.cut_over(job.dataset(), &read, &job.run.id).await?;
        self.metrics.migrated(&report);
        Ok(moved(spec, &report))
    }
}

impl Migrate {
    async fn copy(&self, job: &JobContext, spec: &LocationSpec) -> Result<CopyReport, Failed> {
        let (source, target) = (self.stores.resolve(&spec.source), self.stores.resolve(&spec.target));
        let plan = CopyPlan {
            stores: self.stores.clone(),
            source: source.clone(),
            target: target.clone(),
            settings: self.settings.clone(),
        };
        let progress = Progress::default();
        let expected = expect(job, &progress);
        let copied = tokio::select! {
            copied = copying(plan, &progress, &job.cancelled) => copied,
            () = keep_showing(&progress, job) => Err(CopyError::Cancelled),
        };
        show(&progress, job);
        let report = copied.map_err(|error| fault::failed(&error, &source, &target))?;
        if expected.is_some_and(|objects| objects != report.objects) {
            tracing::info!(objects = report.objects, "the source has changed since it was validated");
        }
        Ok(report)
    }

    /// The same with a transformation in the place of the copy.
    async fn transformed(&self, job: &JobContext, read: &Registered, wanted: Wanted) -> Result<Outputs, Failed> {
        let spec = &read.location.spec;
        let progress = |made: TransformProgress| {
            job.progress.objects.store(made.objects, Ordering::Relaxed);
            job.progress.objects_total.store(made.objects_total, Ordering::Relaxed);
            job.progress.bytes.store(made.bytes, Ordering::Relaxed);
            job.progress.bytes_total.store(made.bytes_total, Ordering::Relaxed);
        };
        let with_what = (&self.transform, &self.stores);
        let report = transform(with_what, (spec, wanted), progress, &job.cancelled).await?;
        self.registry.cut_over(job.dataset(), read, &job.run.id).await?;
        let (objects, bytes) = (report.target.objects, report.target.bytes);
        self.metrics.migrated(&CopyReport { objects, bytes, copied: objects, ..CopyReport::default() });
        Ok(with(places(spec), report.outputs()))
    }

    /// The dataset was cut over before this attempt. By this run: what is left is to say so again. By another: there is nothing to
    /// move, and copying would undo what readers and writers did at the target since.
    async fn already_moved(&self, job: &JobContext, location: &Location) -> Result<Outputs, Failed> {
        let places = places(&location.spec);
        if location.run.as_ref() != Some(&job.run.id) {
            return Ok(with(places, json!({ "already_migrated": true, "objects": 0, "bytes": 0 })));
        }
        let source = self.stores.resolve(&location.spec.source);
        match self.survey(&source).await {
            Ok(found) => Ok(with(
                places,
                json!({
                    "objects": found.objects, "bytes": found.bytes, "digest": found.digest,
                    "copied": 0, "already_there": found.objects,
                }),
            )),
            Err(error) if error.is_retryable() => Err(error.failed(Side::Source)),
            Err(error) => {
                // The migration is done; that somebody has cleared the source away since does not undo it.
                tracing::warn!(%error, "the source cannot be counted any more");
                Ok(with(places, json!({ "copied": 0 })))
            }
        }
    }

    async fn survey(&self, source: &Place) -> Result<listing::Survey, StorageError> {
        listing::survey(&self.stores.open(source).await?, &source.prefix()).await
    }
}

/// The location is the one that an earlier job of the run validated, if one did. A replay is a person's word that the present one
/// is meant.
fn is_as_validated(job: &JobContext, spec: &LocationSpec) -> Result<(), Failed> {
    let validated = job.run.jobs.iter().filter_map(|job| job.outputs.get("source").zip(job.outputs.get("target")));
    let differs = |(source, target): (&Value, &Value)| (source, target) != (&json!(spec.source), &json!(spec.target));
    if job.fence.generation > 1 || !validated.into_iter().any(differs) {
        return Ok(());
    }
    let message = format!("the location of `{}` is not the one that was validated", job.dataset());
    Err(Failed::reject(Reason::LocationChanged, message))
}

/// Says how much there is to do, as far as validation found out.
fn expect(job: &JobContext, progress: &Progress) -> Option<u64> {
    let validated = job.run.jobs.iter().find(|other| other.outputs.contains_key("source"))?;
    let number = |name: &str| validated.outputs.get(name).and_then(Value::as_u64);
    job.progress.bytes_total.store(number("bytes").unwrap_or_default(), Ordering::Relaxed);
    let objects = number("objects")?;
    progress.expect(objects);
    Some(objects)
}

/// The engine's work, boxed outside of any `async`: only here can the compiler see that it may move between threads.
fn copying<'c>(
    plan: CopyPlan,
    progress: &'c Progress,
    cancelled: &'c CancellationToken,
) -> BoxFuture<'c, Result<CopyReport, CopyError>> {
    Box::pin(migrate_objects(plan, progress, cancelled))
}

/// Shows the progress until it is dropped.
async fn keep_showing(progress: &Progress, job: &JobContext) {
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

fn places(spec: &LocationSpec) -> Outputs {
    with(Outputs::new(), json!({ "from": spec.source, "to": spec.target }))
}

fn moved(spec: &LocationSpec, report: &CopyReport) -> Outputs {
    with(
        places(spec),
        json!({
            "objects": report.objects, "bytes": report.bytes, "digest": report.digest,
            "copied": report.copied, "already_there": report.already_there,
        }),
    )
}

fn with(mut outputs: Outputs, more: Value) -> Outputs {
    if let Value::Object(more) = more {
        outputs.extend(more);
    }
    outputs
}
