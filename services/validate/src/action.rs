//! `honk/validate`: everything that would make the migration fail, found before a byte of it moves. It changes nothing but a probe
//! folder at the target, which it removes, and which listings leave out should it be killed before.

use honk_agent::action::{Action, JobContext};
use honk_agent::registry::Registry;
use honk_protocol::dataset::{LocationSpec, Side};
use honk_protocol::reason::Reason;
use honk_protocol::run::Outputs;
use honk_protocol::settle::Failed;
use honk_storage::probe::{self, Abilities};
use honk_storage::{Place, Store, Stores, is_same_endpoint};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;

use crate::checks;
use crate::estimate::{PART_THRESHOLD, Prices, Work};
use crate::known::Known;
use crate::options::{Options, Probing};
use crate::sample::{self, Ends, Sampled};
use crate::schema;
use crate::walk::{Interest, Walked, walk};

/// What the action works with.
#[derive(Debug, Clone)]
pub struct Validate {
    /// What is known of the dataset.
    pub registry: Registry,
    /// Where its objects are.
    pub stores: Stores,
    /// What requests cost.
    pub prices: Prices,
    /// What was found of stores before, as sources.
    pub known_sources: Known,
    /// And as targets.
    pub known_targets: Known,
}

/// One end of the migration, opened.
struct End {
    place: Place,
    store: Store,
    prefix: String,
}

#[async_trait::async_trait]
impl Action for Validate {
    fn name(&self) -> &'static str {
        "honk/validate"
    }

    async fn run(&self, job: &JobContext) -> Result<Outputs, Failed> {
        let stopped = || Failed::retry(Reason::JobTimeout, "stopped before every check was done");
        let checks = Box::pin(self.validate(job));
        job.cancelled.run_until_cancelled(checks).await.unwrap_or_else(|| Err(stopped()))
    }
}

impl Validate {
    /// An action that knows nothing of any store yet.
    pub fn new(registry: Registry, stores: Stores, prices: Prices) -> Self {
        Self { registry, stores, prices, known_sources: Known::default(), known_targets: Known::default() }
    }

    async fn validate(&self, job: &JobContext) -> Result<Outputs, Failed> {
        let options: Options = job.parameters()?;
        let entity = self.registry.entity(job.dataset()).await?;
        checks::is_dataset(&entity)?;
        checks::may_migrate(&entity)?;
        checks::has_owner(&entity)?;
        let location = self.registry.location(job.dataset()).await?.location;
        if location.active == Side::Target {
            // Nothing will be moved, and its source may be gone by now.
            return Ok(outputs(&location.spec, json!({ "already_migrated": true })));
        }
        let (source, target) = (self.stores.resolve(&location.spec.source), self.stores.resolve(&location.spec.target));
        checks::are_apart(&source, &target)?;
        let ends = (self.open(source, Side::Source).await?, self.open(target, Side::Target).await?);
        let walked = self.look_at_source(&ends, &options).await?;
        job.progress.objects_total.store(walked.survey.objects, Ordering::Relaxed);
        job.progress.bytes_total.store(walked.survey.bytes, Ordering::Relaxed);
        let found = self.look_at_stores(&ends, &walked, &options).await?;
        job.progress.done(walked.survey.objects, walked.survey.bytes);
        Ok(outputs(&location.spec, found))
    }

    async fn open(&self, place: Place, side: Side) -> Result<End, Failed> {
        let store = self.stores.open(&place).await.map_err(|error| error.failed(side))?;
        Ok(End { prefix: place.prefix(), place, store })
    }

    /// All of its listing.
    async fn look_at_source(&self, (source, target): &(End, End), options: &Options) -> Result<Walked, Failed> {
        let interest = Interest {
            target_prefix: target.prefix.len(),
            part_threshold: PART_THRESHOLD,
            first: options.most_sampled(),
        };
        let walked = walk(&source.store, &source.prefix, interest).await.map_err(|error| error.failed(Side::Source))?;
        checks::can_be_moved(&walked, &source.place, options.room)?;
        Ok(walked)
    }

