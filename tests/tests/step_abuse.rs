//! Programs that do their worst, on a real agent: each ends with a reason of its own on the run's record, nothing of it is left, and the
//! agent stays up, small and of use to others.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, also in its helpers")]

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use honk_api::{ApiSettings, Server};
use honk_protocol::reason::Reason;
use honk_protocol::run::{Run, RunState};
use honk_protocol::topology;
use honk_service::Context;
use honk_service::config::Common;
use honk_testkit::runs::{job, show};
use honk_testkit::{Harness, PATIENCE, Process, Service, eventually};
use reqwest::multipart::{Form, Part};
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::Instant;

const MIB: u64 = 1 << 20;

/// Memory of an agent, whatever its steps do, in an unoptimised build.
const AGENT_MEMORY: u64 = 160 * MIB;

/// An agent, where it makes work directories, and where programs leave marks.
struct Stage {
    harness: Harness,
    runner: Process,
    _intake: Process,
    work: TempDir,
    marks: TempDir,
}

impl Stage {
    async fn start(more: &[(&str, &str)]) -> Self {
        let harness = Harness::start().await;
        let (work, marks) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let mut variables = vec![
            ("HONK_STEPS__WORK_DIR", work.path().to_str().unwrap()),
            ("HONK_STEPS__LOG_MIB", "1"),
            ("HONK_STEPS__FILE_MIB", "4"),
            ("HONK_STEPS__PROCESSES", "32"),
            ("HONK_STEPS__MEMORY_MIB", "256"),
            ("HONK_RUNNER__SLOTS", "6"),
        ];
        variables.extend(more);
        let runner = harness.spawn(Service::Runner, &variables);
        let intake = harness.spawn(Service::Intake, &[]);
        Self { harness, runner, _intake: intake, work, marks }
    }

    fn mark(&self, name: &str) -> PathBuf {
        self.marks.path().join(name)
    }

    async fn appears(&self, name: &str) -> String {
        eventually(&format!("the mark {name}"), PATIENCE, || async {
            let text = std::fs::read_to_string(self.mark(name)).map_err(|error| error.to_string())?;
            if text.ends_with('\n') { Ok(text) } else { Err("not written yet".to_owned()) }
        })
        .await
    }

    /// Runs a workflow of one job with these steps.
    async fn run(&self, name: &str, steps: &Value) -> honk_protocol::name::RunId {
        let workflow = json!({
            "name": name, "on": "dataset_onboard", "retry_count": 0, "timeout": "40s",
            "jobs": { "only": { "timeout": if name == "stubborn" { "5s" } else { "40s" }, "steps": steps } },
        });
        self.harness.register(&workflow.to_string()).await;
        self.harness.run_workflow(name, name, Map::new()).await
    }

    /// The floor: the agent runs and is small, and no work directory is left.
    async fn finish(mut self, expected: &[Reason]) {
        eventually("the work directories are gone", PATIENCE, || async {
            let left = std::fs::read_dir(self.work.path()).map_err(|error| error.to_string())?;
            let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).filter(|name| name != "bundles").collect();
            if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
        })
        .await;
        assert!(self.runner.is_running());
        let (_, highest) = self.runner.memory();
        assert!(highest < AGENT_MEMORY, "the agent took {} MiB", highest / MIB);
        self.harness.finish_with(expected).await;
    }
}

/// A step in Python; `MARKS` in its code is the folder for marks.
fn python(stage: &Stage, code: &str) -> Value {
    json!({ "run": ["python3", "-c", code.replace("MARKS", &stage.marks.path().display().to_string())] })
}

const DAEMONS: &str = r"
import os, sys, time
pids = []
for way in range(3):
    read, write = os.pipe()
    if os.fork() == 0:
        os.setsid()
        pid = os.fork()
        if pid:
            os.write(write, str(pid).encode())
            os._exit(0)
        if way > 0:
            null = os.open('/dev/null', os.O_RDWR)
            for fd in (0, 1, 2): os.dup2(null, fd)
        if way > 1: os.setsid(), os.chdir('/')
        time.sleep(600)
    pids.append(os.read(read, 20).decode())
