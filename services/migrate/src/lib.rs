//! Moves the bytes: copy, verify, cut over.
//!
//! [`copy`] is the engine, which knows stores and nothing of datasets; [`action`] is a dataset's migration around it: `migration` is its
//! course, `cut_over` its end, [`book`] its memory.

pub mod action;
pub mod book;
pub mod config;
pub mod copy;
mod cut_over;
pub mod fault;
pub mod metrics;
mod migration;
pub mod share;
pub mod with;

use std::sync::Arc;

use honk_agent::Action;
use honk_agent::registry::Registry;
use honk_agent::start;
use honk_protocol::topology;
use honk_service::{Context, Failure};
use honk_storage::{StorageConfig, Stores};

use crate::action::Migrate;
use crate::book::Book;
use crate::config::MigrateConfig;
use crate::metrics::MigrateMetrics;
use crate::share::Keeper;

/// The pool that it serves.
pub const POOL: &str = "migrate";

/// The actions of this service.
pub fn actions(migrate: Migrate) -> Vec<Arc<dyn Action>> {
    vec![Arc::new(migrate)]
}

/// Serves the pool until the lifecycle's soft stop.
pub async fn serve(context: Context<MigrateConfig>) -> Result<(), Failure> {
    let bus = start::connect(&context).await?;
    let stores = Stores::new(StorageConfig::from(context.config.storage.clone()));
    let keeper = Keeper::new(&bus, topology::CONTROL, &stores);
    let migrate = Migrate {
        registry: Registry::new(&bus, context.clock.clone()),
        book: Book::new(&bus),
        stores,
        settings: context.config.migrate.copy_settings(),
        metrics: MigrateMetrics::register(&context.metrics),
        clock: context.clock.clone(),
    };
    tokio::select! {
        served = start::serve(&context, bus, (POOL, context.config.migrate.slots), actions(migrate)) => served,
        () = keeper.keep() => Ok(()),
    }
}
