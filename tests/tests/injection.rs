//! A value from outside is data wherever it goes: a corpus of payloads through every field there is, into real programs on a real
//! agent. Every one arrives byte for byte, and what the payloads try to create is never there.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, also in its helpers")]

#[path = "injection/corpus.rs"]
mod corpus;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use honk_api::{ApiSettings, Server};
use honk_bundle::{BundleFile, pack};
use honk_bus::Publication;
use honk_protocol::name::{DatasetName, WorkflowName};
use honk_protocol::reason::Reason;
use honk_protocol::run::RunState;
use honk_protocol::subject::{EVENT_ONBOARD, workflow_name_key, workflow_version_key};
use honk_protocol::workflow::WorkflowPointer;
use honk_service::config::Common;
use honk_service::{Clock, Context, environment};
use honk_testkit::runs::{job, show};
use honk_testkit::{Harness, Process, Service};
use honk_workflow::BundleRef;
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio::task::JoinSet;

/// Bytes of the payload that is only long.
const LONG: usize = 8 * 1024;

/// Says in hexadecimal digits what it was given, so that nothing on the way can correct it.
const PROGRAM: &str = r"
import json, os, sys
folder = os.path.dirname(os.path.abspath(__file__))
kind, name, rest = sys.argv[1], sys.argv[2], sys.argv[3:]
if kind == 'argv':
    told = [os.fsencode(word) for word in rest]
elif kind == 'variables':
    told = [os.environb[os.fsencode(word)] for word in rest]
elif kind == 'inputs':
    inputs = json.load(open(os.environ['HONK_INPUT']))
    told = [inputs[word].encode() for word in rest]
elif kind == 'leave':
    inputs = json.load(open(os.environ['HONK_INPUT']))
    values = [inputs[word] for word in rest]
    with open(os.environ['HONK_OUTPUT'], 'w', newline='') as out:
        print('all=' + json.dumps(values), file=out)
        for word, value in zip(rest, values):
            print(word + '<<is the end\n' + value + '\nis the end', file=out)
    meta = json.load(open(name + '.meta.json'))
    meta['values'], meta['keys'] = values, {value: 1 for value in values}
    json.dump(meta, open(name + '.meta.json', 'w'))
    sys.exit()
elif kind == 'metadata':
    told = [value.encode() for value in json.load(open(rest[0] + '.meta.json'))['values']]
elif kind == 'files':
    told = [os.path.relpath(os.path.join(at, file), b'.') for at, _, files in os.walk(b'.') for file in files]
if name == 'item':
    name = os.environ['HONK_JOB']
with open(os.path.join(folder, name + '.new'), 'w') as out:
    json.dump([word.hex() for word in told], out)
os.rename(os.path.join(folder, name + '.new'), os.path.join(folder, name))
";

/// Where programs say what they were given, and where nothing else may appear.
struct Stage {
    folder: TempDir,
    payloads: Vec<String>,
    names: Vec<String>,
}

impl Stage {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("program"), PROGRAM).unwrap();
        let canary = folder.path().join("canary").display().to_string();
        let mut payloads: Vec<String> = corpus::PAYLOADS.iter().map(|text| text.replace("CANARY", &canary)).collect();
        payloads.push("ä ".repeat(LONG / 3));
        assert!(payloads.len() > 60);
        let names = (0..payloads.len()).map(|number| format!("p{number}")).collect();
        Self { folder, payloads, names }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Every payload under its name.
    fn input(&self) -> Map<String, Value> {
        self.names.iter().cloned().zip(self.payloads.iter().map(|payload| json!(payload))).collect()
    }

    /// The program's call, and whatever `each` makes of every payload's name.
    fn call(&self, kind: &str, name: &str, each: impl Fn(&str) -> String) -> Value {
        let mut argv = vec!["python3".to_owned(), self.path("program").display().to_string(), kind.into(), name.into()];
        argv.extend(self.names.iter().map(|name| each(name)));
        json!(argv)
    }

    /// What a program was given.
    fn told(&self, name: &str) -> Vec<String> {
        let told = std::fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let told: Vec<String> = serde_json::from_slice(&told).unwrap();
        told.iter().map(|word| String::from_utf8(hex::decode(word).unwrap()).unwrap()).collect()
    }

    fn check(&self, name: &str, expected: impl Fn(&str) -> String) {
        let told = self.told(name);
        assert_eq!(told.len(), self.payloads.len(), "{name}");
        for (told, payload) in told.iter().zip(&self.payloads) {
            assert_eq!(*told, expected(payload), "{name}");
        }
    }

    fn has_no_canary(&self) {
        assert!(!self.path("canary").exists(), "a payload was executed");
        assert!(!Path::new("canary").exists());
    }
}

