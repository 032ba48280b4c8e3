//! Moves the bytes: copy or transform, verify, cut over.
//!
//! [`copy`] is the engine, which knows stores and nothing of datasets; [`transform`] runs the program that takes its place where the dataset
//! is to change its form; [`action`] is a dataset's migration around either.

pub mod action;
pub mod config;
pub mod copy;
pub mod fault;
pub mod metrics;
pub mod transform;

use std::sync::Arc;

use honk_agent::Action;
use honk_agent::registry::Registry;
use honk_agent::start;
use honk_service::{Context, Failure};
use honk_storage::{StorageConfig, Stores};

use crate::action::Migrate;
use crate::config::MigrateConfig;
use crate::metrics::MigrateMetrics;

/// The pool that it serves.
pub const POOL: &str = "migrate";

/// The actions of this service.
pub fn actions(migrate: Migrate) -> Vec<Arc<dyn Action>> {
    vec![Arc::new(migrate)]
}

/// Serves the pool until the lifecycle's soft stop.
pub async fn serve(context: Context<MigrateConfig>) -> Result<(), Failure> {
    let bus = start::connect(&context).await?;
    let migrate = Migrate {
        registry: Registry::new(&bus, context.clock.clone()),
        stores: Stores::new(StorageConfig::from(context.config.storage.clone())),
        settings: context.config.migrate.copy_settings(),
        metrics: MigrateMetrics::register(&context.metrics),
        transform: context.config.migrate.transform_settings(&context.config.storage),
    };
    start::serve(&context, bus, (POOL, context.config.migrate.slots), actions(migrate)).await
}
