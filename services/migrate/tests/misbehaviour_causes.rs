//! Causes that a person must remove: forbidden and archived objects, a full target, a bucket that is gone, credentials that expire, a
//! clock that is wrong, a source that is emptied. Each ends with its reason, names what it is about and loses nothing; once
//! it is removed, the next attempt does what is left and nothing twice.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]

#[path = "support/faults.rs"]
mod faults;
#[path = "support/world.rs"]
mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use faults::{Fault, Faults, Seen};
use honk_migrate::copy::CopyError;
use honk_protocol::reason::Reason;
use honk_protocol::settle::{Again, Failed};
use honk_storage::{Attributes, listing};
use tokio::sync::Notify;
use world::{World, random};

const OBJECTS: u64 = 40;

/// What a cause does to requests, for as long as it is there; and how many bodies were written meanwhile.
#[derive(Clone)]
struct Cause {
    there: Arc<AtomicBool>,
    writes: Arc<AtomicU64>,
}

impl Cause {
    fn new() -> Self {
        Self { there: Arc::new(AtomicBool::new(true)), writes: Arc::default() }
    }

    fn remove(&self) {
        self.there.store(false, Ordering::SeqCst);
        self.writes.store(0, Ordering::SeqCst);
    }

    /// Objects written since the cause was removed.
    fn writes(&self) -> u64 {
        self.writes.load(Ordering::SeqCst)
    }

