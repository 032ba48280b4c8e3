//! The server crashes, or loses its job stream: that is delay, not loss.

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use honk_protocol::run::JobState;
use honk_protocol::topology;
use honk_testkit::runs::job;
use honk_testkit::{FaultProxy, Harness, PATIENCE, Service};

const CHAIN: &str = "
name: chain
on: dataset_onboard
retry_count: 20
backoff: {initial: 100ms, factor: 2, max: 1s}
jobs:
  validate: {steps: [{uses: honk/noop}]}
  migrate: {needs: [validate], steps: [{uses: honk/noop}]}
  notify: {needs: [migrate], steps: [{uses: honk/noop}]}
";

#[tokio::test]
async fn ten_crashes_of_the_server_under_load_lose_no_accepted_event() {
    const EVENTS: usize = 400;
    const CRASHES: usize = 10;
    let harness = Harness::start().await;
    harness.register(CHAIN).await;
    let mut events = Vec::new();
    for number in 0..EVENTS {
        events.push(harness.event_for("chain", &format!("set-{number}")).await);
    }
    let _services = harness.spawn_all();

    let load = async {
        // As many a second as makes the load outlast the crashes.
        let mut pace = tokio::time::interval(Duration::from_millis(25));
        let (mut due, mut publishing, mut runs) = (events.iter(), FuturesUnordered::new(), Vec::new());
        while runs.len() < EVENTS {
            tokio::select! {
                _ = pace.tick(), if due.len() > 0 => publishing.extend(due.next().map(|event| harness.publish(event))),
                Some(run) = publishing.next(), if !publishing.is_empty() => runs.push(run),
            }
        }
        runs
    };
    let crashes = async {
        for _ in 0..CRASHES {
            tokio::time::sleep(Duration::from_millis(600)).await;
            harness.crash_nats().await;
        }
    };
    let (runs, ()) = tokio::join!(load, crashes);
    assert_eq!(runs.len(), EVENTS, "every event was accepted in the end");
    harness.succeed(&runs, 2 * PATIENCE).await;
    assert_eq!(harness.runs().await.len(), EVENTS, "one run an event, however often it was published");
    harness.finish().await;
}

#[tokio::test]
async fn a_lost_job_stream_is_made_up_for_by_the_sweeper() {
    const RUNS: usize = 12;
    let harness = Harness::start().await;
    let slow = FaultProxy::holding_copies(&harness.s3.url()).await;
    let sweep = [("HONK_INTAKE__SWEEP_EVERY", "300ms"), ("HONK_INTAKE__SWEEP_AFTER", "3s")];
    let _intake = harness.spawn(Service::Intake, &sweep);
    let _agents = [Service::Validate, Service::Migrate, Service::Notify].map(|service| harness.spawn(service, &[]));
    let mut datasets = Vec::new();
    for number in 0..RUNS {
        datasets.push(harness.dataset_between(&format!("set-{number}"), 2, (&slow.url(), &harness.s3.url())).await);
    }
    let mut runs = Vec::new();
    for dataset in &datasets {
        runs.push(harness.migrate(dataset).await);
    }
    // Some with an agent, some still in the queue: the migrate agent has fewer slots than there are runs.
    harness
        .runs_when("every migration is due", PATIENCE, |seen| {
            let due = seen.values().filter(|run| job(run, "migrate").is_due());
            (due.count() == RUNS).then_some(())
        })
        .await;
    slow.until_holding().await;

    let raw = async_nats::connect(harness.nats_url()).await.unwrap();
    async_nats::jetstream::new(raw).delete_stream(topology::JOBS).await.unwrap();
    harness.bus.provision(&harness.topology).await.unwrap();
    slow.release();

    let records = harness.succeed(&runs, 2 * PATIENCE).await;
    let again = records.iter().filter(|run| run.jobs.iter().any(|job| job.generation > 1)).count();
    println!("{again} of {RUNS} runs were dispatched anew");
    assert!(again > 0, "the sweeper had something to do");
    assert!(records.iter().all(|run| run.jobs.iter().all(|job| job.state == JobState::Success)));
    for (dataset, run) in datasets.iter().zip(&runs) {
        harness.assert_migrated(dataset, run).await;
    }
    assert_eq!(harness.cut_overs().await, RUNS as u64, "each was cut over once");
    harness.finish().await;
}
