//! Large objects: what a second attempt need not copy again, what a killed one leaves, and how little room is enough.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]

#[path = "support/faults.rs"]
mod faults;
#[path = "support/world.rs"]
mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use faults::{Fault, Faults};
use honk_migrate::copy::journal::{Journal as _, MemoryJournal, sweep};
use honk_migrate::copy::{Progress, migrate_objects};
use honk_storage::{Algorithm, Attributes};
use tokio_util::sync::CancellationToken;
use world::{MIB, World, random};

/// Counts the reads of source objects from here on.
async fn count_reads(world: &mut World) -> (Faults, Arc<AtomicU64>) {
    let reads = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&reads);
    let proxy = Faults::before(world.source_place.endpoint.as_ref().unwrap(), move |request| {
        if request.method == "GET" && request.path.starts_with("/source/data/") && !request.path.contains("tagging") {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        Fault::None
    });
    let proxy = proxy.await;
    world.source_place.endpoint = Some(proxy.url());
    (proxy, reads)
}

#[tokio::test]
async fn a_large_object_of_one_part_is_not_copied_again_though_its_etag_differs() {
    let mut world = World::two_servers().await;
    world.put_source("large", random(17 * MIB), &Attributes::default()).await;
    assert_eq!(world.migrate().await.unwrap().copied, 1);
    let target = world.target.head(&world.target_place.key("large")).await.unwrap();
    assert_eq!((target.etag.parts(), target.checksums.len()), (Some(3), 1));
    let (_proxy, reads) = count_reads(&mut world).await;
    let second = world.migrate().await.unwrap();
    assert_eq!((second.copied, second.already_there, second.verified), (0, 1, 1));
    assert_eq!(reads.load(Ordering::Relaxed), 0, "the target was read, whose bytes the source's MD5 proves");
}

