//! What people do to a run as a whole: cancel, pause, resume, retry, and its deadline, on real agents with real programs.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, also in its helpers")]

use std::path::PathBuf;
use std::time::Duration;

use honk_agent::ledger::{ControlError, LedgerError, Trace};
use honk_protocol::run::{JobState, RunState};
use honk_testkit::runs::{job, show};
use honk_testkit::{Harness, PATIENCE, Process, Service, eventually};
use serde_json::{Map, json};
use tempfile::TempDir;
use tokio::time::Instant;

fn spawn(harness: &Harness, intake: &[(&str, &str)]) -> [Process; 2] {
    [harness.spawn(Service::Intake, intake), harness.spawn(Service::Runner, &[])]
}

/// A folder in which programs leave files that a test waits for.
struct Marks(TempDir);

impl Marks {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    async fn appears(&self, name: &str) -> String {
        let look = || async {
            let text = std::fs::read_to_string(self.path(name)).map_err(|error| error.to_string())?;
            if text.ends_with('\n') { Ok(text) } else { Err("not written yet".to_owned()) }
        };
        eventually(&format!("the mark {name}"), PATIENCE, look).await
    }

    fn is_there(&self, name: &str) -> bool {
        self.path(name).exists()
    }
}

/// A job that leaves its process id in `begun`, does not let itself be ended politely, and has a child that does not either.
fn stubborn(marks: &Marks) -> String {
    let code = "import os, signal, subprocess, sys, time\n\
        signal.signal(signal.SIGTERM, signal.SIG_IGN)\n\
        child = subprocess.Popen(['sh', '-c', 'trap \"\" TERM; setsid sleep 600 & wait'], start_new_session=True)\n\
        open(sys.argv[1], 'w').write(f'{os.getpid()} {child.pid}\\n')\n\
        time.sleep(600)\n";
    json!(["python3", "-c", code, marks.path("begun")]).to_string()
}

/// Waits until none of these processes is left.
async fn gone(pids: &str) {
    for pid in pids.split_whitespace() {
        let look = || async { if is_alive(pid) { Err(format!("{pid} is alive")) } else { Ok(()) } };
        eventually("the programs are gone", PATIENCE, look).await;
    }
}

