//! Runs: listed, shown, watched.

use futures_util::StreamExt;
use honk_agent::ledger::{Recorded, Trace};
use honk_api::wire::{DatasetView, RunPage, RunUpdate, RunView};
use honk_protocol::live::Progress;
use honk_protocol::name::RunId;
use honk_protocol::run::{Fence, Outputs, RunEvent, RunState};
use honk_protocol::subject::LiveSubject;
use reqwest::Method;
use serde_json::json;

use crate::harness::{PATIENCE, World, dataset, problem};

async fn complete(world: &World, id: &RunId, job: &str) -> Recorded {
    let known = world.ledger.get(&dataset("d"), id).await.unwrap();
    let outputs: Outputs = serde_json::from_value(json!({"objects": 3, "bytes": 4096})).unwrap();
    let fence = Fence { generation: 1, attempt: 1 };
    let event = RunEvent::Completed { job: job.parse().unwrap(), fence, outputs };
    world.ledger.advance(&known, &event, &Trace::default()).await.unwrap()
}

#[tokio::test]
async fn runs_are_found_by_dataset_and_state_newest_first_and_page_by_page() {
    let world = World::start().await;
    let mut made = Vec::new();
    for number in 0..7 {
        made.push(world.run(if number % 2 == 0 { "even" } else { "odd" }, &number.to_string()).await.id);
    }
    made.reverse();
    let ids = |page: &RunPage| page.runs.iter().map(|run| run.id.clone()).collect::<Vec<_>>();
    // Superseded runs may change after the last one was made.
    let page: RunPage = world.eventually("/api/runs", |page: &RunPage| page.runs.len() == 7).await;
    assert_eq!(ids(&page), made);
    let mut found = Vec::new();
    let mut path = "/api/runs?limit=3".to_owned();
    loop {
        let page: RunPage = world.get(&path).await;
        found.extend(ids(&page));
        let Some(next) = page.next else { break };
        path = format!("/api/runs?limit=3&cursor={next}");
    }
    assert_eq!(found, made);
    let live: RunPage = world.get("/api/runs?dataset=odd&state=running&workflow=w").await;
    assert_eq!(ids(&live), [made[5].clone()]);
    assert_eq!(world.get::<RunPage>("/api/runs?workflow=other").await, RunPage::default());
    for query in ["limit=0", "limit=501", "limit=x", "state=done", "datset=odd", "cursor=x", "dataset=a%2Fb"] {
        problem(world.send(Method::GET, &format!("/api/runs?{query}"), "").await, 422, "query-invalid").await;
    }
}

#[tokio::test]
async fn a_run_shows_its_jobs_and_what_they_left() {
    let world = World::start().await;
    world.import("d").await;
    let run = world.run("d", "1").await;
    complete(&world, &run.id, "a").await;
    complete(&world, &run.id, "b").await;
    let path = format!("/api/runs/{}", run.id);
    let shown: RunView = world.eventually(&path, |run: &RunView| run.state == RunState::Success).await;
    assert_eq!((shown.objects, shown.bytes, shown.attempts), (Some(3), Some(4096), 2));
    assert_eq!(shown.jobs[1].needs[0].as_str(), "a");
    assert_eq!(shown.trace_id, None);
    let dataset: DatasetView = world.get("/api/datasets/d").await;
    assert_eq!(dataset.last_run.unwrap().id, run.id);
    problem(world.send(Method::GET, "/api/runs/r00000000000000000000", "").await, 404, "run-unknown").await;
    problem(world.send(Method::GET, "/api/runs/x", "").await, 422, "name-invalid").await;
}

/// Reads server-sent events as their specification has it, as far as this server goes.
struct Events {
    body: futures_util::stream::BoxStream<'static, reqwest::Result<bytes::Bytes>>,
    text: String,
}

impl Events {
    async fn open(world: &World, id: &RunId) -> Self {
        let response = world.send(Method::GET, &format!("/api/runs/{id}/watch"), "").await;
        assert_eq!(
            (response.status().as_u16(), &response.headers()["content-type"]),
            (200, &"text/event-stream".parse().unwrap())
        );
        Self { body: response.bytes_stream().boxed(), text: String::new() }
    }

