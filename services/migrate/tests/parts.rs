//! A migration in parts, holds and windows, against a real NATS server and a real S3 protocol. The run record moves as the agents' runtime
//! moves it; what the runtime itself does with parts is shown with real agents elsewhere.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]

#[path = "support/course.rs"]
mod course;

use honk_agent::action::Worked;
use honk_agent::{Action as _, JobContext};
use honk_protocol::dataset::{Place, Side};
use honk_protocol::reason::Reason;
use honk_protocol::run::{Fence, RunEvent};
use honk_protocol::settle::Again;
use honk_testkit::World;
use serde_json::{Value, json};

use course::{Course, delete, migrate, put};

/// A dataset with objects of these names, one byte each.
async fn dataset(world: &World, names: impl IntoIterator<Item = String>) -> (Place, Place) {
    let (source, target) = (world.place("old", "raw"), world.place("new", ""));
    world.create_buckets(&[&source, &target]).await;
    for name in names {
        put(world, &source, &name, "x").await;
    }
    world.register("sales", &source, &target).await;
    (source, target)
}

fn names(count: u32) -> impl Iterator<Item = String> {
    (0..count).map(|number| format!("part-{number:04}.csv"))
}

#[tokio::test]
async fn parts_share_the_work_and_the_join_proves_the_whole() {
    let world = World::start().await;
    let (source, target) = dataset(&world, names(25)).await;
    let mut course = Course::new(&world, "sales", &json!({ "chunk": { "objects": 10 } }));
    let worked = course.attempt().await;
    assert_eq!(world.count(&target).await, (0, 0), "a look moves nothing");
    let parts = course.split(worked);
    assert_eq!(parts.len(), 3);
    // Writers go on meanwhile: one object comes, one goes, one changes.
    let mut due = Vec::new();
    for (number, part) in parts.iter().enumerate() {
        assert_eq!(due, vec![]);
        due = course.part(part).await;
        if number == 0 {
            put(&world, &source, "part-0000.csv", "changed").await;
            put(&world, &source, "a-new.csv", "new").await;
            delete(&world, &source, "part-0001.csv").await;
        }
    }
    assert_eq!(world.location("sales").await.active, Side::Source);
    course.rejoin(due);
    let outputs = course.finish().await;
    let location = world.location("sales").await;
    assert_eq!((location.active, location.epoch, location.hold), (Side::Target, 2, None));
    assert_eq!(world.count(&source).await, world.count(&target).await);
    let evidence = &outputs["evidence"];
    assert_eq!(
        (&evidence["source"]["objects"], &evidence["source"]["digest"]),
        (&json!(25), &evidence["target"]["digest"])
    );
    let rounds = evidence["rounds"].as_array().unwrap();
    let figures = |round: &Value| (round["parts"].clone(), round["copied"].clone(), round["removed"].clone());
    assert_eq!(figures(&rounds[0]), (json!(3), json!(25), json!(0)));
    assert_eq!(figures(&rounds[1]), (json!(1), json!(2), json!(1)));
    assert_eq!(rounds.last().map(figures), Some((json!(1), json!(0), json!(0))), "the last one is the proof");
    assert_eq!(evidence["late"], json!({ "objects": 0, "first": [] }));
}

#[tokio::test]
async fn a_part_that_is_delivered_twice_copies_once() {
    let world = World::start().await;
    dataset(&world, names(25)).await;
    let mut course = Course::new(&world, "sales", &json!({ "chunk": { "objects": 10 } }));
    let worked = course.attempt().await;
    let parts = course.split(worked);
    let copied = |worked: Worked| match worked {
        Worked::Done(outputs) => outputs["round"]["copied"].as_u64().unwrap(),
        other => panic!("{other:?}"),
    };
    assert_eq!(copied(migrate(&world).attempt(&parts[1]).await.unwrap()), 10);
    let again = JobContext { fence: Fence { attempt: 2, ..parts[1].fence }, ..parts[1].clone() };
    assert_eq!(copied(migrate(&world).attempt(&again).await.unwrap()), 0);
}

