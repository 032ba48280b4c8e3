//! From a service's context to an agent at work: what every service that serves a pool does the same way.

use std::sync::Arc;

use honk_bus::{Bus, BusError, ConnectOptions};
use honk_protocol::name::PoolName;
use honk_service::{Context, Failure};

use crate::action::Action;
use crate::agent::{Agent, AgentConfig, AgentError, AgentParts};
use crate::steps::StepSettings;

/// Connects as the context's `[nats]` section says.
pub async fn connect<T>(context: &Context<T>) -> Result<Bus, BusError> {
    let nats = &context.common.nats;
    let secret = |secret: &Option<honk_service::Secret>| secret.as_ref().map(|secret| secret.expose().to_owned());
    Bus::connect(ConnectOptions {
        url: nats.url.clone(),
        user: nats.user.clone(),
        password: secret(&nats.password),
        token: secret(&nats.token),
        credentials: nats.credentials.clone(),
        ca: nats.ca.clone(),
        certificate: nats.certificate.clone(),
        key: nats.key.clone(),
        inbox_prefix: nats.inbox_prefix.clone(),
        name: context.service.clone(),
    })
    .await
}

/// Serves a built-in pool with `slots` attempts at a time, until the context's lifecycle ends it.
pub async fn serve<T>(
    context: &Context<T>,
    bus: Bus,
    (pool, slots): (&str, usize),
    actions: Vec<Arc<dyn Action>>,
) -> Result<(), Failure> {
    let pool = PoolName::new(pool)?;
    let config = AgentConfig { name: agent_name(&pool), pool, slots: slots.max(1) };
    let parts = AgentParts {
        bus,
        clock: context.clock.clone(),
        metrics: context.metrics.clone(),
        health: context.health.clone(),
        steps: StepSettings::of(context),
    };
    let served = Agent::new(parts, config, actions).run(&context.lifecycle).await;
    served.map_err(|error| match hint(&error) {
        Some(hint) => Failure::from(error).with_hint(hint),
        None => error.into(),
    })
}

/// What the operator can do about a pool that cannot be served.
fn hint(error: &AgentError) -> Option<String> {
    let AgentError::Pool { pool, source: BusError::NotFound { .. } } = error else { return None };
    let built_in = PoolName::built_in(pool.as_str()).is_some();
    let pool = if built_in { String::new() } else { format!(" --pool {pool}") };
    Some(format!("make what is missing with `honk provision{pool}`"))
}

/// Unique among running agents as long as machines have different names.
fn agent_name(pool: &PoolName) -> String {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    format!("{pool}@{host}:{}", std::process::id())
}
