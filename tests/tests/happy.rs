//! One event becomes a verified migration, through the real intake, validate, migrate and notify.

use honk_protocol::notice::{DATASET_MIGRATED, Notice};
use honk_protocol::run::{JobState, RunState};
use honk_protocol::topology;
use honk_testkit::harness::WEBHOOK_SECRET;
use honk_testkit::runs::job;
use honk_testkit::{Harness, PATIENCE, Receiver};
use serde_json::json;
use standardwebhooks::Webhook;

#[tokio::test]
async fn one_event_becomes_a_verified_migration_and_a_signed_notice() {
    let harness = Harness::start().await;
    let receiver = Receiver::start().await;
    harness.import("team", "Group", &json!({ "honk/notify-url": receiver.url() }), &json!({})).await;
    let dataset = harness.dataset("sales", 12).await;
    let _services = harness.spawn_all();

    let run = harness.migrate(&dataset).await;
    let record = harness.succeed(std::slice::from_ref(&run), PATIENCE).await.remove(0);

    harness.assert_migrated(&dataset, &run).await;
    let [validated, migrated] = ["validate", "migrate"].map(|name| &job(&record, name).outputs);
    assert_eq!(
        (&validated["objects"], &migrated["objects"], &migrated["copied"]),
        (&json!(12), &json!(12), &json!(12))
    );
    assert_eq!(validated["digest"], migrated["digest"], "what was verified is what was validated");
    assert_eq!((record.attempts(), harness.cut_overs().await, harness.notices().await), (3, 1, 1));

    let webhooks = receiver.received();
    assert_eq!(webhooks.len(), 1);
    Webhook::new(WEBHOOK_SECRET).unwrap().verify(&webhooks[0].body, &webhooks[0].headers).unwrap();
    let notice: Notice = serde_json::from_slice(&webhooks[0].body).unwrap();
    assert_eq!((notice.kind.as_str(), notice.data.run, notice.data.objects), (DATASET_MIGRATED, run, 12));
    harness.finish().await;
}

#[tokio::test]
async fn every_job_of_a_diamond_runs_once_and_in_order() {
    const RUNS: usize = 40;
    let harness = Harness::start().await;
    harness
        .register(
            "
name: diamond
on: dataset_onboard
jobs:
  begin: {runs-on: validate, steps: [{uses: honk/noop}]}
  left: {needs: [begin], runs-on: migrate, steps: [{uses: honk/noop}]}
  right: {needs: [begin], runs-on: notify, steps: [{uses: honk/noop}]}
  again: {needs: [begin], runs-on: validate, steps: [{uses: honk/noop}]}
  join: {needs: [left, right, again], runs-on: migrate, steps: [{uses: honk/noop}]}
",
        )
        .await;
    let _services = harness.spawn_all();
    let mut runs = Vec::new();
    for number in 0..RUNS {
        let event = harness.event_for("diamond", &format!("set-{number}")).await;
        runs.push(harness.publish(&event).await);
    }
    for run in harness.succeed(&runs, PATIENCE).await {
        assert!(run.jobs.iter().all(|job| job.state == JobState::Success && (job.generation, job.attempt) == (1, 1)));
        let ended = |name: &str| job(&run, name).finished_at.unwrap();
        assert!(
            ["left", "right", "again"].iter().all(|name| ended("begin") <= ended(name) && ended(name) <= ended("join"))
        );
        assert_eq!(run.state, RunState::Success);
    }
    let dispatched = harness.bus.changes(topology::JOBS, 1).await.unwrap();
    assert_eq!(
        (dispatched.len(), dispatched.last().unwrap().sequence),
        (5 * RUNS, 5 * RUNS as u64),
        "one message a job"
    );
    harness.finish().await;
}
