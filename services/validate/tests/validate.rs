//! `honk/validate` against a real NATS server and a real S3 protocol.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]

use honk_agent::{Action as _, JobContext};
use honk_protocol::dataset::{Place, Side};
use honk_protocol::entity::DO_NOT_MIGRATE;
use honk_protocol::name::RunId;
use honk_protocol::reason::Reason;
use honk_protocol::settle::{Again, Failed};
use honk_storage::PageCursor;
use honk_storage::probe::PROBE_FOLDER;
use honk_testkit::datasets::place;
use honk_testkit::stub::{s3_error, status};
use honk_testkit::world::job;
use honk_testkit::{Stub, World};
use honk_validate::action::Validate;
use honk_validate::estimate::Prices;
use serde_json::{Value, json};

fn validate(world: &World) -> Validate {
    Validate::new(world.registry(), world.stores.clone(), Prices::default())
}

/// The job with these `with:` values.
fn with(job: JobContext, values: &Value) -> JobContext {
    let with = values.as_object().unwrap().clone().into_iter().collect();
    JobContext { with, ..job }
}

/// Everything in the place's bucket, also what listings of datasets leave out.
async fn all_keys(world: &World, place: &Place) -> Vec<String> {
    let (store, folder) = (world.open(place).await, honk_storage::Place::from(place).key(PROBE_FOLDER));
    let mut keys = Vec::new();
    for prefix in ["", &folder] {
        let page = store.list_page(prefix, 1_000, &PageCursor::Start).await.unwrap().0;
        keys.extend(page.into_iter().map(|object| object.key));
    }
    keys
}

async fn failure(world: &World, job: &JobContext) -> Failed {
    validate(world).run(job).await.expect_err("the check must fail")
}

#[tokio::test]
async fn a_dataset_that_can_migrate_is_described_and_stays_as_it_is_however_often() {
    let world = World::start().await;
    let (source, target) = world.dataset("sales").await;
    let job = job("sales", "1", "validate");
    let first = validate(&world).run(&job).await.unwrap();
    assert_eq!((&first["objects"], &first["bytes"]), (&json!(2), &json!(9)));
    assert_eq!((&first["source"], &first["target"]), (&json!(source), &json!(target)));
    assert_eq!(first["digest"].as_str().map(str::len), Some(64));
    assert_eq!(validate(&world).run(&job).await.unwrap(), first);
    assert!(all_keys(&world, &target).await.is_empty(), "the probe is gone");
    assert_eq!((world.count(&target).await, world.count(&source).await), ((0, 0), (2, 9)), "the probe is gone");
    world.put(&source, "d.csv", "6").await;
    assert_ne!(validate(&world).run(&job).await.unwrap()["digest"], first["digest"]);
}

#[tokio::test]
async fn what_can_never_succeed_is_rejected_with_its_reason() {
    let world = World::start().await;
    let spec = json!({ "type": "dataset", "owner": "team" });
    assert_eq!(failure(&world, &job("nowhere", "1", "validate")).await.reason, Reason::EntityMissing);

    world.import("Component", "lost", &json!({}), &spec).await;
    assert_eq!(failure(&world, &job("lost", "1", "validate")).await.reason, Reason::LocationMissing);

    world.import("Component", "orphan", &json!({}), &json!({ "type": "dataset" })).await;
    assert_eq!(failure(&world, &job("orphan", "1", "validate")).await.reason, Reason::OwnerMissing);

    world.import("Component", "held", &json!({ DO_NOT_MIGRATE: "legal hold" }), &spec).await;
    let held = failure(&world, &job("held", "1", "validate")).await;
    assert_eq!((held.reason, held.again), (Reason::DoNotMigrate, Again::Never));

    let (source, target) = world.dataset("odd").await;
    let cases = [
        (source.clone(), source.clone(), Reason::LocationsOverlap),
        (world.place("odd-old", "raw/b"), source.clone(), Reason::LocationsOverlap),
        (world.place("odd-old", "none"), target.clone(), Reason::SourceEmpty),
        (world.place("absent", ""), target.clone(), Reason::SourceMissing),
        (source.clone(), world.place("absent", ""), Reason::TargetMissing),
        (place("localhost:1", "b", ""), target, Reason::StorageRefused),
    ];
    for (source, target, reason) in cases {
        world.register("odd", &source, &target).await;
        let failed = failure(&world, &job("odd", "1", "validate")).await;
        assert_eq!((failed.reason, failed.again), (reason, Again::Never), "{}", failed.message);
    }
    world.bus.locations().put("odd", "{}").await.unwrap();
    assert_eq!(failure(&world, &job("odd", "1", "validate")).await.reason, Reason::LocationMissing);
}

