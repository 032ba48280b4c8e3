//! `honk/migrate` against a real NATS server and a real S3 protocol: what it does to the dataset's location, and when not.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]

use std::sync::atomic::Ordering;

use honk_agent::{Action as _, JobContext};
use honk_migrate::action::Migrate;
use honk_migrate::book::Book;
use honk_migrate::copy::CopySettings;
use honk_migrate::metrics::MigrateMetrics;
use honk_migrate::transform::TransformSettings;
use honk_protocol::dataset::{Location, LocationSpec, Side};
use honk_protocol::name::RunId;
use honk_protocol::reason::Reason;
use honk_protocol::run::Fence;
use honk_protocol::settle::Again;
use honk_testkit::World;
use honk_testkit::world::{after, job};
use serde_json::json;

fn migrate(world: &World) -> Migrate {
    Migrate {
        registry: world.registry(),
        book: Book::new(&world.bus),
        stores: world.stores.clone(),
        settings: CopySettings { attempts: 2, backoff_ms: 1, ..CopySettings::default() },
        metrics: MigrateMetrics::default(),
        clock: world.clock.clone(),
        transform: TransformSettings::default(),
    }
}

fn validated(job: &JobContext, location: &Location) -> JobContext {
    let LocationSpec { source, target, .. } = &location.spec;
    after(job, "validate", &json!({ "source": source, "target": target, "objects": 2, "bytes": 9 }))
}

#[tokio::test]
async fn every_object_is_at_the_target_and_only_then_readers_are_sent_there() {
    let world = World::start().await;
    let (source, target) = world.dataset("sales").await;
    let job = validated(&job("sales", "1", "migrate"), &world.location("sales").await);
    let outputs = migrate(&world).run(&job).await.unwrap();
    let counts = ["objects", "bytes", "copied", "already_there"].map(|name| outputs[name].as_u64());
    assert_eq!(counts, [Some(2), Some(9), Some(2), Some(0)]);
    assert_eq!((&outputs["from"], &outputs["to"]), (&json!(source), &json!(target)));
    assert_eq!((world.count(&source).await, world.count(&target).await), ((2, 9), (2, 9)));
    let location = world.location("sales").await;
    assert_eq!((location.active, location.run), (Side::Target, Some(job.run.id.clone())));
    assert_eq!(job.progress.objects.load(Ordering::Relaxed), 2);
    assert_eq!(
        (job.progress.objects_total.load(Ordering::Relaxed), job.progress.bytes_total.load(Ordering::Relaxed)),
        (2, 9)
    );
}

#[tokio::test]
async fn a_repeat_after_the_cut_over_says_the_same_and_writes_nothing() {
    let world = World::start().await;
    let (source, target) = world.dataset("sales").await;
    let job = job("sales", "1", "migrate");
    let first = migrate(&world).run(&job).await.unwrap();
    let before = world.location("sales").await;
    // Readers and writers are at the target by now.
    world.put(&target, "later.csv", "new").await;
    assert_eq!(first["evidence"]["late"], json!({ "objects": 0, "first": [] }));
    assert_eq!(migrate(&world).run(&job).await.unwrap(), first);
    assert_eq!((world.location("sales").await, world.count(&target).await), (before, (3, 12)));

    for key in ["raw/a.csv", "raw/b/c.csv"] {
        world.open(&source).await.delete(key).await.unwrap();
    }
    let cleared = migrate(&world).run(&job).await.unwrap();
    assert_eq!(cleared["to"], json!(target), "a source that was cleared away does not undo the migration");
}

#[tokio::test]
async fn what_another_run_moved_is_left_alone() {
    let world = World::start().await;
    let (_, target) = world.dataset("sales").await;
    migrate(&world).run(&job("sales", "1", "migrate")).await.unwrap();
    world.put(&target, "a.csv", "changed by its readers").await;
    let before = (world.location("sales").await, world.count(&target).await);
    let outputs = migrate(&world).run(&job("sales", "2", "migrate")).await.unwrap();
    assert_eq!((&outputs["already_migrated"], &outputs["objects"]), (&json!(true), &json!(0)));
    assert_eq!((world.location("sales").await, world.count(&target).await), before);
}

