//! The whole system on one server, every service as its own user.

use std::time::Duration;

use bytes::Bytes;
use honk_api::{ApiSettings, Server};
use honk_bus::{Bus, Publication};
use honk_intake::config::IntakeConfig;
use honk_local::nats::NatsServer;
use honk_local::s3::{S3Options, S3Server, Storage};
use honk_migrate::config::MigrateConfig;
use honk_notify::config::NotifyConfig;
use honk_protocol::subject::EVENT_ONBOARD;
use honk_protocol::topology::{Settings, Topology};
use honk_runner::config::RunnerConfig;
use honk_service::config::{Common, NatsConfig, StepsConfig};
use honk_service::{Context, Failure, Lifecycle, Secret};
use honk_storage::{Attributes, Credentials, Place, StorageConfig, StorageSettings, Store, Stores};
use honk_validate::config::ValidateConfig;
use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinSet;

use honk_testkit::users::{connect, inbox_prefix, password, root, with_users};

/// The most that anything here should take.
const PATIENCE: Duration = Duration::from_mins(1);

const ACCESS_KEY: &str = "tester";
const SECRET_KEY: &str = "secret of the tester";

pub(crate) struct Fleet {
    pub nats: NatsServer,
    producer: Bus,
    store: Store,
    endpoint: String,
    api: String,
    http: reqwest::Client,
    lifecycles: Vec<Lifecycle>,
    services: JoinSet<(&'static str, Result<(), Failure>)>,
    _s3: S3Server,
    folder: TempDir,
}

impl Fleet {
    /// Provisions as the deployer, and starts every service as itself.
    pub(crate) async fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let nats = with_users(folder.path()).await;
        let deployer = connect(&nats.url(), "deployer").await;
        let topology = Topology::new(&Settings::default());
        assert!(!deployer.provision(&topology).await.unwrap().is_empty());
        assert_eq!(deployer.provision(&topology).await.unwrap(), []);
        let (s3, store) = object_store().await;
        let mut fleet = Self {
            producer: connect(&nats.url(), "producer").await,
            endpoint: s3.url(),
            store,
            api: String::new(),
            http: reqwest::Client::new(),
            lifecycles: Vec::new(),
            services: JoinSet::new(),
            nats,
            _s3: s3,
            folder,
        };
        fleet.start_services().await;
        fleet
    }

    async fn start_services(&mut self) {
        let storage = StorageSettings {
            access_key: Some(ACCESS_KEY.into()),
            secret_key: Some(SECRET_KEY.to_owned().into()),
            ..StorageSettings::default()
        };
        let mut intake = IntakeConfig::default();
        intake.intake.sweep_every = Duration::from_millis(200);
        let intake = self.context("intake", intake);
        self.services.spawn(async { ("intake", honk_intake::serve(intake).await) });
        let validate = ValidateConfig { storage: storage.clone(), ..ValidateConfig::default() };
        let validate = self.context("validate", validate);
        self.services.spawn(async { ("validate", honk_validate::serve(validate).await) });
        let migrate = self.context("migrate", MigrateConfig { storage, ..MigrateConfig::default() });
        self.services.spawn(async { ("migrate", honk_migrate::serve(migrate).await) });
        let notify = self.context("notify", NotifyConfig::default());
        self.services.spawn(async { ("notify", honk_notify::serve(notify).await) });
        let runner = self.context("runner", RunnerConfig::default());
        self.services.spawn(async { ("runner", honk_runner::serve(runner).await) });
        let mut settings = ApiSettings::default();
        settings.api.listen.set_port(0);
        let context = self.context("api", settings);
        let server = Server::start(context, connect(&self.nats.url(), "api").await).await.unwrap();
        self.api = format!("http://{}", server.local_addr().unwrap());
        self.services.spawn(async { ("api", server.run().await) });
    }

