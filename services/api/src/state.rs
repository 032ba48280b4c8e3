//! What the handlers share: the connection, the copies in memory, and the few questions that several of them ask.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use honk_agent::Ledger;
use honk_agent::registry::Registry;
use honk_bus::{Bucket, Bus, BusError, Mirror, Watch};
use honk_protocol::control::{WORKFLOW_WISHES, Wish, workflow_key};
use honk_protocol::dataset::Location;
use honk_protocol::entity::Entity;
use honk_protocol::name::{DatasetName, WorkflowName};
use honk_protocol::reason::Reason;
use honk_protocol::{subject, topology};
use honk_service::{Clock, Context, Health, Metrics};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::ApiConfig;
use crate::index::{Letters, Runs, follow};
use crate::problem::ApiError;

/// How long an answer waits for this process's own copy to show what was just written.
const READ_OWN_WRITE: Duration = Duration::from_secs(2);

/// The pause before looking again for streams that are not there yet.
const PROVISION_PAUSE: Duration = Duration::from_secs(1);

/// How often the connection is looked at for `/readyz`.
const LOOK: Duration = Duration::from_millis(500);

/// The name of the check that `/readyz` shows.
const CHECK: &str = "api";

/// Everything that the handlers need. Clones share it.
#[derive(Clone)]
pub struct Api {
    pub(crate) bus: Bus,
    pub(crate) ledger: Ledger,
    pub(crate) registry: Registry,
    pub(crate) clock: Clock,
    pub(crate) config: Arc<ApiConfig>,
    pub(crate) catalog: Mirror<Entity>,
    pub(crate) locations: Mirror<Location>,
    /// Versions and pointers, told apart by their keys.
    pub(crate) workflows: Mirror<Value>,
    /// The paused workflows.
    pub(crate) holds: Mirror<Wish>,
    pub(crate) runs: Arc<Runs>,
    pub(crate) letters: Arc<Letters>,
    pub(crate) health: Health,
    pub(crate) metrics: Metrics,
    /// Cancelled when answers that would never end must.
    pub(crate) stopping: CancellationToken,
}

impl Api {
    /// Copies what is read often and keeps the copies up to date on `tasks` until `stop`. Waits for streams and buckets that
    /// are not there yet.
    pub async fn start<T>(
        context: &Context<T>,
        config: ApiConfig,
        bus: Bus,
        (tasks, stop): (&TaskTracker, &CancellationToken),
    ) -> Result<Self, BusError> {
        context.health.set_ready(CHECK, false, "reading what there is");
        let (runs, letters) = (Arc::new(Runs::default()), Arc::new(Letters::default()));
        let bucket = bus.runs();
        let watch = watch(&bus, &Bucket::stream_of(topology::RUNS), &bucket.subject(">")).await?;
        follow(Arc::clone(&runs), watch, tasks, stop.clone()).await;
        let watch = self::watch(&bus, topology::DEAD, "honk.dead.>").await?;
        follow(Arc::clone(&letters), watch, tasks, stop.clone()).await;
        let api = Self {
            ledger: Ledger::new(bus.clone(), context.clock.clone()),
            registry: Registry::new(&bus, context.clock.clone()),
            clock: context.clock.clone(),
            config: Arc::new(config),
            catalog: mirror(&bus.catalog(), ">", tasks, stop).await?,
            locations: mirror(&bus.locations(), ">", tasks, stop).await?,
            workflows: mirror(&bus.workflows(), subject::WORKFLOW_VERSIONS_AND_NAMES, tasks, stop).await?,
            holds: mirror(&bus.control(), WORKFLOW_WISHES, tasks, stop).await?,
            runs,
            letters,
            health: context.health.clone(),
            metrics: context.metrics.clone(),
            stopping: context.lifecycle.soft_stop().clone(),
            bus,
        };
        api.report_health();
        tasks.spawn(api.clone().keep_reporting_health(stop.clone()));
        Ok(api)
    }

    /// The dataset's entity, or the problem that there is none.
    pub(crate) async fn dataset(&self, name: &DatasetName) -> Result<Arc<Entity>, ApiError> {
        let key = subject::dataset_key(name);
        if let Some(entity) = self.catalog.get(&key) {
            return Ok(entity);
        }
        // Another copy of the API may have imported it a moment ago.
        let entry = self.bus.catalog().get(&key).await?;
        let entity = entry.and_then(|entry| serde_json::from_slice(&entry.value).ok());
        entity.map(Arc::new).ok_or_else(|| unknown_dataset(name))
    }

    /// Whether the workflow is paused.
    pub(crate) fn is_held(&self, workflow: &WorkflowName) -> bool {
        self.holds.get(&workflow_key(workflow)).is_some()
    }

    async fn keep_reporting_health(self, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(LOOK)).await.is_some() {
            self.report_health();
        }
    }

    fn report_health(&self) {
        let connected = self.bus.is_connected();
        self.health.set_ready(CHECK, connected, if connected { "" } else { "reconnecting to NATS" });
    }
}

/// Waits, for a moment, until the copy shows what was written.
pub(crate) async fn read_own_write<V>(mirror: &Mirror<V>, revision: u64)
where
    V: DeserializeOwned + Send + Sync + 'static,
{
    if tokio::time::timeout(READ_OWN_WRITE, mirror.reached(revision)).await.is_err() {
        tracing::warn!(revision, "this process's copy is behind what it has written");
    }
}

fn unknown_dataset(name: &DatasetName) -> ApiError {
    let help = "Import its entity first: `honk catalog import FILE`, or POST it to /api/catalog/import.";
    ApiError::of_reason(StatusCode::NOT_FOUND, Reason::DatasetUnknown)
        .detail(format!("the catalog has no dataset `{name}`"))
        .help(help)
}

async fn watch(bus: &Bus, stream: &str, filter: &str) -> Result<Watch, BusError> {
    loop {
        match bus.watch(stream, filter).await {
            Err(error) if error.is_transient() => wait_for_provisioning(&error).await,
            watched => return watched,
        }
    }
}

async fn mirror<V>(
    bucket: &Bucket,
    filter: &str,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> Result<Mirror<V>, BusError>
where
    V: DeserializeOwned + Send + Sync + 'static,
{
    loop {
        match Mirror::start_part(bucket, filter, tasks, stop.clone()).await {
            Err(error) if error.is_transient() => wait_for_provisioning(&error).await,
            started => return started,
        }
    }
}

async fn wait_for_provisioning(error: &BusError) {
    tracing::warn!(%error, "waiting for it");
    tokio::time::sleep(PROVISION_PAUSE).await;
}
