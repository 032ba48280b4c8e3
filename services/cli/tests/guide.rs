//! A person who has three Python scripts and a workflow of three lines each, and types what a how-to of dataset migrations says: register,
//! import, publish an event, look at the log. With the real `honk dev`, a real python3 with boto3, and the store that `honk dev` brings.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, also in its helpers")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use honk_testkit::{PATIENCE, eventually, python::python};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

const WORKFLOW: &str = "name: move-dataset
on:
  trigger:
    type: dataset_onboard
jobs:
  validate:
    steps:
      - run: python validate.py
  migrate:
    needs: [validate]
    steps:
      - run: python migrate.py --dataset '{{ input.dataset_name }}'
  notify:
    steps:
      - run: python notify_consumer.py
";

const VALIDATE: &str = "import boto3, json, os
meta = json.load(open(os.environ['HONK_DATASET'] + '.meta.json'))
found = boto3.client('s3').list_objects_v2(Bucket=meta['source']['s3']['bucket'])
print(found['KeyCount'], 'objects at the source')
";

const MIGRATE: &str = "import argparse, json, boto3

def run(name):
    path = f'{name}.meta.json'
    with open(path) as file:
        meta = json.load(file)
    source, target = (meta[side]['s3']['bucket'] for side in ('source', 'target'))
    client = boto3.client('s3')
    for item in client.list_objects(Bucket=source)['Contents']:
        client.copy_object(Bucket=target, Key=item['Key'], CopySource=f\"{source}/{item['Key']}\")
        print('copied', item['Key'])
    meta['status'] = 'migrated'
    with open(path, 'w') as file:
        json.dump(meta, file)

parser = argparse.ArgumentParser()
parser.add_argument('--dataset', required=True)
run(parser.parse_args().dataset)
";

const NOTIFY: &str = "import os
print('consumers of', os.environ['HONK_INPUT_DATASET_NAME'], 'are told')
";

const ENTITY: &str = "apiVersion: backstage.io/v1alpha1
kind: Component
metadata:
  name: orders
  annotations:
    honk/workflow: move-dataset
spec:
  type: dataset
  lifecycle: production
  owner: data-team
";

/// `honk dev`, with the programs of `folder` before all others.
struct Dev {
    child: Child,
    log: PathBuf,
    api: String,
    s3: String,
    keys: (String, String),
    http: Client,
}

impl Dev {
    async fn start(state: &Path, programs: &Path) -> Self {
        let log = state.with_extension("log");
        let path = honk_service::environment().get("PATH").unwrap().to_owned();
        let mut child = Command::new(env!("CARGO_BIN_EXE_honk"))
            .args(["dev", "--listen", "127.0.0.1:0", "-o", "json", "--state"])
            .arg(state)
            .env("PATH", format!("{}:{path}", programs.display()))
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(&log).unwrap())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut line = String::new();
        let read = BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).await;
        let ready: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{read:?} {error}: {line}"));
        let text = |name: &str| ready[name].as_str().unwrap().to_owned();
        let keys = (text("s3_access_key"), text("s3_secret_key"));
        Self { child, log, api: text("api"), s3: text("s3"), keys, http: Client::new() }
    }

    /// Types a `honk` command.
    async fn honk(&self, folder: &Path, arguments: &[&str]) -> (bool, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_honk"));
        let command = command.args(arguments).env("HONK_API_URL", &self.api).current_dir(folder);
        let Output { status, stdout, stderr } = command.output().await.unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (status.success(), text(stdout), text(stderr))
    }

    async fn post(&self, path: &str, body: impl Into<String>) -> (StatusCode, String) {
        let sent = self.http.post(format!("{}{path}", self.api)).body(body.into()).send().await.unwrap();
        (sent.status(), sent.text().await.unwrap())
    }

    /// Runs a line of Python with a client `s3` of the embedded store.
    async fn store(&self, programs: &Path, code: &str) -> String {
        let code = format!("import boto3\ns3 = boto3.client('s3')\n{code}");
        let mut command = Command::new(programs.join("python3"));
        command.args(["-c", &code]).env("AWS_ENDPOINT_URL", &self.s3).env("AWS_REGION", "us-east-1");
        command.env("AWS_ACCESS_KEY_ID", &self.keys.0).env("AWS_SECRET_ACCESS_KEY", &self.keys.1);
        let output = command.output().await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    async fn stop(mut self) {
        let pid = rustix::process::Pid::from_raw(self.child.id().unwrap().cast_signed()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let ended = tokio::time::timeout(Duration::from_secs(30), self.child.wait()).await.unwrap().unwrap();
        assert!(ended.success(), "{ended}");
    }
}

impl Drop for Dev {
    /// What went wrong in `honk dev` is only in its log.
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            let ended = self.child.try_wait();
            drop(writeln!(std::io::stderr().lock(), "`honk dev` ({ended:?}) said:\n{log}"));
        }
    }
}