    /// Lets `fault` happen to the requests that `which` picks, counting what is written.
    fn rule(
        &self,
        fault: Fault,
        which: impl Fn(Seen<'_>) -> bool + Send + Sync + 'static,
    ) -> impl Fn(Seen<'_>) -> Fault + Send + Sync + 'static {
        let cause = self.clone();
        move |request| {
            if cause.there.load(Ordering::SeqCst) && which(request) {
                return fault;
            }
            if request.method == "PUT" {
                cause.writes.fetch_add(1, Ordering::SeqCst);
            }
            Fault::None
        }
    }
}

/// Every request but the first `served` ones that `which` picks.
fn after(
    served: u64,
    which: impl Fn(Seen<'_>) -> bool + Send + Sync + 'static,
) -> impl Fn(Seen<'_>) -> bool + Send + Sync + 'static {
    let seen = AtomicU64::new(0);
    move |request| which(request) && seen.fetch_add(1, Ordering::SeqCst) >= served
}

fn reads_object(request: Seen<'_>) -> bool {
    request.method == "GET" && request.path.starts_with("/source/data/")
}

fn writes(request: Seen<'_>) -> bool {
    request.method == "PUT"
}

fn copies(request: Seen<'_>, key: &str) -> bool {
    let head = request.head.to_ascii_lowercase();
    head.lines().any(|line| line.starts_with("x-amz-copy-source:") && line.ends_with(key))
}

async fn filled(world: World) -> World {
    let mut world = world;
    for index in 0..OBJECTS {
        world.put_source(&format!("part-{index:02}"), random(300), &Attributes::default()).await;
    }
    world.be_impatient();
    (world.settings.attempts, world.settings.objects_in_flight) = (2, 4);
    world
}

/// The same, with both of its stores behind the rule.
async fn behind(
    world: World,
    rule: impl Fn(Seen<'_>) -> Fault + Send + Sync + Clone + 'static,
) -> (World, Vec<Faults>) {
    let mut world = filled(world).await;
    let one = world.source_place.endpoint == world.target_place.endpoint;
    let source = Faults::before(world.source_place.endpoint.as_ref().unwrap(), rule.clone()).await;
    world.source_place.endpoint = Some(source.url());
    if one {
        world.target_place.endpoint = Some(source.url());
        return (world, vec![source]);
    }
    let target = Faults::before(world.target_place.endpoint.as_ref().unwrap(), rule).await;
    world.target_place.endpoint = Some(target.url());
    (world, vec![source, target])
}

fn shared(
    rule: impl Fn(Seen<'_>) -> Fault + Send + Sync + 'static,
) -> impl Fn(Seen<'_>) -> Fault + Send + Sync + Clone + 'static {
    let rule = Arc::new(rule);
    move |request: Seen<'_>| rule(request)
}

async fn failure(world: &World) -> (CopyError, Failed) {
    let error = world.migrate().await.unwrap_err();
    let failed = honk_migrate::fault::failed(&error, &world.source_place, &world.target_place);
    (error, failed)
}

async fn at_target(world: &World) -> u64 {
    listing::survey(&world.target, &world.target_place.prefix()).await.unwrap().objects
}

/// The cause is gone: exactly what is not there yet is written, and then all is proved.
async fn resumes(world: &World, cause: &Cause) {
    let there = at_target(world).await;
    cause.remove();
    let report = world.migrate().await.unwrap();
    assert_eq!((report.copied, report.already_there, report.verified), (OBJECTS - there, there, OBJECTS));
    assert_eq!(cause.writes(), OBJECTS - there, "nothing is written twice");
    world.assert_equal().await;
}

#[tokio::test]
async fn objects_that_are_forbidden_or_archived_are_named_and_all_others_are_copied() {
    let cases = [(403, "AccessDenied", Reason::ObjectsDenied), (403, "InvalidObjectState", Reason::SourceArchived)];
    for (status, code, reason) in cases {
        for world in [World::one_server().await, World::two_servers().await] {
            let cause = Cause::new();
            let hit = |request: Seen<'_>, key: &str| {
                (request.path.starts_with("/source/") && request.path.contains(key)) || copies(request, key)
            };
            let rule = cause
                .rule(Fault::Answer(status, code), move |request| hit(request, "part-03") || hit(request, "part-17"));
            let (world, _proxies) = behind(world, shared(rule)).await;
            let (error, failed) = failure(&world).await;
            assert_eq!((failed.reason, failed.again), (reason, Again::Never), "{}", failed.message);
            let CopyError::Refused(refused) = error else { panic!("{error}") };
            assert_eq!(refused.keys, ["part-03", "part-17"]);
            assert!(failed.message.contains("part-17") && failed.message.contains("all others are copied"));
            assert_eq!(at_target(&world).await, OBJECTS - 2);
            resumes(&world, &cause).await;
        }
    }
}

#[tokio::test]
async fn a_source_of_which_no_object_may_be_read_is_given_up_early_and_its_keys_are_not_all_listed() {
    let mut world = filled(World::two_servers().await).await;
    for index in 0..300 {
        world.put_source(&format!("more-{index:03}"), random(5), &Attributes::default()).await;
    }
    let rule = |request: Seen<'_>| {
        if reads_object(request) { Fault::Answer(403, "AccessDenied") } else { Fault::None }
    };
    let proxy = Faults::before(world.source_place.endpoint.as_ref().unwrap(), rule).await;
    world.source_place.endpoint = Some(proxy.url());
    let (error, failed) = failure(&world).await;
    let CopyError::Refused(refused) = error else { panic!("{error}") };
    assert_eq!((failed.reason, refused.objects, refused.keys.len()), (Reason::ObjectsDenied, 100, 10));
    assert!(failed.message.contains("90 more") && failed.message.contains("not tried"), "{}", failed.message);
    assert!(proxy.requests() < 120, "{} requests", proxy.requests());
}

#[tokio::test]
async fn what_stops_a_copy_midway_has_its_reason_and_is_taken_up_where_it_stopped() {
    type Which = fn(Seen<'_>) -> bool;
    let of_source: Which = |request| request.path.starts_with("/source");
    let of_target: Which = |request| request.path.starts_with("/target");
    let cases: [(u16, &str, Which, Reason, Again); 8] = [
        (507, "InsufficientStorage", writes, Reason::TargetFull, Again::Never),
        (403, "QuotaExceeded", writes, Reason::TargetFull, Again::Never),
        (404, "NoSuchBucket", of_source, Reason::SourceMissing, Again::Never),
        (404, "NoSuchBucket", of_target, Reason::TargetMissing, Again::Never),
        (400, "ExpiredToken", reads_object, Reason::CredentialsInvalid, Again::Never),
        (400, "ExpiredToken", writes, Reason::CredentialsInvalid, Again::Never),
        (403, "RequestTimeTooSkewed", reads_object, Reason::ClockSkew, Again::Later),
        (403, "AccessDenied", writes, Reason::TargetDenied, Again::Never),
    ];
    for (status, code, which, reason, again) in cases {
        let cause = Cause::new();
        let rule = cause.rule(Fault::Answer(status, code), after(15, which));
        let (world, _proxies) = behind(World::two_servers().await, shared(rule)).await;
        let (error, failed) = failure(&world).await;
        assert_eq!((failed.reason, failed.again), (reason, again), "{code}: {error}");
        let there = at_target(&world).await;
        assert!(there > 0 && there < OBJECTS, "{code}: {there} objects are there");
        resumes(&world, &cause).await;
    }
}

#[tokio::test]
async fn one_store_that_gets_full_midway_is_taken_up_where_it_stopped() {
    let cause = Cause::new();
    let rule = cause.rule(Fault::Answer(507, "XMinioStorageFull"), after(15, writes));
    let (world, _proxies) = behind(World::one_server().await, shared(rule)).await;
    let (_, failed) = failure(&world).await;
    assert_eq!((failed.reason, failed.again), (Reason::TargetFull, Again::Never), "{}", failed.message);
    assert_eq!(at_target(&world).await, 15);
    resumes(&world, &cause).await;
}

/// Removes objects of the source while the copy goes on: when the `after`th of them is read. Says when they are gone.
async fn with_removals(after: u64, removed: std::ops::Range<u64>) -> (World, Vec<Faults>, Arc<Notify>) {
    let world = World::two_servers().await;
    let (source, runtime) = (world.source.clone(), tokio::runtime::Handle::current());
    let (read, gone) = (AtomicU64::new(0), Arc::new(Notify::new()));
    let say = Arc::clone(&gone);
    let rule = move |request: Seen<'_>| {
        if reads_object(request) && read.fetch_add(1, Ordering::SeqCst) == after {
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    runtime.block_on(async {
                        for index in removed.clone() {
                            source.delete(&format!("data/part-{index:02}")).await.unwrap();
                        }
                    });
                });
            });
            say.notify_one();
        }
        Fault::None
    };
    let (world, proxies) = behind(world, shared(rule)).await;
    (world, proxies, gone)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_source_that_is_emptied_midway_takes_nothing_from_the_target() {
    let (world, _proxies, gone) = with_removals(10, 0..OBJECTS).await;
    let (_, failed) = failure(&world).await;
    assert_eq!((failed.reason, failed.again), (Reason::SourceEmpty, Again::Never), "{}", failed.message);
    gone.notified().await;
    let there = at_target(&world).await;
    assert!(there > 0);
    let (_, failed) = failure(&world).await;
    assert_eq!(failed.reason, Reason::SourceEmpty, "readers are not sent to what is left");
    assert_eq!(at_target(&world).await, there);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn an_object_that_is_deleted_while_the_copy_goes_on_is_not_at_the_target_in_the_end() {
    let (world, _proxies, _gone) = with_removals(10, 30..31).await;
    let report = world.migrate().await.unwrap();
    assert_eq!((report.objects, report.verified, at_target(&world).await), (OBJECTS - 1, OBJECTS - 1, OBJECTS - 1));
    world.assert_equal().await;
}