fn is_alive(pid: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

#[tokio::test]
async fn a_cancelled_runs_programs_are_ended_within_ten_seconds_and_nothing_of_it_is_begun_any_more() {
    let harness = Harness::start().await;
    let _services = spawn(&harness, &[]);
    let marks = Marks::new();
    let after = json!(["touch", marks.path("after")]);
    harness
        .register(&format!(
            "name: long\non: dataset_onboard\njobs:\n  long:\n    steps: [{{run: {}}}]\n  after:\n    needs: [long]\n    if: always()\n    steps: [{{run: {after}}}]\n",
            stubborn(&marks)
        ))
        .await;
    let run = harness.run_workflow("long", "d", Map::new()).await;
    let pids = marks.appears("begun").await;
    let begin = Instant::now();
    let cancelled = harness.ledger().cancel(&run).await.unwrap();
    assert_eq!(cancelled.run.state, RunState::Cancelled);
    gone(&pids).await;
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
    let again = harness.ledger().cancel(&run).await.unwrap();
    assert_eq!(again.revision, cancelled.revision, "cancelling again changes nothing");
    let run = harness.finished(&run).await;
    let states = [job(&run, "long").state, job(&run, "after").state];
    assert_eq!(states, [JobState::Cancelled; 2], "{}", show(&run));
    assert!(!marks.is_there("after"));
    harness.finish().await;
}

#[tokio::test]
async fn nothing_starts_in_a_paused_run_until_it_is_resumed() {
    let harness = Harness::start().await;
    let _services = spawn(&harness, &[]);
    let marks = Marks::new();
    let first = json!([
        "sh",
        "-c",
        format!(
            "echo > {}; until test -e {}; do sleep 0.05; done",
            marks.path("begun").display(),
            marks.path("go").display()
        )
    ]);
    let second = json!(["touch", marks.path("second")]);
    harness
        .register(&format!("name: two\non: dataset_onboard\njobs:\n  first:\n    steps: [{{run: {first}}}]\n  second:\n    needs: [first]\n    steps: [{{run: {second}}}]\n"))
        .await;
    let run = harness.run_workflow("two", "d", Map::new()).await;
    marks.appears("begun").await;
    let ledger = harness.ledger();
    assert!(ledger.pause(&run).await.unwrap().run.paused);
    std::fs::write(marks.path("go"), "").unwrap();
    let paused = harness
        .run_when(&run, "goes on as far as it was begun", |run| job(run, "first").state == JobState::Success)
        .await;
    assert_eq!(job(&paused, "second").state, JobState::Pending, "{}", show(&paused));

    // Another run shows that the agent is not held up by it.
    let other = harness.run_workflow("two", "other", Map::new()).await;
    harness.finished(&other).await;
    std::fs::remove_file(marks.path("second")).unwrap();
    ledger.resume(&run).await.unwrap();
    let run = harness.finished(&run).await;
    assert_eq!((run.state, marks.is_there("second")), (RunState::Success, true), "{}", show(&run));
    harness.finish().await;
}

#[tokio::test]
async fn a_job_that_waits_in_the_queue_when_its_run_is_paused_is_not_begun() {
    let harness = Harness::start().await;
    let _intake = harness.spawn(Service::Intake, &[]);
    let marks = Marks::new();
    let only = json!(["touch", marks.path("only")]);
    harness
        .register(&format!("name: queued\non: dataset_onboard\njobs:\n  only:\n    steps: [{{run: {only}}}]\n"))
        .await;
    let run = harness.run_workflow("queued", "d", Map::new()).await;
    harness.run_when(&run, "is dispatched", |run| job(run, "only").state == JobState::Ready).await;
    let ledger = harness.ledger();
    ledger.pause(&run).await.unwrap();
    let _runner = harness.spawn(Service::Runner, &[]);
    let held = harness.run_when(&run, "is put aside", |run| job(run, "only").state == JobState::Pending).await;
    assert!(held.paused && !marks.is_there("only"));
    ledger.resume(&run).await.unwrap();
    let run = harness.finished(&run).await;
    assert_eq!((run.state, job(&run, "only").generation), (RunState::Success, 2), "{}", show(&run));
    harness.finish().await;
}

#[tokio::test]
async fn a_failed_run_is_done_again_from_where_it_failed_or_from_the_beginning() {
    let harness = Harness::start().await;
    let _services = spawn(&harness, &[]);
    let marks = Marks::new();
    let count = |name: &str| json!(["sh", "-c", format!("echo x >> {}", marks.path(name).display())]);
    let needs = json!(["test", "-e", marks.path("repaired")]);
    harness
        .register(&format!(
            "name: again\non: dataset_onboard\nretry_count: 0\njobs:\n  first:\n    steps: [{{run: {}}}]\n  second:\n    needs: [first]\n    steps: [{{run: {needs}}}]\n  third:\n    needs: [second]\n    steps: [{{run: {}}}]\n",
            count("first"), count("third")
        ))
        .await;
    let id = harness.run_workflow("again", "d", Map::new()).await;
    assert_eq!(harness.finished(&id).await.state, RunState::Failure);
    harness.dead_letters_when(1).await;
    std::fs::write(marks.path("repaired"), "").unwrap();
    let ledger = harness.ledger();
    ledger.retry(&id, true, &Trace::default()).await.unwrap();
    let run = harness.finished(&id).await;
    assert_eq!(run.state, RunState::Success, "{}", show(&run));
    let lines = |name: &str| std::fs::read_to_string(marks.path(name)).unwrap().lines().count();
    assert_eq!((lines("first"), lines("third")), (1, 1));
    harness.dead_letters_when(0).await;

    ledger.retry(&id, false, &Trace::default()).await.unwrap();
    harness.run_when(&id, "is done again", |run| run.state.is_finished() && job(run, "third").generation == 2).await;
    assert_eq!((lines("first"), lines("third")), (2, 2));
    let running = harness.run_workflow("again", "other", Map::new()).await;
    harness.finished(&running).await;
    harness.finish().await;
}

#[tokio::test]
async fn a_run_that_takes_longer_than_it_may_is_ended() {
    let harness = Harness::start().await;
    let _services = spawn(&harness, &[("HONK_INTAKE__SWEEP_EVERY", "200ms")]);
    let marks = Marks::new();
    harness
        .register(&format!(
            "name: slow\non: dataset_onboard\ndeadline: 2s\njobs:\n  long:\n    steps: [{{run: {}}}]\n",
            stubborn(&marks)
        ))
        .await;
    let run = harness.run_workflow("slow", "d", Map::new()).await;
    let pids = marks.appears("begun").await;
    let run = harness.finished(&run).await;
    assert_eq!((run.state, job(&run, "long").state), (RunState::Timeout, JobState::Cancelled), "{}", show(&run));
    gone(&pids).await;
    let refused = harness.ledger().pause(&run.id).await.unwrap_err();
    assert!(matches!(refused, ControlError::Ledger(LedgerError::Refused(_))), "{refused}");
    harness.finish().await;
}

#[tokio::test]
async fn the_programs_of_an_agent_that_is_killed_end_with_it_and_their_job_is_done_by_another() {
    let harness = Harness::start().await;
    let [_intake, mut runner] = spawn(&harness, &[]);
    let marks = Marks::new();
    let code = "import os, subprocess, sys, time\n\
        if int(os.environ['HONK_ATTEMPT']) > 1: sys.exit(0)\n\
        child = subprocess.Popen(['sleep', '600'], start_new_session=True)\n\
        open(sys.argv[1], 'w').write(f'{os.getpid()} {child.pid}\\n')\n\
        time.sleep(600)\n";
    let argv = json!(["python3", "-c", code, marks.path("begun")]);
    harness
        .register(&format!("name: orphan\non: dataset_onboard\njobs:\n  only:\n    steps: [{{run: {argv}}}]\n"))
        .await;
    let run = harness.run_workflow("orphan", "d", Map::new()).await;
    let pids = marks.appears("begun").await;
    runner.kill9().await;
    gone(&pids).await;
    let _other = harness.spawn(Service::Runner, &[]);
    let run = harness.finished(&run).await;
    assert_eq!((run.state, job(&run, "only").attempt), (RunState::Success, 2), "{}", show(&run));
    harness.finish().await;
}
