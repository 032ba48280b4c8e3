//! What a test runs over: a `nats-server` with a store of its own, provisioned with a short ack wait, an S3 store in memory with two
//! buckets, and a workflow. Every test ends with [`Harness::finish`].

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use honk_agent::Ledger;
use honk_bus::{Bus, ConnectOptions};
use honk_local::nats::{Lookup, NatsOptions, NatsServer, find_or_fetch};
use honk_local::s3::{S3Options, S3Server, Storage};
use honk_protocol::name::PoolName;
use honk_protocol::subject::{workflow_name_key, workflow_version_key};
use honk_protocol::topology::{Settings, Topology};
use honk_protocol::workflow::WorkflowPointer;
use honk_service::{Clock, environment};
use honk_storage::{Credentials, StorageConfig, Stores};
use tempfile::TempDir;
use tokio::sync::Mutex;

use crate::binaries::target_dir;
use crate::{Process, Service};

/// Bucket that datasets are migrated from.
pub const SOURCE_BUCKET: &str = "old";
/// Bucket that datasets are migrated to.
pub const TARGET_BUCKET: &str = "new";
/// For a migrate agent that sends large objects in parts of 5 MiB.
pub const SMALL_PARTS: [(&str, &str); 2] =
    [("HONK_MIGRATE__MULTIPART_THRESHOLD", "6291456"), ("HONK_MIGRATE__PART_SIZE", "5242880")];

/// What webhooks are signed with.
pub const WEBHOOK_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

const ACCESS_KEY: &str = "tester";
const SECRET_KEY: &str = "secret of the tester";

/// The shipped workflow's jobs, with pauses that a test can wait for.
const WORKFLOW: &str = "
name: migrate-dataset
on: dataset_onboard
timeout: 2m
retry_count: 20
backoff: {initial: 100ms, factor: 2, max: 1s}
jobs:
  validate:
    steps: [{uses: honk/validate}]
  migrate:
    needs: [validate]
    steps: [{uses: honk/migrate}]
  notify:
    needs: [migrate]
    steps: [{uses: honk/notify}]
";

/// How a harness differs from the usual one.
#[derive(Debug, Clone)]
pub struct Options {
    /// How long a delivery may go without a sign of life.
    pub ack_wait: Duration,
    /// The server's largest message in bytes; its own default when none.
    pub max_payload: Option<u32>,
    /// Pools beside the built-in ones.
    pub pools: Vec<PoolName>,
    /// More of the server's configuration.
    pub nats_config: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self { ack_wait: Duration::from_secs(2), max_payload: None, pools: Vec::new(), nats_config: None }
    }
}

/// What a test runs over.
#[derive(Debug)]
pub struct Harness {
    nats: Mutex<NatsServer>,
    nats_url: String,
    /// The test's own connection to it.
    pub bus: Bus,
    /// The object store.
    pub s3: S3Server,
    /// Clients of the object store.
    pub stores: Stores,
    /// What was provisioned.
    pub topology: Topology,
    /// The ack wait that was provisioned.
    pub ack_wait: Duration,
    pub(crate) folder: TempDir,
    spawned: AtomicU32,
    pub(crate) published: AtomicU32,
    pub(crate) finished: bool,
}

impl Harness {
    /// The usual one.
    pub async fn start() -> Self {
        Self::with(Options::default()).await
    }

    /// One that differs.
    pub async fn with(options: Options) -> Self {
        // First, because it takes long when there is something to build.
        tokio::task::spawn_blocking(crate::binaries::services).await.expect("the services are built");
        let folder = TempDir::new().unwrap();
        let binary = find_or_fetch(&lookup()).await.unwrap_or_else(|error| panic!("{error}"));
        let mut server = NatsOptions::new(binary, folder.path().join("nats"));
        server.max_payload = options.max_payload;
        server.config = options.nats_config.map(|text| {
            let file = folder.path().join("more.conf");
            std::fs::write(&file, text).unwrap();
            file
        });
        let nats = NatsServer::start(server).await.unwrap_or_else(|error| panic!("{error}"));
        let connect = ConnectOptions { url: nats.url(), name: "test".into(), ..ConnectOptions::default() };
        let bus = Bus::connect(connect).await.unwrap();
        let settings = Settings { ack_wait: options.ack_wait, pools: options.pools, ..Settings::default() };
        let topology = Topology::new(&settings);
        bus.provision(&topology).await.unwrap();
        let harness = Self {
            nats_url: nats.url(),
            nats: Mutex::new(nats),
            bus,
            s3: s3().await,
            stores: Stores::new(storage()),
            topology,
            ack_wait: options.ack_wait,
            folder,
            spawned: AtomicU32::new(0),
            published: AtomicU32::new(0),
            finished: false,
        };
        for bucket in [SOURCE_BUCKET, TARGET_BUCKET] {
            harness.store(bucket).await.create_bucket().await.unwrap();
        }
        harness.register(WORKFLOW).await;
        harness
    }

