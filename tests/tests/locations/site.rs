//! A harness with every service, and an API before it.

use bytes::Bytes;
use honk_api::{ApiSettings, Server};
use honk_bus::Bus;
use honk_protocol::dataset::Location;
use honk_protocol::name::RunId;
use honk_protocol::run::{Outputs, RunState};
use honk_protocol::subject::location_key;
use honk_protocol::topology;
use honk_service::config::Common;
use honk_service::{Context, Lifecycle};
use honk_storage::Attributes;
use honk_testkit::harness::{SOURCE_BUCKET, TARGET_BUCKET};
use honk_testkit::runs::show;
use honk_testkit::{Dataset, Harness, PATIENCE, Process};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use tokio::task::JoinSet;

pub(crate) struct Site {
    pub(crate) harness: Harness,
    api: String,
    http: reqwest::Client,
    lifecycle: Lifecycle,
    serving: JoinSet<()>,
    _services: Vec<Process>,
}

impl Site {
    pub(crate) async fn start() -> Self {
        let harness = Harness::start().await;
        let mut settings = ApiSettings::default();
        settings.api.listen.set_port(0);
        let context = Context::new("honk-api", settings, Common::default());
        let lifecycle = context.lifecycle.clone();
        let options = honk_bus::ConnectOptions { url: harness.nats_url().to_owned(), ..Default::default() };
        let server = Server::start(context, Bus::connect(options).await.unwrap()).await.unwrap();
        let api = format!("http://{}", server.local_addr().unwrap());
        let mut serving = JoinSet::new();
        serving.spawn(async move { server.run().await.unwrap() });
        let services = harness.spawn_all();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { harness, api, http, lifecycle, serving, _services: services }
    }

    /// Checks that nothing is left over.
    pub(crate) async fn finish(mut self) {
        self.lifecycle.stop();
        tokio::time::timeout(PATIENCE, self.serving.join_next()).await.expect("the API ends");
        self.harness.finish().await;
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.api))
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).timeout(PATIENCE).send().await.unwrap()
    }

    /// The answer to a request, which must have this status.
    pub(crate) async fn ask(&self, method: Method, path: &str, body: &Value, status: u16) -> Value {
        let request = self.request(method, path).timeout(PATIENCE);
        let request = if body.is_null() { request } else { request.body(body.to_string()) };
        let response = request.send().await.unwrap();
        let (found, text) = (response.status().as_u16(), response.text().await.unwrap());
        assert_eq!(found, status, "{path}: {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    pub(crate) async fn post(&self, path: &str, body: Value, status: u16) -> Value {
        self.ask(Method::POST, path, &body, status).await
    }

    /// The code of the problem that a request ends with.
    pub(crate) async fn refused(&self, path: &str, body: Value, status: u16) -> String {
        self.post(path, body, status).await["code"].as_str().unwrap().to_owned()
    }

    /// A dataset that was migrated.
    pub(crate) async fn migrated(&self, name: &str, objects: usize) -> Dataset {
        let dataset = self.harness.dataset(name, objects).await;
        self.migrate(&dataset).await;
        dataset
    }

    pub(crate) async fn migrate(&self, dataset: &Dataset) -> RunId {
        let run = self.harness.migrate(dataset).await;
        self.harness.succeed(std::slice::from_ref(&run), PATIENCE).await;
        run
    }

    /// What the only job of a run left, which an answer names.
    pub(crate) async fn outputs(&self, answer: &Value) -> Outputs {
        let run = RunId::new(answer["run"].as_str().unwrap()).unwrap();
        let run = self.harness.finished(&run).await;
        assert_eq!(run.state, RunState::Success, "{}", show(&run));
        run.jobs[0].outputs.clone()
    }

    /// Moves the dataset's location as nobody in production would.
    pub(crate) async fn meddle(&self, dataset: &Dataset, change: impl FnOnce(Location) -> Location) {
        let location = change(self.harness.location(dataset).await);
        let json = serde_json::to_vec(&location).unwrap();
        self.harness.bus.locations().put(&location_key(&dataset.name), json).await.unwrap();
    }

    pub(crate) async fn put(&self, bucket: &str, key: &str, text: &'static str) {
        let bytes = Bytes::from_static(text.as_bytes());
        self.harness.store(bucket).await.put_small(key, bytes, &Attributes::default()).await.unwrap();
    }

    pub(crate) async fn put_source(&self, key: &str, text: &'static str) {
        self.put(SOURCE_BUCKET, key, text).await;
    }

    pub(crate) async fn put_target(&self, key: &str, text: &'static str) {
        self.put(TARGET_BUCKET, key, text).await;
    }

    /// The types of all notices, in their order.
    pub(crate) async fn notices(&self) -> Vec<String> {
        let messages = self.harness.bus.changes(topology::NOTICES, 1).await.unwrap();
        let notices = messages.iter().map(|message| serde_json::from_slice::<Value>(&message.payload).unwrap());
        notices.map(|notice| notice["type"].as_str().unwrap().replace("dev.honk.dataset.", "")).collect()
    }

    /// Puts an entity into the catalog that says that it reads the dataset.
    pub(crate) async fn reader(&self, name: &str, dataset: &str) {
        let spec = json!({ "dependsOn": [format!("resource:default/{dataset}")] });
        self.harness.import(name, "Component", &json!({}), &spec).await;
    }
}