open('MARKS/daemons', 'w').write(' '.join(pids) + '\n')
";

const STUBBORN: &str = "trap '' TERM INT HUP; echo $$ > \"$0\"; while :; do sleep 1; done";

const BINARY: &str = r"
import os, sys
os.write(1, os.urandom(200000)); os.write(2, bytes(range(256)) * 100)
sys.exit(3)
";

const TOGETHER: &str = r"
import os, time
for _ in range(5):
    if os.fork() == 0:
        held = bytearray(os.urandom(1 << 20) * 100)
        time.sleep(600)
time.sleep(600)
";

const DEEP: &str = r"
import os
for _ in range(3000):
    os.mkdir('deeper'); os.chdir('deeper')
os.chdir(os.environ['HOME'])
os.makedirs('closed/inner'); open('closed/inner/file', 'w').close(); os.chmod('closed/inner', 0); os.chmod('closed', 0)
";

/// Name, steps, and why it ends: nothing if it succeeds.
type Case = (&'static str, Value, Option<(Reason, &'static str)>);

fn ends(stage: &Stage) -> Vec<Case> {
    let python = |code: &str| python(stage, code);
    let one = |code: &str| json!([python(code)]);
    let script = "import os; open('s', 'w').write('#!/no/such/interpreter\\n'); os.chmod('s', 0o755)";
    let mut cases = vec![
        ("daemons", one(DAEMONS), None),
        (
            "stubborn",
            json!([{ "run": ["sh", "-c", STUBBORN, stage.mark("stubborn")] }]),
            Some((Reason::JobTimeout, "within 5 s")),
        ),
        ("killed", one("import os; os.kill(os.getpid(), 9)"), Some((Reason::StepSignalled, "SIGKILL"))),
        ("binary", one(BINARY), Some((Reason::StepFailed, "exit status 3"))),
        ("one-line", one("import sys; sys.stdout.write('x' * (10 << 20))"), None),
        (
            "disk",
            json!([{ "run": ["sh", "-c", "exec head -c 100000000 /dev/zero > f"] }]),
            Some((Reason::StepLimit, "file size")),
        ),
        (
            "forks",
            json!([{ "run": ["sh", "-c", "while :; do sleep 600 & done"] }]),
            Some((Reason::StepLimit, "number of processes")),
        ),
        ("hog", one("held = bytearray(1 << 30)"), Some((Reason::StepFailed, "MemoryError"))),
        ("hogs", one(TOGETHER), Some((Reason::StepLimit, "memory"))),
        (
            "interpreter",
            json!([python(script), { "run": ["./s"] }]),
            Some((Reason::ProgramMissing, "/no/such/interpreter")),
        ),
        ("deep", one(DEEP), None),
        ("homeless", one("import os, shutil; shutil.rmtree(os.environ['HOME'])"), None),
    ];
    cases.extend(planted(stage));
    cases
}

/// What a program can put where Honk reads afterwards.
fn planted(stage: &Stage) -> Vec<Case> {
    let plant = |file: &str, how: &str| {
        json!([python(stage, &format!("import os, socket\np = {file}\nos.unlink(p)\n{}", how.replace("PATH", "p")))])
    };
    let (outputs, invalid) = ("os.environ['HONK_OUTPUT']", Reason::OutputsInvalid);
    let ways = [
        ("os.symlink('/etc/passwd', PATH)", "a symbolic link"),
        ("os.mkfifo(PATH)", "a named pipe"),
        ("os.mkdir(PATH)", "a directory"),
    ];
    let mut cases: Vec<Case> = Vec::new();
    for (name, (how, says)) in ["outputs-link", "outputs-pipe", "outputs-folder"].into_iter().zip(ways) {
        cases.push((name, plant(outputs, how), Some((invalid, says))));
    }
    for (name, (how, says)) in ["meta-link", "meta-pipe", "meta-folder"].into_iter().zip(ways) {
        let file = format!("'{name}.meta.json'");
        cases.push((name, plant(&file, how), Some((Reason::MetadataInvalid, says))));
    }
    cases.push(("outputs-gone", plant(outputs, "pass"), None));
    cases
}

