//! Programs as steps, on a real agent: what they get, what becomes of what they leave, and how their end is judged.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, also in its helpers")]

use honk_protocol::reason::Reason;
use honk_protocol::run::{JobState, Run, RunState};
use honk_testkit::runs::{job, show};
use honk_testkit::{Harness, Process, Service};
use serde_json::{Map, Value, json};

/// Intake and an agent that runs programs.
fn spawn(harness: &Harness, more: &[(&str, &str)]) -> [Process; 2] {
    [harness.spawn(Service::Intake, &[]), harness.spawn(Service::Runner, more)]
}

fn object(value: &Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

/// A workflow of one job of one step.
fn one_step(name: &str, rest: &str, step: &str) -> String {
    format!("name: {name}\non: dataset_onboard\n{rest}\njobs:\n  only:\n    steps:\n      - {step}\n")
}

/// A program in Python that does what `code` says.
fn python(code: &str) -> String {
    format!("run: {}", json!(["python3", "-c", code]))
}

const TOLD: &str = r#"
import json, os, sys
with open(os.environ["HONK_OUTPUT"], "a") as out:
    print("argv=" + json.dumps(sys.argv[1:]), file=out)
    print("env=" + json.dumps(sorted(k for k in os.environ if k not in ("LC_CTYPE",))), file=out)
    print("job=" + os.environ["HONK_JOB"] + "/" + os.environ["HONK_DATASET"], file=out)
    print("input=" + json.dumps(json.load(open(os.environ["HONK_INPUT"])), sort_keys=True), file=out)
    print("rows=" + os.environ["HONK_INPUT_ROWS"], file=out)
    print("mine=" + os.environ["MINE"], file=out)
    print("granted=" + os.environ.get("GRANTED", "-") + os.environ.get("NOT_GRANTED", "-"), file=out)
    print("cwd=" + str(os.getcwd() == os.environ["HOME"]) + " " + str(sorted(os.listdir("."))), file=out)
    print("meta=" + json.dumps(json.load(open("d.meta.json"))), file=out)
    print("stdin=" + repr(sys.stdin.read()), file=out)
"#;

#[tokio::test]
async fn a_program_gets_what_it_is_told_and_nothing_else_and_its_outputs_go_on() {
    let harness = Harness::start().await;
    let granted = [("HONK_STEPS__PASS_ENV", "GRANTED"), ("GRANTED", "yes"), ("NOT_GRANTED", "no")];
    let _services = spawn(&harness, &granted);
    let argv = json!(["python3", "-c", TOLD, "--name", "{{ input.dataset_name }}", "a {{ input.note }} b", ""]);
    let workflow = format!(
        "name: told\non: dataset_onboard\njobs:\n  first:\n    env: {{MINE: 'v {{{{ input.rows }}}}'}}\n    steps: [{{run: {argv}}}]\n  second:\n    needs: [first]\n    \
         steps: [{{run: [sh, -c, 'echo \"got=$0\" >> $HONK_OUTPUT; echo out; echo err >&2', '{{{{ jobs.first.outputs.rows }}}}']}}]\n",
    );
    harness.register(&workflow).await;
    let input = object(&json!({ "rows": 7, "note": "x'; touch /tmp/owned #\n$(id)" }));
    let run = harness.run_workflow("told", "d", input).await;
    let run = harness.finished(&run).await;
    assert_eq!(run.state, RunState::Success, "{}", show(&run));
    let told = &job(&run, "first").outputs;
    let parsed = |name: &str| serde_json::from_str::<Value>(told[name].as_str().unwrap()).unwrap();
    assert_eq!(parsed("argv"), json!(["--name", "d", "a x'; touch /tmp/owned #\n$(id) b", ""]));
    let names = parsed("env");
    let names: Vec<&str> = names.as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    // Where `python3` is a script that looks for the right Python, as pyenv's is, that script adds variables of its own.
    let by_a_shim = |name: &str| name.contains("PYENV") || ["PWD", "SHLVL", "OLDPWD", "_"].contains(&name);
    let foreign = names.iter().filter(|name| !name.starts_with("HONK_") && !by_a_shim(name));
    assert_eq!(foreign.collect::<Vec<_>>(), [&"GRANTED", &"HOME", &"MINE", &"PATH", &"TMPDIR"]);
    assert!(!names.contains(&"HONK_NATS__URL"), "an agent's own settings are not for programs: {names:?}");
    assert_eq!(told["job"], "first/d");
    assert_eq!(parsed("input")["rows"], 7);
    assert_eq!((&told["rows"], &told["mine"], &told["granted"]), (&json!("7"), &json!("v 7"), &json!("yes-")));
    assert_eq!(told["cwd"], "True ['d.meta.json']");
    assert_eq!(parsed("meta"), json!({ "name": "d" }));
    assert_eq!(told["stdin"], "''");
    assert_eq!(job(&run, "second").outputs["got"], "7");
    let mut log = harness.log_of(&run.id).await;
    log.sort();
    assert_eq!(log, ["second: err", "second: out"]);
    harness.finish().await;
}

/// How a program ends, and what becomes of its job.
struct End {
    name: &'static str,
    step: String,
    rest: &'static str,
    reason: Reason,
    says: &'static str,
    attempts: u32,
}

fn ends() -> Vec<End> {
    let end = |name, step: String, rest, reason, says, attempts| End { name, step, rest, reason, says, attempts };
    let never = "retry_count: 0\ntimeout: 1m";
    let thrice = "retry_count: 2\nbackoff: {initial: 10ms}\ntimeout: 1m";
    vec![
        end(
            "fails",
            python("import sys; print('no rows', file=sys.stderr); sys.exit(3)"),
            thrice,
            Reason::StepFailed,
            "exit status 3; the last it said: no rows",
            3,
        ),
        end(
            "rejects",
            python("import sys; sys.exit(65)"),
            "retry_count: 9\ntimeout: 1m\nreject_codes: [2, 65]",
            Reason::StepRejected,
            "exit status 65",
            1,
        ),
        end("signalled", python("import os; os.kill(os.getpid(), 11)"), never, Reason::StepSignalled, "SIGSEGV", 1),
        end(
            "no-such-program",
            "run: [no-such-program, x]".into(),
            thrice,
            Reason::ProgramMissing,
            "no-such-program",
            1,
        ),
        end(
            "no-interpreter",
            python(
                "import os; open('s','w').write('#!/no/such/interpreter\\n'); os.chmod('s',0o755); os.execv('./s',['./s'])",
            ),
            never,
            Reason::StepFailed,
            "exit status 1",
            1,
        ),
        end(
            "outputs-nonsense",
            python("import os; open(os.environ['HONK_OUTPUT'],'wb').write(b'no equals sign\\n')"),
            thrice,
            Reason::OutputsInvalid,
            "outputs",
            1,
        ),
        end(
            "outputs-too-large",
            python("import os; open(os.environ['HONK_OUTPUT'],'w').write('a='+'x'*100000)"),
            thrice,
            Reason::OutputsInvalid,
            "outputs",
            1,
        ),
        end(
            "meta-nonsense",
            python("open('meta-nonsense.meta.json','w').write('nonsense')"),
            thrice,
            Reason::MetadataInvalid,
            "not JSON",
            1,
        ),
        end(
            "meta-not-its-own",
            python("import json; open('meta-not-its-own.meta.json','w').write(json.dumps({'name':'other'}))"),
            thrice,
            Reason::MetadataInvalid,
            "another `name`",
            1,
        ),
        end(
            "no-such-input",
            "run: [echo, '{{ input.missing }}']".into(),
            thrice,
            Reason::ExpressionInvalid,
            "input.missing",
            1,
        ),
        end("too-much-cpu", python("while True: pass"), never, Reason::StepLimit, "processor time", 1),
        end(
            "too-large-file",
            "run: [sh, -c, 'exec head -c 10000000 /dev/zero > f']".into(),
            never,
            Reason::StepLimit,
            "file size",
            1,
        ),
        end(
            "too-slow",
            python("import time; time.sleep(600)"),
            "retry_count: 0\ntimeout: 1s",
            Reason::JobTimeout,
            "within 1 s",
            1,
        ),
    ]
}

#[tokio::test]
async fn every_end_of_a_program_has_a_reason_of_its_own_and_harms_nobody_else() {
    let harness = Harness::start().await;
    let limits = [("HONK_STEPS__CPU", "2s"), ("HONK_STEPS__FILE_MIB", "4"), ("HONK_RUNNER__SLOTS", "6")];
    let services = spawn(&harness, &limits);
    let ends = ends();
    let mut runs = Vec::new();
    for end in &ends {
        harness.register(&one_step(end.name, end.rest, &end.step)).await;
        runs.push(harness.run_workflow(end.name, end.name, Map::new()).await);
    }
    harness.register(&one_step("good", "", "run: [echo, fine]")).await;
    let good = harness.run_workflow("good", "good", Map::new()).await;
    assert_eq!(harness.finished(&good).await.state, RunState::Success);
    for (end, run) in ends.iter().zip(&runs) {
        let run = harness.finished(run).await;
        let job = job(&run, "only");
        let failure = job.failure.as_ref().unwrap_or_else(|| panic!("{}", show(&run)));
        assert_eq!((failure.reason, job.state), (end.reason, JobState::Dead), "{}", show(&run));
        assert!(failure.message.contains(end.says), "{}: {}", end.name, failure.message);
        assert_eq!(job.attempt, end.attempts, "{}", show(&run));
    }
    let [_, mut runner] = services;
    assert!(runner.is_running());
    harness.finish_with(&ends.iter().map(|end| end.reason).collect::<Vec<_>>()).await;
}

#[tokio::test]
async fn exit_status_75_asks_for_another_try_whatever_the_workflow_grants() {
    let harness = Harness::start().await;
    let _services = spawn(&harness, &[]);
    let code = "import os, sys; sys.exit(0 if int(os.environ['HONK_ATTEMPT']) > 3 else 75)";
    let rest = "retry_count: 0\nbackoff: {initial: 10ms, max: 20ms}\ntimeout: 1m";
    harness.register(&one_step("busy", rest, &python(code))).await;
    let run = harness.run_workflow("busy", "d", Map::new()).await;
    let run = harness.finished(&run).await;
    assert_eq!((run.state, job(&run, "only").attempt), (RunState::Success, 4), "{}", show(&run));
    assert_eq!(job(&run, "only").failure.as_ref().unwrap().reason, Reason::StepTemporary);
    harness.finish().await;
}

#[tokio::test]
async fn what_a_program_writes_into_the_datasets_file_is_merged_into_its_metadata() {
    let harness = Harness::start().await;
    let _services = spawn(&harness, &[]);
    let mark = "import json\np='d.meta.json'\nm=json.load(open(p))\nm['status']='migrated'\nm.setdefault('counts',{})['rows']=7\njson.dump(m,open(p,'w'))";
    let later = "import json\np='d.meta.json'\nm=json.load(open(p))\nassert m['status']=='migrated', m\nm['counts']['files']=3\njson.dump(m,open(p,'w'))";
    let steps = format!("{}\n      - {}", python(mark), python(later));
    harness.register(&one_step("mark", "", &steps)).await;
    let run = harness.run_workflow("mark", "d", Map::new()).await;
    let run = harness.finished(&run).await;
    assert_eq!(run.state, RunState::Success, "{}", show(&run));
    let entry = harness.bus.metadata().get("d").await.unwrap().unwrap();
    let metadata: Value = serde_json::from_slice(&entry.value).unwrap();
    assert_eq!(metadata, json!({ "status": "migrated", "counts": { "rows": 7, "files": 3 } }));
    harness.finish().await;
}

const CONDITIONS: &str = "
name: conditions
on: dataset_onboard
retry_count: 0
jobs:
  fails:
    steps:
      - run: [sh, -c, 'exit 1']
        continue-on-error: true
      - run: [sh, -c, 'echo reached=yes >> $HONK_OUTPUT; exit 4']
      - run: [echo, never]
      - if: failure()
        run: [echo, after the failure]
  skipped-with-it:
    needs: [fails]
    steps: [{run: [echo, never]}]
  cleans-up:
    needs: [fails]
    if: always()
    steps: [{run: [echo, '{{ jobs.fails.result }}']}]
  only-large:
    if: input.rows > 100
    steps: [{run: [echo, never]}]
  tolerated:
    continue-on-error: true
    steps: [{run: [sh, -c, 'exit 9']}]
  after-tolerated:
    needs: [tolerated]
    steps: [{run: [echo, went on]}]
";

fn state_of(run: &Run, name: &str) -> JobState {
    job(run, name).state
}

#[tokio::test]
async fn conditions_decide_which_jobs_and_steps_are_done() {
    let harness = Harness::start().await;
    let _services = spawn(&harness, &[]);
    harness.register(CONDITIONS).await;
    let run = harness.run_workflow("conditions", "d", object(&json!({ "rows": 7 }))).await;
    let run = harness.finished(&run).await;
    assert_eq!(run.state, RunState::Failure, "{}", show(&run));
    for (name, state) in [
        ("fails", JobState::Dead),
        ("skipped-with-it", JobState::Skipped),
        ("cleans-up", JobState::Success),
        ("only-large", JobState::Skipped),
        ("tolerated", JobState::Failed),
        ("after-tolerated", JobState::Success),
    ] {
        assert_eq!(state_of(&run, name), state, "{name}: {}", show(&run));
    }
    let mut log = harness.log_of(&run.id).await;
    log.retain(|line| !line.contains("ended with"));
    log.sort();
    assert_eq!(log, ["after-tolerated: went on", "cleans-up: dead", "fails: after the failure"]);
    harness.finish_with(&[Reason::StepFailed]).await;
}
