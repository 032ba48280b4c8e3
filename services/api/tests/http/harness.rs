//! A `nats-server` and an API of one's own for each test, and what to ask them with.

use std::path::{Path, PathBuf};
use std::time::Duration;

use honk_agent::Ledger;
use honk_agent::ledger::{Created, Trace};
use honk_api::wire::Problem;
use honk_api::{ApiSettings, Server};
use honk_bus::{Bus, ConnectOptions};
use honk_local::nats::{Lookup, NatsOptions, NatsServer, find_or_fetch};
use honk_protocol::name::{DatasetName, PoolName, RunId, WorkflowHash};
use honk_protocol::run::{EventRef, NewRun, Run, WorkflowRef};
use honk_protocol::topology::{Settings, Topology};
use honk_service::config::Common;
use honk_service::{Clock, Context, Lifecycle, environment};
use reqwest::{Method, Response, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinSet;

/// The most that anything here should take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct World {
    pub(crate) nats: NatsServer,
    pub(crate) bus: Bus,
    pub(crate) ledger: Ledger,
    pub(crate) url: String,
    pub(crate) client: reqwest::Client,
    lifecycle: Lifecycle,
    tasks: JoinSet<()>,
    _store: TempDir,
}

fn lookup() -> Lookup {
    let environment = environment();
    Lookup {
        nats_server: environment.get("NATS_SERVER").map(PathBuf::from),
        path: environment.get("PATH").map(Into::into),
        cache_dir: Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache"),
    }
}

impl World {
    pub(crate) async fn start() -> Self {
        let store = TempDir::new().unwrap();
        let nats =
            NatsServer::start(NatsOptions::new(find_or_fetch(&lookup()).await.unwrap(), store.path())).await.unwrap();
        let options = ConnectOptions { url: nats.url(), name: "test".into(), ..ConnectOptions::default() };
        let bus = Bus::connect(options).await.unwrap();
        // Nobody takes jobs or events here.
        let mut topology = Topology::new(&Settings::default());
        topology.streams.iter_mut().for_each(|stream| stream.consumers.clear());
        bus.provision(&topology).await.unwrap();
        let mut settings = ApiSettings::default();
        settings.api.listen.set_port(0);
        let context = Context::new("honk-api", settings, Common::default());
        let lifecycle = context.lifecycle.clone();
        let server = Server::start(context, bus.clone()).await.unwrap();
        let url = format!("http://{}", server.local_addr().unwrap());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { server.run().await.unwrap() });
        let ledger = Ledger::new(bus.clone(), Clock::system());
        Self { nats, bus, ledger, url, client: reqwest::Client::new(), lifecycle, tasks, _store: store }
    }

    /// Stops the API as SIGTERM would, and waits for its end.
    pub(crate) async fn stop(mut self) {
        self.lifecycle.stop();
        let ended = tokio::time::timeout(PATIENCE, self.tasks.join_next()).await;
        ended.expect("the API ends").expect("it ran").expect("without a panic");
    }

    pub(crate) async fn send(&self, method: Method, path: &str, body: impl Into<reqwest::Body>) -> Response {
        self.client.request(method, format!("{}{path}", self.url)).body(body).send().await.unwrap()
    }

    pub(crate) async fn post(&self, path: &str, body: impl Into<reqwest::Body>) -> Response {
        self.send(Method::POST, path, body).await
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> T {
        read(self.send(Method::GET, path, "").await, 200).await
    }

    pub(crate) async fn import(&self, name: &str) {
        assert_eq!(
            self.post("/api/catalog/import", entity("Component", name).to_string()).await.status(),
            StatusCode::OK
        );
    }

    /// Makes a run as intake does.
    pub(crate) async fn run(&self, dataset: &str, event: &str) -> Run {
        self.run_of(dataset, event, "w", &WorkflowHash::of(b"w")).await
    }

    /// Makes a run of this version of a workflow.
    pub(crate) async fn run_of(&self, dataset: &str, event: &str, workflow: &str, hash: &WorkflowHash) -> Run {
        let pool = PoolName::default_pool();
        let new = NewRun {
            id: RunId::of_event("test", event),
            dataset: dataset.parse().unwrap(),
            workflow: WorkflowRef { name: workflow.parse().unwrap(), hash: hash.clone() },
            event: EventRef { source: "test".into(), id: event.into() },
            trace: String::new(),
            input: serde_json::Map::new(),
            limit_ms: None,
            gate: None,
            jobs: vec![
                ("a".parse().unwrap(), pool.clone(), vec![]).into(),
                ("b".parse().unwrap(), pool, vec!["a".parse().unwrap()]).into(),
            ],
        };
        let created: Created = self.ledger.create(&new, &Trace::default()).await.unwrap();
        created.run().clone()
    }

    /// Asks again until the answer is as expected.
    pub(crate) async fn eventually<T: DeserializeOwned>(&self, path: &str, expected: impl Fn(&T) -> bool) -> T {
        let asked = async {
            loop {
                let response = self.send(Method::GET, path, "").await;
                if response.status() == StatusCode::OK {
                    let answer = response.json().await.unwrap();
                    if expected(&answer) {
                        return answer;
                    }
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, asked).await.unwrap_or_else(|_| panic!("{path} never answered as expected"))
    }
}

pub(crate) fn entity(kind: &str, name: &str) -> Value {
    json!({
        "apiVersion": "backstage.io/v1alpha1", "kind": kind,
        "metadata": {"name": name, "annotations": {"honk/workflow": "w"}},
        "spec": {"type": "dataset", "lifecycle": "production", "owner": "data-team"},
    })
}

pub(crate) fn dataset(name: &str) -> DatasetName {
    name.parse().unwrap()
}

pub(crate) async fn read<T: DeserializeOwned>(response: Response, status: u16) -> T {
    let (found, url) = (response.status(), response.url().clone());
    let text = response.text().await.unwrap();
    assert_eq!(found.as_u16(), status, "{url}: {text}");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{url}: {error}: {text}"))
}

/// Reads a problem and checks what holds for all of them.
pub(crate) async fn problem(response: Response, status: u16, code: &str) -> Problem {
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let path = response.url().path().to_owned();
    let problem: Problem = read(response, status).await;
    assert_eq!((problem.status, problem.code.as_str()), (status, code), "{problem:?}");
    assert_eq!(problem.kind, format!("urn:honk:problem:{code}"));
    assert_eq!(problem.instance.as_deref(), Some(path.as_str()));
    assert!(!problem.title.is_empty());
    problem
}
