//! Which keys there can be.

use crate::fixture::{BUCKET, Fixture, code, on_both_storages};

on_both_storages!(
    keys_of_every_kind_come_back_as_they_were,
    a_key_beside_its_own_children_is_a_key_of_its_own,
    a_key_of_1024_bytes_is_the_longest,
);

async fn keys_of_every_kind_come_back_as_they_were(s3: &Fixture) {
    let keys = [
        "plain",
        "with space",
        "plus+sign",
        "percent%41",
        "quo\"te'<&>",
        "ünïcode/日本語/🦢",
        "dots/../up",
        "./dot",
        "a//b",
        "/leading",
        "trailing/",
        "semi;colon=and?query#hash",
        "tab\tand\nline",
        "back\\slash",
        "~!@$^*()[]{}|",
    ];
    for key in keys {
        s3.put(key, key).await;
    }
    for key in keys {
        assert_eq!(s3.read(key).await, key.as_bytes(), "{key:?}");
    }
    let mut expected: Vec<String> = keys.map(str::to_owned).into();
    expected.sort();
    assert_eq!(s3.keys().await, expected);
    for key in keys {
        s3.client.delete_object().bucket(BUCKET).key(key).send().await.unwrap();
    }
    assert!(s3.keys().await.is_empty());
}

async fn a_key_beside_its_own_children_is_a_key_of_its_own(s3: &Fixture) {
    for key in ["a", "a/", "a/b", "a/b/c"] {
        s3.put(key, format!("body of {key}")).await;
    }
    s3.client.delete_object().bucket(BUCKET).key("a/b").send().await.unwrap();
    assert_eq!(s3.keys().await, ["a", "a/", "a/b/c"]);
    assert_eq!(s3.read("a").await, b"body of a");
    assert_eq!(s3.read("a/").await, b"body of a/");
}

async fn a_key_of_1024_bytes_is_the_longest(s3: &Fixture) {
    let longest = "ü".repeat(512);
    s3.put(&longest, "x").await;
    assert_eq!(s3.keys().await, [longest.as_str()]);
    let longer = s3.client.put_object().bucket(BUCKET).key(format!("{longest}x")).send().await;
    assert_eq!(code(longer), "KeyTooLongError");
}