async fn gone(pids: &str) {
    for pid in pids.split_whitespace() {
        eventually(&format!("process {pid} is gone"), PATIENCE, || async {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
            if stat.is_err() { Ok(()) } else { Err(format!("{stat:?}")) }
        })
        .await;
    }
}

#[tokio::test]
async fn every_abuse_ends_with_its_reason_and_leaves_nothing() {
    let stage = Stage::start(&[]).await;
    let cases = ends(&stage);
    let mut runs = Vec::new();
    for (name, steps, _) in &cases {
        runs.push(stage.run(name, steps).await);
    }
    let mut expected = Vec::new();
    for ((name, _, end), run) in cases.iter().zip(&runs) {
        let run = stage.harness.finished(run).await;
        let Some((reason, says)) = end else {
            assert_eq!(run.state, RunState::Success, "{name}: {}", show(&run));
            continue;
        };
        let failure = job(&run, "only").failure.as_ref().unwrap_or_else(|| panic!("{name}: {}", show(&run)));
        assert_eq!(failure.reason, *reason, "{name}: {}", show(&run));
        assert!(failure.message.contains(says), "{name}: {}", failure.message);
        assert!(failure.message.chars().count() <= 1_001 && !failure.message.contains("root:"), "{}", failure.message);
        expected.push(*reason);
    }
    gone(&stage.appears("daemons").await).await;
    gone(&stage.appears("stubborn").await).await;
    stage.finish(&expected).await;
}

const PLANTS: &str = r"
import os
meta, honk = os.environ['HONK_DATASET'] + '.meta.json', os.path.dirname(os.environ['HONK_OUTPUT'])
os.unlink(meta); os.mkfifo(meta)
os.mkfifo(honk + '/outputs-2')
os.symlink('MARKS/victim', honk + '/script-2')
";

const MOVES: &str = r"
import os
home = os.environ['HOME']
os.rename(home, home + '-elsewhere'); os.symlink('MARKS/folder', home)
honk = os.path.dirname(os.environ['HONK_OUTPUT'])
os.rename(honk, honk + '-elsewhere'); os.symlink('MARKS/folder', honk)
";

/// A later step is given its files as if nothing had happened, and Honk writes nowhere but in the work directory.
#[tokio::test]
async fn what_a_step_plants_for_the_next_leads_nowhere() {
    let stage = Stage::start(&[]).await;
    std::fs::write(stage.mark("victim"), "untouched\n").unwrap();
    std::fs::create_dir(stage.mark("folder")).unwrap();
    let tolerated = |code: &str| {
        let mut step = python(&stage, code);
        step["continue-on-error"] = json!(true);
        step
    };
    let steps = json!([
        tolerated(PLANTS),
        { "run": "grep -q '\"name\"' $HONK_DATASET.meta.json && echo second=yes >> $HONK_OUTPUT", "shell": "sh" },
        tolerated(MOVES),
        { "run": "grep -q '\"name\"' $HONK_DATASET.meta.json && echo fourth=yes >> $HONK_OUTPUT", "shell": "sh" },
    ]);
    let run = stage.run("plants", &steps).await;
    let run = stage.harness.finished(&run).await;
    assert_eq!(run.state, RunState::Success, "{}", show(&run));
    let outputs = &job(&run, "only").outputs;
    assert_eq!((&outputs["second"], &outputs["fourth"]), (&json!("yes"), &json!("yes")));
    assert_eq!(std::fs::read_to_string(stage.mark("victim")).unwrap(), "untouched\n");
    assert_eq!(std::fs::read_dir(stage.mark("folder")).unwrap().count(), 0);
    stage.finish(&[]).await;
}

