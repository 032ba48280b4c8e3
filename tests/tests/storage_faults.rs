//! An S3 server that fails, hangs, breaks off or lies: the migration succeeds after all, or it fails loudly; it never says that it
//! succeeded when it did not.

#![expect(clippy::print_stdout, reason = "the faults that really happened are part of the result")]

use std::time::Duration;

use futures_util::future::join_all;
use honk_protocol::reason::Reason;
use honk_protocol::run::{Run, RunState};
use honk_testkit::proxy::{Request, seeded};
use honk_testkit::runs::job;
use honk_testkit::{Fault, FaultProxy, Harness, PATIENCE, Process, Service};

const OBJECTS: usize = 60;

/// Deadlines that a test can wait for.
const HASTY: [(&str, &str); 3] = [
    ("HONK_STORAGE__REQUEST_TIMEOUT_MS", "2000"),
    ("HONK_STORAGE__CONNECT_TIMEOUT_MS", "1000"),
    ("HONK_STORAGE__STALL_TIMEOUT_MS", "1000"),
];

fn spawn(harness: &Harness) -> Vec<Process> {
    Service::ALL.map(|service| harness.spawn(service, &HASTY)).into()
}

/// A migration through two proxies that do `faults` to a fifth of the requests that `of` chooses ends in success, and is one.
async fn survives(seed: u64, faults: &[Fault], of: fn(&Request<'_>) -> bool) {
    let harness = Harness::start().await;
    let source = FaultProxy::before(&harness.s3.url(), seeded(seed, 20, faults.to_vec(), of)).await;
    let target = FaultProxy::before(&harness.s3.url(), seeded(seed + 1, 20, faults.to_vec(), of)).await;
    let _services = spawn(&harness);
    let dataset = harness.dataset_between("sales", OBJECTS, (&source.url(), &target.url())).await;
    let run = harness.migrate(&dataset).await;
    harness.succeed(std::slice::from_ref(&run), 2 * PATIENCE).await;
    harness.assert_migrated(&dataset, &run).await;
    assert_eq!(harness.cut_overs().await, 1, "it was cut over once");
    println!("seed {seed}: {source:?}, {target:?}");
    for fault in faults {
        assert!(source.done(*fault) + target.done(*fault) > 0, "{fault:?} never happened");
    }
    harness.finish().await;
}

fn any(_: &Request<'_>) -> bool {
    true
}

fn reads(request: &Request<'_>) -> bool {
    request.reads_object()
}

#[tokio::test]
async fn server_errors_and_throttling_are_tried_again() {
    survives(1, &[Fault::Answer(500), Fault::Answer(503), Fault::Answer(429)], any).await;
}

#[tokio::test]
async fn connections_that_break_off_or_lose_their_answer_are_tried_again() {
    survives(2, &[Fault::Reset, Fault::LoseAnswer], any).await;
}

#[tokio::test]
async fn a_body_that_hangs_is_given_up_and_read_again() {
    survives(3, &[Fault::Hang], reads).await;
}

#[tokio::test]
async fn truncated_and_wrong_bodies_with_status_200_are_noticed_and_read_again() {
    survives(4, &[Fault::Truncate, Fault::WrongByte], reads).await;
}

/// A migration during which `fault` happens to every read of one object for ever.
async fn fails(fault: Fault, timeout: &str) -> (Run, Reason) {
    let harness = Harness::start().await;
    harness
        .register(&format!(
            "
name: migrate-dataset
on: dataset_onboard
retry_count: 1
backoff: {{initial: 100ms, factor: 1, max: 100ms}}
jobs:
  validate: {{steps: [{{uses: honk/validate}}]}}
  migrate: {{needs: [validate], timeout: {timeout}, steps: [{{uses: honk/migrate}}]}}
"
        ))
        .await;
    let rule = move |request: &Request<'_>| {
        let hit = request.reads_object() && request.path.contains("part-0003");
        if hit { fault } else { Fault::None }
    };
    let source = FaultProxy::before(&harness.s3.url(), rule).await;
    let _services = spawn(&harness);
    let dataset = harness.dataset_between("sales", 6, (&source.url(), &harness.s3.url())).await;
    let run = harness.migrate(&dataset).await;
    let record = harness.run_when(&run, "fails", |run| run.state.is_finished()).await;
    harness.assert_not_migrated(&dataset).await;
    assert!(source.done(fault) > 1, "it was tried again");
    let letters = harness.dead_letters_when(1).await;
    assert!(!letters[0].error.is_empty());
    let reason = letters[0].reason;
    harness.finish_with(&[reason]).await;
    (record, reason)
}