    fn context<T>(&mut self, user: &str, config: T) -> Context<T> {
        let nats = NatsConfig {
            url: self.nats.url(),
            user: Some(user.to_owned()),
            password: Some(Secret::from(password(user))),
            inbox_prefix: Some(inbox_prefix(user)),
            ..NatsConfig::default()
        };
        let steps = StepsConfig { work_dir: Some(self.folder.path().join(user)), ..StepsConfig::default() };
        let context = Context::new(format!("honk-{user}"), config, Common { nats, steps, ..Common::default() });
        self.lifecycles.push(context.lifecycle.clone());
        context
    }

    /// Stops everything, and gives back what the server has written into its log.
    pub(crate) async fn stop(mut self) -> String {
        self.lifecycles.iter().for_each(Lifecycle::stop);
        let all = async {
            while let Some(ended) = self.services.join_next().await {
                let (name, result) = ended.unwrap();
                assert!(result.is_ok(), "{name}: {}", result.unwrap_err());
            }
        };
        tokio::time::timeout(PATIENCE, all).await.expect("every service ends");
        self.nats.stop().await.unwrap();
        std::fs::read_to_string(self.nats.log_path()).unwrap()
    }

    /// Asks the API, and expects that it does what was asked.
    pub(crate) async fn ask(&self, method: Method, path: &str, body: impl Into<reqwest::Body>) -> String {
        let request = self.http.request(method, format!("{}{path}", self.api)).body(body).timeout(PATIENCE);
        let response = request.send().await.unwrap();
        let status = response.status();
        let text = response.text().await.unwrap();
        assert!(status.is_success(), "{path}: {status}: {text}");
        text
    }

    /// Makes a dataset known, with an object at its source.
    pub(crate) async fn add_dataset(&self, name: &str) {
        self.store.put_small(&format!("{name}/a"), Bytes::from_static(b"bytes"), &Attributes::default()).await.unwrap();
        let entity = json!({
            "apiVersion": "backstage.io/v1alpha1", "kind": "Component", "metadata": { "name": name },
            "spec": { "type": "dataset", "lifecycle": "production", "owner": "data-team" },
        });
        self.ask(Method::POST, "/api/catalog/import", entity.to_string()).await;
    }

    /// Says where it lies and shall go.
    pub(crate) async fn locate(&self, name: &str) {
        let place = |bucket: &str| json!({ "s3": { "bucket": bucket, "prefix": name, "endpoint": self.endpoint } });
        let location = json!({ "source": place("old"), "target": place("new") }).to_string();
        self.ask(Method::PUT, &format!("/api/datasets/{name}/location"), location).await;
    }

    pub(crate) async fn register_workflow(&self) {
        let workflow = std::fs::read_to_string(root().join("workflows/migrate-dataset.yml")).unwrap();
        self.ask(Method::POST, "/api/workflows", workflow).await;
    }

    /// Registers a workflow with one file beside it, which programs may run.
    pub(crate) async fn register_with(&self, workflow: &str, (name, script): (&str, &str)) {
        let script = Part::bytes(script.as_bytes().to_vec()).file_name(name.to_owned());
        let form = Form::new().text("workflow", workflow.to_owned()).part("executable", script);
        let response = self.http.post(format!("{}/api/workflows", self.api)).multipart(form).send().await.unwrap();
        let status = response.status();
        assert!(status.is_success(), "{status}: {}", response.text().await.unwrap());
    }

    /// Publishes an event for a dataset through the API; gives back its run's id.
    pub(crate) async fn begin(&self, name: &str, workflow: &str) -> String {
        let payload = json!({ "dataset_name": name, "workflow": workflow });
        let event = json!({ "type": "dataset_onboard", "payload": payload }).to_string();
        let accepted: Value = serde_json::from_str(&self.ask(Method::POST, "/events", event).await).unwrap();
        accepted["run"].as_str().unwrap().to_owned()
    }

    /// Waits until the run is in this state.
    pub(crate) async fn run_is(&self, run: &str, state: &str) {
        self.eventually(&format!("/api/runs/{run}"), |run| (run["state"] == state).then(|| run.clone())).await;
    }

