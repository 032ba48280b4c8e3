//! An agent: one pool's consumer, the actions it offers, and an attempt at each job that it pulls. On a hard stop what is
//! still in flight is handed back.

use std::collections::HashMap;
use std::sync::Arc;

use honk_bus::{Bus, BusError};
use honk_protocol::name::PoolName;
use honk_protocol::topology;
use honk_service::{Clock, Health, Lifecycle, Metrics};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::action::Action;
use crate::ledger::Ledger;
use crate::metrics::AgentMetrics;
use crate::noop::Noop;
use crate::pump::Pump;
use crate::steps::{StepSettings, Steps};
use crate::wishes::Wishes;
use crate::workflows::Workflows;

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
    /// How it runs programs.
    pub steps: StepSettings,
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

/// An agent of one pool.
pub struct Agent {
    pub(crate) config: AgentConfig,
    pub(crate) clock: Clock,
    pub(crate) ledger: Ledger,
    pub(crate) workflows: Workflows,
    pub(crate) steps: Arc<Steps>,
    pub(crate) wishes: Wishes,
    pub(crate) metrics: AgentMetrics,
    health: Health,
}

impl Agent {
    /// An agent that offers `actions`, and `honk/noop` as every agent does.
    pub fn new(parts: AgentParts, config: AgentConfig, actions: Vec<Arc<dyn Action>>) -> Self {
        let noop: Arc<dyn Action> = Arc::new(Noop);
        let actions: HashMap<_, _> = actions.into_iter().chain([noop]).map(|action| (action.name(), action)).collect();
        let who = (config.pool.clone(), config.name.clone());
        Self {
            metrics: AgentMetrics::new(&parts.metrics, config.pool.as_str()),
            config,
            ledger: Ledger::new(parts.bus.clone(), parts.clock.clone()),
            workflows: Workflows::new(parts.bus.clone()),
            steps: Arc::new(Steps::new(actions, parts.steps, (parts.bus, parts.clock.clone()), who)),
            wishes: Wishes::default(),
            clock: parts.clock,
            health: parts.health,
        }
    }

    /// Serves the pool until the lifecycle's soft stop, then until what is in flight has ended or was handed back.
    pub async fn run(mut self, lifecycle: &Lifecycle) -> Result<(), AgentError> {
        let pool = self.config.pool.clone();
        let failed = |source| AgentError::Pool { pool: pool.clone(), source };
        let (tasks, ended) = (TaskTracker::new(), CancellationToken::new());
        self.wishes = Wishes::follow(self.ledger.bus(), &tasks, ended.clone()).await.map_err(failed)?;
        let puller = self.ledger.bus().pull(topology::JOBS, pool.as_str()).await.map_err(failed)?;
        let ack_wait = puller.ack_wait();
        let pump = Pump { name: format!("agent {pool}"), slots: self.config.slots, health: self.health.clone() };
        let agent = Arc::new(self);
        pump.run(puller, lifecycle, |delivery| {
            agent.metrics.pulled(delivery.pending);
            Arc::clone(&agent).attempt(delivery, ack_wait, lifecycle.hard_stop().clone())
        })
        .await;
        ended.cancel();
        tasks.close();
        tasks.wait().await;
        Ok(())
    }
}
