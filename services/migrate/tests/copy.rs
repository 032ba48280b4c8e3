//! The copy engine against the embedded S3 server: what arrives, what is skipped, what is proved, what is refused.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]

#[path = "support/world.rs"]
mod world;

use bytes::Bytes;
use honk_migrate::copy::{CopyError, CopySettings, Progress, migrate_objects};
use honk_storage::{Attributes, Place, listing};
use tokio_util::sync::CancellationToken;
use world::{MIB, World, random};

#[tokio::test]
async fn every_object_arrives_with_its_headers_and_metadata_across_endpoints() {
    let world = World::two_servers().await;
    let attributes = world::attributes();
    let keys = ["a", "a/b", "a b+c%41&d", "é/ü", "x//y", "empty", "z".repeat(900).as_str()].map(str::to_owned);
    for key in &keys {
        let body = if key == "empty" { Bytes::new() } else { random(key.len() * 37) };
        world.put_source(key, body, &attributes).await;
    }
    let report = world.migrate().await.unwrap();
    assert_eq!((report.objects, report.copied, report.verified), (7, 7, 7));
    for key in &keys {
        let head = world.target.head(&world.target_place.key(key)).await.unwrap();
        assert_eq!(head.attributes, attributes, "{key}");
    }
    world.assert_equal().await;
    let survey = listing::survey(&world.source, "data/").await.unwrap();
    assert_eq!((report.objects, report.bytes, report.digest), (survey.objects, survey.bytes, survey.digest));
}

#[tokio::test]
async fn one_server_copies_by_itself_and_keeps_attributes_also_in_parts() {
    let mut world = World::one_server().await;
    let attributes = world::attributes();
    world.put_source("small", random(100), &attributes).await;
    world.put_source("large", random(12 * MIB), &attributes).await;
    world.set_copy_object_limit(6 * MIB as u64);
    let report = world.migrate().await.unwrap();
    assert_eq!((report.copied, report.parts, report.verified), (2, 0, 2));
    for key in ["small", "large"] {
        assert_eq!(world.target.head(&world.target_place.key(key)).await.unwrap().attributes, attributes, "{key}");
    }
    world.assert_equal().await;
}

#[tokio::test]
async fn large_objects_go_in_parts_and_are_proved_by_what_was_hashed() {
    let mut world = World::two_servers().await;
    world.settings.part_size = 5 * MIB as u64;
    let attributes = world::attributes();
    world.put_source("large", random(20 * MIB + 11), &attributes).await;
    let report = world.migrate().await.unwrap();
    assert_eq!((report.copied, report.parts, report.verified), (1, 5, 1));
    let head = world.target.head(&world.target_place.key("large")).await.unwrap();
    assert_eq!((head.etag.parts(), head.attributes), (Some(5), attributes));
    world.assert_equal().await;
}

#[tokio::test]
async fn a_multipart_object_keeps_its_parts_and_so_its_etag() {
    let world = World::two_servers().await;
    world.put_source_in_parts("parts", &[random(6 * MIB), random(6 * MIB), random(MIB)]).await;
    let first = world.migrate().await.unwrap();
    assert_eq!((first.copied, first.parts), (1, 3));
    let source = world.source.head("data/parts").await.unwrap();
    assert_eq!(world.target.head(&world.target_place.key("parts")).await.unwrap().etag, source.etag);
    let second = world.migrate().await.unwrap();
    assert_eq!((second.copied, second.already_there, second.verified), (0, 1, 1));
}

#[tokio::test]
async fn parts_larger_than_the_budget_stream_through() {
    let mut world = World::two_servers().await;
    world.put_source("large", random(21 * MIB), &Attributes::default()).await;
    world.put_source("medium", random(2 * MIB), &Attributes::default()).await;
    world.settings.buffer_bytes = 4 * MIB as u64;
    let report = world.migrate().await.unwrap();
    assert_eq!((report.copied, report.parts, report.verified), (2, 3, 2));
    world.assert_equal().await;
}