fn spawn(harness: &Harness) -> [Process; 2] {
    let agent = Path::new(env!("CARGO_BIN_EXE_honk-test-agent"));
    [harness.spawn(Service::Intake, &[]), harness.spawn_binary(agent, &[])]
}

/// One job whose steps take the payloads of the event in every way that there is.
fn takes_inputs(stage: &Stage) -> Value {
    let program = stage.path("program").display().to_string();
    let text = |name: &str, quote: &str| {
        let mut command = format!("python3 {program} argv {name}");
        for input in &stage.names {
            write!(command, " {quote}{{{{ input.{input} }}}}{quote}").unwrap();
        }
        command
    };
    let variables: Map<String, Value> =
        stage.names.iter().map(|name| (name.to_uppercase(), json!(format!("{{{{ input.{name} }}}}")))).collect();
    let script = |name: &str| {
        let mut script = format!("python3 {program} argv {name}");
        for input in &stage.names {
            write!(script, " \"${}\"", input.to_uppercase()).unwrap();
        }
        script
    };
    let python = format!(
        "import os, subprocess\nnames = {}\nsubprocess.run(['python3', {program:?}, 'argv', 'from-python', *[os.environ[name] for name in names]], check=True)\n",
        json!(stage.names.iter().map(|name| name.to_uppercase()).collect::<Vec<_>>())
    );
    json!({ "steps": [
        { "run": stage.call("argv", "argv", |name| format!("{{{{ input.{name} }}}}")) },
        { "run": stage.call("argv", "within", |name| format!("a {{{{ input.{name} }}}} b")) },
        { "run": text("bare", "") },
        { "run": text("single", "'") },
        { "run": text("double", "\"") },
        { "run": stage.call("variables", "own", str::to_uppercase), "env": variables },
        { "run": stage.call("variables", "honks", |name| format!("HONK_INPUT_{}", name.to_uppercase())) },
        { "run": stage.call("inputs", "file", ToOwned::to_owned) },
        { "run": script("from-bash"), "shell": "bash", "env": variables },
        { "run": script("from-sh"), "shell": "sh", "env": variables },
        { "run": python, "shell": "python", "env": variables },
    ]})
}

fn everywhere(stage: &Stage) -> Value {
    let program = stage.path("program").display().to_string();
    let with: Map<String, Value> =
        stage.names.iter().map(|name| (name.clone(), json!({ "list": [format!("{{{{ input.{name} }}}}")] }))).collect();
    let metadata = json!(["python3", program, "metadata", "metadata", "{{ input.dataset_name }}"]);
    let item = json!(["python3", program, "argv", "item", "{{ matrix.value }}"]);
    json!({
        "name": "everywhere", "on": "dataset_onboard", "retry_count": 0, "timeout": "2m",
        "jobs": {
            "takes": takes_inputs(stage),
            "native": { "steps": [{ "uses": "test/echo", "with": with }] },
            "leaves": { "steps": [{ "run": stage.call("leave", "d", ToOwned::to_owned) }] },
            "finds": { "needs": ["leaves"], "steps": [
                { "run": stage.call("argv", "outputs", |name| format!("{{{{ jobs.leaves.outputs.{name} }}}}")) },
                { "run": metadata },
            ]},
            "fans": {
                "needs": ["leaves"],
                "strategy": { "matrix": { "value": "{{ jobs.leaves.outputs.all }}" } },
                "steps": [{ "run": item }],
            },
        },
    })
}

#[tokio::test]
async fn every_payload_arrives_byte_for_byte_wherever_it_is_put() {
    let harness = Harness::start().await;
    let _services = spawn(&harness);
    let stage = Stage::new();
    harness.register(&everywhere(&stage).to_string()).await;
    let run = harness.run_workflow("everywhere", "d", stage.input()).await;
    let run = harness.finished(&run).await;
    assert_eq!(run.state, RunState::Success, "{}", show(&run));
    for name in ["argv", "bare", "single", "double", "own", "honks", "file", "from-bash", "from-sh", "from-python"] {
        stage.check(name, ToOwned::to_owned);
    }
    stage.check("within", |payload| format!("a {payload} b"));
    stage.check("metadata", ToOwned::to_owned);
    // The lines of a file of outputs may end as Windows has them; who needs every byte writes JSON.
    stage.check("outputs", |payload| payload.replace("\r\n", "\n"));
    let echoed = &job(&run, "native").outputs;
    for (name, payload) in stage.names.iter().zip(&stage.payloads) {
        assert_eq!(echoed[name], json!({ "list": [payload] }));
    }
    for (number, payload) in stage.payloads.iter().enumerate() {
        let item = job(&run, "fans").name.item(u32::try_from(number).unwrap());
        assert_eq!(stage.told(item.as_str()), [payload.as_str()]);
    }
    stage.has_no_canary();
    harness.finish().await;
}