    /// Both stores with real requests, then a dry run, then what follows from all that.
    async fn look_at_stores(&self, ends: &(End, End), walked: &Walked, options: &Options) -> Result<Value, Failed> {
        let (source, target) = ends;
        let at_source_found = self.look_at_reading(source, walked).await?;
        let at_target_found = self.look_at_target(target, options).await?;
        checks::is_able(&at_target_found, &options.needs, &target.place)?;
        let warnings = checks::doubtful_keys(&at_target_found, walked);
        for warning in &warnings {
            tracing::warn!("{warning}");
        }
        let inside = is_same_endpoint(&source.place, &target.place);
        let sampled = dry_run(ends, walked, options, inside).await?;
        let schema = if options.schema {
            schema::infer(&source.store, &source.prefix, &walked.first)
                .await
                .map_err(|error| error.failed(Side::Source))?
        } else {
            None
        };
        let mut found = json!({
            "objects": walked.survey.objects, "bytes": walked.survey.bytes, "digest": walked.survey.digest,
            "largest": walked.largest,
            "lacks": { "source": lacks(&at_source_found), "target": lacks(&at_target_found) },
            "warnings": warnings,
            "estimate": self.work(ends, walked, inside).estimate(&self.prices, sampled.as_ref()),
        });
        if let Some(sampled) = sampled {
            found["sample"] = shown(&sampled);
        }
        if let Some(schema) = schema {
            found["schema"] = json!(schema);
        }
        Ok(found)
    }

    /// What the source can do, as far as reading tells. That it can be read is tried each time.
    async fn look_at_reading(&self, source: &End, walked: &Walked) -> Result<Abilities, Failed> {
        let Some(object) = walked.first.first() else { return Ok(Abilities::default()) };
        if let Some(known) = self.known_sources.of(&source.place) {
            probe::probe_reading_briefly(&source.store, object).await.map_err(|error| error.failed(Side::Source))?;
            return Ok(known);
        }
        let found = probe::probe_reading(&source.store, object).await.map_err(|error| error.failed(Side::Source))?;
        self.known_sources.remember(&source.place, &found);
        Ok(found)
    }

    /// What the target can do. That it can be written to is tried each time.
    async fn look_at_target(&self, target: &End, options: &Options) -> Result<Abilities, Failed> {
        let known = self.known_targets.of(&target.place);
        if options.probe == Probing::Full && known.is_none() {
            let found =
                probe::probe(&target.store, &target.prefix).await.map_err(|error| error.failed(Side::Target))?;
            // Said once for a bucket, not for each of its thousand datasets; the outputs have it for each.
            for shortcoming in checks::shortcomings(&found) {
                tracing::warn!(bucket = target.place.bucket, "the target lacks {shortcoming}");
            }
            self.known_targets.remember(&target.place, &found);
            return Ok(found);
        }
        let brief =
            probe::probe_briefly(&target.store, &target.prefix).await.map_err(|error| error.failed(Side::Target))?;
        Ok(known.filter(|_| options.probe == Probing::Full).unwrap_or(brief))
    }

    fn work(&self, (source, target): &(End, End), walked: &Walked, inside: bool) -> Work {
        let is_paid = |place: &Place| self.prices.everywhere || place.endpoint.is_none();
        Work {
            objects: walked.survey.objects,
            bytes: walked.survey.bytes,
            objects_in_parts: walked.objects_in_parts,
            bytes_in_parts: walked.bytes_in_parts,
            inside,
            paid: (is_paid(&source.place), is_paid(&target.place)),
        }
    }
}

async fn dry_run(
    (source, target): &(End, End),
    walked: &Walked,
    options: &Options,
    inside: bool,
) -> Result<Option<Sampled>, Failed> {
    let limits = options.sample_of(walked.survey.objects, walked.survey.bytes);
    if limits.objects == 0 {
        return Ok(None);
    }
    let ends = Ends { source: &source.store, target: &target.store, prefix: &target.prefix, inside };
    let sampled = Box::pin(sample::dry_run(&ends, &walked.first, limits)).await;
    if sampled.is_err() {
        // What was under way when one failed; the failure is the news, and the next probe tries again.
        if let Err(error) = probe::sweep(&target.store, &target.prefix).await {
            tracing::debug!(%error, "the probe folder could not be emptied");
        }
    }
    sampled.map(Some)
}

/// What was looked for and not found.
fn lacks(found: &Abilities) -> Value {
    let lacking = found.iter().filter(|(_, finding)| !finding.is_yes());
    lacking
        .map(|(ability, finding)| (ability.code().to_owned(), json!(finding.to_string())))
        .collect::<Outputs>()
        .into()
}

fn shown(sampled: &Sampled) -> Value {
    json!({
        "objects": sampled.objects, "bytes": sampled.bytes,
        "milliseconds": u64::try_from(sampled.took.as_millis()).unwrap_or(u64::MAX),
    })
}

/// What was found, and the places it was found for: a migration compares them with what is registered when it begins.
fn outputs(spec: &LocationSpec, found: Value) -> Outputs {
    let mut outputs = match found {
        Value::Object(found) => found,
        _ => Outputs::new(),
    };
    outputs.insert("source".to_owned(), json!(spec.source));
    outputs.insert("target".to_owned(), json!(spec.target));
    outputs
}
