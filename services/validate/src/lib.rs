//! Checks that a migration can succeed before a byte moves.
//!
//! [`action`] asks one question after another, with the [`options`] that the workflow gives: [`walk`] lists the source, [`checks`] judges
//! what was found, [`sample`] is the dry run, [`schema`] and [`estimate`] tell what people want to know beforehand.

pub mod action;
pub mod checks;
pub mod config;
pub mod estimate;
pub mod known;
pub mod options;
pub mod sample;
pub mod schema;
pub mod walk;

use std::sync::Arc;

use honk_agent::Action;
use honk_agent::registry::Registry;
use honk_agent::start;
use honk_service::{Context, Failure};
use honk_storage::{StorageConfig, Stores};

use crate::action::Validate;
use crate::config::ValidateConfig;

/// The pool that it serves.
pub const POOL: &str = "validate";

/// The actions of this service.
pub fn actions(validate: Validate) -> Vec<Arc<dyn Action>> {
    vec![Arc::new(validate)]
}

/// Serves the pool until the lifecycle's soft stop.
pub async fn serve(context: Context<ValidateConfig>) -> Result<(), Failure> {
    let bus = start::connect(&context).await?;
    let stores = Stores::new(StorageConfig::from(context.config.storage.clone()));
    let (registry, prices) = (Registry::new(&bus, context.clock.clone()), context.config.validate.prices.clone());
    let validate = Validate::new(registry, stores, prices);
    start::serve(&context, bus, (POOL, context.config.validate.slots), actions(validate)).await
}
