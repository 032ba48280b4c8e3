//! `honk bench chains`: what a chain of three jobs costs that do nothing. Real events become real runs of a real workflow through the
//! real intake and agents; the only thing left out is work.

use std::time::Instant;

use honk_agent::StepSettings;
use honk_agent::agent::AgentParts;
use honk_agent::{Agent, AgentConfig};
use honk_intake::config::IntakeConfig;
use honk_protocol::name::PoolName;
use honk_protocol::topology::Settings;
use honk_service::config::NoSettings;
use honk_service::{Context, Failure};

use super::cpu::Meter;
use super::load::{IN_FLIGHT, Load, STUCK, register};
use super::report::Report;
use super::{temporary_folder, write};
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

/// Measures, in a system of its own.
pub(crate) async fn chains(arguments: &ChainsArguments) -> Result<Report, CliError> {
    let folder = temporary_folder()?;
    let nats = start_nats(arguments.nats.clone(), folder.path()).await?;
    let measured = measure(arguments, &nats).await;
    nats.stop().await;
    measured
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
    let mut load = Load::new(bus, datasets, STUCK).await?;
    let in_flight = arguments.in_flight.map_or(IN_FLIGHT, std::num::NonZero::get);
    services.during(&context, measured(&mut load, arguments.runs.get(), in_flight, nats.pid())).await
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

async fn measured(load: &mut Load, runs: u32, in_flight: usize, server: Option<u32>) -> Result<Report, CliError> {
    load.run(WARM_UP, in_flight).await?;
    let write_us = write::cost(load.bus(), server).await;
    let write_us = write_us.map_err(|error| CliError::failed("cannot write to the server").caused_by(&error))?;
    let (meter, begin) = (Meter::start(server), Instant::now());
    let mut latencies = load.run(runs, in_flight).await?;
    let (elapsed, spent) = (begin.elapsed(), meter.spent());
    latencies.sort_unstable();
    Ok(Report::new(&latencies, elapsed, spent, write_us))
}
