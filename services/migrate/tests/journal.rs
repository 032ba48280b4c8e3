//! The journal of uploads: what every implementation of it must do.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]

use honk_migrate::copy::journal::{BucketJournal, Journal, MemoryJournal, Unfinished};
use honk_protocol::topology;
use honk_storage::{Algorithm, UploadId};
use honk_testkit::World;

fn unfinished(key: &str, id: &str) -> Unfinished {
    let upload = UploadId { key: key.into(), id: id.into(), checksum: Some(Algorithm::Crc64Nvme) };
    Unfinished { bucket: "target".into(), upload, source_etag: "v1".into(), size: 20, part_size: 8 }
}

/// What is told of one job to `one`, and of another to `other`.
async fn keeps_what_it_is_told(one: &dyn Journal, other: &dyn Journal) {
    let (a, b) = (unfinished("a", "1"), unfinished("b/ü x", "2"));
    assert_eq!(one.find(&a.name()).await.unwrap(), None);
    one.forget(&a.name()).await.unwrap();
    one.remember(&a).await.unwrap();
    one.remember(&b).await.unwrap();
    assert_eq!(one.find(&a.name()).await.unwrap(), Some(a.clone()));
    let again = unfinished("a", "3");
    one.remember(&again).await.unwrap();
    assert_eq!(
        one.find(&a.name()).await.unwrap(),
        Some(again.clone()),
        "a later upload takes the place of an earlier one"
    );
    let mut all = one.all().await.unwrap();
    all.sort_by(|x, y| x.upload.key.cmp(&y.upload.key));
    assert_eq!(all, [again, b.clone()]);
    assert_eq!(other.all().await.unwrap(), [], "another job's");
    one.forget(&a.name()).await.unwrap();
    assert_eq!(one.find(&a.name()).await.unwrap(), None);
    assert_eq!(one.all().await.unwrap(), [b]);
}

#[tokio::test]
async fn every_journal_keeps_what_it_is_told_until_it_is_told_to_forget() {
    keeps_what_it_is_told(&MemoryJournal::default(), &MemoryJournal::default()).await;
    let world = World::start().await;
    let of = |job: &str| BucketJournal::new(&world.bus, topology::CONTROL, job);
    keeps_what_it_is_told(&of("run1.migrate"), &of("run1.other")).await;
}
