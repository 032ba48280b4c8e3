//! A migration in parts, holds and windows, against a real NATS server and a real S3 protocol. The run record moves as the agents' runtime
//! moves it; what the runtime itself does with parts is shown with real agents elsewhere.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]

use std::sync::Arc;

use bytes::Bytes;
use honk_agent::action::Worked;
use honk_agent::{Action as _, JobContext};
use honk_migrate::action::Migrate;
use honk_migrate::book::Book;
use honk_migrate::copy::CopySettings;
use honk_migrate::metrics::MigrateMetrics;
use honk_migrate::transform::TransformSettings;
use honk_protocol::dataset::{Place, Side};
use honk_protocol::reason::Reason;
use honk_protocol::run::{Effect, Fence, Outputs, Run, RunEvent};
use honk_protocol::settle::{Again, Completion};
use honk_storage::Attributes;
use honk_testkit::World;
use honk_testkit::world::job;
use serde_json::{Value, json};

fn migrate(world: &World) -> Migrate {
    Migrate {
        registry: world.registry(),
        book: Book::new(&world.bus),
        stores: world.stores.clone(),
        settings: CopySettings { attempts: 2, backoff_ms: 1, ..CopySettings::default() },
        metrics: MigrateMetrics::default(),
        transform: TransformSettings::default(),
        clock: world.clock.clone(),
    }
}

/// A migration whose deliveries are made here.
struct Course<'w> {
    world: &'w World,
    context: JobContext,
}

impl<'w> Course<'w> {
    /// The first delivery of a job that may be split, with this `with:`.
    fn new(world: &'w World, dataset: &str, with: &Value) -> Self {
        let mut context = job(dataset, "1", "migrate");
        context.may_split = true;
        context.with = with.as_object().unwrap().clone().into_iter().collect();
        // As if it were its run's only job: nothing needs to be done before it.
        let mut run = Run::clone(&context.run);
        run.jobs.retain(|other| other.name == context.job);
        run.jobs[0].needs.clear();
        run.jobs[0].generation = 1;
        run.jobs[0].state = honk_protocol::run::JobState::Ready;
        context.run = Arc::new(run);
        Self { world, context }
    }

    async fn attempt(&self) -> Worked {
        migrate(self.world).attempt(&self.context).await.unwrap()
    }

    /// Moves the record, and returns the jobs that are to be delivered.
    fn apply(&mut self, event: &RunEvent) -> Vec<(honk_protocol::name::JobName, u32)> {
        let (run, effects) = self.context.run.apply(event, self.world.clock.now()).unwrap();
        self.context.run = Arc::new(run);
        let dispatched = |effect| match effect {
            Effect::Dispatch { job, generation, .. } => Some((job, generation)),
            _ => None,
        };
        effects.into_iter().filter_map(dispatched).collect()
    }

    /// Splits as the attempt said, and returns the parts' deliveries.
    fn split(&mut self, worked: Worked) -> Vec<JobContext> {
        let Completion::Split(fan, memo) = Completion::from(worked) else { panic!("it is split") };
        let (job, fence) = (self.context.job.clone(), self.context.fence);
        let due = self.apply(&RunEvent::Split { job, fence, fan, memo });
        due.into_iter().map(|(job, generation)| self.delivery(job, generation)).collect()
    }

    fn delivery(&self, job: honk_protocol::name::JobName, generation: u32) -> JobContext {
        JobContext { job, fence: Fence { generation, attempt: 1 }, may_split: false, ..self.context.clone() }
    }

    /// Does a part, and returns what is to be delivered after it.
    async fn part(&mut self, part: &JobContext) -> Vec<(honk_protocol::name::JobName, u32)> {
        let Worked::Done(outputs) = migrate(self.world).attempt(part).await.unwrap() else { panic!("a part is done") };
        self.apply(&RunEvent::Completed { job: part.job.clone(), fence: part.fence, outputs })
    }

    /// The delivery that takes the job up again.
    fn rejoin(&mut self, due: Vec<(honk_protocol::name::JobName, u32)>) {
        let [(job, generation)] = due.try_into().unwrap();
        assert_eq!(job, self.context.job);
        self.context = JobContext { may_split: true, ..self.delivery(job, generation) };
    }

    async fn finish(&self) -> Outputs {
        match self.attempt().await {
            Worked::Done(outputs) => outputs,
            other => panic!("{other:?}"),
        }
    }
}

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

async fn put(world: &World, place: &Place, name: &str, bytes: &str) {
    let key = honk_storage::Place::from(place).key(name);
    let bytes = Bytes::from(bytes.to_owned());
    world.open(place).await.put_small(&key, bytes, &Attributes::default()).await.unwrap();
}

async fn delete(world: &World, place: &Place, name: &str) {
    world.open(place).await.delete(&honk_storage::Place::from(place).key(name)).await.unwrap();
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
