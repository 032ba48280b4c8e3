//! Objects: bodies, headers, metadata, tags, ranges, deletion.

use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_sdk_s3::types::{Delete, ObjectIdentifier, StorageClass, Tag, Tagging};

use crate::fixture::{BUCKET, Fixture, code, noise, on_both_storages};

on_both_storages!(
    what_was_put_is_what_is_got,
    headers_metadata_and_class_are_kept,
    tags_come_with_the_upload_and_change_alone,
    ranges_are_served_as_asked,
    part_one_of_a_simple_object_is_all_of_it,
    many_objects_are_deleted_at_once,
    a_streamed_file_arrives_whole,
);

async fn what_was_put_is_what_is_got(s3: &Fixture) {
    let etag = s3.put("small", "hello").await.e_tag.unwrap();
    assert_eq!(etag, "\"5d41402abc4b2a76b9719d911017c592\"", "the ETag is the MD5");
    let got = s3.get("small").await;
    assert_eq!(got.e_tag(), Some(etag.as_str()));
    assert_eq!((got.content_length(), got.content_type()), (Some(5), Some("application/octet-stream")));
    assert!(got.last_modified().unwrap().secs() > 1_700_000_000);
    assert_eq!(got.body.collect().await.unwrap().to_vec(), b"hello");

    assert_eq!(s3.put("empty", "").await.e_tag(), Some("\"d41d8cd98f00b204e9800998ecf8427e\""));
    assert!(s3.read("empty").await.is_empty());

    let large = noise(3_000_001, 7);
    s3.put("small", large.clone()).await;
    assert!(s3.read("small").await == large, "the new body is in the place of the old one");
}

async fn headers_metadata_and_class_are_kept(s3: &Fixture) {
    let request = s3.client.put_object().bucket(BUCKET).key("k").body(ByteStream::from_static(b"x"));
    let request = request.content_type("text/csv; charset=utf-8").content_encoding("gzip").content_language("fr");
    let request =
        request.cache_control("no-store").content_disposition("inline").storage_class(StorageClass::StandardIa);
    let request = request.expires(DateTime::from_secs(2_000_000_000)).metadata("owner", "ops").metadata("name", "zoë");
    request.send().await.unwrap();
    let head = s3.client.head_object().bucket(BUCKET).key("k").send().await.unwrap();
    assert_eq!(head.content_type(), Some("text/csv; charset=utf-8"));
    assert_eq!((head.content_encoding(), head.content_language()), (Some("gzip"), Some("fr")));
    assert_eq!((head.cache_control(), head.content_disposition()), (Some("no-store"), Some("inline")));
    assert_eq!(head.storage_class(), Some(&StorageClass::StandardIa));
    assert_eq!(head.expires_string(), Some("Wed, 18 May 2033 03:33:20 GMT"));
    assert_eq!(head.metadata().unwrap()["owner"], "ops");
    // Other than ASCII comes back as RFC 2047 writes it, as from S3.
    assert_eq!(head.metadata().unwrap()["name"], "=?UTF-8?B?em/Dqw==?=");
    assert_eq!(head.content_length(), Some(1));
    let got = s3.get("k").await;
    assert_eq!(got.metadata(), head.metadata());
    let listed = s3.client.list_objects_v2().bucket(BUCKET).send().await.unwrap();
    assert_eq!(listed.contents()[0].storage_class().unwrap().as_str(), "STANDARD_IA");
}

