//! What a test of one action runs over: a NATS server, an S3 server, and shorthand for datasets in them. No process of ours runs; the
//! test calls the action itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use honk_agent::JobContext;
use honk_agent::registry::Registry;
use honk_bus::{Bus, ConnectOptions};
use honk_local::nats::{NatsOptions, NatsServer, find_or_fetch};
use honk_local::s3::S3Server;
use honk_protocol::dataset::{Location, LocationSpec, Place};
use honk_protocol::name::{DatasetName, PoolName, RunId, WorkflowHash};
use honk_protocol::run::{EventRef, Fence, NewRun, Run, WorkflowRef};
use honk_protocol::subject;
use honk_protocol::topology::{Settings, Stream, Topology};
use honk_service::Clock;
use honk_storage::{Attributes, StorageConfig, Store, Stores, listing};
use jiff::Timestamp;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::datasets::{import, place};
use crate::harness::{lookup, s3, storage};

/// The two servers.
#[derive(Debug)]
pub struct World {
    /// The connection to NATS, which has streams and buckets and no consumers.
    pub bus: Bus,
    /// Stands still until the test moves it.
    pub clock: Clock,
    /// Clients of the S3 server.
    pub stores: Stores,
    /// The S3 server.
    pub s3: S3Server,
    _nats: NatsServer,
    _folder: TempDir,
}

impl World {
    /// Starts both.
    pub async fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let binary = find_or_fetch(&lookup()).await.unwrap();
        let nats = NatsServer::start(NatsOptions::new(binary, folder.path())).await.unwrap();
        let options = ConnectOptions { url: nats.url(), name: "test".into(), ..ConnectOptions::default() };
        let bus = Bus::connect(options).await.unwrap();
        bus.provision(&without_consumers(Topology::new(&Settings::default()))).await.unwrap();
        let config = StorageConfig { request_timeout_ms: 5_000, ..storage() };
        // Webhook signatures are checked against the machine's time.
        let clock = Clock::fixed(Clock::system().now());
        Self { bus, clock, stores: Stores::new(config), s3: s3().await, _nats: nats, _folder: folder }
    }

    /// The datasets' locations.
    pub fn registry(&self) -> Registry {
        Registry::new(&self.bus, self.clock.clone())
    }

    /// A place at the S3 server.
    pub fn place(&self, bucket: &str, prefix: &str) -> Place {
        place(&self.s3.url(), bucket, prefix)
    }

    /// The store that has the place.
    pub async fn open(&self, place: &Place) -> Store {
        self.stores.open(&place.into()).await.unwrap()
    }

    /// Makes the places' buckets.
    pub async fn create_buckets(&self, places: &[&Place]) {
        for place in places {
            self.open(place).await.create_bucket().await.unwrap();
        }
    }

    /// Writes an object below the place.
    pub async fn put(&self, place: &Place, key: &str, bytes: &'static str) {
        let key = honk_storage::Place::from(place).key(key);
        self.open(place).await.put_small(&key, Bytes::from(bytes), &Attributes::default()).await.unwrap();
    }

    /// Objects and bytes at a place.
    pub async fn count(&self, place: &Place) -> (u64, u64) {
        let prefix = honk_storage::Place::from(place).prefix();
        let survey = listing::survey(&self.open(place).await, &prefix).await.unwrap();
        (survey.objects, survey.bytes)
    }

    /// Registers where a dataset lies and goes.
    pub async fn register(&self, dataset: &str, source: &Place, target: &Place) {
        let spec = LocationSpec { source: source.clone(), target: target.clone(), format: None };
        self.set_location(dataset, &Location::registered(spec, self.clock.now())).await;
    }

    /// Puts a location as it is.
    pub async fn set_location(&self, dataset: &str, location: &Location) {
        let key = subject::location_key(&dataset.parse().unwrap());
        self.bus.locations().put(&key, serde_json::to_vec(location).unwrap()).await.unwrap();
    }

    /// The dataset's location as it is now.
    pub async fn location(&self, dataset: &str) -> Location {
        self.registry().location(&dataset.parse().unwrap()).await.unwrap().location
    }

    /// Puts an entity into the catalog. Returns the revision.
    pub async fn import(&self, kind: &str, name: &str, annotations: &Value, spec: &Value) -> u64 {
        import(&self.bus, (kind, name), annotations, spec).await
    }

    /// A dataset with an owner and two objects of 9 bytes together, ready to migrate.
    pub async fn dataset(&self, name: &str) -> (Place, Place) {
        let (source, target) = (self.place(&format!("{name}-old"), "raw"), self.place(&format!("{name}-new"), ""));
        self.create_buckets(&[&source, &target]).await;
        self.put(&source, "a.csv", "1,2").await;
        self.put(&source, "b/c.csv", "3,4,5\n").await;
        self.import("Resource", name, &json!({}), &json!({ "type": "dataset", "owner": "team" })).await;
        self.register(name, &source, &target).await;
        (source, target)
    }
}

/// No agent runs here: streams and buckets are enough.
fn without_consumers(topology: Topology) -> Topology {
    let streams = topology.streams.into_iter().map(|stream| Stream { consumers: Vec::new(), ..stream });
    Topology { streams: streams.collect(), ..topology }
}

/// The first attempt at `job` of a run with the three usual jobs, none of which is done.
pub fn job(dataset: &str, event: &str, job: &str) -> JobContext {
    let name = |text: &str| text.parse().unwrap();
    let pool = |text: &str| PoolName::new(text).unwrap();
    let dataset: DatasetName = dataset.parse().unwrap();
    let new = NewRun {
        id: RunId::of_event("test", event),
        dataset,
        workflow: WorkflowRef { name: "migrate-dataset".parse().unwrap(), hash: WorkflowHash::of(b"w") },
        event: EventRef { source: "test".into(), id: event.into() },
        trace: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into(),
        input: serde_json::Map::new(),
        limit_ms: None,
        gate: None,
        jobs: vec![
            (name("validate"), pool("validate"), vec![]).into(),
            (name("migrate"), pool("migrate"), vec![name("validate")]).into(),
            (name("notify"), pool("notify"), vec![name("migrate")]).into(),
        ],
    };
    JobContext {
        run: Arc::new(Run::create(new, false, Timestamp::UNIX_EPOCH).0),
        job: name(job),
        fence: Fence { generation: 1, attempt: 1 },
        may_split: false,
        with: BTreeMap::new(),
        cancelled: CancellationToken::new(),
        progress: Arc::default(),
    }
}

/// The same job, as attempt number `attempt` (from 1) begins it.
pub fn attempt(context: &JobContext, attempt: u32) -> JobContext {
    JobContext {
        fence: Fence { generation: 1, attempt },
        cancelled: CancellationToken::new(),
        progress: Arc::default(),
        ..context.clone()
    }
}

/// The same job after an earlier one of its run has left these outputs.
pub fn after(context: &JobContext, earlier: &str, outputs: &Value) -> JobContext {
    let mut run = Run::clone(&context.run);
    let job = run.jobs.iter_mut().find(|job| job.name.as_str() == earlier).unwrap();
    job.outputs = outputs.as_object().cloned().unwrap();
    job.finished_at = Some(Timestamp::UNIX_EPOCH);
    JobContext { run: Arc::new(run), ..context.clone() }
}