#[tokio::test]
async fn objects_that_were_there_before_are_named_and_stay() {
    let world = World::start().await;
    let (source, target) = dataset(&world, names(3)).await;
    put(&world, &target, "part-0001.csv", "somebody's").await;
    put(&world, &target, "other.csv", "somebody's").await;
    let failed = migrate(&world).run(&Course::new(&world, "sales", &json!({})).context).await.unwrap_err();
    assert_eq!((failed.reason, failed.again), (Reason::TargetConflict, Again::Never));
    assert!(failed.message.contains("part-0001.csv") && !failed.message.contains("other"), "{}", failed.message);
    assert_eq!(world.count(&target).await.0, 2, "nothing was copied");

    let course = Course::new(&world, "sales", &json!({ "existing": "skip" }));
    let evidence = course.finish().await["evidence"].clone();
    assert_eq!((&evidence["skipped"], &evidence["foreign"]), (&json!(1), &json!(1)));
    assert_eq!(world.count(&target).await, (4, 2 + 2 * 10), "two were copied, two are as they were");
    assert_eq!(world.count(&source).await.0, 3);
}

#[tokio::test]
async fn what_is_in_the_way_is_replaced_where_the_workflow_says_so() {
    let world = World::start().await;
    let (_, target) = dataset(&world, names(3)).await;
    put(&world, &target, "part-0001.csv", "somebody's").await;
    let outputs = Course::new(&world, "sales", &json!({ "existing": "overwrite" })).finish().await;
    assert_eq!((&outputs["copied"], world.count(&target).await), (&json!(3), (3, 3)));
}

#[tokio::test]
async fn a_postponed_cut_over_waits_for_a_person_and_catches_up_then() {
    let world = World::start().await;
    let (source, target) = dataset(&world, names(3)).await;
    let mut course = Course::new(&world, "sales", &json!({ "cut_over": { "postpone": true } }));
    let Worked::Postponed(memo) = course.attempt().await else { panic!("it is put off") };
    assert_eq!((world.count(&target).await.0, world.location("sales").await.active), (3, Side::Source));
    let (job, fence) = (course.context.job.clone(), course.context.fence);
    assert_eq!(course.apply(&RunEvent::Postponed { job, fence, memo }), vec![]);
    put(&world, &source, "late.csv", "late").await;
    let due = course.apply(&RunEvent::Resumed);
    course.rejoin(due);
    assert_eq!(course.finish().await["objects"], json!(4));
    assert_eq!(world.location("sales").await.active, Side::Target);
}

#[tokio::test]
async fn outside_of_its_window_a_cut_over_waits_without_counting_attempts() {
    let world = World::start().await;
    let (_, target) = dataset(&world, names(2)).await;
    world.clock.set("2026-11-21T12:00:00Z".parse().unwrap());
    let course = Course::new(&world, "sales", &json!({ "cut_over": { "window": "22:00-06:00" } }));
    let failed = migrate(&world).attempt(&course.context).await.unwrap_err();
    assert_eq!(
        (failed.reason, failed.again),
        (Reason::OutsideWindow, Again::NotBefore(std::time::Duration::from_hours(10)))
    );
    assert_eq!((world.count(&target).await.0, world.location("sales").await.active), (2, Side::Source));
    world.clock.set("2026-11-21T22:00:00Z".parse().unwrap());
    course.finish().await;
    assert_eq!(world.location("sales").await.active, Side::Target);
}

#[tokio::test]
async fn a_hold_that_is_too_short_for_the_last_changes_lets_writers_go_on_and_gives_up_in_the_end() {
    let world = World::start().await;
    dataset(&world, names(2)).await;
    let course = Course::new(&world, "sales", &json!({ "cut_over": { "max_hold": "0s", "rounds": 3 } }));
    let failed = migrate(&world).attempt(&course.context).await.unwrap_err();
    assert_eq!((failed.reason, failed.again), (Reason::NotConverging, Again::Later), "{}", failed.message);
    let location = world.location("sales").await;
    assert_eq!((location.active, location.hold), (Side::Source, None), "nobody waits");
}

#[tokio::test]
async fn every_object_is_read_back_where_that_is_asked_for() {
    let world = World::start().await;
    dataset(&world, names(5)).await;
    let outputs = Course::new(&world, "sales", &json!({ "verify": "full" })).finish().await;
    assert_eq!(outputs["evidence"]["means"]["read_back"], json!(5));
}

#[tokio::test]
async fn parameters_that_nobody_knows_are_rejected_by_name() {
    let world = World::start().await;
    dataset(&world, names(1)).await;
    let course = Course::new(&world, "sales", &json!({ "verfy": "full" }));
    let failed = migrate(&world).attempt(&course.context).await.unwrap_err();
    assert_eq!((failed.reason, failed.again), (Reason::InputInvalid, Again::Never));
    assert!(failed.message.contains("verfy"), "{}", failed.message);
}