/// An event with hostile names of fields: each becomes a variable's name, whatever it holds.
#[tokio::test]
async fn the_names_of_fields_are_data_too() {
    let harness = Harness::start().await;
    let _services = spawn(&harness);
    let stage = Stage::new();
    let program = stage.path("program").display().to_string();
    let argv = json!(["python3", program, "variables", "names", "PATH", "HONK_DATASET", "HONK_INPUT__N_SIGN"]);
    harness
        .register(
            &json!({ "name": "names", "on": "dataset_onboard", "jobs": { "only": { "steps": [{ "run": argv }] } } })
                .to_string(),
        )
        .await;
    let mut input: Map<String, Value> =
        stage.payloads.iter().map(|payload| (payload.clone(), json!("hostile"))).collect();
    input.insert("än=sign".into(), json!("x"));
    input.insert("nul\0".into(), json!("x"));
    let run = harness.run_workflow("names", "d", input).await;
    let run = harness.finished(&run).await;
    assert_eq!(run.state, RunState::Success, "{}", show(&run));
    let told = stage.told("names");
    assert_eq!((told[1].as_str(), told[2].as_str()), ("d", "x"));
    // A `python3` that is a script, as pyenv's is, puts folders before it.
    assert!(told[0].ends_with(environment().get("PATH").unwrap()), "{}", told[0]);
    stage.has_no_canary();
    harness.finish().await;
}

#[tokio::test]
async fn what_no_program_can_be_given_has_a_reason_of_its_own() {
    let harness = Harness::start().await;
    let services = spawn(&harness);
    let steps = [
        ("as-argument", json!([{ "run": ["echo", "{{ input.value }}"] }])),
        ("in-a-text", json!([{ "run": "echo {{ input.value }}" }])),
        ("as-variable", json!([{ "run": ["true"], "env": { "V": "{{ input.value }}" } }])),
        ("as-input", json!([{ "run": ["true"] }])),
        ("as-program", json!([{ "run": ["{{ input.value }}"] }])),
    ];
    let mut runs = Vec::new();
    for (name, steps) in &steps {
        let workflow = json!({ "name": name, "on": "dataset_onboard", "jobs": { "only": { "steps": steps } } });
        harness.register(&workflow.to_string()).await;
        runs.push(harness.run_workflow(name, name, object(&json!({ "value": "before\0after" }))).await);
    }
    let five_times = "{{ input.value }}".repeat(5);
    let steps = json!([{ "run": ["true", five_times] }]);
    let workflow = json!({ "name": "too-long", "on": "dataset_onboard", "jobs": { "only": { "steps": steps } } });
    harness.register(&workflow.to_string()).await;
    runs.push(harness.run_workflow("too-long", "long", object(&json!({ "value": "x".repeat(30_000) }))).await);
    for id in &runs {
        let run = harness.finished(id).await;
        let failure = job(&run, "only").failure.as_ref().unwrap_or_else(|| panic!("{}", show(&run)));
        assert_eq!(failure.reason, Reason::ArgumentInvalid, "{}", show(&run));
        assert!(failure.message.contains("NUL") || failure.message.contains("too large"), "{}", failure.message);
    }
    let [_, mut agent] = services;
    assert!(agent.is_running());
    harness.finish_with(&vec![Reason::ArgumentInvalid; runs.len()]).await;
}

