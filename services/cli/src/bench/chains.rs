//! `honk bench chains`: what a chain of three jobs costs that do nothing. Real events become real runs of a real workflow through the
//! real intake and agents; the only thing left out is work. Just before, a server is given the same messages with nobody deciding
//! anything ([`mod@bare`]), because a shared machine is half as fast again at one hour than at another: compare the two.

use std::num::NonZero;
use std::time::Instant;

use honk_agent::StepSettings;
use honk_agent::agent::AgentParts;
use honk_agent::{Agent, AgentConfig};
use honk_bus::Bus;
use honk_intake::config::IntakeConfig;
use honk_protocol::name::{DatasetName, PoolName};
use honk_protocol::topology::Settings;
use honk_service::config::NoSettings;
use honk_service::{Context, Failure};

use super::cpu::Meter;
use super::load::{IN_FLIGHT, Load, STUCK, names, register};
use super::report::{Figures, Report};
use super::{bare, temporary_folder};
use crate::arguments::ChainsArguments;
use crate::error::CliError;
use crate::system::{Nats, Services, context, provision, start_nats};

/// Jobs that one agent, and events that intake, handle at a time.
const SLOTS: usize = 64;

/// Chains that are run before the clock starts, so that connections, caches and files are warm.
const WARM_UP: u32 = 500;

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

/// Measures the bare messages and then the chains, each with a server of its own; on a given one the chains alone, because the others would
/// leave records there that nobody can read.
pub(crate) async fn chains(arguments: &ChainsArguments) -> Result<Report, CliError> {
    let bare = match &arguments.nats {
        None => Some(with_server(arguments, bare).await?),
        Some(_) => None,
    };
    let chains = with_server(arguments, real).await?;
    Ok(Report { chains, bare })
}

async fn with_server(
    arguments: &ChainsArguments,
    measure: impl AsyncFnOnce(&Nats, Extent) -> Result<Figures, CliError>,
) -> Result<Figures, CliError> {
    let folder = temporary_folder()?;
    let nats = start_nats(arguments.nats.clone(), folder.path()).await?;
    let extent = Extent {
        runs: arguments.runs.get(),
        agents: arguments.agents.get(),
        in_flight: arguments.in_flight.map_or(IN_FLIGHT, NonZero::get),
        server: nats.pid(),
    };
    let measured = measure(&nats, extent).await;
    nats.stop().await;
    measured
}

async fn bare(nats: &Nats, extent: Extent) -> Result<Figures, CliError> {
    let bus = provision(&nats.url(), &Settings::default()).await?;
    let (context, mut services) = (connected(nats)?, Services::new());
    for stage in bare::STAGES {
        services.start(&context, "honk-bare", NoSettings::default(), move |context| bare::serve(context, stage, SLOTS));
    }
    let datasets = names(extent.runs + WARM_UP)?;
    services.during(&context, extent.measure(bus, datasets)).await
}

async fn real(nats: &Nats, extent: Extent) -> Result<Figures, CliError> {
    let bus = provision(&nats.url(), &Settings::default()).await?;
    let datasets = register(&bus, WORKFLOW, extent.runs + WARM_UP).await?;
    let (context, mut services) = (connected(nats)?, Services::new());
    let mut settings = IntakeConfig::default();
    settings.intake.slots = SLOTS;
    services.start(&context, "honk-intake", settings, honk_intake::serve);
    for pool in ["validate", "migrate", "notify"] {
        for number in 0..extent.agents {
            let name = format!("honk-{pool}-{number}");
            services.start(&context, &name, NoSettings::default(), move |context| noop_agent(context, pool));
        }
    }
    services.during(&context, extent.measure(bus, datasets)).await
}

/// Settings of services that use this server.
fn connected(nats: &Nats) -> Result<Context<NoSettings>, CliError> {
    let mut context = context("warn")?;
    context.common.nats.url = nats.url();
    Ok(context)
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

/// How much is measured.
#[derive(Debug, Clone, Copy)]
struct Extent {
    runs: u32,
    /// In each pool.
    agents: usize,
    in_flight: usize,
    /// The server's process, if it is one's own.
    server: Option<u32>,
}

impl Extent {
    async fn measure(self, bus: Bus, datasets: Vec<DatasetName>) -> Result<Figures, CliError> {
        let mut load = Load::new(bus, datasets, STUCK).await?;
        load.run(WARM_UP, self.in_flight).await?;
        let (meter, begin) = (Meter::start(self.server), Instant::now());
        let mut latencies = load.run(self.runs, self.in_flight).await?;
        let (elapsed, spent) = (begin.elapsed(), meter.spent());
        latencies.sort_unstable();
        Ok(Figures::new(&latencies, elapsed, spent))
    }
}