#[tokio::test]
async fn wrong_bytes_for_ever_fail_loudly_within_the_jobs_time() {
    let faults = [Fault::WrongByte, Fault::Truncate, Fault::Answer(503)];
    let all = join_all(faults.map(async |fault| (fault, fails(fault, "4s").await)));
    for (fault, (record, reason)) in all.await {
        assert_eq!(reason, Reason::JobTimeout, "{fault:?}");
        assert_eq!((record.state, job(&record, "migrate").attempt), (RunState::Timeout, 2), "{fault:?}");
    }
}

#[tokio::test]
async fn a_storage_that_is_gone_is_reported_as_such() {
    let harness = Harness::start().await;
    harness
        .register(
            "
name: migrate-dataset
on: dataset_onboard
retry_count: 1
backoff: {initial: 100ms, factor: 1, max: 100ms}
jobs:
  validate: {steps: [{uses: honk/validate}]}
",
        )
        .await;
    let _services = spawn(&harness);
    for (status, reason, name) in [
        (500, Reason::StorageUnavailable, "broken"),
        (503, Reason::StorageThrottled, "busy"),
        (429, Reason::StorageThrottled, "throttled"),
    ] {
        let proxy = FaultProxy::before(&harness.s3.url(), move |_| Fault::Answer(status)).await;
        let dataset = harness.dataset_between(name, 1, (&proxy.url(), &harness.s3.url())).await;
        let run = harness.migrate(&dataset).await;
        let record = harness.finished(&run).await;
        let validate = job(&record, "validate");
        let failure = validate.failure.as_ref().unwrap();
        assert_eq!((record.state, failure.reason, validate.attempt), (RunState::Error, reason, 2), "{failure:?}");
        harness.assert_not_migrated(&dataset).await;
    }
    harness.finish_with(&[Reason::StorageUnavailable, Reason::StorageThrottled, Reason::StorageThrottled]).await;
}

#[tokio::test]
async fn corrupt_bytes_that_outlast_all_patience_are_reported_as_corrupt() {
    // The engine's own patience (a dozen tries with growing pauses) comes before the job's retries.
    let begin = tokio::time::Instant::now();
    let harness = Harness::start().await;
    harness
        .register(
            "
name: migrate-dataset
on: dataset_onboard
retry_count: 0
jobs:
  validate: {steps: [{uses: honk/validate}]}
  migrate: {needs: [validate], steps: [{uses: honk/migrate}]}
",
        )
        .await;
    let lie = |request: &Request<'_>| if request.reads_object() { Fault::WrongByte } else { Fault::None };
    let source = FaultProxy::before(&harness.s3.url(), lie).await;
    let _services = spawn(&harness);
    let dataset = harness.dataset_between("sales", 1, (&source.url(), &harness.s3.url())).await;
    let run = harness.migrate(&dataset).await;
    let limit = 3 * PATIENCE;
    let record = harness
        .runs_when("the run fails", limit, |seen| seen.get(&run).filter(|run| run.state.is_finished()).cloned())
        .await;
    assert_eq!(record.state, RunState::Error);
    assert!(begin.elapsed() < Duration::from_secs(150), "patience is bounded");
    harness.assert_not_migrated(&dataset).await;
    harness.finish_with(&[Reason::CopyCorrupt]).await;
}