#[tokio::test]
async fn every_fault_of_a_store_has_its_reason_at_either_side() {
    let world = World::start().await;
    let (source, target) = world.dataset("sales").await;
    let cases = [
        (s3_error(403, "AccessDenied"), Reason::SourceDenied, Reason::TargetDenied, Again::Never),
        (s3_error(403, "InvalidAccessKeyId"), Reason::CredentialsInvalid, Reason::CredentialsInvalid, Again::Never),
        (s3_error(400, "ExpiredToken"), Reason::CredentialsInvalid, Reason::CredentialsInvalid, Again::Never),
        (s3_error(403, "RequestTimeTooSkewed"), Reason::ClockSkew, Reason::ClockSkew, Again::Later),
        (s3_error(404, "NoSuchBucket"), Reason::SourceMissing, Reason::TargetMissing, Again::Never),
        (s3_error(400, "InvalidRequest"), Reason::StorageRefused, Reason::StorageRefused, Again::Never),
        (s3_error(503, "SlowDown"), Reason::StorageThrottled, Reason::StorageThrottled, Again::Later),
        (status(500, ""), Reason::StorageUnavailable, Reason::StorageUnavailable, Again::Later),
    ];
    for (answer, at_source, at_target, again) in cases {
        let stub = Stub::start([answer.clone()]).await;
        let broken = place(&stub.url, "b", "");
        for (source, target, reason) in [(&broken, &target, at_source), (&source, &broken, at_target)] {
            world.register("sales", source, target).await;
            let failed = failure(&world, &job("sales", "1", "validate")).await;
            assert_eq!((failed.reason, failed.again), (reason, again), "{answer:?}: {}", failed.message);
        }
        assert!(!stub.requests().is_empty());
    }
}

#[tokio::test]
async fn a_store_that_cannot_be_reached_or_does_not_answer_is_tried_again() {
    let world = World::start().await;
    let (_, target) = world.dataset("sales").await;
    let gone = Stub::start([status(200, "")]).await.url;
    world.register("sales", &place(&gone, "b", ""), &target).await;
    let failed = failure(&world, &job("sales", "1", "validate")).await;
    assert_eq!((failed.reason, failed.again), (Reason::StorageUnavailable, Again::Later), "{}", failed.message);

    let silent = Stub::start([None]).await;
    world.register("sales", &place(&silent.url, "b", ""), &target).await;
    let job = job("sales", "1", "validate");
    let (failed, ()) = tokio::join!(failure(&world, &job), async {
        while silent.requests().is_empty() {
            tokio::task::yield_now().await;
        }
        job.cancelled.cancel();
    });
    assert_eq!((failed.reason, failed.again), (Reason::JobTimeout, Again::Later), "a cancelled job stops at once");
}

#[tokio::test]
async fn a_dataset_that_is_at_its_target_needs_no_source_any_more() {
    let world = World::start().await;
    let (source, target) = world.dataset("sales").await;
    let moved = world.location("sales").await.cut_over(&RunId::of_event("test", "before"), world.clock.now(), None);
    assert_eq!(moved.active, Side::Target);
    world.set_location("sales", &moved).await;
    let outputs = validate(&world).run(&job("sales", "2", "validate")).await.unwrap();
    let expected = json!({ "already_migrated": true, "source": source, "target": target });
    assert_eq!(serde_json::Value::from(outputs), expected);
}

#[tokio::test]
async fn what_is_found_is_an_output_for_people_and_later_jobs() {
    let world = World::start().await;
    let (source, target) = world.dataset("sales").await;
    world.put(&source, "a.csv", "id,at\n1,2026-01-02\n2,\n").await;
    let asked = with(job("sales", "1", "validate"), &json!({ "sample": { "objects": 4 } }));
    let outputs = validate(&world).run(&asked).await.unwrap();
    assert_eq!(outputs["lacks"], json!({ "source": {}, "target": {} }));
    assert_eq!((&outputs["warnings"], &outputs["largest"]), (&json!([]), &json!(22)));
    let schema = json!({ "object": "a.csv", "format": "csv", "columns": [
        { "name": "id", "type": "integer", "nullable": false }, { "name": "at", "type": "date", "nullable": true },
    ] });
    assert_eq!(outputs["schema"], schema);
    assert_eq!((&outputs["sample"]["objects"], &outputs["sample"]["bytes"]), (&json!(2), &json!(28)));
    let estimate = &outputs["estimate"];
    assert_eq!(estimate["requests"], json!({ "list": 8, "read": 0, "write": 2 }), "one store copies by itself");
    assert_eq!((&estimate["cost"], estimate["seconds"].is_u64()), (&json!("0.000000"), true));
    assert!(all_keys(&world, &target).await.is_empty());
}

