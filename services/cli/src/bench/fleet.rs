//! `honk bench fleet`: how much faster more agents migrate one dataset. A real run of a real workflow, through the real intake and the agents
//! of `honk-migrate`, each of which is a process of its own; before it is measured, every number of agents begins with an empty target.
//!
//! What more agents gain is waiting, not computing: a store that answers at once from memory, on the cores that the agents run on, is
//! busy with the first of them. So every request to an embedded store waits first, as it would on its way to a store elsewhere.

mod agent;
mod report;

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use honk_bus::Bus;
use honk_intake::config::IntakeConfig;
use honk_protocol::dataset::{Location, LocationSpec};
use honk_protocol::name::DatasetName;
use honk_protocol::subject::location_key;
use honk_protocol::topology::Settings;
use honk_service::Clock;
use honk_storage::{Place, StorageSettings, Stores};
use serde_json::json;

pub(crate) use self::agent::run as agent;
use self::agent::{Told, Used};
pub(crate) use self::report::FleetReport;
use self::report::Size;
use super::child::Process;
use super::ends::Ends;
use super::load::{Load, register};
use super::objects::{SOURCE, Source, TARGET, clear, make_bucket};
use super::temporary_folder;
use crate::arguments::FleetArguments;
use crate::error::CliError;
use crate::output::Output;
use crate::system::{Nats, Services, context, provision, start_nats};

/// If the migration has not ended by then, the measurement is given up.
const STUCK: Duration = Duration::from_hours(1);

/// The workflow that is measured.
const WORKFLOW: &str = "
name: bench-fleet
on: dataset_onboard
jobs:
  migrate:
    timeout: 1h
    steps: [{uses: honk/migrate}]
";

/// Measures, in a system of its own, one number of agents after the other.
pub(crate) async fn fleet(arguments: &FleetArguments, output: &Output) -> Result<FleetReport, CliError> {
    let ends = Ends::open(&arguments.store, 1, arguments.latency_ms).await?;
    let folder = temporary_folder()?;
    let nats = start_nats(arguments.nats.clone(), folder.path()).await?;
    let measured = measure(arguments, (&ends, &nats), output).await;
    nats.stop().await;
    measured
}

async fn measure(
    arguments: &FleetArguments,
    (ends, nats): (&Ends, &Nats),
    output: &Output,
) -> Result<FleetReport, CliError> {
    let url = ends.first()?;
    let stores = Stores::new(ends.storage.clone().into());
    let source = Source::new((arguments.objects.get(), arguments.object_size), (0, 0));
    output.note(&format!("writing {} at {url}", source.describe()));
    source.fill(&stores, url).await?;
    let bus = provision(&nats.url(), &Settings::default()).await?;
    let mut sizes = Vec::new();
    for agents in &arguments.agents {
        output.note(&format!("measuring {agents} agents"));
        let target = Place::new(TARGET, format!("fleet-{}-{agents}", std::process::id())).at(url);
        make_bucket(&stores, &target).await?;
        let fleet = Fleet { bus: &bus, nats: &nats.url(), storage: &ends.storage };
        let (took, used) = fleet.migrate(*agents, location(url, &target)?).await?;
        sizes.push(Size::new((*agents, took), arguments.objects.get(), &used));
        if !ends.is_own() {
            clear(&stores, &target).await?;
        }
    }
    Ok(FleetReport::new(source.describe(), sizes))
}

/// A fleet that is made for one migration.
struct Fleet<'a> {
    bus: &'a Bus,
    nats: &'a str,
    storage: &'a StorageSettings,
}

impl Fleet<'_> {
    /// How long the migration took, from its event to its end, and what each agent used for it.
    async fn migrate(&self, agents: NonZeroUsize, location: LocationSpec) -> Result<(Duration, Vec<Used>), CliError> {
        let datasets = register(self.bus, WORKFLOW, 1).await?;
        for dataset in &datasets {
            put_location(self.bus, dataset, location.clone()).await?;
        }
        let mut context = context("warn")?;
        self.nats.clone_into(&mut context.common.nats.url);
        let mut services = Services::new();
        services.start(&context, "honk-intake", IntakeConfig::default(), honk_intake::serve);
        let mut fleet = Vec::new();
        for _ in 0..agents.get() {
            let told = Told { nats: self.nats.to_owned(), storage: self.storage.clone() };
            fleet.push(Process::start("agent", &told).await?);
        }
        let mut load = Load::new(self.bus.clone(), datasets, STUCK).await?;
        let measured = async {
            let begin = Instant::now();
            load.run(1, 1).await.map(|_latencies| begin.elapsed())
        };
        let took = services.during(&context, measured).await?;
        let mut used = Vec::new();
        for agent in fleet {
            used.push(agent.end().await?);
        }
        Ok((took, used))
    }
}

fn location(url: &str, target: &Place) -> Result<LocationSpec, CliError> {
    let source = json!({ "s3": { "bucket": SOURCE, "prefix": "small/", "endpoint": url } });
    let target = json!({ "s3": { "bucket": target.bucket, "prefix": target.prefix(), "endpoint": url } });
    serde_json::from_value(json!({ "source": source, "target": target }))
        .map_err(|error| CliError::failed("cannot say where the objects are").caused_by(&error))
}

async fn put_location(bus: &Bus, dataset: &DatasetName, spec: LocationSpec) -> Result<(), CliError> {
    let location = Location::registered(spec, Clock::system().now());
    let text = serde_json::to_string(&location).unwrap_or_default();
    let put = bus.locations().put(&location_key(dataset), text).await;
    put.map(drop).map_err(|error| CliError::failed("cannot register what is measured").caused_by(&error))
}