async fn tags_come_with_the_upload_and_change_alone(s3: &Fixture) {
    let client = &s3.client;
    client.put_object().bucket(BUCKET).key("k").tagging("team=data&stage=a%20b").send().await.unwrap();
    let tags = async || {
        let got = client.get_object_tagging().bucket(BUCKET).key("k").send().await.unwrap();
        got.tag_set().iter().map(|tag| format!("{}={}", tag.key(), tag.value())).collect::<Vec<_>>()
    };
    assert_eq!(tags().await, ["team=data", "stage=a b"]);
    let before = s3.get("k").await;
    assert_eq!(before.tag_count(), Some(2));
    let only = Tag::builder().key("only").value("one").build().unwrap();
    let tagging = Tagging::builder().tag_set(only.clone()).build().unwrap();
    client.put_object_tagging().bucket(BUCKET).key("k").tagging(tagging).send().await.unwrap();
    assert_eq!(tags().await, ["only=one"]);
    assert_eq!(s3.get("k").await.last_modified(), before.last_modified());
    let twice = Tagging::builder().tag_set(only.clone()).tag_set(only).build().unwrap();
    let refused = client.put_object_tagging().bucket(BUCKET).key("k").tagging(twice).send().await;
    assert_eq!(code(refused), "InvalidTag");
    client.delete_object_tagging().bucket(BUCKET).key("k").send().await.unwrap();
    assert!(tags().await.is_empty());
}

async fn ranges_are_served_as_asked(s3: &Fixture) {
    let body = noise(1_200_000, 3);
    s3.put("k", body.clone()).await;
    let get = async |range: &str| s3.client.get_object().bucket(BUCKET).key("k").range(range).send().await;
    let cases = [("bytes=0-0", 0..1), ("bytes=10-19", 10..20), ("bytes=524280-524300", 524_280..524_301)];
    let cases = cases.into_iter().chain([
        ("bytes=1199990-", 1_199_990..1_200_000),
        ("bytes=-7", 1_199_993..1_200_000),
        ("bytes=5-99999999", 5..1_200_000),
    ]);
    for (range, expected) in cases {
        let got = get(range).await.unwrap();
        let told = format!("bytes {}-{}/1200000", expected.start, expected.end - 1);
        assert_eq!(got.content_range(), Some(told.as_str()));
        assert!(got.body.collect().await.unwrap().to_vec() == body[expected], "{range}");
    }
    assert_eq!(code(get("bytes=1200000-").await), "InvalidRange");
    let head = s3.client.head_object().bucket(BUCKET).key("k").range("bytes=1-4").send().await.unwrap();
    assert_eq!(head.content_length(), Some(4));
}

async fn part_one_of_a_simple_object_is_all_of_it(s3: &Fixture) {
    s3.put("k", "whole").await;
    let get = async |number| s3.client.get_object().bucket(BUCKET).key("k").part_number(number).send().await;
    let part = get(1).await.unwrap();
    assert_eq!((part.content_length(), part.parts_count()), (Some(5), None));
    assert_eq!(part.body.collect().await.unwrap().to_vec(), b"whole");
    assert_eq!(code(get(2).await), "InvalidPartNumber");
}

async fn many_objects_are_deleted_at_once(s3: &Fixture) {
    for key in ["a", "b", "c"] {
        s3.put(key, key).await;
    }
    let named = ["a", "c", "never was"].map(|key| ObjectIdentifier::builder().key(key).build().unwrap());
    let delete = Delete::builder().set_objects(Some(named.into())).build().unwrap();
    let answer = s3.client.delete_objects().bucket(BUCKET).delete(delete).send().await.unwrap();
    assert_eq!((answer.deleted().len(), answer.errors().len()), (3, 0));
    assert_eq!(s3.keys().await, ["b"]);
}

async fn a_streamed_file_arrives_whole(s3: &Fixture) {
    let folder = tempfile::tempdir().unwrap();
    let (path, body) = (folder.path().join("body"), noise(2_345_678, 11));
    std::fs::write(&path, &body).unwrap();
    let stream = ByteStream::from_path(path).await.unwrap();
    s3.client.put_object().bucket(BUCKET).key("k").body(stream).send().await.unwrap();
    assert!(s3.read("k").await == body);
    assert_eq!(s3.get("k").await.content_encoding(), None, "aws-chunked is how it travelled, not what it is");
}
