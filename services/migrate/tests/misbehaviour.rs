//! The copy engine against stores that fail, stall, truncate, lie and change under it: retried within bounds or failed
//! loudly, and never a false success.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]

#[path = "support/faults.rs"]
mod faults;
#[path = "support/world.rs"]
mod world;

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};

use faults::{Fault, Faults, Seen};
use honk_migrate::copy::CopyError;
use honk_storage::{Attributes, ErrorKind};
use world::{MIB, World, random};

/// Applies `fault` to the first `times` requests that `which` picks.
fn first(
    times: u64,
    fault: Fault,
    which: impl Fn(Seen<'_>) -> bool + Send + Sync + 'static,
) -> impl Fn(Seen<'_>) -> Fault + Send + Sync + 'static {
    let seen = AtomicU64::new(0);
    move |request| {
        if which(request) && seen.fetch_add(1, Ordering::Relaxed) < times { fault } else { Fault::None }
    }
}

fn reads_object(request: Seen<'_>) -> bool {
    request.method == "GET" && request.path.starts_with("/source/data/")
}

fn writes(request: Seen<'_>) -> bool {
    matches!(request.method, "PUT" | "POST")
}

/// Two servers with a few small objects and a large one at the source.
async fn world() -> World {
    let mut world = World::two_servers().await;
    for index in 0..5 {
        world.put_source(&format!("small-{index}"), random(2_000 + index), &Attributes::default()).await;
    }
    world.put_source("large", random(5 * MIB + 1_000), &Attributes::default()).await;
    (world.settings.multipart_threshold, world.settings.part_size) = (MIB as u64, 5 * MIB as u64);
    world.be_impatient();
    world
}

async fn source_faults(world: &mut World, rule: impl Fn(Seen<'_>) -> Fault + Send + Sync + 'static) -> Faults {
    let faults = Faults::before(world.source_place.endpoint.as_ref().unwrap(), rule).await;
    world.source_place.endpoint = Some(faults.url());
    faults
}

async fn target_faults(world: &mut World, rule: impl Fn(Seen<'_>) -> Fault + Send + Sync + 'static) -> Faults {
    let faults = Faults::before(world.target_place.endpoint.as_ref().unwrap(), rule).await;
    world.target_place.endpoint = Some(faults.url());
    faults
}

#[tokio::test]
async fn a_source_that_fails_for_a_while_is_read_again() {
    let faults = [
        Fault::Answer(500, "InternalError"),
        Fault::Answer(503, "SlowDown"),
        Fault::Answer(429, "TooManyRequests"),
        Fault::Reset,
        Fault::Truncate,
        Fault::WrongByte,
        Fault::Hang,
    ];
    for fault in faults {
        let mut world = world().await;
        let proxy = source_faults(&mut world, first(6, fault, reads_object)).await;
        let report = world.migrate().await.unwrap_or_else(|error| panic!("{fault:?}: {error}"));
        assert_eq!((report.copied, report.verified), (6, 6), "{fault:?}");
        assert!(proxy.requests() > 12, "{fault:?} did not happen");
        world.assert_equal().await;
    }
}

#[tokio::test]
async fn a_target_that_fails_for_a_while_is_written_again() {
    let faults = [
        Fault::Answer(500, "InternalError"),
        Fault::Answer(503, "SlowDown"),
        Fault::Answer(200, "SlowDown"),
        Fault::Reset,
        Fault::EmptyOk,
        Fault::LoseAnswer,
    ];
    for fault in faults {
        let mut world = world().await;
        let _proxy = target_faults(&mut world, first(5, fault, writes)).await;
        let report = world.migrate().await.unwrap_or_else(|error| panic!("{fault:?}: {error}"));
        assert_eq!((report.copied, report.verified), (6, 6), "{fault:?}");
        world.assert_equal().await;
    }
}

#[tokio::test]
async fn listings_that_fail_or_break_off_are_asked_for_again() {
    for fault in [Fault::Answer(503, "SlowDown"), Fault::Reset, Fault::Truncate, Fault::Hang] {
        let mut world = world().await;
        world.settings.page_size = 2;
        let lists = |request: Seen<'_>| request.path.contains("list-type=2");
        let _proxy = source_faults(&mut world, first(4, fault, lists)).await;
        let report = world.migrate().await.unwrap_or_else(|error| panic!("{fault:?}: {error}"));
        assert_eq!((report.objects, report.verified), (6, 6), "{fault:?}");
    }
}

#[tokio::test]
async fn a_store_that_keeps_failing_ends_in_a_retryable_error_within_bounds() {
    let cases = [
        (Fault::Answer(503, "SlowDown"), ErrorKind::Throttled),
        (Fault::Answer(500, "InternalError"), ErrorKind::Unavailable),
        (Fault::Reset, ErrorKind::Unavailable),
        (Fault::Truncate, ErrorKind::Unavailable),
        (Fault::WrongByte, ErrorKind::Corrupt),
    ];
    for (fault, kind) in cases {
        let mut world = world().await;
        world.settings.attempts = 3;
        (world.settings.backoff_ms, world.settings.retry_budget_ms) = (40, 150);
        let proxy = source_faults(&mut world, first(u64::MAX, fault, reads_object)).await;
        let error = world.migrate().await.unwrap_err();
        assert!(matches!(&error, CopyError::Storage(inner) if inner.kind() == kind), "{fault:?}: {error}");
        assert!(error.is_retryable(), "{fault:?}");
        assert!(proxy.requests() < 200, "{fault:?}: {} requests", proxy.requests());
    }
}

#[tokio::test]
async fn a_target_that_claims_success_without_storing_is_found_out() {
    let mut world = world().await;
    world.settings.attempts = 2;
    world.settings.retry_budget_ms = 500;
    let _proxy = target_faults(&mut world, first(u64::MAX, Fault::EmptyOk, writes)).await;
    let error = world.migrate().await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
}

#[tokio::test]
async fn a_refused_request_is_not_repeated() {
    let mut world = world().await;
    let proxy = target_faults(&mut world, first(u64::MAX, Fault::Answer(403, "AccessDenied"), writes)).await;
    let error = world.migrate().await.unwrap_err();
    assert!(matches!(&error, CopyError::Storage(inner) if inner.kind() == ErrorKind::AccessDenied), "{error}");
    assert!(!error.is_retryable() && proxy.requests() <= 12, "{} requests", proxy.requests());
}

#[tokio::test]
async fn a_server_side_copy_that_answers_nothing_is_no_success() {
    let mut world = World::one_server().await;
    world.put_source("a", random(100), &Attributes::default()).await;
    let proxy = Faults::before(
        world.source_place.endpoint.as_ref().unwrap(),
        first(1, Fault::EmptyOk, |request| request.head.to_ascii_lowercase().contains("x-amz-copy-source")),
    )
    .await;
    world.source_place.endpoint = Some(proxy.url());
    world.target_place.endpoint = Some(proxy.url());
    // The copy did not happen, so looking for it finds nothing: the object is tried once more and then copied.
    let report = world.migrate().await.unwrap();
    assert_eq!((report.copied, report.verified), (1, 1));
    world.assert_equal().await;
}

#[tokio::test]
async fn an_object_that_changes_during_the_copy_is_copied_in_its_new_version() {
    let mut world = world().await;
    let rule = first(1, Fault::Answer(412, "PreconditionFailed"), |request| {
        reads_object(request) && request.path.contains("small-3")
    });
    let _proxy = source_faults(&mut world, rule).await;
    assert_eq!(world.migrate().await.unwrap().verified, 6);
}

#[tokio::test]
async fn an_object_that_keeps_changing_is_a_loud_retryable_failure() {
    for path in ["small-3", "large"] {
        let mut world = world().await;
        let rule = first(u64::MAX, Fault::Answer(412, "PreconditionFailed"), move |request| {
            reads_object(request) && request.path.contains(path)
        });
        let _proxy = source_faults(&mut world, rule).await;
        let error = world.migrate().await.unwrap_err();
        assert!(matches!(&error, CopyError::SourceChanged { key, .. } if key.contains(path)), "{error}");
        assert!(error.is_retryable());
    }
}

/// Does `change` just before a side is listed for one of the times `when`: the first time is a look, the second one copies, from the
/// third on it is proved.
fn before_listing<F>(
    when: std::ops::Range<u64>,
    change: impl Fn() -> F + Send + Sync + 'static,
) -> impl Fn(Seen<'_>) -> Fault + Send + Sync
where
    F: Future<Output = ()> + Send,
{
    let (listed, runtime) = (AtomicU64::new(1), tokio::runtime::Handle::current());
    move |request: Seen<'_>| {
        if request.path.contains("list-type=2") && when.contains(&listed.fetch_add(1, Ordering::SeqCst)) {
            std::thread::scope(|scope| {
                scope.spawn(|| runtime.block_on(change()));
            });
        }
        Fault::None
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_source_that_changes_after_its_copy_is_caught_up_with() {
    let mut world = world().await;
    let source = world.source.clone();
    let change = move || {
        let source = source.clone();
        async move {
            source.put_small("data/small-1", random(2_001), &Attributes::default()).await.unwrap();
            source.put_small("data/z-new", random(5), &Attributes::default()).await.unwrap();
            source.delete("data/small-3").await.unwrap();
        }
    };
    let _proxy = source_faults(&mut world, before_listing(3..4, change)).await;
    let report = world.migrate().await.unwrap();
    assert_eq!((report.verified, report.extra), (report.objects, 0));
    world.assert_equal().await;
}

fn damaging(world: &World, when: std::ops::Range<u64>) -> impl Fn(Seen<'_>) -> Fault + Send + Sync + use<> {
    let (target, key) = (world.target.clone(), world.target_place.key("small-2"));
    before_listing(when, move || {
        let (target, key) = (target.clone(), key.clone());
        async move { target.put_small(&key, random(2_002), &Attributes::default()).await.map(|_etag| ()).unwrap() }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_target_that_is_damaged_once_is_repaired() {
    let mut world = world().await;
    let faults = damaging(&world, 3..4);
    let _proxy = target_faults(&mut world, faults).await;
    world.migrate().await.unwrap();
    world.assert_equal().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_target_that_is_damaged_again_and_again_fails_the_verification() {
    let mut world = world().await;
    let faults = damaging(&world, 3..u64::MAX);
    let _proxy = target_faults(&mut world, faults).await;
    let error = world.migrate().await.unwrap_err();
    assert!(matches!(&error, CopyError::Unverified { mismatches: 1, key, .. } if key == "small-2"), "{error}");
    assert!(error.is_retryable());
}
