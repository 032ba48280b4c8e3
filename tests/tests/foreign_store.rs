//! An S3 server of another make. All other tests use the embedded one, which is our own reading of the protocol and cannot tell
//! where we misread it. `.ci/foreign-store` installs moto, starts it, and runs this.

#![expect(clippy::unwrap_used, reason = "a dataset that cannot be made fails the test")]

use bytes::Bytes;
use honk_service::environment;
use honk_storage::{Algorithm, Attributes, Store};
use honk_testkit::datasets::content;
use honk_testkit::harness::{SOURCE_BUCKET, TARGET_BUCKET};
use honk_testkit::{Dataset, Harness, PATIENCE, Service};
use serde_json::json;

const MIB: usize = 1 << 20;

/// Parts of 5 MiB, of which the large object has three.
const SMALL_PARTS: [(&str, &str); 2] =
    [("HONK_MIGRATE__MULTIPART_THRESHOLD", "6291456"), ("HONK_MIGRATE__PART_SIZE", "5242880")];

/// More objects than one page of a listing holds.
const MANY: usize = 1_050;

async fn fill(store: &Store, prefix: &str, small: usize) {
    for key in ["plain.csv", "with space & +%20=.csv", "ünïcödé/näme", "empty"] {
        let body = if key == "empty" { Bytes::new() } else { Bytes::from(key.repeat(100)) };
        store.put_small(&format!("{prefix}/{key}"), body, &Attributes::default()).await.unwrap();
    }
    for number in 0..small {
        let key = format!("{prefix}/page/{number:04}");
        store.put_small(&key, Bytes::from(key.clone()), &Attributes::default()).await.unwrap();
    }
    let large = format!("{prefix}/large.bin");
    let upload = store.create_upload(&large, &Attributes::default(), Algorithm::Crc64Nvme).await.unwrap();
    let mut parts = Vec::new();
    for (number, length) in [(1, 5 * MIB), (2, 5 * MIB), (3, MIB)] {
        let bytes: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(length).collect();
        parts.push(upload.part(number, Bytes::from(bytes)).await.unwrap());
    }
    upload.complete(&parts).await.unwrap();
}

#[tokio::test]
#[ignore = "needs an S3 server of another make: run .ci/foreign-store"]
async fn datasets_migrate_within_into_and_out_of_a_store_of_another_make() {
    let environment = environment();
    let foreign = environment.get("FOREIGN_S3_URL").expect("FOREIGN_S3_URL; .ci/foreign-store sets it");
    let harness = Harness::start().await;
    let own = harness.s3.url();
    for bucket in [SOURCE_BUCKET, TARGET_BUCKET] {
        harness.store_at(foreign, bucket).await.create_bucket().await.unwrap();
    }
    let _services = Service::ALL
        .map(|service| harness.spawn(service, if service == Service::Migrate { &SMALL_PARTS } else { &[] }));
    let ways = [("within", foreign, foreign, MANY), ("into", &own, foreign, 1), ("out-of", foreign, &own, 1)];
    for (name, from, to, objects) in ways {
        let source = harness.store_at(from, SOURCE_BUCKET).await;
        let target = harness.store_at(to, TARGET_BUCKET).await;
        fill(&source, name, objects).await;
        harness.import(name, "Resource", &json!({}), &json!({ "type": "dataset", "owner": "team" })).await;
        harness.locate(name, (from, to)).await;
        let run = harness.migrate(&Dataset { name: name.parse().unwrap() }).await;
        let record = harness.succeed(std::slice::from_ref(&run), 4 * PATIENCE).await.remove(0);
        assert_eq!(record.attempts(), 3, "{name}: every job succeeded at once");
        let prefix = format!("{name}/");
        let (before, after) = (content(&source, &prefix).await, content(&target, &prefix).await);
        assert_eq!(before.len(), objects + 5, "{name}");
        assert_eq!(before, after, "{name}");
    }
    harness.finish().await;
}