    async fn next(&mut self) -> Option<RunUpdate> {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let event: String = self.text.drain(..end + 2).collect();
                let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
                let update = field("event:").and_then(|name| RunUpdate::read(name, field("data:").unwrap()).unwrap());
                if update.is_some() {
                    return update;
                }
                continue;
            }
            let chunk = tokio::time::timeout(PATIENCE, self.body.next()).await.expect("an event in time")?;
            self.text += std::str::from_utf8(&chunk.unwrap()).unwrap();
        }
    }
}

#[tokio::test]
async fn a_watch_shows_the_run_at_once_then_changes_and_progress_and_ends_with_it() {
    let world = World::start().await;
    let run = world.run("d", "1").await;
    let mut events = Events::open(&world, &run.id).await;
    let Some(RunUpdate::Run(first)) = events.next().await else { panic!("the run comes first") };
    assert_eq!((first.id, first.state), (run.id.clone(), RunState::Running));

    let progress = Progress { attempt: 1, agent: "agent".into(), objects: 5, ..Progress::default() };
    let subject = LiveSubject { run: run.id.clone(), job: "a".parse().unwrap() }.to_string();
    world.bus.signal(subject, serde_json::to_vec(&progress).unwrap()).await.unwrap();
    let Some(RunUpdate::Progress(seen)) = events.next().await else { panic!("progress comes next") };
    assert_eq!((seen.job.as_str(), seen.progress), ("a", progress));

    complete(&world, &run.id, "a").await;
    complete(&world, &run.id, "b").await;
    let mut last = RunState::Running;
    loop {
        match events.next().await {
            Some(RunUpdate::Run(run)) => last = run.state,
            Some(RunUpdate::End(end)) => {
                assert_eq!((end.run, end.state, last), (run.id.clone(), RunState::Success, RunState::Success));
                break;
            }
            other => panic!("unexpected: {other:?}"),
        }
    }
    assert!(events.next().await.is_none(), "nothing follows the end");

    let mut late = Events::open(&world, &run.id).await;
    assert!(matches!(late.next().await, Some(RunUpdate::Run(_))));
    assert!(matches!(late.next().await, Some(RunUpdate::End(_))));
    assert!(late.next().await.is_none());
}

#[tokio::test]
async fn a_watch_waits_for_a_run_that_was_asked_for_a_moment_ago() {
    let world = World::start().await;
    let id = RunId::of_event("test", "1");
    let (mut events, run) = tokio::join!(Events::open(&world, &id), world.run("d", "1"));
    assert_eq!(run.id, id);
    assert!(matches!(events.next().await, Some(RunUpdate::Run(_))));
    let nobody = world.send(Method::GET, "/api/runs/r00000000000000000000/watch", "").await;
    problem(nobody, 404, "run-unknown").await;
}

#[tokio::test]
async fn a_watch_does_not_hold_up_the_end_of_the_process() {
    let world = World::start().await;
    let run = world.run("d", "1").await;
    let mut events = Events::open(&world, &run.id).await;
    assert!(events.next().await.is_some());
    world.stop().await;
    assert!(events.next().await.is_none());
}

#[tokio::test]
async fn a_run_is_paused_resumed_cancelled_and_done_again() {
    let world = World::start().await;
    world.import("d").await;
    let run = world.run("d", "1").await;
    let control = async |control: &str| world.send(Method::POST, &format!("/api/runs/{}/{control}", run.id), "").await;
    let state = async |word: &str| -> RunView { control(word).await.json().await.unwrap() };
    assert!(state("pause").await.paused);
    assert!(!state("resume").await.paused);
    problem(control("retry").await, 409, "not-allowed-now").await;
    assert_eq!(state("cancel").await.state, RunState::Cancelled);
    assert_eq!(state("cancel").await.state, RunState::Cancelled, "again, it changes nothing");
    problem(control("pause").await, 409, "not-allowed-now").await;
    let other = world.run("d", "2").await;
    problem(control("retry").await, 409, "dataset-busy").await;
    let path = format!("/api/runs/{}/cancel", other.id);
    assert!(world.send(Method::POST, &path, "").await.status().is_success());
    let again = state("retry?failed_only=true").await;
    assert_eq!((again.state, again.jobs[0].generation), (RunState::Running, 2));
    problem(control("explode").await, 404, "control-unknown").await;
    let unknown = "/api/runs/r00000000000000000000/cancel";
    problem(world.send(Method::POST, unknown, "").await, 404, "run-unknown").await;
}
