//! From a service's context to an agent at work: what every service that serves a pool does the same way.

use std::sync::Arc;

use honk_bus::{Bus, BusError, ConnectOptions};
use honk_protocol::name::PoolName;
use honk_service::{Context, Failure};

use crate::action::Action;
use crate::agent::{Agent, AgentConfig, AgentParts};

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
    };
    Ok(Agent::new(parts, config, actions).run(&context.lifecycle).await?)
}

/// Unique among running agents as long as machines have different names.
fn agent_name(pool: &PoolName) -> String {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    format!("{pool}@{host}:{}", std::process::id())
}