#[tokio::test]
async fn what_is_there_with_the_same_bytes_is_not_copied_again() {
    let world = World::two_servers().await;
    for index in 0..30 {
        world.put_source(&format!("{index:02}"), random(50 + index), &Attributes::default()).await;
    }
    assert_eq!(world.migrate().await.unwrap().copied, 30);
    let same_size = random(51);
    world.put_source("01", same_size, &Attributes::default()).await;
    world.target.delete(&world.target_place.key("07")).await.unwrap();
    world.target.put_small(&world.target_place.key("extra"), random(1), &Attributes::default()).await.unwrap();
    let report = world.migrate().await.unwrap();
    assert_eq!((report.copied, report.already_there, report.verified, report.extra), (2, 28, 30, 1));
    world.assert_equal().await;
}

#[tokio::test]
async fn any_number_of_objects_is_paged_through_and_neighbours_of_the_prefix_are_left_alone() {
    let mut world = World::two_servers().await;
    world.settings.page_size = 10;
    for index in 0..125 {
        world.put_source(&format!("n/{index}"), random(20), &Attributes::default()).await;
    }
    world.source.put_small("data-other/x", random(3), &Attributes::default()).await.unwrap();
    let progress = Progress::default();
    let report = migrate_objects(world.plan(), &progress, &CancellationToken::new()).await.unwrap();
    assert_eq!((report.objects, report.verified, report.bytes), (125, 125, 125 * 20));
    assert_eq!((progress.objects_done(), progress.bytes_done(), progress.objects_verified()), (125, 2_500, 125));
    assert_eq!(progress.objects_total(), Some(125));
    world.assert_equal().await;
}

#[tokio::test]
async fn the_source_is_never_modified() {
    let world = World::one_server().await;
    world.put_source("a", random(10), &world::attributes()).await;
    world.put_source("b", random(20), &world::attributes()).await;
    let before = listing::survey(&world.source, "data/").await.unwrap();
    world.migrate().await.unwrap();
    assert_eq!(listing::survey(&world.source, "data/").await.unwrap(), before);
}

#[tokio::test]
async fn overlapping_places_are_refused_before_anything_is_read() {
    let mut world = World::one_server().await;
    world.target_place = Place { prefix: "data/inside".into(), ..world.source_place.clone() };
    let error = world.migrate().await.unwrap_err();
    assert!(matches!(error, CopyError::Overlap) && !error.is_retryable());
}

#[tokio::test]
async fn a_missing_bucket_or_wrong_secret_is_named_and_not_retried() {
    let mut world = World::two_servers().await;
    world.put_source("a", random(10), &Attributes::default()).await;
    let there = world.target_place.clone();
    world.target_place = Place { bucket: "no-such-bucket".into(), ..there.clone() };
    let error = world.migrate().await.unwrap_err();
    assert!(error.to_string().contains("no-such-bucket") && !error.is_retryable(), "{error}");
    world.target_place = there;
    world.use_secret("wrong");
    let error = world.migrate().await.unwrap_err();
    assert!(error.to_string().contains("secret key") && !error.is_retryable(), "{error}");
}

#[tokio::test]
async fn a_cancelled_copy_says_so() {
    let world = World::two_servers().await;
    world.put_source("a", random(10), &Attributes::default()).await;
    let cancel = CancellationToken::new();
    cancel.cancel();
    let error = migrate_objects(world.plan(), &Progress::default(), &cancel).await.unwrap_err();
    assert!(matches!(error, CopyError::Cancelled), "{error}");
}

#[test]
fn settings_are_checked_when_read() {
    let settings: CopySettings = serde_json::from_str(r#"{"objects_in_flight":3}"#).unwrap();
    assert_eq!((settings.objects_in_flight, settings.buffer_bytes), (3, 64 * MIB as u64));
    assert!(serde_json::from_str::<CopySettings>(r#"{"object_in_flight":3}"#).is_err());
}
