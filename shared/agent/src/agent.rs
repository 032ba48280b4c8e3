//! The loop: pulls as many jobs as there are free slots and makes an attempt at each. On a soft stop it pulls no more and
//! waits for what is in flight; on a hard stop what is still in flight is handed back.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use honk_bus::{Bus, BusError};
use honk_protocol::name::PoolName;
use honk_protocol::topology;
use honk_service::{Clock, Health, Lifecycle, Metrics};
use tokio::task::JoinSet;

use crate::action::Action;
use crate::ledger::Ledger;
use crate::metrics::AgentMetrics;
use crate::workflows::Workflows;

/// How often the loop says that it is alive, at least.
const ALIVE_EVERY: Duration = Duration::from_secs(5);

/// How one agent serves a pool.
#[derive(Debug, Clone)]
pub struct AgentConfig {
    /// The pool.
    pub pool: PoolName,
    /// Attempts at a time.
    pub slots: usize,
    /// What records and logs call it; unique among running agents.
    pub name: String,
}

/// What an agent is made of, beside its actions.
#[derive(Debug, Clone)]
pub struct AgentParts {
    /// The connection.
    pub bus: Bus,
    /// What time it is.
    pub clock: Clock,
    /// Where to count.
    pub metrics: Metrics,
    /// Where to say how it is.
    pub health: Health,
}

/// Why an agent could not start.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The pool's consumer could not be opened.
    #[error("cannot serve the pool `{pool}`")]
    Pool {
        /// The pool.
        pool: PoolName,
        /// Why.
        #[source]
        source: BusError,
    },
}

/// What to do about an [`AgentError`].
pub const POOL_HINT: &str = "is the server reachable, and were its streams and consumers made with `honk provision`?";

/// An agent of one pool.
pub struct Agent {
    pub(crate) config: AgentConfig,
    pub(crate) clock: Clock,
    pub(crate) ledger: Ledger,
    pub(crate) workflows: Workflows,
    pub(crate) actions: HashMap<&'static str, Arc<dyn Action>>,
    pub(crate) metrics: AgentMetrics,
    health: Health,
}

impl Agent {
    /// An agent that offers `actions`.
    pub fn new(parts: AgentParts, config: AgentConfig, actions: Vec<Arc<dyn Action>>) -> Self {
        Self {
            metrics: AgentMetrics::new(&parts.metrics, config.pool.as_str()),
            config,
            ledger: Ledger::new(parts.bus.clone(), parts.clock.clone()),
            workflows: Workflows::new(parts.bus),
            actions: actions.into_iter().map(|action| (action.name(), action)).collect(),
            clock: parts.clock,
            health: parts.health,
        }
    }

    /// Serves the pool until the lifecycle's soft stop, then until what is in flight has ended or was handed back.
    pub async fn run(self, lifecycle: &Lifecycle) -> Result<(), AgentError> {
        let pool = self.config.pool.clone();
        let opened = self.ledger.bus().pull(topology::JOBS, pool.as_str()).await;
        let mut puller = opened.map_err(|source| AgentError::Pool { pool: pool.clone(), source })?;
        let (agent, ack_wait) = (Arc::new(self), puller.ack_wait());
        let loop_name = format!("agent {pool}");
        agent.health.set_ready(&loop_name, true, "pulling");
        let mut attempts = JoinSet::new();
        loop {
            agent.health.beat(&loop_name, ALIVE_EVERY * 4);
            let free = agent.config.slots.saturating_sub(attempts.len());
            tokio::select! {
                biased;
                () = lifecycle.soft_stop().cancelled() => break,
                Some(ended) = attempts.join_next(), if !attempts.is_empty() => note(ended),
                delivery = puller.next(free), if free > 0 => {
                    agent.metrics.pulled(delivery.pending, attempts.len() + 1);
                    let attempt = Arc::clone(&agent).attempt(delivery, ack_wait, lifecycle.hard_stop().clone());
                    attempts.spawn(attempt);
                }
                () = tokio::time::sleep(ALIVE_EVERY) => {}
            }
        }
        puller.close().await;
        tracing::info!(%pool, in_flight = attempts.len(), "pulling has stopped");
        while let Some(ended) = attempts.join_next().await {
            note(ended);
        }
        agent.health.ended(&loop_name);
        if let Err(error) = agent.ledger.bus().flush().await {
            tracing::warn!(%error, "flushing the connection");
        }
        Ok(())
    }
}

/// An action's panic is caught closer to it; this is a defect of the runtime's own. The delivery gave itself back when it was dropped.
fn note(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "an attempt broke off");
    }
}
