//! A migration that nobody notices: while thousands of objects are copied by agents that are killed every second, from and to a store
//! that fails a tenth of all requests, writers add, change and delete objects and readers read. In the end the target is the source,
//! object by object, the evidence says so, no reader has seen an error or a mixture, and hardly a byte was copied twice.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, also in its helpers")]

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use honk_protocol::dataset::Side;
use honk_protocol::evidence::Evidence;
use honk_protocol::run::RunState;
use honk_storage::{Attributes, ErrorKind, Store};
use honk_testkit::datasets::content;
use honk_testkit::harness::{SOURCE_BUCKET, TARGET_BUCKET};
use honk_testkit::proxy::{Request, seeded};
use honk_testkit::runs::{job, show};
use honk_testkit::{Dataset, Fault, FaultProxy, Harness, Process, Service};
use serde_json::json;
use tokio_util::sync::CancellationToken;

const OBJECTS: usize = 5_000;
/// Objects that writers leave alone, so that readers know what they must find.
const STABLE: usize = 500;
/// Changes and kills, after which both come to rest: on a machine that is slow enough neither would ever let a migration end.
const CHANGES: u64 = 400;
const KILLS: u32 = 40;
const LIMIT: Duration = Duration::from_mins(10);

const WORKFLOW: &str = "
name: live
on: dataset_onboard
retry_count: 90
backoff: { initial: 100ms, max: 1s }
jobs:
  migrate:
    timeout: 10m
    steps:
      - uses: honk/migrate
        with:
          chunk: { objects: 250 }
          cut_over: { drain: 1s, max_hold: 60s, rounds: 30 }
";

const HASTY: [(&str, &str); 3] = [
    ("HONK_STORAGE__REQUEST_TIMEOUT_MS", "5000"),
    ("HONK_STORAGE__CONNECT_TIMEOUT_MS", "1000"),
    ("HONK_STORAGE__STALL_TIMEOUT_MS", "2000"),
];

fn key(number: usize) -> String {
    format!("sales/part-{number:05}.csv")
}

/// The text says which object and which version it is.
fn text(number: usize, version: u64) -> Bytes {
    Bytes::from(format!("{number},{version}\n").repeat(40))
}

async fn fill(store: &Store) {
    let puts = (0..OBJECTS).map(|number| {
        let store = store.clone();
        async move { store.put_small(&key(number), text(number, 0), &Attributes::default()).await.unwrap() }
    });
    stream::iter(puts).buffer_unordered(32).collect::<Vec<_>>().await;
}

