//! `honk demo`: the main job, on real and generated data, from nothing: a system is started, datasets are registered and migrated between two
//! S3 stores, one that fails is repaired and replayed, and then every byte is read back and compared.

mod check;
mod datasets;
mod receiver;
mod stage;
mod summary;

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use honk_api::wire::{DeadLetterPage, DeadLetterView, Replayed, RunView};
use honk_local::s3::{S3Server, Storage};
use honk_protocol::name::RunId;
use honk_protocol::run::{Run, RunState};
use honk_storage::{StorageConfig, Stores};
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::{Method, Url};
use serde_json::json;

pub(crate) use self::datasets::{Sample, many, showcase};
use self::receiver::Receiver;
use self::stage::Stage;
pub(crate) use self::summary::Summary;
use crate::api::{Api, Doing};
use crate::error::CliError;
use crate::output::{Output, inline};
use crate::system::{System, start_s3, storage_settings};

/// If no run moves for this long, the demo is given up.
const STUCK: Duration = Duration::from_mins(2);

/// Migrates `samples` in a running system and says how it went.
pub(crate) async fn run(system: &mut System, samples: Vec<Sample>, output: &Output) -> Result<Summary, CliError> {
    let elsewhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let new_store = start_s3(elsewhere, Storage::Disk(system.addresses.state.join("s3-new")), &system.keys).await?;
    let receiver = Receiver::start(&system.keys.webhook_secret).await?;
    let outcome = Demo::new(system, &new_store, receiver, output)?.migrate(samples).await;
    new_store.stop().await;
    outcome
}

struct Demo<'a> {
    api: Api,
    stage: Stage,
    receiver: Receiver,
    system: &'a System,
    output: &'a Output,
}

impl<'a> Demo<'a> {
    fn new(system: &'a System, new: &S3Server, receiver: Receiver, output: &'a Output) -> Result<Self, CliError> {
        let url = Url::parse(&system.addresses.api);
        let url = url.map_err(|error| CliError::failed("the API has no proper address").caused_by(&error))?;
        let api = Api::new(&url).doing("prepare to talk to the API")?;
        let stores = Stores::new(StorageConfig::from(storage_settings(&system.keys, &system.addresses.s3)));
        let stage = Stage { api: api.clone(), stores, old: system.addresses.s3.clone(), new: new.url() };
        Ok(Self { api, stage, receiver, system, output })
    }

    async fn migrate(self, samples: Vec<Sample>) -> Result<Summary, CliError> {
        let objects: usize = samples.iter().map(|sample| sample.objects.len()).sum();
        self.output.note(&format!("Writing {objects} objects of {} datasets to the old store …", samples.len()));
        self.stage.prepare(&samples, self.receiver.url()).await?;
        self.output.note("Registered the workflow, the datasets and their locations. Publishing one event each …");
        let mut watch = self
            .system
            .bus
            .runs()
            .watch(">")
            .await
            .map_err(|error| CliError::failed("cannot watch the runs").caused_by(&error))?;
        let begin = std::time::Instant::now();
        let mut runs = self.stage.publish(&samples).await?;
        self.follow(&mut watch, runs.values(), RunState::is_finished).await?;
        for sample in samples.iter().filter(|sample| sample.is_empty_at_first) {
            self.repair(sample).await?;
            let replayed = runs.get(&sample.name).into_iter();
            self.follow(&mut watch, replayed, |state| state == RunState::Success).await?;
        }
        let elapsed = begin.elapsed();
        self.output
            .note(&format!("All runs have ended after {:.1} s. Reading every object back …", elapsed.as_secs_f64()));
        let checked = check::all(&self.stage, &samples).await?;
        let mut rows = Vec::new();
        for (sample, verified) in samples.iter().zip(checked) {
            let run = runs.remove(&sample.name).ok_or_else(|| CliError::failed("a dataset has no run"))?;
            let run: RunView = self.api.get(&["api", "runs", run.as_str()]).await.doing("look at a run")?;
            let location = self
                .api
                .get(&["api", "datasets", sample.name.as_str(), "location"])
                .await
                .doing("look at a location")?;
            rows.push(summary::Row::new(sample, &run, &location, verified));
        }
        let notices = self.receiver.verified(samples.len()).await;
        Ok(Summary { rows, notices, elapsed_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX) })
    }

    /// Waits until every one of `runs` has come to an end that counts.
    async fn follow<'r>(
        &self,
        watch: &mut honk_bus::Watch,
        runs: impl ExactSizeIterator<Item = &'r RunId>,
        is_end: impl Fn(RunState) -> bool,
    ) -> Result<(), CliError> {
        let count = runs.len();
        let bar = self.output.bars().add(ProgressBar::new(count as u64).with_style(style()));
        let mut open: HashMap<&RunId, RunState> = runs.map(|run| (run, RunState::Waiting)).collect();
        while !open.is_empty() {
            let Ok(event) = tokio::time::timeout(STUCK, watch.next()).await else {
                let shown: Vec<String> = open.iter().take(5).map(|(run, state)| format!("{run} ({state})")).collect();
                return Err(CliError::failed(format!(
                    "{} runs did not come to an end: {}",
                    open.len(),
                    shown.join(", ")
                )));
            };
            let honk_bus::WatchEvent::Changed(message) = event else { continue };
            let Ok(run) = serde_json::from_slice::<Run>(&message.payload) else { continue };
            if is_end(run.state) {
                open.remove(&run.id);
                bar.set_position((count - open.len()) as u64);
            } else if let Some(state) = open.get_mut(&run.id) {
                *state = run.state;
            }
        }
        bar.finish_and_clear();
        Ok(())
    }

    /// What a person does about a dead letter: reads why, removes the cause, replays it.
    async fn repair(&self, sample: &Sample) -> Result<(), CliError> {
        let query = json!({ "dataset": sample.name });
        let letters = self
            .api
            .list::<DeadLetterPage>(&["api", "dead-letters"], &query, 1)
            .await
            .doing("list the dead letters")?;
        let letter: &DeadLetterView =
            letters.items.first().ok_or_else(|| CliError::failed(format!("{} has no dead letter", sample.name)))?;
        self.output.note(&format!("{} is dead-lettered: {}, {}", sample.name, letter.reason, inline(&letter.error)));
        self.output.note(&format!("Writing its {} objects, and replaying {} …", sample.objects.len(), letter.id));
        self.stage.upload(sample).await?;
        let path = ["api", "dead-letters", letter.id.as_str(), "replay"];
        let _replayed: Replayed = self.api.send(Method::POST, &path, None).await.doing("replay the dead letter")?;
        Ok(())
    }
}

fn style() -> ProgressStyle {
    let template = "{bar:40} {pos}/{len} runs ended, {elapsed}";
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
