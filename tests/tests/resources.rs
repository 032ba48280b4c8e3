//! What the services take: next to nothing at rest, and a bounded amount of memory whatever they copy.

use std::time::Duration;

use bytes::Bytes;
use honk_protocol::topology::Settings;
use honk_storage::{Algorithm, Attributes, Place};
use honk_testkit::datasets::content;
use honk_testkit::harness::{TARGET_BUCKET, s3};
use honk_testkit::{Dataset, Harness, Options, PATIENCE, Process, Service};
use serde_json::json;

const MIB: u64 = 1 << 20;

/// Most of a core that a service at rest may take.
const REST_CPU: f64 = 0.01;
/// Memory of a service at rest.
const REST_MEMORY: u64 = 64 * MIB;
/// Memory of a migrate agent, whatever it copies.
const COPY_MEMORY: u64 = 256 * MIB;

/// Long enough for the kernel's ticks of 10 ms to tell 1 % from 0.5 %.
const WATCHED: Duration = Duration::from_secs(4);

/// The object that is copied: in parts, larger than the agent may be.
const PARTS: u64 = 20;
const PART: u64 = 15 * MIB;

#[tokio::test]
async fn services_at_rest_take_next_to_nothing() {
    let harness = Harness::start().await;
    let services = harness.spawn_all();
    let dataset = harness.dataset("sales", 5).await;
    let run = harness.migrate(&dataset).await;
    harness.succeed(&[run], PATIENCE).await;
    harness.nothing_is_pending().await;

    let before: Vec<Duration> = services.iter().map(Process::cpu).collect();
    tokio::time::sleep(WATCHED).await;
    for ((service, process), before) in Service::ALL.iter().zip(&services).zip(before) {
        let share = process.cpu().checked_sub(before).unwrap().as_secs_f64() / WATCHED.as_secs_f64();
        let (resident, _) = process.memory();
        println!("{service:?}: {} MiB, {:.2} % of a core", resident / MIB, share * 100.0);
        assert!(share < REST_CPU, "{service:?} takes {share} of a core at rest");
        assert!(resident < REST_MEMORY, "{service:?} takes {} MiB at rest", resident / MIB);
    }
    harness.finish().await;
}

#[tokio::test]
async fn a_migrate_agent_stays_small_while_it_copies_a_large_object_between_two_stores() {
    // An unoptimised build may be busy for longer than the tests' short ack wait, so this one has production's.
    let ack_wait = Settings::default().ack_wait;
    let harness = Harness::with(Options { ack_wait, ..Options::default() }).await;
    let far = s3().await;
    let there = harness.stores.open(&Place::new(TARGET_BUCKET, "").at(far.url())).await.unwrap();
    there.create_bucket().await.unwrap();
    let here = harness.store("old").await;
    let upload = here.create_upload("large/object.bin", &Attributes::default(), Algorithm::Crc64Nvme).await.unwrap();
    let mut parts = Vec::new();
    for number in 1..=PARTS {
        let byte = u8::try_from(number).unwrap();
        let bytes = Bytes::from(vec![byte; usize::try_from(PART).unwrap()]);
        parts.push(upload.part(i32::from(byte), bytes).await.unwrap());
    }
    upload.complete(&parts).await.unwrap();
    harness.import("large", "Resource", &json!({}), &json!({ "type": "dataset", "owner": "team" })).await;
    harness.locate("large", (&harness.s3.url(), &far.url())).await;
    let dataset = Dataset { name: "large".parse().unwrap() };

    let _others = [Service::Intake, Service::Validate, Service::Notify].map(|service| harness.spawn(service, &[]));
    let migrate = harness.spawn(Service::Migrate, &[]);
    let run = harness.migrate(&dataset).await;
    harness.succeed(std::slice::from_ref(&run), 3 * PATIENCE).await;
    let (_, highest) = migrate.memory();
    println!("migrate: at most {} MiB while it copied {} MiB", highest / MIB, PARTS * PART / MIB);
    assert!(highest < COPY_MEMORY, "{} MiB", highest / MIB);
    let (old, new) = (content(&here, "large/").await, content(&there, "large/").await);
    assert_eq!((new.len(), &new), (1, &old));
    assert_eq!(harness.location(&dataset).await.run, Some(run));
    harness.finish().await;
}