/// At least a gibibyte, and on until the other step is done.
const FLOOD: &str = r"
import os, sys
lines, written = b'one line of a flood of lines that all say the same thing\n' * 16384, 0
open('MARKS/flood', 'w').write('begun\n')
while written < 1 << 30 or not os.path.exists('MARKS/other'):
    written += os.write(1, lines)
open('MARKS/flooded', 'w').write(str(written) + '\n')
";

#[tokio::test]
async fn a_flood_is_cut_off_and_another_step_on_the_same_agent_does_not_wait_for_it() {
    let stage = Stage::start(&[]).await;
    let flood = stage.run("flood", &json!([python(&stage, FLOOD)])).await;
    stage.appears("flood").await;
    let begin = Instant::now();
    let other = json!([{ "run": ["sh", "-c", "echo to the log; echo done > \"$0\"", stage.mark("other")] }]);
    let other = stage.run("other", &other).await;
    let other = stage.harness.finished(&other).await;
    let took = begin.elapsed();
    assert_eq!(other.state, RunState::Success, "{}", show(&other));
    assert!(!stage.mark("flooded").exists(), "the flood was over before: the test has shown nothing");
    println!("the other run took {took:?} beside a flood");
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert_eq!(stage.harness.log_of(&other.id).await, ["only: to the log"]);

    let flood = stage.harness.finished(&flood).await;
    assert_eq!(flood.state, RunState::Success, "{}", show(&flood));
    let written: u64 = stage.appears("flooded").await.trim().parse().unwrap();
    assert!(written >= 1 << 30);
    let log = stage.harness.log_of(&flood.id).await;
    let kept: usize = log.iter().map(String::len).sum();
    assert!(kept as u64 <= MIB + 4096, "{kept} bytes are kept");
    assert!(log.last().unwrap().contains("cut off here"), "{:?}", log.last());
    stage.finish(&[]).await;
}

const PASSWORD: &str = "correct horse/battery+staple";
const TOKEN: &str = "tok-0123456789abcdef";

const TELLS: &str = r"
import base64, os, sys, urllib.parse
for secret in (os.environ['DB_PASSWORD'], os.environ['REGISTRY_TOKEN']):
    for text in (secret, base64.b64encode(secret.encode()).decode(), urllib.parse.quote(secret, safe='')):
        print(text); print('the end: ' + text, file=sys.stderr)
";

/// A step may print what it was trusted with, by mistake or in an error. What it leaves as output it means.
#[tokio::test]
async fn a_granted_secret_is_in_no_log_and_no_message() {
    let granted =
        [("HONK_STEPS__PASS_ENV", "DB_PASSWORD,REGISTRY_TOKEN"), ("DB_PASSWORD", PASSWORD), ("REGISTRY_TOKEN", TOKEN)];
    let stage = Stage::start(&granted).await;
    let leaves = |code: &str| json!([python(&stage, &format!("import os\n{code}"))]);
    let cases: [(&str, Value, Reason); 4] = [
        ("prints", leaves(&format!("{TELLS}\nsys.exit(4)")), Reason::StepFailed),
        (
            "names",
            leaves("open(os.environ['HONK_OUTPUT'], 'w').write(os.environ['DB_PASSWORD'] + '=1\\n')"),
            Reason::OutputsInvalid,
        ),
        (
            "delimits",
            leaves("open(os.environ['HONK_OUTPUT'], 'w').write('a<<' + os.environ['REGISTRY_TOKEN'] + '\\n')"),
            Reason::OutputsInvalid,
        ),
        ("executes", json!([{ "run": ["sh", "-c", "exec \"$REGISTRY_TOKEN\""] }]), Reason::StepFailed),
    ];
    let mut expected = Vec::new();
    for (name, steps, reason) in &cases {
        let run = stage.run(name, steps).await;
        let run: Run = stage.harness.finished(&run).await;
        let failure = job(&run, "only").failure.clone().unwrap_or_else(|| panic!("{}", show(&run)));
        assert_eq!(failure.reason, *reason, "{}", show(&run));
        assert!(failure.message.contains("***"), "{name}: {}", failure.message);
        expected.push(*reason);
    }
    stage.harness.dead_letters_when(cases.len()).await;
    let quoted = json!(PASSWORD).to_string();
    let records = honk_bus::Bucket::stream_of(topology::RUNS);
    for stream in [topology::LOGS, topology::DEAD, &records] {
        let messages = stage.harness.bus.changes(stream, 1).await.unwrap();
        assert!(!messages.is_empty(), "{stream}");
        for message in messages {
            let text = format!("{:?} {}", message.headers, String::from_utf8_lossy(&message.payload));
            for secret in [PASSWORD, TOKEN, quoted.trim_matches('"')] {
                assert!(!text.contains(secret), "{stream}: {text}");
            }
        }
    }
    assert!(!stage.runner.log().contains(PASSWORD) && !stage.runner.log().contains(TOKEN));
    stage.finish(&expected).await;
}

