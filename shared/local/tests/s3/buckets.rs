//! Buckets.

use crate::fixture::{BUCKET, Fixture, code, on_both_storages, status};

on_both_storages!(
    buckets_are_created_listed_and_deleted,
    a_bucket_with_objects_is_not_deleted,
    what_is_not_there_is_told_by_its_code,
);

async fn buckets_are_created_listed_and_deleted(s3: &Fixture) {
    let client = &s3.client;
    client.create_bucket().bucket("another").send().await.unwrap();
    let again = client.create_bucket().bucket("another").send().await;
    assert_eq!(code(again), "BucketAlreadyOwnedByYou");
    let listed = client.list_buckets().send().await.unwrap();
    let names: Vec<_> = listed.buckets().iter().map(|bucket| bucket.name().unwrap()).collect();
    assert_eq!(names, ["another", BUCKET]);
    client.head_bucket().bucket("another").send().await.unwrap();
    assert!(client.get_bucket_location().bucket("another").send().await.is_ok());
    client.delete_bucket().bucket("another").send().await.unwrap();
    assert_eq!(status(client.head_bucket().bucket("another").send().await), 404);
}

async fn a_bucket_with_objects_is_not_deleted(s3: &Fixture) {
    s3.put("one", "1").await;
    assert_eq!(code(s3.client.delete_bucket().bucket(BUCKET).send().await), "BucketNotEmpty");
    s3.client.delete_object().bucket(BUCKET).key("one").send().await.unwrap();
    s3.client.delete_bucket().bucket(BUCKET).send().await.unwrap();
    assert_eq!(code(s3.client.list_objects_v2().bucket(BUCKET).send().await), "NoSuchBucket");
}

async fn what_is_not_there_is_told_by_its_code(s3: &Fixture) {
    let client = &s3.client;
    assert_eq!(code(client.get_object().bucket("missing").key("x").send().await), "NoSuchBucket");
    assert_eq!(code(client.put_object().bucket("missing").key("x").send().await), "NoSuchBucket");
    assert_eq!(code(client.get_object().bucket(BUCKET).key("x").send().await), "NoSuchKey");
    assert_eq!(status(client.head_object().bucket(BUCKET).key("x").send().await), 404);
    assert_eq!(code(client.delete_bucket().bucket("missing").send().await), "NoSuchBucket");
    assert!(client.delete_object().bucket(BUCKET).key("x").send().await.is_ok());
}