#[tokio::test]
async fn a_location_that_was_changed_since_validation_is_not_migrated_until_a_person_replays_it() {
    let world = World::start().await;
    let (source, _) = world.dataset("sales").await;
    let other = world.place("sales-elsewhere", "");
    world.create_buckets(&[&other]).await;
    let job = validated(&job("sales", "1", "migrate"), &world.location("sales").await);
    world.register("sales", &source, &other).await;
    let failed = migrate(&world).run(&job).await.unwrap_err();
    assert_eq!((failed.reason, failed.again), (Reason::LocationChanged, Again::Never));
    assert_eq!((world.count(&other).await, world.location("sales").await.active), ((0, 0), Side::Source));

    let replayed = JobContext { fence: Fence { generation: 2, attempt: 1 }, ..job };
    migrate(&world).run(&replayed).await.unwrap();
    assert_eq!((world.count(&other).await, world.location("sales").await.active), ((2, 9), Side::Target));
}

#[tokio::test]
async fn a_cut_over_loses_against_a_change_and_wins_against_its_own_echo() {
    let world = World::start().await;
    let (source, target) = world.dataset("sales").await;
    let (registry, name) = (world.registry(), "sales".parse().unwrap());
    let (run, other) = (RunId::of_event("test", "1"), RunId::of_event("test", "2"));
    let read = registry.location(&name).await.unwrap();
    world.register("sales", &source, &target).await;
    let failed = registry.cut_over(&name, &read, &run, None).await.unwrap_err();
    assert_eq!((failed.reason, failed.again), (Reason::LocationChanged, Again::Never));
    assert_eq!(world.location("sales").await.active, Side::Source);

    let read = registry.location(&name).await.unwrap();
    let moved = registry.cut_over(&name, &read, &run, None).await.unwrap();
    assert_eq!(registry.cut_over(&name, &read, &run, None).await, Ok(moved.clone()), "the answer was lost");
    let failed = registry.cut_over(&name, &read, &other, None).await.unwrap_err();
    assert_eq!((failed.reason, world.location("sales").await), (Reason::LocationChanged, moved.location));
}

#[tokio::test]
async fn a_failed_attempt_leaves_readers_at_the_source_and_the_next_one_goes_on() {
    let world = World::start().await;
    let (source, _) = world.dataset("sales").await;
    let late = world.place("sales-late", "x");
    world.register("sales", &source, &late).await;
    let job = job("sales", "1", "migrate");
    let failed = migrate(&world).run(&job).await.unwrap_err();
    assert_eq!((failed.reason, failed.again), (Reason::TargetMissing, Again::Never), "{}", failed.message);
    assert_eq!(world.location("sales").await.active, Side::Source);

    world.create_buckets(&[&late]).await;
    world.put(&late, "a.csv", "1,2").await;
    let outputs = migrate(&world).run(&job).await.unwrap();
    assert_eq!((&outputs["copied"], &outputs["already_there"]), (&json!(1), &json!(1)));
    assert_eq!(world.location("sales").await.active, Side::Target);
}

#[tokio::test]
async fn a_cancelled_job_stops_and_may_be_done_again() {
    let world = World::start().await;
    let (_, target) = world.dataset("sales").await;
    let job = job("sales", "1", "migrate");
    job.cancelled.cancel();
    let failed = migrate(&world).run(&job).await.unwrap_err();
    assert_eq!((failed.reason, failed.again), (Reason::JobTimeout, Again::Later));
    assert_eq!((world.location("sales").await.active, world.count(&target).await), (Side::Source, (0, 0)));
}

#[tokio::test]
async fn a_dataset_without_a_location_is_rejected() {
    let world = World::start().await;
    let failed = migrate(&world).run(&job("nowhere", "1", "migrate")).await.unwrap_err();
    assert_eq!((failed.reason, failed.again), (Reason::LocationMissing, Again::Never));
}

#[tokio::test]
async fn a_source_that_was_emptied_since_it_was_validated_sends_nobody_to_an_empty_target() {
    let world = World::start().await;
    let (source, target) = world.dataset("sales").await;
    world.put(&target, "a.csv", "1,2").await;
    let job = validated(&job("sales", "1", "migrate"), &world.location("sales").await);
    for key in ["raw/a.csv", "raw/b/c.csv"] {
        world.open(&source).await.delete(key).await.unwrap();
    }
    let failed = migrate(&world).run(&job).await.unwrap_err();
    assert_eq!((failed.reason, failed.again), (Reason::SourceEmpty, Again::Never), "{}", failed.message);
    assert_eq!(world.location("sales").await.active, Side::Source);
    assert_eq!(world.count(&target).await, (1, 3), "what is at the target stays");
}
