//! `honk/validate` against a real NATS server and a real S3 protocol.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]

use honk_agent::{Action as _, JobContext};
use honk_protocol::dataset::Side;
use honk_protocol::entity::DO_NOT_MIGRATE;
use honk_protocol::name::RunId;
use honk_protocol::reason::Reason;
use honk_protocol::settle::{Again, Failed};
use honk_testkit::datasets::place;
use honk_testkit::stub::{s3_error, status};
use honk_testkit::world::job;
use honk_testkit::{Stub, World};
use honk_validate::action::Validate;
use serde_json::json;

fn validate(world: &World) -> Validate {
    Validate { registry: world.registry(), stores: world.stores.clone() }
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
        (s3_error(403, "InvalidAccessKeyId"), Reason::SourceDenied, Reason::TargetDenied, Again::Never),
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