#[tokio::test]
async fn what_the_how_to_prints_does_what_it_says() {
    let Some(programs) = python("boto3", &["boto3==1.40.55"]) else { return };
    let folder = TempDir::new().unwrap();
    let here = folder.path().join("flow");
    std::fs::create_dir(&here).unwrap();
    for (name, text) in [
        ("dataset-migration.yml", WORKFLOW),
        ("validate.py", VALIDATE),
        ("migrate.py", MIGRATE),
        ("notify_consumer.py", NOTIFY),
    ] {
        std::fs::write(here.join(name), text).unwrap();
    }
    let dev = Dev::start(&folder.path().join("state"), &programs).await;
    let seed = "for b in ('old', 'new'): s3.create_bucket(Bucket=b)\nfor n in range(3): s3.put_object(Bucket='old', Key=f'part-{n}.csv', Body=b'x' * n)";
    dev.store(&programs, seed).await;

    let (registered, _, said) = dev.honk(&here, &["register", "dataset-migration.yml"]).await;
    assert!(registered, "{said}");
    for words in ["notify", "needs:", "validate.py", "migrate.py", "notify_consumer.py"] {
        assert!(said.contains(words), "the warning about `notify` and the files that were taken along: {said}");
    }

    // `curl -d` takes the line ends out of a file; `--data-binary` does not.
    let (refused, problem) = dev.post("/api/catalog/import", ENTITY.replace('\n', "")).await;
    assert_eq!(refused, StatusCode::BAD_REQUEST, "{problem}");
    assert!(problem.contains("--data-binary"), "{problem}");
    let (imported, answer) = dev.post("/api/catalog/import", ENTITY).await;
    assert!(imported.is_success(), "{answer}");

    let place = |bucket: &str| json!({ "s3": { "bucket": bucket } });
    let location = json!({ "source": place("old"), "target": place("new") }).to_string();
    let url = format!("{}/api/datasets/orders/location", dev.api);
    assert!(dev.http.put(url).body(location).send().await.unwrap().status().is_success());

    let event = json!({ "type": "dataset_onboard", "payload": { "dataset_name": "orders" } }).to_string();
    let (accepted, answer) = dev.post("/events", event).await;
    assert_eq!(accepted, StatusCode::ACCEPTED, "{answer}");
    let run: Value = serde_json::from_str(&answer).unwrap();
    let run = run["run"].as_str().unwrap();
    eventually("the run is known", PATIENCE, || async {
        let url = format!("{}/api/runs/{run}", dev.api);
        let status = dev.http.get(url).send().await.map_err(|error| error.to_string())?.status();
        if status.is_success() { Ok(()) } else { Err(status.to_string()) }
    })
    .await;
    let (succeeded, watched, problem) = dev.honk(&here, &["run", "watch", run]).await;
    assert!(succeeded, "{watched}\n{problem}");

    let (shown, log, problem) = dev.honk(&here, &["workflow", "logs", "orders"]).await;
    assert!(shown, "{problem}");
    for line in ["3 objects at the source", "copied part-0.csv", "copied part-2.csv", "consumers of orders are told"] {
        assert!(log.contains(line), "{line} is not in the log:\n{log}");
    }
    let copied = dev.store(&programs, "print([o['Key'] for o in s3.list_objects_v2(Bucket='new')['Contents']])").await;
    assert_eq!(copied.trim(), "['part-0.csv', 'part-1.csv', 'part-2.csv']");
    let dataset = dev.http.get(format!("{}/api/datasets/orders", dev.api)).send().await.unwrap();
    let dataset: Value = dataset.json().await.unwrap();
    assert_eq!(dataset["metadata"]["status"], "migrated", "{dataset}");
    dev.stop().await;
}
