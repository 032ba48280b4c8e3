//! Listing.

use aws_sdk_s3::types::EncodingType;
use futures_util::StreamExt as _;
use futures_util::stream;

use crate::fixture::{BUCKET, Fixture, code, on_both_storages};

on_both_storages!(
    thousands_of_keys_are_paged_in_order_and_once,
    a_delimiter_groups_and_pages_across_groups,
    the_first_version_pages_by_marker,
    a_listing_starts_behind_a_key,
    names_are_percent_encoded_when_asked,
    bad_arguments_are_refused,
);

async fn put_many(s3: &Fixture, keys: &[String]) {
    stream::iter(keys).for_each_concurrent(32, |key| async { drop(s3.put(key, "x").await) }).await;
}

async fn thousands_of_keys_are_paged_in_order_and_once(s3: &Fixture) {
    let keys: Vec<String> = (0..2_500).map(|i| format!("p/{i:05}")).collect();
    put_many(s3, &keys).await;
    s3.put("o", "before").await;
    s3.put("q", "behind").await;
    let (mut seen, mut sizes, mut token) = (Vec::new(), Vec::new(), None);
    loop {
        let request = s3.client.list_objects_v2().bucket(BUCKET).prefix("p/").set_continuation_token(token);
        let page = request.max_keys(5_000).send().await.unwrap();
        assert_eq!(page.key_count(), i32::try_from(page.contents().len()).ok());
        assert_eq!(page.max_keys(), Some(1_000));
        sizes.push(page.contents().len());
        seen.extend(page.contents().iter().map(|object| object.key().unwrap().to_owned()));
        assert_eq!(page.is_truncated(), Some(page.next_continuation_token().is_some()));
        token = page.next_continuation_token;
        if token.is_none() {
            break;
        }
    }
    assert_eq!(sizes, [1_000, 1_000, 500]);
    assert_eq!(seen, keys);
}

async fn a_delimiter_groups_and_pages_across_groups(s3: &Fixture) {
    let keys = ["a", "a/1", "a/2", "b/1", "b/2/x", "c"].map(str::to_owned);
    put_many(s3, &keys).await;
    let mut pages = s3.client.list_objects_v2().bucket(BUCKET).delimiter("/").max_keys(1).into_paginator().send();
    let mut seen = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.unwrap();
        seen.extend(page.contents().iter().map(|object| object.key().unwrap().to_owned()));
        seen.extend(page.common_prefixes().iter().map(|group| group.prefix().unwrap().to_owned()));
    }
    assert_eq!(seen, ["a", "a/", "b/", "c"]);
    let inner = s3.client.list_objects_v2().bucket(BUCKET).delimiter("/").prefix("b/").send().await.unwrap();
    assert_eq!(inner.contents()[0].key(), Some("b/1"));
    assert_eq!(inner.common_prefixes()[0].prefix(), Some("b/2/"));
}

async fn the_first_version_pages_by_marker(s3: &Fixture) {
    let keys = ["a/1", "a/2", "b", "c/1", "d"].map(str::to_owned);
    put_many(s3, &keys).await;
    let list = async |delimiter: Option<&str>| {
        let (mut seen, mut marker) = (Vec::new(), None::<String>);
        loop {
            let request = s3.client.list_objects().bucket(BUCKET).max_keys(2).set_marker(marker);
            let page = request.set_delimiter(delimiter.map(str::to_owned)).send().await.unwrap();
            let last = page.contents().last().and_then(|object| object.key().map(str::to_owned));
            seen.extend(page.contents().iter().map(|object| object.key().unwrap().to_owned()));
            seen.extend(page.common_prefixes().iter().map(|group| group.prefix().unwrap().to_owned()));
            if page.is_truncated() != Some(true) {
                seen.sort();
                return seen;
            }
            marker = page.next_marker.or(last);
        }
    };
    assert_eq!(list(None).await, keys);
    assert_eq!(list(Some("/")).await, ["a/", "b", "c/", "d"]);
}

async fn a_listing_starts_behind_a_key(s3: &Fixture) {
    let keys = ["a", "b", "c", "d"].map(str::to_owned);
    put_many(s3, &keys).await;
    let list = s3.client.list_objects_v2().bucket(BUCKET);
    let page = list.clone().start_after("b").send().await.unwrap();
    assert_eq!(page.contents()[0].key(), Some("c"));
    let between = list.start_after("bb").max_keys(1).send().await.unwrap();
    assert_eq!(between.contents()[0].key(), Some("c"));
    assert_eq!(between.is_truncated(), Some(true));
}

async fn names_are_percent_encoded_when_asked(s3: &Fixture) {
    s3.put("a b/ü+\u{1}", "x").await;
    let list = s3.client.list_objects_v2().bucket(BUCKET).encoding_type(EncodingType::Url);
    let page = list.clone().prefix("a b/").send().await.unwrap();
    assert_eq!(page.contents()[0].key(), Some("a%20b/%C3%BC%2B%01"));
    assert_eq!(page.prefix(), Some("a%20b/"));
    let groups = list.delimiter("/").send().await.unwrap();
    assert_eq!(groups.common_prefixes()[0].prefix(), Some("a%20b/"));
}

async fn bad_arguments_are_refused(s3: &Fixture) {
    let list = || s3.client.list_objects_v2().bucket(BUCKET);
    assert_eq!(code(list().continuation_token("not one of ours!").send().await), "InvalidArgument");
    assert_eq!(code(list().max_keys(-1).send().await), "InvalidArgument");
    s3.put("k", "x").await;
    let none = list().max_keys(0).send().await.unwrap();
    assert_eq!((none.contents().len(), none.is_truncated()), (0, Some(false)));
}
