//! What a folder remembers, and what it cleans up.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use honk_local::s3::{S3ServerError, Storage};

use crate::fixture::{BUCKET, Fixture, PART, client_of, code, completed, noise, serve};

impl Fixture {
    fn root(&self) -> PathBuf {
        self.folder.as_ref().unwrap().path().join("s3")
    }

    /// The server stopped and started again on the same folder.
    async fn restarted(self) -> Self {
        let root = self.root();
        self.server.stop().await;
        let server = serve(Storage::Disk(root)).await.unwrap();
        Self { client: client_of(&server), server, folder: self.folder }
    }
}

fn count_blobs(root: &Path) -> usize {
    let shards = fs::read_dir(root.join("blobs")).unwrap();
    shards.map(|shard| fs::read_dir(shard.unwrap().path()).unwrap().count()).sum()
}

#[tokio::test]
async fn a_restarted_server_has_everything() {
    let s3 = Fixture::on_disk().await;
    let put = s3.client.put_object().bucket(BUCKET).key("a/b").body(b"body".to_vec().into());
    let put = put.content_type("text/csv").metadata("a", "o").tagging("t=1").send().await.unwrap();
    s3.put("a", noise(1_000_000, 1)).await;
    s3.put("gone", "x").await;
    s3.client.delete_object().bucket(BUCKET).key("gone").send().await.unwrap();
    let parts = [noise(PART, 2), noise(9, 3)];
    let etag = s3.put_in_parts("parts", &parts).await;
    s3.client.copy_object().bucket(BUCKET).key("copy").copy_source("data/parts").send().await.unwrap();
    let id = s3.create_upload("open").await;
    let first = s3.upload_part("open", &id, 1, vec![1; PART]).await;

    // Twice, as the second start reads what the first rewrote.
    let s3 = s3.restarted().await.restarted().await;
    assert_eq!(s3.keys().await, ["a", "a/b", "copy", "parts"]);
    let got = s3.get("a/b").await;
    assert_eq!((got.e_tag(), got.content_type()), (put.e_tag(), Some("text/csv")));
    assert_eq!((got.metadata().unwrap()["a"].as_str(), got.tag_count()), ("o", Some(1)));
    assert!(s3.read("a").await == noise(1_000_000, 1));
    assert_eq!(s3.get("parts").await.e_tag(), Some(etag.as_str()));
    assert!(s3.read("parts").await == parts.concat());
    assert!(s3.read("copy").await == parts.concat());
    let second = s3.upload_part("open", &id, 2, vec![2; 5]).await;
    let complete = s3.client.complete_multipart_upload().bucket(BUCKET).key("open").upload_id(&id);
    complete.multipart_upload(completed(vec![first, second])).send().await.unwrap();
    assert_eq!(s3.read("open").await.len(), PART + 5);
}

#[tokio::test]
async fn bodies_that_nothing_points_to_are_removed() {
    let s3 = Fixture::on_disk().await;
    let root = s3.root();
    s3.put("a", "1").await;
    s3.put("a", "2").await;
    s3.client.copy_object().bucket(BUCKET).key("b").copy_source("data/a").send().await.unwrap();
    assert_eq!(count_blobs(&root), 1);
    s3.client.delete_object().bucket(BUCKET).key("a").send().await.unwrap();
    assert_eq!(s3.read("b").await, b"2");
    s3.client.delete_object().bucket(BUCKET).key("b").send().await.unwrap();
    assert_eq!(count_blobs(&root), 0);
    let refused = s3.client.put_object().bucket(BUCKET).key("c").checksum_crc32("AAAAAA==");
    assert_eq!(code(refused.body(b"x".to_vec().into()).send().await), "BadDigest");
    assert_eq!(count_blobs(&root), 0);

    fs::write(root.join("blobs/ff/00000000000000ff"), "left behind by a crash").unwrap();
    let s3 = s3.restarted().await;
    assert_eq!(count_blobs(&root), 0);
    s3.put("d", "new").await;
    assert_eq!(s3.read("d").await, b"new");
}

#[tokio::test]
async fn a_line_cut_off_by_a_crash_is_dropped_and_a_damaged_one_is_an_error() {
    let s3 = Fixture::on_disk().await;
    let journal = s3.root().join("journal.jsonl");
    s3.put("kept", "x").await;
    let folder = s3.folder;
    s3.server.stop().await;
    let append =
        |text: &str| fs::File::options().append(true).open(&journal).unwrap().write_all(text.as_bytes()).unwrap();
    append(r#"{"object":{"bucket":"data","key":"cut o"#);
    let root = folder.as_ref().unwrap().path().join("s3");
    let server = serve(Storage::Disk(root.clone())).await.unwrap();
    let s3 = Fixture { client: client_of(&server), server, folder };
    assert_eq!(s3.keys().await, ["kept"]);
    s3.put("more", "x").await;
    let s3 = s3.restarted().await;
    assert_eq!(s3.keys().await, ["kept", "more"]);

    let Fixture { server, folder, .. } = s3;
    server.stop().await;
    append("damage\n");
    let error = serve(Storage::Disk(root.clone())).await.unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(matches!(error, S3ServerError::Open { .. }) && source.contains("damaged in line"), "{source}");
    assert_eq!(count_blobs(&root), 2, "nothing is cleaned up on doubtful grounds");
    drop(folder);
}

#[tokio::test]
async fn a_copy_journalled_after_its_sources_deletion_keeps_the_body() {
    let s3 = Fixture::on_disk().await;
    let (root, journal) = (s3.root(), s3.root().join("journal.jsonl"));
    s3.put("source", "shared").await;
    let Fixture { server, folder, .. } = s3;
    server.stop().await;
    // As when a copy has read its source, which is deleted before the copy is recorded.
    let lines = fs::read_to_string(&journal).unwrap();
    let put = lines.lines().find(|line| line.contains("\"key\":\"source\"")).unwrap();
    let gone = r#"{"object_gone":{"bucket":"data","key":"source"}}"#;
    let copy = put.replace("\"key\":\"source\"", "\"key\":\"copy\"");
    fs::write(&journal, format!("{lines}{gone}\n{copy}\n")).unwrap();
    let server = serve(Storage::Disk(root)).await.unwrap();
    let s3 = Fixture { client: client_of(&server), server, folder };
    assert_eq!(s3.keys().await, ["copy"]);
    assert_eq!(s3.read("copy").await, b"shared");
}

#[tokio::test]
async fn a_folder_belongs_to_one_server_at_a_time() {
    let s3 = Fixture::on_disk().await;
    let error = serve(Storage::Disk(s3.root())).await.unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(source, "another process has this folder open");
}
