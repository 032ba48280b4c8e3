//! What a test of the agent in Python runs over: an interpreter with nats-py, intake, an agent in Rust, and the effects that actions left.

use std::path::{Path, PathBuf};

use honk_agent::Ledger;
use honk_protocol::name::RunId;
use honk_protocol::topology;
use honk_testkit::python::python;
use honk_testkit::{Harness, Options, Process, Service};
use serde_json::Map;
use tempfile::TempDir;

/// A Rust agent before and after the one in Python: what the first leaves, the second sees, and what that leaves, the third.
const CHAIN: &str = "
name: chain
on: dataset_onboard
timeout: 2m
retry_count: 3
backoff: {initial: 50ms, max: 200ms}
jobs:
  before:
    steps: [{run: [sh, -c, 'echo rows=7 >> $HONK_OUTPUT']}]
  middle:
    runs-on: checks
    needs: [before]
    steps: [{uses: acme/ACTION, with: {note: hello}}]
  after:
    needs: [middle]
    steps: [{run: [sh, -c, 'sleep SECONDS; echo key=$0 >> $HONK_OUTPUT', '{{ jobs.middle.outputs }}']}]
";

pub(crate) struct Setting {
    pub(crate) harness: Harness,
    pub(crate) data: TempDir,
    interpreter: PathBuf,
    _services: [Process; 2],
}

impl Setting {
    /// `None` if there is no Python here, and none is needed.
    pub(crate) async fn start() -> Option<Self> {
        let interpreter = tokio::task::spawn_blocking(interpreter).await.unwrap()?;
        let harness = Harness::with(Options { pools: vec!["checks".parse().unwrap()], ..Options::default() }).await;
        let services = [harness.spawn(Service::Intake, &[]), harness.spawn(Service::Runner, &[])];
        Some(Self { harness, data: TempDir::new().unwrap(), interpreter, _services: services })
    }

    /// Starts the agent in Python, with more variables.
    pub(crate) fn spawn(&self, more: &[(&str, &str)]) -> Process {
        let (library, effects) = (root().join("examples/python-agent"), self.effects_file());
        let mut variables = vec![
            ("PYTHONPATH", library.to_str().unwrap()),
            ("EFFECTS", effects.to_str().unwrap()),
            ("PYTHONDONTWRITEBYTECODE", "1"),
        ];
        variables.extend(more);
        let script = root().join("tests/tests/python_agent/agent.py");
        self.harness.spawn_with(&self.interpreter, &[&script], &variables)
    }

    /// Registers the chain with `acme/<action>` in its middle, and begins a run of it.
    pub(crate) async fn begin(&self, action: &str) -> RunId {
        self.begin_and_end(action, 0).await
    }

    /// The same, with a last job that takes as many seconds.
    pub(crate) async fn begin_and_end(&self, action: &str, seconds: u32) -> RunId {
        let text = CHAIN.replace("ACTION", action).replace("SECONDS", &seconds.to_string());
        self.harness.register(&text).await;
        self.harness.run_workflow("chain", "d", Map::new()).await
    }

    pub(crate) fn ledger(&self) -> Ledger {
        self.harness.ledger()
    }

    /// The attempts of which `acme/effect` left a trace for the run's job `middle`.
    pub(crate) fn effects(&self, run: &RunId) -> Vec<u32> {
        let text = std::fs::read_to_string(self.effects_file()).unwrap_or_default();
        let attempts = text.lines().filter_map(|line| line.strip_prefix(&format!("{run}.middle ")));
        attempts.map(|attempt| attempt.parse().unwrap()).collect()
    }

    /// How many jobs were ever dispatched.
    pub(crate) async fn dispatches(&self) -> u64 {
        let stored = self.harness.bus.changes(topology::JOBS, 1).await.unwrap();
        stored.iter().map(|message| message.sequence).max().unwrap_or_default()
    }

    fn effects_file(&self) -> PathBuf {
        self.data.path().join("effects")
    }
}

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// An interpreter with what the agent requires, if it can be had.
pub(crate) fn interpreter() -> Option<PathBuf> {
    let requirements = std::fs::read_to_string(root().join("examples/python-agent/requirements.txt")).unwrap();
    let packages: Vec<&str> = requirements.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    python("python-agent", &packages).map(|programs| programs.join("python3"))
}
