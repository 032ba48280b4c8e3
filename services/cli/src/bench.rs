//! `honk bench chains`: what a chain of three jobs costs that do nothing. Real events become real runs of a real workflow through the
//! real intake and agents; the only thing left out is work. `honk bench steps` is [`mod@steps`], `honk bench copy` is [`mod@copy`].

mod copy;
mod cpu;
mod report;
mod steps;
mod write;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use honk_agent::StepSettings;
use honk_agent::agent::AgentParts;
use honk_agent::{Agent, AgentConfig};
use honk_bus::{Bus, BusError, Message, Publication};
use honk_intake::config::IntakeConfig;
use honk_protocol::event::OnboardEvent;
use honk_protocol::name::{DatasetName, PoolName, RunId};
use honk_protocol::subject::{self, EVENT_ONBOARD};
use honk_protocol::topology::Settings;
use honk_protocol::workflow::WorkflowPointer;
use honk_service::config::NoSettings;
use honk_service::{Clock, Context, Failure};
use honk_workflow::Workflow;
use serde_json::json;
use tokio::task::JoinSet;

pub(crate) use self::copy::{CopyReport, copy, mover, store};
use self::cpu::Meter;
pub(crate) use self::report::Report;
pub(crate) use self::steps::{StepsReport, steps};
use crate::arguments::ChainsArguments;
use crate::error::CliError;
use crate::system::{Nats, Services, context, provision, start_nats};

/// Chains that are under way at once, unless the command says otherwise.
const IN_FLIGHT: usize = 256;

/// Jobs that one agent, and events that intake, handle at a time.
const SLOTS: usize = 64;

/// Chains that are run before the clock starts, so that connections, caches and files are warm.
const WARM_UP: u32 = 500;

/// If no chain comes to its end for this long, the measurement is given up.
const STUCK: Duration = Duration::from_secs(30);

/// The workflow that is measured: the shape of the shipped one, with jobs that do nothing.
const WORKFLOW: &str = "
name: bench-chain
on: dataset_onboard
jobs:
  validate:
    steps: [{uses: honk/noop}]
  migrate:
    needs: [validate]
    steps: [{uses: honk/noop}]
  notify:
    needs: [migrate]
    steps: [{uses: honk/noop}]
";

/// Measures, in a system of its own.
pub(crate) async fn chains(arguments: &ChainsArguments) -> Result<Report, CliError> {
    let folder = temporary_folder()?;
    let nats = start_nats(arguments.nats.clone(), folder.path()).await?;
    let measured = measure(arguments, &nats).await;
    nats.stop().await;
    measured
}

fn temporary_folder() -> Result<tempfile::TempDir, CliError> {
    tempfile::tempdir().map_err(|error| CliError::failed("cannot make a temporary folder").caused_by(&error))
}

async fn measure(arguments: &ChainsArguments, nats: &Nats) -> Result<Report, CliError> {
    let bus = provision(&nats.url(), &Settings::default()).await?;
    let datasets = register(&bus, WORKFLOW, arguments.runs.get() + WARM_UP).await?;
    let mut context = context("warn")?;
    context.common.nats.url = nats.url();
    let mut services = Services::new();
    let mut settings = IntakeConfig::default();
    settings.intake.slots = SLOTS;
    services.start(&context, "honk-intake", settings, honk_intake::serve);
    for pool in ["validate", "migrate", "notify"] {
        for number in 0..arguments.agents.get() {
            let name = format!("honk-{pool}-{number}");
            services.start(&context, &name, NoSettings::default(), move |context| noop_agent(context, pool));
        }
    }
    let mut load = Load::new(bus, datasets).await?;
    let in_flight = arguments.in_flight.map_or(IN_FLIGHT, std::num::NonZero::get);
    let measured = tokio::select! {
        failure = services.first_failure() => Err(failure.into()),
        measured = load.measure(arguments.runs.get(), in_flight, nats.pid()) => measured,
    };
    context.lifecycle.stop();
    services.ended().await;
    measured
}

/// An agent as the services run it, without actions of its own.
async fn noop_agent(context: Context<NoSettings>, pool: &'static str) -> Result<(), Failure> {
    let bus = honk_agent::start::connect(&context).await?;
    let parts = AgentParts {
        bus,
        clock: context.clock.clone(),
        metrics: context.metrics.clone(),
        health: context.health.clone(),
        steps: StepSettings::of(&context),
    };
    let config = AgentConfig { pool: PoolName::new(pool)?, slots: SLOTS, name: context.service.clone() };
    Ok(Agent::new(parts, config, Vec::new()).run(&context.lifecycle).await?)
}