fn object(value: &Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

/// Files of a bundle lie where their names say, or the bundle is refused.
#[tokio::test]
async fn a_file_of_a_bundle_has_its_name_or_is_refused() {
    let harness = Harness::start().await;
    let _services = spawn(&harness);
    let stage = Stage::new();
    let file = |path: &str| BundleFile { path: path.to_owned(), bytes: b"x".to_vec(), executable: false };
    let mut taken: Vec<String> = Vec::new();
    for payload in &stage.payloads {
        let together = taken.iter().chain([payload]).map(|path| file(path));
        match pack(together) {
            Ok(_) => taken.push(payload.clone()),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
    assert!(taken.len() > 20, "{} are names of files", taken.len());
    assert!(taken.iter().all(|path| !path.starts_with('/') && path.split('/').all(|part| part != "..")));
    let bundle = pack(taken.iter().map(|path| file(path))).unwrap();
    let list = json!(["python3", stage.path("program"), "files", "files"]);
    let yaml = json!({ "name": "files", "on": "dataset_onboard", "jobs": { "only": { "steps": [{ "run": list }] } } });
    let yaml = yaml.to_string();
    let mut workflow = honk_workflow::parse(&yaml).unwrap().workflow;
    workflow.bundle = Some(BundleRef { hash: bundle.hash.clone(), files: bundle.files.clone() });
    harness.bus.bundles().put(bundle.hash.as_str(), &bundle.bytes).await.unwrap();
    let pointer = WorkflowPointer::new(workflow.name.clone(), workflow.hash(), Clock::system().now(), yaml);
    let workflows = harness.bus.workflows();
    workflows.put(&workflow_version_key(&workflow.hash()), workflow.to_json()).await.unwrap();
    workflows.put(&workflow_name_key(&workflow.name), serde_json::to_vec(&pointer).unwrap()).await.unwrap();
    let run = harness.run_workflow("files", "d", Map::new()).await;
    let run = harness.finished(&run).await;
    assert_eq!(run.state, RunState::Success, "{}", show(&run));
    let mut found = stage.told("files");
    found.retain(|path| path != "d.meta.json");
    found.sort();
    taken.sort();
    assert_eq!(found, taken);
    stage.has_no_canary();
    harness.finish().await;
}

/// The API in this process: where names come in.
async fn api(harness: &Harness, tasks: &mut JoinSet<()>) -> String {
    let mut settings = ApiSettings::default();
    settings.api.listen.set_port(0);
    let context = Context::new("honk-api", settings, Common::default());
    let server = Server::start(context, harness.bus.clone()).await.unwrap();
    let url = format!("http://{}", server.local_addr().unwrap());
    tasks.spawn(async move { server.run().await.unwrap() });
    url
}

#[tokio::test]
async fn a_name_that_is_more_than_a_name_is_refused_at_the_edge() {
    let harness = Harness::start().await;
    let _services = spawn(&harness);
    let stage = Stage::new();
    let mut tasks = JoinSet::new();
    let url = api(&harness, &mut tasks).await;
    let client = reqwest::Client::new();
    let post = async |path: &str, body: Value| {
        let answer = client.post(format!("{url}{path}")).body(body.to_string()).send().await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.json::<Value>().await.unwrap())
    };
    let mut payloads = stage.payloads.clone();
    payloads.push("nul\0".into());
    let mut refused = 0;
    for payload in payloads.iter().filter(|payload| DatasetName::new(payload.as_str()).is_err()) {
        let event = json!({ "type": "dataset_onboard", "payload": { "dataset_name": payload } });
        let (status, problem) = post("/events", event).await;
        assert_eq!(status, 422, "{payload:?}: {problem}");
        assert!(problem["code"].is_string() && problem["detail"].is_string(), "{problem}");
        if WorkflowName::new(payload.as_str()).is_err() {
            let event = json!({ "type": "dataset_onboard", "payload": { "dataset_name": "d", "workflow": payload } });
            assert_eq!(post("/events", event).await.0, 422, "{payload:?}");
            let steps = json!([{ "run": ["true"] }]);
            let workflow = json!({ "name": payload, "on": "dataset_onboard", "jobs": { "only": { "steps": steps } } });
            let (status, problem) = post("/api/workflows", workflow).await;
            assert_eq!((status, &problem["code"]), (422, &json!("workflow-invalid")), "{payload:?}: {problem}");
        }
        refused += 1;
    }
    assert!(refused > 60, "{refused}");
    // Whoever publishes to NATS without the API finds the same edge in intake.
    for (number, payload) in payloads.iter().take(5).enumerate() {
        let event = json!({ "type": "dataset_onboard", "payload": { "dataset_name": payload } });
        let publication = Publication::new(EVENT_ONBOARD, event.to_string().into_bytes());
        harness.publish_once(publication.message_id(format!("hostile-{number}"))).await.unwrap();
    }
    let letters = harness.dead_letters_when(5).await;
    assert!(letters.iter().all(|letter| letter.reason == Reason::EventMalformed));
    assert!(harness.runs().await.is_empty());
    stage.has_no_canary();
    tasks.shutdown().await;
    harness.finish_with(&[Reason::EventMalformed; 5]).await;
}
