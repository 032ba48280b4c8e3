//! Where a run begins, and where it is not forgotten.
//!
//! [`handler`] makes runs of events; [`starter`] begins those that had to wait for more than their dataset; [`scheduler`] makes events when a
//! workflow's schedule says so; [`watcher`] takes care of messages that the server gave up; [`sweeper`] brings back runs that no message
//! carries. Any number of copies may run.

pub mod config;
pub mod handler;
pub mod scheduler;
pub mod starter;
pub mod sweeper;
pub mod watcher;

use std::sync::Arc;

use honk_agent::pump::Pump;
use honk_agent::{Ledger, start};
use honk_bus::Mirror;
use honk_protocol::control::WORKFLOW_WISHES;
use honk_protocol::name::WorkflowName;
use honk_protocol::subject::WORKFLOW_NAMES;
use honk_protocol::topology::{self, Settings, Topology};
use honk_service::{Context, Failure, Hint};
use tokio_util::task::TaskTracker;

use crate::config::IntakeConfig;
use crate::handler::{Copies, Intake};
use crate::scheduler::Scheduler;
use crate::starter::Starter;
use crate::sweeper::Sweeper;
use crate::watcher::Watcher;

/// Serves until the lifecycle's soft stop.
pub async fn serve(context: Context<IntakeConfig>) -> Result<(), Failure> {
    let section = context.config.intake.clone();
    let bus = start::connect(&context).await?;
    if section.provision {
        bus.restore(&Topology::new(&Settings::default())).await?;
    }
    let default_workflow = WorkflowName::new(section.default_workflow.as_str())?;
    let ledger = Ledger::new(bus.clone(), context.clock.clone());
    let tasks = TaskTracker::new();
    let stop = context.lifecycle.soft_stop().clone();
    let catalog = Mirror::start(&bus.catalog(), &tasks, stop.clone()).await.or_hint(MADE_HINT)?;
    let workflows =
        Mirror::start_part(&bus.workflows(), WORKFLOW_NAMES, &tasks, stop.clone()).await.or_hint(MADE_HINT)?;
    let holds = Mirror::start_part(&bus.control(), WORKFLOW_WISHES, &tasks, stop.clone()).await.or_hint(MADE_HINT)?;
    let copies = Copies { catalog, workflows, holds };
    let intake = Arc::new(Intake::new(ledger.clone(), copies.clone(), default_workflow, &context.metrics));
    let starter = Starter::start(ledger.clone(), section.sweep_every).await.or_hint(MADE_HINT)?;
    let scheduler = Scheduler::new(ledger.clone(), copies);
    let watcher = Arc::new(Watcher::new(ledger.clone()));
    let sweeper = Sweeper::new(ledger, &section, &context.metrics);
    let events = bus.pull(topology::EVENTS, topology::INTAKE).await.or_hint(MADE_HINT)?;
    let advisories = bus.pull(topology::ADVISORIES, topology::WATCHER).await.or_hint(MADE_HINT)?;
    let pump = |name: &str, slots| Pump { name: name.to_owned(), slots, health: context.health.clone() };
    let (events_pump, advisories_pump) = (pump("intake", section.slots.max(1)), pump("watcher", 4));
    tasks.spawn(starter.run(stop.clone()));
    tasks.spawn(scheduler.run(stop.clone()));
    tokio::join!(
        events_pump.run(events, &context.lifecycle, |delivery| Arc::clone(&intake).handle(delivery)),
        advisories_pump.run(advisories, &context.lifecycle, |delivery| Arc::clone(&watcher).handle(delivery)),
        sweeper.run(stop),
    );
    tasks.close();
    tasks.wait().await;
    Ok(())
}

const MADE_HINT: &str = "streams, consumers and buckets are made with `honk provision`";