/// Registers the workflow and as many datasets, one for each run, as the API would.
async fn register(bus: &Bus, source: &str, count: u32) -> Result<Vec<DatasetName>, CliError> {
    let failed = |error: BusError| CliError::failed("cannot register what is measured").caused_by(&error);
    let parsed = honk_workflow::parse(source);
    let workflow = parsed.map_err(|_| CliError::failed("the measured workflow is not valid"))?.workflow;
    let pointer = pointer(&workflow, source);
    let workflows = bus.workflows();
    workflows.put(&subject::workflow_version_key(&workflow.hash()), workflow.to_json()).await.map_err(failed)?;
    workflows.put(&subject::workflow_name_key(&workflow.name), pointer.to_string()).await.map_err(failed)?;
    // A name of its own for every call, so that a given server can be measured again.
    let tag = format!(
        "{:08x}",
        std::process::id() ^ u32::try_from(Clock::system().now().as_millisecond() & 0xffff_ffff).unwrap_or(0)
    );
    let mut puts = JoinSet::new();
    let mut datasets = Vec::new();
    for number in 0..count {
        let name = format!("bench-{tag}-{number}");
        let dataset = DatasetName::new(name).map_err(|error| CliError::failed(error.to_string()))?;
        let entity = json!({
            "apiVersion": "backstage.io/v1alpha1", "kind": "Resource",
            "metadata": {"name": dataset, "annotations": {"honk/workflow": workflow.name}},
            "spec": {"type": "dataset", "owner": "bench"},
        });
        let (catalog, key) = (bus.catalog(), subject::dataset_key(&dataset));
        datasets.push(dataset);
        puts.spawn(async move { catalog.put(&key, entity.to_string()).await });
        if puts.len() >= IN_FLIGHT
            && let Some(Ok(put)) = puts.join_next().await
        {
            put.map_err(failed)?;
        }
    }
    while let Some(Ok(put)) = puts.join_next().await {
        put.map_err(failed)?;
    }
    Ok(datasets)
}

fn pointer(workflow: &Workflow, source: &str) -> serde_json::Value {
    let pointer =
        WorkflowPointer::new(workflow.name.clone(), workflow.hash(), Clock::system().now(), source.to_owned());
    serde_json::to_value(pointer).unwrap_or_default()
}

/// Publishes events and sees their runs come to an end.
struct Load {
    bus: Bus,
    datasets: std::vec::IntoIter<DatasetName>,
    finished: Pinned,
    begun: HashMap<RunId, Instant>,
    publishing: JoinSet<Result<(), BusError>>,
}

type Pinned = std::pin::Pin<Box<dyn futures_util::Stream<Item = Message> + Send>>;

impl Load {
    async fn new(bus: Bus, datasets: Vec<DatasetName>) -> Result<Self, CliError> {
        let finished = bus.signals(subject::FINISHED_ALL).await;
        let finished = finished.map_err(|error| CliError::failed("cannot watch the runs").caused_by(&error))?;
        let (datasets, finished) = (datasets.into_iter(), Box::pin(finished));
        Ok(Self { bus, datasets, finished, begun: HashMap::new(), publishing: JoinSet::new() })
    }

    async fn measure(&mut self, runs: u32, in_flight: usize, server: Option<u32>) -> Result<Report, CliError> {
        self.run(WARM_UP, in_flight).await?;
        let write_us = write::cost(&self.bus, server).await;
        let write_us = write_us.map_err(|error| CliError::failed("cannot write to the server").caused_by(&error))?;
        let (meter, begin) = (Meter::start(server), Instant::now());
        let mut latencies = self.run(runs, in_flight).await?;
        let (elapsed, spent) = (begin.elapsed(), meter.spent());
        latencies.sort_unstable();
        Ok(Report::new(&latencies, elapsed, spent, write_us))
    }

    /// Keeps `in_flight` chains under way until `runs` have come to their end; how long each took.
    async fn run(&mut self, runs: u32, in_flight: usize) -> Result<Vec<Duration>, CliError> {
        let runs = usize::try_from(runs).unwrap_or(usize::MAX);
        let (mut latencies, mut sent) = (Vec::with_capacity(runs), 0);
        while latencies.len() < runs {
            while sent < runs && self.begun.len() < in_flight {
                self.send()?;
                sent += 1;
            }
            tokio::select! {
                Some(published) = self.publishing.join_next(), if !self.publishing.is_empty() => note(published)?,
                next = tokio::time::timeout(STUCK, self.finished.next()) => {
                    let stuck = || CliError::failed(format!("{} chains did not come to an end", runs - latencies.len()));
                    let message = next.ok().flatten().ok_or_else(stuck)?;
                    latencies.extend(self.finish(&message)?);
                }
            }
        }
        Ok(latencies)
    }

    fn send(&mut self) -> Result<(), CliError> {
        let dataset = self.datasets.next().ok_or_else(|| CliError::failed("there are too few datasets"))?;
        let event = OnboardEvent {
            id: dataset.to_string(),
            source: "/honk/bench".into(),
            dataset,
            workflow: None,
            time: None,
            input: serde_json::Map::new(),
        };
        self.begun.insert(event.run_id(), Instant::now());
        let bus = self.bus.clone();
        let publication = Publication::new(EVENT_ONBOARD, event.to_structured()).message_id(event.id);
        self.publishing.spawn(async move { bus.publish(publication).await.map(|_| ()) });
        Ok(())
    }

    fn finish(&mut self, message: &Message) -> Result<Option<Duration>, CliError> {
        let run = message.subject.rsplit('.').next().and_then(|token| RunId::new(token).ok());
        let took = run.and_then(|run| self.begun.remove(&run)).map(|begin| begin.elapsed());
        if message.payload != "success" {
            let state = String::from_utf8_lossy(&message.payload);
            return Err(CliError::failed(format!("a chain ended with {state}")));
        }
        Ok(took)
    }
}

fn note(published: Result<Result<(), BusError>, tokio::task::JoinError>) -> Result<(), CliError> {
    let published = published.map_err(|error| CliError::failed("publishing broke off").caused_by(&error))?;
    published.map_err(|error| CliError::failed("cannot publish an event").caused_by(&error))
}
