//! Moves the bytes: copy or transform, verify, cut over.
//!
//! [`copy`] is the engine, which knows stores and nothing of datasets; [`action`] is a dataset's migration around it: `migration` is its
//! course, `cut_over` its end, [`book`] its memory, `inventory` what may take the place of its first look; [`transform`] takes the engine's
//! place where the dataset is to change its form. [`plan`] only looks. What comes after one is [`rollback`], which sends readers back, and
//! [`retire`], which gives the source up.

pub mod action;
pub mod book;
pub mod config;
pub mod copy;
mod cut_over;
pub mod fault;
mod inventory;
pub mod metrics;
mod migration;
pub mod plan;
pub mod retire;
pub mod rollback;
pub mod share;
mod sides;
mod told;
pub mod transform;
pub mod with;

use std::sync::Arc;

use honk_agent::Action;
use honk_agent::start;
use honk_bus::Bus;
use honk_protocol::topology;
use honk_service::{Clock, Context, Failure};
use honk_storage::{StorageConfig, Stores};

use crate::action::Migrate;
use crate::config::MigrateConfig;
use crate::metrics::MigrateMetrics;
use crate::plan::Planning;
use crate::retire::Retire;
use crate::rollback::Rollback;
use crate::share::Keeper;

/// The pool that it serves.
pub const POOL: &str = "migrate";

/// The actions of this service.
pub fn actions(migrate: Migrate, after: After) -> Vec<Arc<dyn Action>> {
    let After { bus, clock } = after;
    let (registry, stores) = (migrate.registry.clone(), migrate.stores.clone());
    let planning = Planning { registry: registry.clone(), stores: stores.clone(), settings: migrate.settings.clone() };
    let rollback = Rollback { registry: registry.clone(), stores: stores.clone(), bus: bus.clone() };
    let retire = Retire { registry, stores, bus, clock };
    vec![Arc::new(migrate), Arc::new(planning), Arc::new(rollback), Arc::new(retire)]
}

/// What the actions that come after a migration work with beside what it does.
#[derive(Debug, Clone)]
pub struct After {
    /// Where notices and lists are kept.
    pub bus: Bus,
    /// What time it is.
    pub clock: Clock,
}

/// Serves the pool until the lifecycle's soft stop.
pub async fn serve(context: Context<MigrateConfig>) -> Result<(), Failure> {
    let bus = start::connect(&context).await?;
    let stores = Stores::new(StorageConfig::from(context.config.storage.clone()));
    let keeper = Keeper::new(&bus, topology::CONTROL, &stores);
    let settings = context.config.migrate.copy_settings();
    let migrate = Migrate {
        metrics: MigrateMetrics::register(&context.metrics),
        transform: context.config.migrate.transform_settings(&context.config.storage),
        folder: context.common.steps.work_dir.clone().unwrap_or_else(std::env::temp_dir),
        ..Migrate::new(&bus, stores, settings, context.clock.clone())
    };
    let after = After { bus: bus.clone(), clock: context.clock.clone() };
    let actions = actions(migrate, after);
    tokio::select! {
        served = start::serve(&context, bus, (POOL, context.config.migrate.slots), actions) => served,
        () = keeper.keep() => Ok(()),
    }
}