fn laughs() -> String {
    let mut yaml = "name: laughs\non: dataset_onboard\nenv:\n  a0: &a0 lol\n".to_owned();
    for level in 1..12 {
        let list = vec![format!("*a{}", level - 1); 10].join(", ");
        writeln!(yaml, "x{level}: &a{level} [{list}]").unwrap();
    }
    yaml + "jobs: {only: {steps: [{run: [echo]}]}}\n"
}

/// What is registered is read by everybody later, so it is measured before.
#[tokio::test]
async fn yaml_bombs_and_bundles_over_the_limit_are_refused_with_their_code() {
    let harness = Harness::start().await;
    let mut settings = ApiSettings::default();
    settings.api.listen.set_port(0);
    let context = Context::new("honk-api", settings, Common::default());
    let server = Server::start(context, harness.bus.clone()).await.unwrap();
    let url = format!("http://{}/api/workflows", server.local_addr().unwrap());
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { server.run().await.unwrap() });
    let client = reqwest::Client::new();

    let deep = format!("name: deep\njobs: {}{}\n", "[".repeat(5_000), "]".repeat(5_000));
    let wide = format!("name: wide\njobs: [{}]\n", "a,".repeat(60_000));
    let itself = "name: itself\non: dataset_onboard\njobs: &a {only: *a}\n".to_owned();
    for (yaml, code) in [(laughs(), "too-large"), (deep, "too-deep"), (wide, "too-large"), (itself, "alias-recursive")]
    {
        let begin = Instant::now();
        let answer = client.post(&url).body(yaml).send().await.unwrap();
        let (status, problem) = (answer.status().as_u16(), answer.json::<Value>().await.unwrap());
        assert_eq!((status, &problem["code"]), (422, &json!("workflow-invalid")), "{problem}");
        assert_eq!(problem["errors"][0]["code"], code, "{problem}");
        assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    }

    let yaml = "name: large\non: dataset_onboard\njobs: {only: {steps: [{run: [./s]}]}}\n";
    let form = |bytes: usize, count: usize| {
        let part = |number: usize| Part::bytes(vec![b'x'; bytes]).file_name(format!("file-{number}"));
        (0..count).fold(Form::new().text("workflow", yaml), |form, number| form.part("file", part(number)))
    };
    for (bytes, count, says) in [(9 << 20, 1, "8 MiB"), (6 << 20, 3, "16 MiB"), (1, 1_001, "1000")] {
        let answer = client.post(&url).multipart(form(bytes, count)).send().await.unwrap();
        let (status, problem) = (answer.status().as_u16(), answer.json::<Value>().await.unwrap());
        assert!((400..500).contains(&status), "{status} {problem}");
        assert!(problem["code"].is_string() && problem.to_string().contains(says), "{problem}");
    }
    tasks.shutdown().await;
    harness.finish().await;
}