/// Writes to wherever the location says, and waits while somebody holds it; ends when the target is active, or after enough changes.
async fn write(harness: &Harness, dataset: &Dataset, store: &Store, stop: &CancellationToken) -> u64 {
    let mut writes = 0;
    while !stop.is_cancelled() && writes < CHANGES {
        let location = harness.location(dataset).await;
        if location.active == Side::Target {
            break;
        }
        if location.hold.is_some() {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        }
        writes += 1;
        let number = fastrand::usize(STABLE..OBJECTS + 200);
        if fastrand::u8(..4) == 0 {
            store.delete(&key(number)).await.unwrap();
        } else {
            store.put_small(&key(number), text(number, writes), &Attributes::default()).await.unwrap();
        }
        // Some dozens of changes a second, so that the source comes to rest sooner or later.
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    writes
}

/// Resolves and reads, again and again: what must be there is there, and an object is of one version alone.
async fn read(harness: &Harness, dataset: &Dataset, stores: &[Store; 2], stop: &CancellationToken) -> u64 {
    let mut reads = 0;
    while !stop.is_cancelled() {
        let location = harness.location(dataset).await;
        let store = &stores[usize::from(location.active == Side::Target)];
        let number = if reads % 2 == 0 { fastrand::usize(..STABLE) } else { fastrand::usize(STABLE..OBJECTS) };
        match store.get(&key(number), None, None).await {
            Ok(found) => {
                let bytes = found.collect().await.unwrap();
                let first = bytes.split(|byte| *byte == b'\n').next().unwrap();
                assert!(bytes.split(|byte| *byte == b'\n').take(40).all(|line| line == first), "a mixture of versions");
                assert!(first.starts_with(format!("{number},").as_bytes()), "another object");
            }
            // Writers delete some, and a reader that was told the source may come when they have.
            Err(error) => assert!(number >= STABLE && error.kind() == ErrorKind::NoSuchKey, "{error}"),
        }
        reads += 1;
    }
    reads
}

/// Kills one of the agents every second, and starts another.
async fn kill(harness: &Harness, agents: &mut [Process], stop: &CancellationToken) -> u32 {
    let mut kills = 0;
    let mut every = tokio::time::interval(Duration::from_secs(1));
    every.tick().await;
    while kills < KILLS && stop.run_until_cancelled(every.tick()).await.is_some() {
        let victim = fastrand::usize(..agents.len());
        agents[victim].kill9().await;
        agents[victim] = harness.spawn(Service::Migrate, &HASTY);
        kills += 1;
    }
    kills
}

/// How often each object was written to the target, by name.
type Written = Arc<Mutex<HashMap<String, u64>>>;

/// A tenth of all requests fail; the writes that pass are counted.
async fn faulty(harness: &Harness, seed: u64, written: &Written) -> FaultProxy {
    let fails = seeded(seed, 10, vec![Fault::Answer(500), Fault::Answer(503)], |_: &Request<'_>| true);
    let written = Arc::clone(written);
    FaultProxy::before(&harness.s3.url(), move |request| {
        let fault = fails(request);
        if fault == Fault::None && request.writes_object() {
            *written.lock().unwrap().entry(request.path.to_owned()).or_default() += 1;
        }
        fault
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_notices_a_migration_on_failing_machines() {
    let harness = Harness::start().await;
    harness.register(WORKFLOW).await;
    let _intake = harness.spawn(Service::Intake, &[]);
    let written = Written::default();
    let (from, to) = (faulty(&harness, 1, &Written::default()).await, faulty(&harness, 2, &written).await);
    let stores = [harness.store(SOURCE_BUCKET).await, harness.store(TARGET_BUCKET).await];
    fill(&stores[0]).await;
    let dataset = harness.dataset_between("sales", 0, (&from.url(), &to.url())).await;
    let mut agents: Vec<Process> = (0..3).map(|_| harness.spawn(Service::Migrate, &HASTY)).collect();
    let id = harness.run_workflow("live", "sales", serde_json::Map::new()).await;

    let (stop, writes) = (CancellationToken::new(), AtomicU64::new(0));
    let migrate = async {
        let run = harness.runs_when("the run to end", LIMIT, |runs| {
            runs.values().find(|run| run.id == id && run.state.is_finished()).cloned()
        });
        let run = run.await;
        stop.cancel();
        run
    };
    let writing = async { writes.store(write(&harness, &dataset, &stores[0], &stop).await, Ordering::Relaxed) };
    let reading = futures_util::future::join_all((0..4).map(|_| read(&harness, &dataset, &stores, &stop)));
    let (run, (), reads, kills) = tokio::join!(migrate, writing, reading, kill(&harness, &mut agents, &stop));

    assert_eq!(run.state, RunState::Success, "{}", show(&run));
    let (source, target) = (content(&stores[0], "sales/").await, content(&stores[1], "sales/").await);
    assert_eq!(source.len(), target.len());
    assert!(source == target, "source and target differ");
    let evidence: Evidence = serde_json::from_value(job(&run, "migrate").outputs["evidence"].clone()).unwrap();
    assert_eq!((evidence.target.objects, &evidence.source.digest), (source.len() as u64, &evidence.target.digest));
    assert_eq!(evidence.late, Some(honk_protocol::evidence::Late::default()));
    let writes = writes.load(Ordering::Relaxed);
    let all: u64 = written.lock().unwrap().values().sum();
    // Each object once, and what was changed meanwhile once more.
    let twice = all.saturating_sub(OBJECTS as u64 + writes);
    let reads: u64 = reads.iter().sum();
    println!(
        "{kills} kills, {writes} changes, {reads} reads, {all} writes at the target, {twice} of them twice, faults {:?} and {:?}\n{}",
        from.counts(),
        to.counts(),
        evidence.to_markdown()
    );
    assert!(kills > 2 && writes > 20 && reads > 1_000, "the test has shown nothing");
    assert!(twice * 20 < OBJECTS as u64, "{twice} objects were copied twice");
    assert_eq!(harness.location(&dataset).await.epoch, 2, "{}", json!(run));
    harness.finish().await;
}
