//! Agents of one's own in Rust: the example of `shared/sdk`, as a real process, called by a workflow.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, also in its helpers")]

use std::path::Path;

use honk_protocol::reason::Reason;
use honk_protocol::run::{JobState, RunState};
use honk_testkit::binaries::example;
use honk_testkit::runs::{job, show};
use honk_testkit::{Harness, Options, PATIENCE, Service};
use serde_json::{Map, json};
use tempfile::TempDir;

/// The workflow that lies beside the example, over the files of `folder`.
fn workflow(folder: &Path) -> String {
    let text = include_str!("../../shared/sdk/examples/row_count/count-rows.yml");
    assert!(text.contains("folder: /data"));
    let text = text.replace("/data", folder.to_str().unwrap());
    text.replace("retry_count: 3", "retry_count: 100\nbackoff: {initial: 50ms, max: 100ms}")
}

async fn with_pool() -> Harness {
    Harness::with(Options { pools: vec!["checks".parse().unwrap()], ..Options::default() }).await
}

#[tokio::test]
async fn a_function_serves_a_pool_with_typed_parameters_and_outputs() {
    let harness = with_pool().await;
    let data = TempDir::new().unwrap();
    let _intake = harness.spawn(Service::Intake, &[]);
    let mut agent = harness.spawn_binary(&example("row_count"), &[("HONK_AGENT__SLOTS", "2")]);
    harness.register(&workflow(data.path())).await;
    std::fs::write(data.path().join("three.csv"), "name\na\nb\nc\n").unwrap();
    std::fs::write(data.path().join("none.csv"), "name\n").unwrap();

    let run = harness.run_workflow("count-rows", "three", Map::new()).await;
    let run = harness.finished(&run).await;
    assert_eq!((run.state, &job(&run, "count").outputs["rows"]), (RunState::Success, &json!(3)), "{}", show(&run));

    let run = harness.run_workflow("count-rows", "none", Map::new()).await;
    let run = harness.finished(&run).await;
    let failure = job(&run, "count").failure.as_ref().unwrap();
    assert_eq!((job(&run, "count").state, failure.reason), (JobState::Dead, Reason::ActionRejected), "{}", show(&run));
    assert!(failure.message.contains("0 rows, and at least 1"), "{}", failure.message);

    // A file that is late is waited for.
    let run = harness.run_workflow("count-rows", "late", Map::new()).await;
    harness.run_when(&run, "is tried again", |run| job(run, "count").failure.is_some()).await;
    std::fs::write(data.path().join("late.csv"), "name\na\n").unwrap();
    let run = harness.finished(&run).await;
    let count = job(&run, "count");
    assert_eq!((run.state, count.failure.as_ref().unwrap().reason), (RunState::Success, Reason::ActionFailed));

    harness.nothing_is_pending().await;
    agent.sigterm();
    assert!(agent.ended(PATIENCE).await.success(), "an idle agent stops in order");
    harness.finish_with(&[Reason::ActionRejected]).await;
}

#[tokio::test]
async fn an_agent_of_a_pool_that_does_not_exist_says_how_it_is_made() {
    let harness = Harness::start().await;
    let mut agent = harness.spawn_binary(&example("row_count"), &[]);
    assert_eq!(agent.ended(PATIENCE).await.code(), Some(1));
    let log = agent.log();
    assert!(log.contains("cannot serve the pool `checks`") && log.contains("honk provision --pool checks"), "{log}");
    harness.finish().await;
}