    /// Where the server listens, also after it was killed and restarted.
    pub fn nats_url(&self) -> &str {
        &self.nats_url
    }

    /// Ends the server as `kill -9` does, and starts it again on the same port and store.
    pub async fn crash_nats(&self) {
        let mut nats = self.nats.lock().await;
        nats.kill().await.unwrap();
        nats.restart().await.unwrap_or_else(|error| panic!("{error}"));
    }

    /// The run records, moved as people and services move them.
    pub fn ledger(&self) -> Ledger {
        Ledger::new(self.bus.clone(), Clock::system())
    }

    /// Starts a copy of every service.
    pub fn spawn_all(&self) -> Vec<Process> {
        Service::ALL.map(|service| self.spawn(service, &[])).into()
    }

    /// Starts one copy of a service, with more variables, or other values of those it gets anyway.
    pub fn spawn(&self, service: Service, more: &[(&str, &str)]) -> Process {
        self.spawn_binary(&service.binary(), more)
    }

    /// Starts any other program as a service.
    pub fn spawn_binary(&self, binary: &Path, more: &[(&str, &str)]) -> Process {
        self.spawn_with(binary, &[], more)
    }

    /// The same with arguments, for what needs an interpreter.
    pub fn spawn_with(&self, binary: &Path, arguments: &[&Path], more: &[(&str, &str)]) -> Process {
        let own = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let mut variables = own(&[
            // Programs of steps are found where the test itself finds them.
            ("PATH", environment().get("PATH").unwrap_or_default()),
            ("HONK_NATS__URL", &self.nats_url),
            ("HONK_STORAGE__ACCESS_KEY", ACCESS_KEY),
            ("HONK_STORAGE__SECRET_KEY", SECRET_KEY),
            ("HONK_NOTIFY__ALLOW_PRIVATE", "true"),
            ("HONK_NOTIFY__SECRETS", WEBHOOK_SECRET),
            ("HONK_ADMIN__LISTEN", "127.0.0.1:0"),
        ]);
        variables.extend(own(more));
        let number = self.spawned.fetch_add(1, Ordering::Relaxed);
        let name = binary.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Process::start_with(binary, arguments, &variables, self.folder.path().join(format!("{name}-{number}.log")))
    }

    /// Registers a workflow, as `honk register` does.
    pub async fn register(&self, yaml: &str) {
        let workflow = honk_workflow::parse(yaml).unwrap_or_else(|faults| panic!("{faults:?}")).workflow;
        let pointer =
            WorkflowPointer::new(workflow.name.clone(), workflow.hash(), Clock::system().now(), yaml.to_owned());
        let workflows = self.bus.workflows();
        workflows.put(&workflow_version_key(&workflow.hash()), workflow.to_json()).await.unwrap();
        let pointer = serde_json::to_vec(&pointer).unwrap();
        workflows.put(&workflow_name_key(&workflow.name), pointer).await.unwrap();
    }
}

/// Another object store, for migrations between two endpoints. It takes the same keys.
pub async fn s3() -> S3Server {
    let server = S3Server::start(S3Options {
        listen: ([127, 0, 0, 1], 0).into(),
        storage: Storage::Memory,
        access_key: ACCESS_KEY.into(),
        secret_key: SECRET_KEY.into(),
    });
    server.await.unwrap()
}

pub(crate) fn storage() -> StorageConfig {
    let credentials = Credentials { access_key: ACCESS_KEY.into(), secret_key: SECRET_KEY.into(), session_token: None };
    StorageConfig { credentials: Some(credentials), ..StorageConfig::default() }
}

/// The server is kept between test runs, beside the build, so that it is fetched once.
pub(crate) fn lookup() -> Lookup {
    let environment = environment();
    Lookup {
        nats_server: environment.get("NATS_SERVER").map(PathBuf::from),
        path: environment.get("PATH").map(Into::into),
        cache_dir: target_dir().join("tmp").join("cache"),
    }
}
