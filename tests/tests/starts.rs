//! When runs begin that have to wait for more than their dataset: pauses, rates, groups and schedules, with two intakes that compete.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking, also in its helpers")]

use std::collections::BTreeSet;
use std::path::PathBuf;

use honk_protocol::control::{group_key, start_key, tick_key};
use honk_protocol::gate::{Member, Members, Tick};
use honk_protocol::name::{RunId, WorkflowName};
use honk_protocol::run::{Run, RunState};
use honk_protocol::subject::{workflow_name_key, workflow_version_key};
use honk_protocol::workflow::WorkflowPointer;
use honk_service::Clock;
use honk_testkit::runs::show;
use honk_testkit::{Harness, PATIENCE, Process, Service, eventually};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, json};
use tempfile::TempDir;

/// Two intakes, and an agent that runs programs.
fn spawn(harness: &Harness) -> Vec<Process> {
    let runner = harness.spawn(Service::Runner, &[]);
    vec![harness.spawn(Service::Intake, &[]), harness.spawn(Service::Intake, &[]), runner]
}

fn workflow(name: &str) -> WorkflowName {
    name.parse().unwrap()
}

/// A workflow of one program.
fn of_one_step(name: &str, rest: &str, argv: &[&str]) -> String {
    format!(
        "name: {name}\non: dataset_onboard\ntimeout: 2m\n{rest}\njobs: {{only: {{steps: [{{run: {}}}]}}}}\n",
        json!(argv)
    )
}

/// Runs that go on until the test lets them end: each reads a pipe that its event names.
struct Gatekeeper(TempDir);

impl Gatekeeper {
    fn new(pipes: &[&str]) -> Self {
        let keeper = Self(TempDir::new().unwrap());
        for name in pipes {
            let made = std::process::Command::new("mkfifo").arg(keeper.pipe(name)).status().unwrap();
            assert!(made.success());
        }
        keeper
    }

