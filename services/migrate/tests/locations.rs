//! Holds and cut-overs against a server: who may, who may not, and that an answer that was lost is no failure.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use honk_agent::registry::Registry;
use honk_protocol::dataset::Side;
use honk_protocol::name::{DatasetName, RunId};
use honk_protocol::reason::Reason;
use honk_protocol::settle::Again;
use honk_testkit::World;
use jiff::{SignedDuration, Timestamp};

struct Scene {
    world: World,
    registry: Registry,
    name: DatasetName,
    run: RunId,
    other: RunId,
}

async fn scene() -> Scene {
    let world = World::start().await;
    world.dataset("sales").await;
    let (registry, name) = (world.registry(), "sales".parse().unwrap());
    Scene { world, registry, name, run: RunId::of_event("test", "1"), other: RunId::of_event("test", "2") }
}

impl Scene {
    fn soon(&self) -> Timestamp {
        self.world.clock.now() + SignedDuration::from_mins(5)
    }
}

#[tokio::test]
async fn a_hold_keeps_other_runs_out_until_its_run_lets_go() {
    let scene = scene().await;
    let Scene { registry, name, run, other, .. } = &scene;
    let read = registry.location(name).await.unwrap();
    let held = registry.hold(name, &read, run, scene.soon()).await.unwrap();
    assert_eq!(held.location.live_hold(scene.world.clock.now()).map(|hold| &hold.run), Some(run));
    let refused = registry.hold(name, &held, other, scene.soon()).await.unwrap_err();
    assert_eq!((refused.reason, refused.again), (Reason::DatasetHeld, Again::Later));
    let refused = registry.cut_over(name, &held, other, None).await.unwrap_err();
    assert_eq!(refused.reason, Reason::DatasetHeld);

    registry.release(name, other).await.unwrap();
    assert_eq!(registry.location(name).await.unwrap(), held, "another's hold stays");
    registry.release(name, run).await.unwrap();
    registry.release(name, run).await.unwrap();
    let read = registry.location(name).await.unwrap();
    assert_eq!(read.location.hold, None);
    let moved = registry.cut_over(name, &read, other, Some(Duration::from_hours(1))).await.unwrap().location;
    assert_eq!((moved.active, moved.epoch, moved.retain_until.is_some()), (Side::Target, 2, true));
}

#[tokio::test]
async fn a_hold_that_is_over_keeps_nobody_out() {
    let scene = scene().await;
    let Scene { registry, name, run, other, .. } = &scene;
    let read = registry.location(name).await.unwrap();
    let held = registry.hold(name, &read, run, scene.world.clock.now()).await.unwrap();
    let held = registry.hold(name, &held, other, scene.soon()).await.unwrap();
    assert_eq!(held.location.hold.as_ref().map(|hold| &hold.run), Some(other));
}

#[tokio::test]
async fn a_hold_whose_answer_was_lost_is_held_and_one_on_a_location_that_changed_is_not() {
    let scene = scene().await;
    let Scene { registry, name, run, .. } = &scene;
    let (read, until) = (registry.location(name).await.unwrap(), scene.soon());
    let held = registry.hold(name, &read, run, until).await.unwrap();
    assert_eq!(registry.hold(name, &read, run, until).await, Ok(held.clone()));
    let longer = until + SignedDuration::from_secs(1);
    let held = registry.hold(name, &read, run, longer).await.unwrap();
    assert_eq!(
        held.location.hold.as_ref().map(|hold| hold.until),
        Some(longer),
        "an earlier hold of the same run is no change"
    );
    let moved = registry.cut_over(name, &held, run, None).await.unwrap();
    assert_eq!(registry.cut_over(name, &held, run, None).await, Ok(moved.clone()));
    assert_eq!(registry.hold(name, &read, run, longer).await, Ok(moved), "nor is what the run itself has moved");

    let world = &scene.world;
    world.register("sales", &world.place("elsewhere", ""), &world.place("sales-new", "")).await;
    let refused = registry.hold(name, &read, run, longer).await.unwrap_err();
    assert_eq!((refused.reason, refused.again), (Reason::LocationChanged, Again::Never));
}

#[tokio::test]
async fn a_run_that_was_rolled_back_does_not_cut_over_again() {
    let scene = scene().await;
    let Scene { world, registry, name, run, other } = &scene;
    let read = registry.location(name).await.unwrap();
    let moved = registry.cut_over(name, &read, run, None).await.unwrap().location;
    world.set_location("sales", &moved.rolled_back(world.clock.now(), false).unwrap()).await;
    let back = registry.location(name).await.unwrap();
    let refused = registry.cut_over(name, &back, run, None).await.unwrap_err();
    assert_eq!((refused.reason, refused.again), (Reason::RolledBack, Again::Never));
    assert_eq!(registry.cut_over(name, &back, other, None).await.unwrap().location.epoch, 4);
}