#[tokio::test]
async fn checksums_that_both_stores_keep_prove_a_copy_without_reading() {
    let mut world = World::two_servers().await;
    // No regular layout, so the copy has parts of its own.
    world.put_source_in_parts("parts", &[random(6 * MIB), random(7 * MIB), random(6 * MIB)]).await;
    assert_eq!(world.migrate().await.unwrap().copied, 1);
    let heads = (
        world.source.head("data/parts").await.unwrap(),
        world.target.head(&world.target_place.key("parts")).await.unwrap(),
    );
    assert_ne!(heads.0.etag, heads.1.etag);
    assert_eq!(heads.0.checksums, heads.1.checksums);
    let (_proxy, reads) = count_reads(&mut world).await;
    let second = world.migrate().await.unwrap();
    assert_eq!((second.copied, second.already_there, second.verified), (0, 1, 1));
    assert_eq!(reads.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_damaged_copy_of_the_right_size_is_copied_again() {
    let mut world = World::two_servers().await;
    world.settings.multipart_threshold = MIB as u64;
    world.put_source("large", random(5 * MIB), &Attributes::default()).await;
    world.migrate().await.unwrap();
    let key = world.target_place.key("large");
    let upload = world.target.create_upload(&key, &Attributes::default(), Algorithm::Crc64Nvme).await.unwrap();
    let part = upload.part(1, random(5 * MIB)).await.unwrap();
    upload.complete(&[part]).await.unwrap();
    assert_eq!(world.migrate().await.unwrap().copied, 1);
    world.assert_equal().await;
}

#[tokio::test]
async fn uploads_that_a_killed_agent_left_for_the_key_are_aborted() {
    let mut world = World::two_servers().await;
    world.settings.multipart_threshold = MIB as u64;
    world.put_source("large", random(6 * MIB), &Attributes::default()).await;
    let begin = |key: &str| {
        let key = world.target_place.key(key);
        let target = world.target.clone();
        async move { target.create_upload(&key, &Attributes::default(), Algorithm::Crc64Nvme).await.unwrap() }
    };
    let (left, other) = (begin("large").await, begin("large-2").await);
    left.part(1, random(MIB)).await.unwrap();
    assert_eq!(world.migrate().await.unwrap().copied, 1);
    assert_eq!(left.part(2, random(MIB)).await.unwrap_err().code(), Some("NoSuchUpload"));
    other.part(1, random(MIB)).await.unwrap();
}

#[tokio::test]
async fn an_attempt_that_dies_midway_loses_only_the_objects_in_flight() {
    let mut world = World::two_servers().await;
    world.settings.multipart_threshold = MIB as u64;
    world.settings.objects_in_flight = 1;
    for key in ["a", "b", "c"] {
        world.put_source(key, random(12 * MIB), &Attributes::default()).await;
    }
    let (progress, cancel) = (Progress::default(), CancellationToken::new());
    let midway = async {
        // In the middle of the second object.
        while progress.bytes_done() <= 12 * MIB as u64 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        () = midway => {}
        report = migrate_objects(world.plan(), &progress, &cancel) => panic!("it ended first: {report:?}"),
    }
    let again = world.migrate().await.unwrap();
    // The second object may have been finished before the attempt was seen to be in the middle of it.
    assert!(again.already_there >= 1 && again.copied >= 1, "{again:?}");
    assert_eq!((again.copied + again.already_there, again.verified), (3, 3));
    for key in ["a", "b", "c"] {
        assert_eq!(world.target.abort_uploads(&world.target_place.key(key)).await.unwrap(), 0, "{key}");
    }
    world.assert_equal().await;
}

#[tokio::test]
async fn an_upload_that_somebody_aborts_is_begun_again() {
    let mut world = World::two_servers().await;
    world.settings.multipart_threshold = MIB as u64;
    world.put_source("large", random(12 * MIB), &Attributes::default()).await;
    let aborted = AtomicU64::new(0);
    let proxy = Faults::before(world.target_place.endpoint.as_ref().unwrap(), move |request| {
        let sends_part = request.method == "PUT" && request.path.contains("partNumber=2");
        if sends_part && aborted.fetch_add(1, Ordering::Relaxed) == 0 {
            Fault::Answer(404, "NoSuchUpload")
        } else {
            Fault::None
        }
    });
    let proxy = proxy.await;
    world.target_place.endpoint = Some(proxy.url());
    let report = world.migrate().await.unwrap();
    assert_eq!((report.copied, report.parts, report.verified), (1, 2, 1));
    world.assert_equal().await;
}

#[tokio::test]
async fn many_large_objects_share_room_for_two_parts() {
    let mut world = World::two_servers().await;
    world.settings.multipart_threshold = MIB as u64;
    world.settings.part_size = 5 * MIB as u64;
    world.settings.buffer_bytes = 10 * MIB as u64;
    for key in ["a", "b", "c", "d"] {
        world.put_source(key, random(10 * MIB + 1), &Attributes::default()).await;
    }
    let report = world.migrate().await.unwrap();
    assert_eq!((report.copied, report.parts, report.verified), (4, 12, 4));
    world.assert_equal().await;
}

#[tokio::test]
async fn parts_of_the_source_that_are_too_large_to_hold_pass_through() {
    let mut world = World::two_servers().await;
    world.settings.buffer_bytes = 4 * MIB as u64;
    world.put_source_in_parts("parts", &[random(6 * MIB), random(6 * MIB), random(6 * MIB), random(11)]).await;
    let report = world.migrate().await.unwrap();
    assert_eq!((report.copied, report.parts, report.verified), (1, 4, 1));
    let target = world.target.head(&world.target_place.key("parts")).await.unwrap();
    let source = world.source.head("data/parts").await.unwrap();
    assert_eq!((target.etag, target.checksums), (source.etag, source.checksums));
    world.assert_equal().await;
}

#[tokio::test]
async fn tags_travel_with_objects_of_any_size() {
    let tagging = Some("stage=gold&team=data%20platform".to_owned());
    let attributes = Attributes { tagging: tagging.clone(), ..world::attributes() };
    for one in [true, false] {
        let mut world = if one { World::one_server().await } else { World::two_servers().await };
        world.settings.multipart_threshold = 3 * MIB as u64;
        world.settings.buffer_bytes = 3 * MIB as u64;
        for (key, length) in [("small", 10), ("passed-on", 2 * MIB), ("large", 6 * MIB)] {
            world.put_source(key, random(length), &attributes).await;
        }
        world.migrate().await.unwrap();
        for key in ["small", "passed-on", "large"] {
            let found = world.target.tagging(&world.target_place.key(key)).await.unwrap();
            assert_eq!(found, tagging, "{key}, one endpoint: {one}");
        }
    }
}

/// One object of 40 MiB in eight parts, of which few are under way at a time.
async fn world_with_a_journal(in_parts: bool) -> (World, Arc<MemoryJournal>) {
    let mut world = World::two_servers().await;
    world.settings.part_size = 5 * MIB as u64;
    world.settings.buffer_bytes = 20 * MIB as u64;
    world.settings.parts_in_flight = 2;
    let journal = Arc::new(MemoryJournal::default());
    world.journal = Some(journal.clone());
    if in_parts {
        let parts: Vec<_> = (0..8).map(|_| random(5 * MIB)).collect();
        world.put_source_in_parts("large", &parts).await;
    } else {
        world.put_source("large", random(40 * MIB), &Attributes::default()).await;
    }
    (world, journal)
}

/// Copies until four parts have been sent, and is then gone as if killed.
async fn be_killed_midway(world: &World) {
    let (progress, cancel) = (Progress::default(), CancellationToken::new());
    let midway = async {
        while progress.bytes_done() < 20 * MIB as u64 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        () = midway => {}
        report = migrate_objects(world.plan(), &progress, &cancel) => panic!("it ended first: {report:?}"),
    }
}

#[tokio::test]
async fn after_a_kill_only_the_parts_that_were_in_flight_are_sent_again() {
    for in_parts in [true, false] {
        let (world, journal) = world_with_a_journal(in_parts).await;
        be_killed_midway(&world).await;
        assert_eq!(journal.all().await.unwrap().len(), 1);
        let report = world.migrate().await.unwrap();
        assert_eq!((report.copied, report.verified), (1, 1));
        assert!(report.parts <= 4, "{} of 8 parts were sent again", report.parts);
        assert_eq!(journal.all().await.unwrap(), []);
        world.assert_equal().await;
    }
}

#[tokio::test]
async fn an_upload_in_the_journal_that_the_store_has_no_more_is_begun_anew() {
    let (world, journal) = world_with_a_journal(true).await;
    be_killed_midway(&world).await;
    assert_eq!(world.target.abort_uploads(&world.target_place.key("large")).await.unwrap(), 1);
    let report = world.migrate().await.unwrap();
    assert_eq!((report.copied, report.parts, report.verified), (1, 8, 1));
    assert_eq!(journal.all().await.unwrap(), []);
}

#[tokio::test]
async fn parts_of_another_version_are_not_gone_on_with() {
    let (world, journal) = world_with_a_journal(false).await;
    be_killed_midway(&world).await;
    world.put_source("large", random(40 * MIB), &Attributes::default()).await;
    let report = world.migrate().await.unwrap();
    assert_eq!((report.copied, report.parts, report.verified), (1, 8, 1));
    world.assert_equal().await;
    // The upload of the version before was aborted when that of this one was begun; its note is swept.
    assert_eq!(sweep(journal.as_ref(), &world.target).await.unwrap(), 1);
    assert_eq!(journal.all().await.unwrap(), []);
}

#[tokio::test]
async fn parts_that_were_damaged_in_the_store_are_found_out_and_sent_again() {
    let (world, journal) = world_with_a_journal(true).await;
    be_killed_midway(&world).await;
    let note = journal.all().await.unwrap().remove(0);
    world.target.resume_upload(&note.upload).part(1, random(5 * MIB)).await.unwrap();
    let report = world.migrate().await.unwrap();
    assert_eq!((report.copied, report.verified), (1, 1));
    world.assert_equal().await;
}

#[tokio::test]
async fn a_sweep_frees_what_nobody_will_go_on_with() {
    let (world, journal) = world_with_a_journal(true).await;
    be_killed_midway(&world).await;
    assert_eq!(sweep(journal.as_ref(), &world.target).await.unwrap(), 1);
    assert_eq!(world.target.abort_uploads(&world.target_place.key("large")).await.unwrap(), 0);
    assert_eq!(journal.all().await.unwrap(), []);
}
