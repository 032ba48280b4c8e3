//! Tells owners and consumers: signed webhooks and CloudEvents.
//!
//! In the order of the data: [`notice`] is what is said, [`receivers`] who is told, [`webhook`] how ([`address`] where it may go,
//! [`signature`] how it is known to be Honk's), [`delivery`] what came of it, [`schedule`] when it is tried again; [`action`]
//! is all of it for one run.

pub mod action;
pub mod address;
pub mod config;
pub mod delivery;
pub mod metrics;
pub mod notice;
pub mod receivers;
pub mod schedule;
pub mod signature;
pub mod webhook;

use std::sync::Arc;

use honk_agent::registry::Registry;
use honk_agent::{Action, start};
use honk_bus::{Bus, Mirror};
use honk_protocol::entity::Entity;
use honk_service::{Clock, Context, Failure, Metrics};
use tokio_util::task::TaskTracker;

use crate::action::Notify;
use crate::address::Guard;
use crate::config::{NotifyConfig, NotifySection};
use crate::delivery::Deliveries;
use crate::metrics::NotifyMetrics;
use crate::receivers::Receivers;
use crate::schedule::Schedule;
use crate::signature::Signer;
use crate::webhook::Sender;

/// The pool that it serves.
pub const POOL: &str = "notify";

/// The actions of this service.
pub fn actions(notify: Notify) -> Vec<Arc<dyn Action>> {
    vec![Arc::new(notify)]
}

impl Notify {
    /// The action as the settings have it. Fails if a secret is none.
    pub fn new(
        bus: &Bus,
        catalog: Mirror<Entity>,
        settings: &NotifySection,
        (clock, metrics): (Clock, &Metrics),
    ) -> Result<Self, Failure> {
        let signer = Signer::new(&settings.secrets)?;
        if signer.is_empty() {
            tracing::warn!("there is no `notify.secrets`: webhooks go unsigned");
        }
        let guard = Guard { allow_private: settings.allow_private };
        Ok(Self {
            bus: bus.clone(),
            registry: Registry::new(bus, clock.clone()),
            receivers: Receivers::new(catalog),
            deliveries: Deliveries::new(bus),
            sender: Sender::new(guard, signer, settings.timeout)?,
            schedule: Schedule::new(&settings.retry_seconds),
            clock,
            metrics: NotifyMetrics::register(metrics),
        })
    }
}

/// Serves the pool until the lifecycle's soft stop.
pub async fn serve(context: Context<NotifyConfig>) -> Result<(), Failure> {
    let bus = start::connect(&context).await?;
    let tasks = TaskTracker::new();
    let stop = context.lifecycle.hard_stop().child_token();
    let catalog = Mirror::start(&bus.catalog(), &tasks, stop.clone()).await?;
    let settings = &context.config.notify;
    let notify = Notify::new(&bus, catalog, settings, (context.clock.clone(), &context.metrics))?;
    let served = start::serve(&context, bus, (POOL, settings.slots), actions(notify)).await;
    stop.cancel();
    tasks.close();
    tasks.wait().await;
    served
}