    /// Waits until the run that an answer names has succeeded; gives back what its first job left.
    pub(crate) async fn outputs(&self, answer: &str) -> Value {
        let answer: Value = serde_json::from_str(answer).unwrap();
        let path = format!("/api/runs/{}", answer["run"].as_str().unwrap());
        self.eventually(&path, |run| (run["state"] == "success").then(|| run["jobs"][0]["outputs"].clone())).await
    }

    /// Waits until a line of the run's log has these words.
    pub(crate) async fn prints(&self, run: &str, words: &str) {
        let has = |line: &Value| line["text"].as_str().is_some_and(|text| text.contains(words));
        let find = |log: &Value| log["items"].as_array()?.iter().find(|line| has(line)).cloned();
        self.eventually(&format!("/api/runs/{run}/logs"), find).await;
    }

    /// Publishes an event as a producer does, straight on NATS.
    pub(crate) async fn produce(&self, name: &str) {
        let event = json!({ "type": "dataset_onboard", "payload": { "dataset_name": name } }).to_string();
        let publish = async {
            while let Err(error) = self.producer.publish(Publication::new(EVENT_ONBOARD, event.clone())).await {
                assert!(error.is_transient(), "{error}");
            }
        };
        tokio::time::timeout(PATIENCE, publish).await.expect("the event is accepted");
    }

    /// Publishes an event through the API, and migrates by it.
    pub(crate) async fn migrate_through_the_api(&self, name: &str) {
        let event = json!({ "type": "dataset_onboard", "payload": { "dataset_name": name } }).to_string();
        self.ask(Method::POST, "/events", event).await;
        self.migrated(name).await;
    }

    /// Waits until the dataset's run has succeeded; gives back its id.
    pub(crate) async fn migrated(&self, name: &str) -> String {
        let runs = format!("/api/runs?dataset={name}");
        let run = self.eventually(&runs, |answer| {
            answer["runs"].as_array()?.iter().find(|run| run["state"] == "success").cloned()
        });
        let run = run.await["id"].as_str().unwrap().to_owned();
        let location = self.ask(Method::GET, &format!("/api/datasets/{name}/location"), "").await;
        assert!(location.contains("\"active\":\"target\""), "{location}");
        run
    }

    /// Waits for a dead letter with this reason; gives back its id.
    pub(crate) async fn dead_letter(&self, reason: &str) -> String {
        let path = format!("/api/dead-letters?reason={reason}");
        let letter = self.eventually(&path, |answer| answer["dead_letters"].as_array()?.first().cloned()).await;
        letter["id"].as_str().unwrap().to_owned()
    }

    /// Asks again until the answer has what is looked for.
    async fn eventually(&self, path: &str, find: impl Fn(&Value) -> Option<Value>) -> Value {
        let (mut last, begin) = (String::new(), tokio::time::Instant::now());
        while begin.elapsed() < PATIENCE {
            let asked = self.http.get(format!("{}{path}", self.api)).timeout(PATIENCE).send().await.unwrap();
            // What an event will make is not there at once.
            last = asked.text().await.unwrap();
            if let Some(found) = find(&serde_json::from_str(&last).unwrap()) {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let log = std::fs::read_to_string(self.nats.log_path()).unwrap();
        panic!("{path} still answers {last}\nthe server's log:\n{log}");
    }
}

async fn object_store() -> (S3Server, Store) {
    let (access_key, secret_key) = (ACCESS_KEY.to_owned(), SECRET_KEY.to_owned());
    let listen = "127.0.0.1:0".parse().unwrap();
    let options = S3Options { listen, storage: Storage::Memory, access_key, secret_key };
    let server = S3Server::start(options).await.unwrap();
    let (access_key, secret_key) = (ACCESS_KEY.to_owned(), SECRET_KEY.to_owned());
    let credentials = Some(Credentials { access_key, secret_key, session_token: None });
    let stores = Stores::new(StorageConfig { credentials, ..StorageConfig::default() });
    let open = async |bucket: &str| stores.open(&Place::new(bucket, "").at(server.url())).await.unwrap();
    open("new").await.create_bucket().await.unwrap();
    let old = open("old").await;
    old.create_bucket().await.unwrap();
    (server, old)
}