#[tokio::test]
async fn a_workflow_says_how_thoroughly_and_a_misspelt_word_is_an_error() {
    let world = World::start().await;
    let (_, target) = world.dataset("sales").await;
    let brief = json!({ "probe": "brief", "schema": false });
    let outputs = validate(&world).run(&with(job("sales", "1", "validate"), &brief)).await.unwrap();
    assert!(!outputs.contains_key("sample") && !outputs.contains_key("schema"), "{outputs:?}");
    let misspelt = with(job("sales", "1", "validate"), &json!({ "smaple": {} }));
    let failed = failure(&world, &misspelt).await;
    assert_eq!((failed.reason, failed.again), (Reason::InputInvalid, Again::Never), "{}", failed.message);
    assert!(failed.message.contains("smaple"), "{}", failed.message);

    let needs = json!({ "probe": "brief", "needs": ["write", "tags"] });
    let failed = failure(&world, &with(job("sales", "1", "validate"), &needs)).await;
    assert_eq!((failed.reason, failed.again), (Reason::TargetUnable, Again::Never));
    assert!(failed.message.contains("tags (not tried)") && !failed.message.contains("write ("), "{}", failed.message);
    let needs = json!({ "needs": ["tags", "write-if-absent", "long-keys"] });
    validate(&world).run(&with(job("sales", "1", "validate"), &needs)).await.unwrap();

    let room = with(job("sales", "1", "validate"), &json!({ "room": 8 }));
    let failed = failure(&world, &room).await;
    assert_eq!((failed.reason, failed.again), (Reason::TargetFull, Again::Never), "{}", failed.message);
    assert!(all_keys(&world, &target).await.is_empty());
}

#[tokio::test]
async fn archived_objects_are_named_from_the_listing_and_none_is_read() {
    let world = World::start().await;
    let (_, target) = world.dataset("sales").await;
    let entry = |key: &str, class: &str| {
        format!(
            "<Contents><Key>raw/{key}</Key><ETag>\"e\"</ETag><Size>3</Size><StorageClass>{class}</StorageClass></Contents>"
        )
    };
    let entries = [entry("new", "STANDARD"), entry("old", "GLACIER"), entry("older", "DEEP_ARCHIVE")].concat();
    let body = format!("<ListBucketResult><IsTruncated>false</IsTruncated>{entries}</ListBucketResult>");
    let length = body.len();
    let head =
        format!("HTTP/1.1 200 OK\r\ncontent-type: application/xml\r\ncontent-length: {length}\r\nconnection: close");
    let stub = Stub::start([Some(format!("{head}\r\n\r\n{body}"))]).await;
    world.register("sales", &place(&stub.url, "old", "raw"), &target).await;
    let failed = failure(&world, &job("sales", "1", "validate")).await;
    assert_eq!((failed.reason, failed.again), (Reason::SourceArchived, Again::Never), "{}", failed.message);
    assert!(
        failed.message.contains("2 objects") && failed.message.contains("\"old\", \"older\""),
        "{}",
        failed.message
    );
    assert_eq!(stub.requests().len(), 1, "one page of the listing tells it");
}

#[tokio::test]
async fn keys_that_the_target_cannot_have_are_named_before_a_byte_moves() {
    let world = World::start().await;
    let (source, target) = world.dataset("sales").await;
    let key = "k".repeat(1_000);
    world.put(&source, &key, "x").await;
    let Place::S3(near) = target;
    let far = world.place(&near.bucket, &"folder/".repeat(4));
    world.register("sales", &source, &far).await;
    let failed = failure(&world, &job("sales", "1", "validate")).await;
    assert_eq!((failed.reason, failed.again), (Reason::KeyRefused, Again::Never), "{}", failed.message);
    assert!(failed.message.contains(&key), "{}", failed.message);
}

#[tokio::test]
async fn what_a_killed_attempt_left_is_no_data_and_is_removed_by_the_next() {
    let world = World::start().await;
    let (_, target) = world.dataset("sales").await;
    for left in ["plain", "sample/0", "k/a b"] {
        world.put(&target, &format!("{PROBE_FOLDER}{left}"), "left").await;
    }
    assert_eq!(world.count(&target).await, (0, 0));
    validate(&world).run(&job("sales", "1", "validate")).await.unwrap();
    assert!(all_keys(&world, &target).await.is_empty());
}
