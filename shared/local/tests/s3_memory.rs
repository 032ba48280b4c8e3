//! What a large object costs the disk store in memory; in a process of its own, so that nothing else is counted.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, also in its helpers")]

use std::net::{Ipv4Addr, SocketAddr};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Config, Credentials, Region};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use honk_local::s3::{S3Options, S3Server, Storage};

/// Of one part, and of the object uploaded at once.
const SIZE: u64 = 50 << 20;
/// Client and server together, in KiB.
const LIMIT_KIB: u64 = 80 << 10;

fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

async fn count_bytes(mut body: ByteStream) -> u64 {
    let mut bytes = 0;
    while let Some(chunk) = body.next().await {
        bytes += chunk.unwrap().len() as u64;
    }
    bytes
}

async fn upload_in_parts(client: &Client, path: &std::path::Path, parts: i32) {
    let created = client.create_multipart_upload().bucket("data").key("parts").send().await.unwrap();
    let mut done = CompletedMultipartUpload::builder();
    for number in 1..=parts {
        let request = client.upload_part().bucket("data").key("parts").upload_id(created.upload_id().unwrap());
        let body = ByteStream::from_path(path).await.unwrap();
        let part = request.part_number(number).body(body).send().await.unwrap();
        done = done.parts(CompletedPart::builder().part_number(number).set_e_tag(part.e_tag).build());
    }
    let complete = client.complete_multipart_upload().bucket("data").key("parts").set_upload_id(created.upload_id);
    complete.multipart_upload(done.build()).send().await.unwrap();
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_object_of_200_mib_does_not_sit_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("body");
    std::fs::File::create(&path).unwrap().set_len(SIZE).unwrap();
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let storage = Storage::Disk(folder.path().join("s3"));
    let options = S3Options { listen, storage, access_key: "honk".into(), secret_key: "secret".into() };
    let server = S3Server::start(options).await.unwrap();
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(server.url())
        .force_path_style(true)
        .region(Region::new("anywhere"))
        .credentials_provider(Credentials::new("honk", "secret", None, None, "test"));
    let client = Client::from_conf(config.build());
    client.create_bucket().bucket("data").send().await.unwrap();

    let body = ByteStream::from_path(&path).await.unwrap();
    client.put_object().bucket("data").key("one").body(body).send().await.unwrap();
    upload_in_parts(&client, &path, 4).await;
    for (key, size) in [("one", SIZE), ("parts", 4 * SIZE)] {
        let got = client.get_object().bucket("data").key(key).send().await.unwrap();
        assert_eq!(count_bytes(got.body).await, size);
    }
    let copied = client.copy_object().bucket("data").key("copy").copy_source("data/parts").send().await.unwrap();
    assert!(!copied.copy_object_result.unwrap().e_tag.unwrap().contains('-'));
    assert!(peak_kib() < LIMIT_KIB, "peak of {} KiB", peak_kib());
    server.stop().await;
}
