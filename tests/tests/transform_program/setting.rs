//! A store with a source and a target, and transformations between them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use honk_local::s3::S3Server;
use honk_protocol::reason::Reason;
use honk_protocol::transform::{TransformFailure, TransformReply, TransformRequest, TransformResult};
use honk_storage::{Attributes, Credentials, Place, StorageConfig, Store, Stores};
use honk_testkit::binaries;
use honk_testkit::harness::s3;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

pub(crate) struct Setting {
    server: S3Server,
    program: PathBuf,
    pub(crate) store: Store,
}

impl Setting {
    pub(crate) async fn start() -> Self {
        let program = tokio::task::spawn_blocking(binaries::transform).await.unwrap();
        let server = s3().await;
        let (access_key, secret_key) = (server.access_key().to_owned(), server.secret_key().to_owned());
        let credentials = Credentials { access_key, secret_key, session_token: None };
        let stores = Stores::new(StorageConfig { credentials: Some(credentials), ..StorageConfig::default() });
        let store = stores.open(&Place::new("data", "").at(server.url())).await.unwrap();
        store.create_bucket().await.unwrap();
        Self { server, program, store }
    }

    /// One with these objects at the source.
    pub(crate) async fn with(objects: &[(&str, &[u8])]) -> Self {
        let setting = Self::start().await;
        for (key, bytes) in objects {
            setting.put(&format!("from/{key}"), bytes.to_vec()).await;
        }
        setting
    }

    pub(crate) async fn put(&self, key: &str, bytes: Vec<u8>) {
        self.store.put_small(key, Bytes::from(bytes), &Attributes::default()).await.unwrap();
    }

    pub(crate) fn request(&self, transform: &Value, expect: &Value) -> TransformRequest {
        let place =
            |prefix: &str| json!({ "s3": { "bucket": "data", "prefix": prefix, "endpoint": self.server.url() } });
        let storage = json!({ "access_key": self.server.access_key(), "secret_key": self.server.secret_key() });
        serde_json::from_value(json!({
            "source": place("from"), "target": place("to"), "storage": storage,
            "transform": transform, "expect": expect, "memory_bytes": 64 << 20,
        }))
        .unwrap()
    }

    /// Runs the program.
    pub(crate) async fn send(&self, request: &TransformRequest) -> Result<TransformResult, TransformFailure> {
        let mut command = Command::new(&self.program);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        input.write_all(&serde_json::to_vec(request).unwrap()).await.unwrap();
        drop(input);
        let output = child.wait_with_output().await.unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let last = text.lines().last().unwrap_or_else(|| panic!("it said nothing and ended with {}", output.status));
        match serde_json::from_str(last).unwrap() {
            TransformReply::Result(result) if output.status.success() => Ok(*result),
            TransformReply::Failure(failure) if !output.status.success() => Err(failure),
            other => panic!("{other:?} with {}", output.status),
        }
    }

    /// It succeeds.
    pub(crate) async fn done(&self, spec: Value, expect: Value) -> TransformResult {
        let done = self.send(&self.request(&spec, &expect)).await;
        done.unwrap_or_else(|failure| panic!("{}: {}", failure.reason, failure.message))
    }

    /// It fails for this reason; the message.
    pub(crate) async fn fails(&self, spec: Value, expect: Value, reason: Reason) -> String {
        let failure = self.send(&self.request(&spec, &expect)).await.unwrap_err();
        assert_eq!(failure.reason, reason, "{}", failure.message);
        failure.message
    }

    /// Everything at the target, by its key there.
    pub(crate) async fn target(&self) -> BTreeMap<String, Bytes> {
        let pages: Vec<_> = self.store.list("to/", 1_000).try_collect().await.unwrap();
        let mut objects = BTreeMap::new();
        for object in pages.into_iter().flatten() {
            let bytes = self.store.get(&object.key, None, None).await.unwrap().collect().await.unwrap();
            objects.insert(object.key.trim_start_matches("to/").to_owned(), bytes);
        }
        objects
    }

    /// One file of the target as CSV.
    pub(crate) async fn csv(&self, key: &str) -> String {
        let bytes = self.target().await.remove(key).unwrap_or_else(|| panic!("no `{key}` at the target"));
        if Path::new(key).extension().is_some_and(|extension| extension == "csv") {
            return String::from_utf8(bytes.to_vec()).unwrap();
        }
        Box::pin(made("csv", "none", key.rsplit('/').next().unwrap(), &bytes)).await
    }
}

async fn made(format: &str, compression: &str, key: &str, bytes: &[u8]) -> String {
    String::from_utf8(file(format, compression, key, bytes).await).unwrap()
}

/// So many lines.
pub(crate) fn lines(count: usize, line: impl Fn(usize) -> String) -> String {
    (0..count).map(line).collect()
}

/// The rows of an object, as one file of another form.
pub(crate) async fn file(format: &str, compression: &str, key: &str, bytes: &[u8]) -> Vec<u8> {
    let setting = Setting::with(&[(key, bytes)]).await;
    setting.done(json!({ "format": format, "compression": compression }), json!({})).await;
    setting.target().await.into_values().next().unwrap().to_vec()
}
