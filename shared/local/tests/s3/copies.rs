//! Copies on the server.

use aws_sdk_s3::types::{ChecksumMode, MetadataDirective, StorageClass, TaggingDirective};

use crate::fixture::{BUCKET, Fixture, PART, code, noise, on_both_storages};

on_both_storages!(
    a_copy_has_the_sources_bytes_and_headers,
    a_replacing_copy_has_its_own_headers,
    a_copy_needs_its_source_as_expected,
    a_copy_does_not_change_with_its_source,
    a_copy_of_parts_is_one_body,
    a_copy_onto_itself_needs_a_change,
);

async fn put_source(s3: &Fixture) -> String {
    let put = s3.client.put_object().bucket(BUCKET).key("from/söurce +1").body(b"bytes".to_vec().into());
    let put =
        put.content_type("text/csv").metadata("owner", "ops").tagging("a=1").storage_class(StorageClass::OnezoneIa);
    put.send().await.unwrap().e_tag.unwrap()
}

const SOURCE: &str = "data/from/s%C3%B6urce%20%2B1";

async fn a_copy_has_the_sources_bytes_and_headers(s3: &Fixture) {
    let etag = put_source(s3).await;
    s3.client.create_bucket().bucket("other").send().await.unwrap();
    let copied = s3.client.copy_object().bucket("other").key("to").copy_source(SOURCE).send().await.unwrap();
    assert_eq!(copied.copy_object_result().unwrap().e_tag(), Some(etag.as_str()));
    let request = s3.client.get_object().bucket("other").key("to").checksum_mode(ChecksumMode::Enabled);
    let got = request.send().await.unwrap();
    assert_eq!((got.content_type(), got.e_tag()), (Some("text/csv"), Some(etag.as_str())));
    assert_eq!(got.metadata().unwrap()["owner"], "ops");
    assert_eq!((got.tag_count(), got.storage_class()), (Some(1), None), "tags are copied, the class is not");
    assert!(got.checksum_crc32().is_some());
    assert_eq!(got.body.collect().await.unwrap().to_vec(), b"bytes");
}

async fn a_replacing_copy_has_its_own_headers(s3: &Fixture) {
    put_source(s3).await;
    let copy = s3.client.copy_object().bucket(BUCKET).key("to").copy_source(format!("/{SOURCE}"));
    let copy = copy.metadata_directive(MetadataDirective::Replace).content_type("text/plain").metadata("new", "yes");
    copy.tagging_directive(TaggingDirective::Replace).tagging("b=2").send().await.unwrap();
    let got = s3.get("to").await;
    assert_eq!(got.content_type(), Some("text/plain"));
    assert_eq!(got.metadata().unwrap().len(), 1);
    let tags = s3.client.get_object_tagging().bucket(BUCKET).key("to").send().await.unwrap();
    assert_eq!(tags.tag_set()[0].key(), "b");
}

async fn a_copy_needs_its_source_as_expected(s3: &Fixture) {
    let etag = put_source(s3).await;
    let copy = || s3.client.copy_object().bucket(BUCKET).key("to").copy_source(SOURCE);
    assert_eq!(code(copy().copy_source_if_match("\"other\"").send().await), "PreconditionFailed");
    assert_eq!(code(copy().copy_source_if_none_match(&etag).send().await), "PreconditionFailed");
    copy().copy_source_if_match(&etag).send().await.unwrap();
    assert_eq!(code(copy().copy_source("data/missing").send().await), "NoSuchKey");
    assert_eq!(code(copy().copy_source("missing/key").send().await), "NoSuchBucket");
    assert_eq!(code(copy().if_none_match("*").send().await), "PreconditionFailed");
}

async fn a_copy_does_not_change_with_its_source(s3: &Fixture) {
    let body = noise(1_000_000, 4);
    s3.put("source", body.clone()).await;
    let copy = s3.client.copy_object().bucket(BUCKET).key("copy").copy_source("data/source");
    copy.send().await.unwrap();
    s3.put("source", "new").await;
    assert!(s3.read("copy").await == body);
    s3.client.delete_object().bucket(BUCKET).key("source").send().await.unwrap();
    assert!(s3.read("copy").await == body);
}

async fn a_copy_of_parts_is_one_body(s3: &Fixture) {
    let parts = [noise(PART, 1), noise(1_000, 2)];
    let etag = s3.put_in_parts("parts", &parts).await;
    assert!(etag.ends_with("-2\""));
    let copy = s3.client.copy_object().bucket(BUCKET).key("copy").copy_source("data/parts").send().await.unwrap();
    let plain = s3.put("plain", parts.concat()).await.e_tag;
    assert_eq!(copy.copy_object_result.unwrap().e_tag, plain);
    assert!(s3.read("copy").await == parts.concat());
}

async fn a_copy_onto_itself_needs_a_change(s3: &Fixture) {
    s3.put("k", "x").await;
    let copy = || s3.client.copy_object().bucket(BUCKET).key("k").copy_source("data/k");
    assert_eq!(code(copy().send().await), "InvalidRequest");
    copy().metadata_directive(MetadataDirective::Replace).metadata("a", "b").send().await.unwrap();
    assert_eq!(s3.get("k").await.metadata().unwrap()["a"], "b");
}