    fn pipe(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn workflow(&self, name: &str, rest: &str) -> String {
        let pipe = self.pipe("{{ input.pipe }}");
        of_one_step(name, rest, &["cat", pipe.to_str().unwrap()])
    }

    /// Waits until the program runs that reads the pipe, and lets it end.
    async fn release(&self, name: &str) {
        let pipe = self.pipe(name);
        let write = tokio::task::spawn_blocking(move || std::fs::write(pipe, "go on\n"));
        tokio::time::timeout(PATIENCE, write).await.expect("its program runs").unwrap().unwrap();
    }
}

async fn run(harness: &Harness, workflow: &str, dataset: &str) -> RunId {
    run_reading(harness, workflow, dataset, dataset).await
}

/// A run that reads this pipe, if its workflow does.
async fn run_reading(harness: &Harness, workflow: &str, dataset: &str, pipe: &str) -> RunId {
    let input = Map::from_iter([("pipe".to_owned(), json!(pipe))]);
    harness.run_workflow(workflow, dataset, input).await
}

async fn in_state(harness: &Harness, run: &RunId, state: RunState) -> Run {
    harness.run_when(run, &format!("is {state}"), |run| run.state == state).await
}

async fn succeeds(harness: &Harness, run: &RunId) -> Run {
    let run = harness.finished(run).await;
    assert_eq!(run.state, RunState::Success, "{}", show(&run));
    run
}

#[tokio::test]
async fn nothing_new_begins_of_a_paused_workflow_and_no_event_is_lost() {
    let harness = Harness::start().await;
    let ledger = harness.ledger();
    let pipes = Gatekeeper::new(&["busy"]);
    harness.register(&of_one_step("paused", "", &["echo", "done"])).await;
    harness.register(&of_one_step("other", "", &["echo", "done"])).await;
    harness.register(&pipes.workflow("slow", "")).await;
    ledger.hold_workflow(&workflow("paused")).await.unwrap();
    let _services = spawn(&harness);

    let first = run(&harness, "paused", "a").await;
    in_state(&harness, &first, RunState::Waiting).await;
    let second = run(&harness, "paused", "a").await;
    let replaced = in_state(&harness, &first, RunState::Cancelled).await;
    assert_eq!(replaced.superseded_by.as_ref(), Some(&second));
    let third = run(&harness, "paused", "b").await;
    in_state(&harness, &third, RunState::Waiting).await;
    succeeds(&harness, &run(&harness, "other", "c").await).await;

    // What runs goes on, and the run that waits for it does not begin after it.
    let live = run(&harness, "slow", "busy").await;
    in_state(&harness, &live, RunState::Running).await;
    let behind = run(&harness, "slow", "busy").await;
    harness.run_when(&live, "knows who waits", |run| run.successor.as_ref() == Some(&behind)).await;
    ledger.hold_workflow(&workflow("slow")).await.unwrap();
    pipes.release("busy").await;
    succeeds(&harness, &live).await;
    eventually("intake is asked to begin the run", PATIENCE, || async {
        let ticket = harness.bus.control().get(&start_key(&behind)).await.map_err(|error| error.to_string())?;
        ticket.map(drop).ok_or_else(|| "no ticket".to_owned())
    })
    .await;
    harness.nothing_is_pending().await;
    for waiting in [&second, &third, &behind] {
        assert_eq!(harness.runs().await[waiting].state, RunState::Waiting);
    }

    ledger.release_workflow(&workflow("paused")).await.unwrap();
    for begun in [&second, &third] {
        assert!(succeeds(&harness, begun).await.begun_at.is_some());
    }
    assert_eq!(harness.runs().await[&behind].state, RunState::Waiting, "another workflow was resumed");
    ledger.release_workflow(&workflow("slow")).await.unwrap();
    pipes.release("busy").await;
    succeeds(&harness, &behind).await;
    harness.finish().await;
}

#[tokio::test]
async fn no_more_runs_begin_than_the_rate_allows_and_they_begin_in_the_order_of_their_creation() {
    const RATE: usize = 3;
    let harness = Harness::start().await;
    harness.register(&of_one_step("limited", "rate: 3/s", &["echo", "done"])).await;
    let _services = spawn(&harness);
    let mut runs = Vec::new();
    for number in 0..10 {
        runs.push(run(&harness, "limited", &format!("d{number}")).await);
    }
    let mut done = harness.succeed(&runs, PATIENCE).await;
    let begun = |run: &Run| run.begun_at.unwrap_or_else(|| panic!("it had no turn: {}", show(run)));
    done.sort_by_key(begun);
    // A run begins right after it is counted, but not at the very same moment.
    let near = SignedDuration::from_millis(700);
    for window in done.windows(RATE + 1) {
        let apart = begun(&window[RATE]).duration_since(begun(&window[0]));
        assert!(apart >= near, "{} runs began within {apart:#}", RATE + 1);
    }
    // The first ones may begin before an older one is known to both intakes.
    assert!(done[RATE..].is_sorted_by_key(|run| run.created_at));
    harness.finish().await;
}

#[tokio::test]
async fn an_intake_that_is_killed_between_counting_a_start_and_beginning_the_run_does_not_use_up_the_rate() {
    let harness = Harness::start().await;
    harness.register(&of_one_step("hourly", "rate: 1/h", &["echo", "done"])).await;
    let mut killed = harness.spawn(Service::Intake, &[("HONK_FAIL_POINT", "after-claim")]);
    let only = run(&harness, "hourly", "d").await;
    killed.ended(PATIENCE).await;
    assert_eq!(harness.runs().await[&only].state, RunState::Waiting);
    let _services = spawn(&harness);
    succeeds(&harness, &only).await;
    harness.finish().await;
}

#[tokio::test]
async fn of_a_group_one_run_is_live_and_the_newest_other_one_waits() {
    let harness = Harness::start().await;
    let pipes = Gatekeeper::new(&["a", "b", "c", "d", "e"]);
    harness.register(&pipes.workflow("grouped", "concurrency: '{{ dataset.spec.owner }}'")).await;
    let other = json!({ "type": "dataset", "owner": "other-team" });
    harness.import("d", "Component", &json!({}), &other).await;
    // Somebody held the group and was forgotten since: that blocks nobody.
    let gone = Member { dataset: "x".parse().unwrap(), run: RunId::of_event("test", "gone"), until: None };
    let members = Members { holder: Some(gone.clone()), waiter: Some(gone) };
    let key = group_key(&workflow("grouped"), "data-team");
    harness.bus.control().put(&key, serde_json::to_vec(&members).unwrap()).await.unwrap();
    let _services = spawn(&harness);

    let a = run(&harness, "grouped", "a").await;
    in_state(&harness, &a, RunState::Running).await;
    let b = run(&harness, "grouped", "b").await;
    in_state(&harness, &b, RunState::Waiting).await;
    eventually("b has its place in the group", PATIENCE, || async {
        let entry = harness.bus.control().get(&key).await.unwrap().unwrap();
        let members: Members = serde_json::from_slice(&entry.value).unwrap();
        if members.waiter.as_ref().is_some_and(|waiter| waiter.run == b) { Ok(()) } else { Err(format!("{members:?}")) }
    })
    .await;
    let c = run(&harness, "grouped", "c").await;
    let replaced = in_state(&harness, &b, RunState::Cancelled).await;
    assert_eq!(replaced.superseded_by.as_ref(), Some(&c));
    let others = run(&harness, "grouped", "d").await;
    pipes.release("d").await;
    succeeds(&harness, &others).await;
    let now = harness.runs().await;
    assert_eq!((now[&a].state, now[&c].state), (RunState::Running, RunState::Waiting));
    pipes.release("a").await;
    let a = succeeds(&harness, &a).await;
    pipes.release("c").await;
    let c = succeeds(&harness, &c).await;
    assert!(c.begun_at.unwrap() >= a.finished_at.unwrap(), "one after the other");
    let last = run(&harness, "grouped", "e").await;
    pipes.release("e").await;
    succeeds(&harness, &last).await;
    eventually("the group is empty and forgotten", PATIENCE, || async {
        let entry = harness.bus.control().get(&key).await.unwrap();
        entry.map_or(Ok(()), |entry| Err(String::from_utf8_lossy(&entry.value).into_owned()))
    })
    .await;
    harness.finish().await;
}

#[tokio::test]
async fn with_cancel_in_progress_a_newer_run_ends_the_live_one_of_its_group() {
    let harness = Harness::start().await;
    let pipes = Gatekeeper::new(&["1", "2", "3", "4"]);
    let concurrency = "concurrency: {group: '{{ input.dataset_name }}', cancel-in-progress: true}";
    harness.register(&pipes.workflow("own", concurrency)).await;
    harness.register(&pipes.workflow("all", "concurrency: {group: one, cancel-in-progress: true}")).await;
    let _services = spawn(&harness);

    let first = run_reading(&harness, "own", "a", "1").await;
    in_state(&harness, &first, RunState::Running).await;
    let second = run_reading(&harness, "own", "a", "2").await;
    in_state(&harness, &first, RunState::Cancelled).await;
    in_state(&harness, &second, RunState::Running).await;
    pipes.release("2").await;
    succeeds(&harness, &second).await;

    let first = run_reading(&harness, "all", "a", "3").await;
    in_state(&harness, &first, RunState::Running).await;
    let second = run_reading(&harness, "all", "b", "4").await;
    in_state(&harness, &first, RunState::Cancelled).await;
    in_state(&harness, &second, RunState::Running).await;
    pipes.release("4").await;
    succeeds(&harness, &second).await;
    harness.finish().await;
}

/// Registers a workflow that was there `ago`.
async fn register_long_ago(harness: &Harness, yaml: &str, ago: SignedDuration) {
    let parsed = honk_workflow::parse(yaml).unwrap().workflow;
    let (hash, since) = (parsed.hash(), Clock::system().now() - ago);
    harness.bus.workflows().put(&workflow_version_key(&hash), parsed.to_json()).await.unwrap();
    let pointer = WorkflowPointer::new(parsed.name.clone(), hash, since, yaml.to_owned());
    let pointer = serde_json::to_vec(&pointer).unwrap();
    harness.bus.workflows().put(&workflow_name_key(&parsed.name), pointer).await.unwrap();
}

#[tokio::test]
async fn a_missed_tick_is_made_up_once_for_every_dataset_that_is_selected() {
    let harness = Harness::start().await;
    let owner = |owner: &str| json!({ "type": "dataset", "owner": owner });
    for (name, annotations, spec) in [
        ("a", json!({}), owner("data-team")),
        ("b.c", json!({}), owner("group:default/data-team")),
        ("others", json!({}), owner("other-team")),
        ("forbidden", json!({ "honk/do-not-migrate": "legal hold" }), owner("data-team")),
    ] {
        harness.import(name, "Resource", &annotations, &spec).await;
    }
    let missed = Clock::system().now() - SignedDuration::from_mins(90);
    let cron = missed.strftime("%M %H * * *").to_string();
    let yaml = of_one_step("nightly", "", &["echo", "{{ run.workflow }}"])
        .replace("on: dataset_onboard", &format!("on: {{schedule: [{{cron: '{cron}', selector: owner=data-team}}]}}"));
    register_long_ago(&harness, &yaml, SignedDuration::from_hours(72)).await;
    let services = spawn(&harness);

    let tick = eventually("the tick is handled", PATIENCE, || async {
        let entry = harness.bus.control().get(&tick_key(&workflow("nightly"), 0)).await.unwrap();
        entry.ok_or_else(|| "nothing".to_owned())
    })
    .await;
    let tick: Tick = serde_json::from_slice(&tick.value).unwrap();
    let minute = |time: Timestamp| time.as_second() / 60;
    assert_eq!((tick.cron, minute(tick.at)), (cron, minute(missed)));
    let done = harness
        .runs_when("two runs succeed", PATIENCE, |seen| {
            let done: Vec<Run> = seen.values().filter(|run| run.state == RunState::Success).cloned().collect();
            (done.len() == 2).then_some(done)
        })
        .await;
    for intake in &services[..2] {
        intake.ready().await;
    }
    harness.nothing_is_pending().await;
    let names: BTreeSet<&str> = done.iter().map(|run| run.dataset.as_str()).collect();
    assert_eq!(names, BTreeSet::from(["a", "b.c"]));
    assert!(done.iter().all(|run| run.event.source == "/honk/schedule" && run.workflow.name.as_str() == "nightly"));
    assert_eq!(harness.runs().await.len(), 2, "the same tick is the same run, whoever starts it");
    harness.finish().await;
}
