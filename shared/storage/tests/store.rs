//! A store's calls against the embedded S3 server.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use honk_local::s3::{S3Options, S3Server, Storage};
use honk_storage::{
    Algorithm, Attributes, ByteRange, Checksum, ContentHasher, Credentials, ErrorKind, Etag, Keep, ObjectInfo,
    PartLayout, Place, StorageConfig, Store, Stores, listing,
};

const MIB: usize = 1 << 20;

struct World {
    store: Store,
    url: String,
    _server: S3Server,
}

fn config(secret: &str) -> StorageConfig {
    let (access_key, secret_key) = ("tester".to_owned(), secret.to_owned());
    let credentials = Some(Credentials { access_key, secret_key, session_token: None });
    StorageConfig { credentials, copy_object_limit: 4 * MIB as u64, request_backoff_ms: 1, ..StorageConfig::default() }
}

async fn world() -> World {
    let options = S3Options {
        listen: "127.0.0.1:0".parse().unwrap(),
        storage: Storage::Memory,
        access_key: "tester".into(),
        secret_key: "secret".into(),
    };
    let server = S3Server::start(options).await.unwrap();
    let url = server.url();
    let store = Stores::new(config("secret")).open(&Place::new("bucket", "").at(&url)).await.unwrap();
    store.create_bucket().await.unwrap();
    World { store, url, _server: server }
}

fn attributes() -> Attributes {
    Attributes {
        content_type: Some("text/plain".into()),
        cache_control: Some("no-store".into()),
        metadata: [("a-name".to_owned(), "a value".to_owned())].into(),
        ..Attributes::default()
    }
}

fn bytes(length: usize) -> Bytes {
    (0..length).map(|index| u8::try_from(index * 31 % 251).unwrap()).collect()
}

fn info(key: &str, size: usize, etag: Etag) -> ObjectInfo {
    ObjectInfo { key: key.into(), size: size as u64, etag, last_modified: None }
}

#[tokio::test]
async fn what_is_written_is_read_back_with_its_attributes() {
    let world = world().await;
    let store = &world.store;
    for (key, length) in [("small", 1_000), ("empty", 0), ("odd /+ü%", 7)] {
        let etag = store.put_small(key, bytes(length), &attributes()).await.unwrap();
        let download = store.get(key, None, Some(&etag)).await.unwrap();
        assert_eq!((download.head.size, &download.head.etag), (length as u64, &etag));
        assert_eq!(download.head.attributes, attributes());
        assert_eq!(download.collect().await.unwrap(), bytes(length));
    }
    let range = ByteRange { start: 10, length: 5 };
    let part = store.get("small", Some(range), None).await.unwrap().collect().await.unwrap();
    assert_eq!(part, bytes(1_000).slice(10..15));
}

#[tokio::test]
async fn a_stream_of_known_length_is_written_and_a_broken_one_is_not() {
    let world = world().await;
    let store = &world.store;
    let chunks = stream::iter(vec![Ok(bytes(100_000)), Ok(bytes(50_000))]);
    let etag = store.put_stream("streamed", 150_000, chunks, &attributes()).await.unwrap();
    let head = store.head("streamed").await.unwrap();
    assert_eq!((head.size, head.etag, head.attributes), (150_000, etag, attributes()));
    let reason = store.corrupt("read", "elsewhere", "broken on purpose");
    let broken = stream::iter(vec![Ok(bytes(100)), Err(reason)]);
    let error = store.put_stream("broken", 200, broken, &attributes()).await.unwrap_err();
    assert!(error.kind() == ErrorKind::Corrupt && error.to_string().contains("broken on purpose"), "{error}");
    assert_eq!(store.head("broken").await.unwrap_err().kind(), ErrorKind::NoSuchKey);
}

#[tokio::test]
async fn parts_make_one_object_with_the_attributes_sent_at_the_start() {
    let world = world().await;
    let store = &world.store;
    let upload = store.create_upload("parts", &attributes(), Algorithm::Crc64Nvme).await.unwrap();
    let first = upload.part(1, bytes(5 * MIB)).await.unwrap();
    let second = upload.part_stream(2, 10, stream::iter(vec![Ok(bytes(10))])).await.unwrap();
    let etag = upload.complete(&[first, second]).await.unwrap();
    assert_eq!(etag.parts(), Some(2));
    let head = store.head("parts").await.unwrap();
    assert_eq!((head.size, &head.etag, head.attributes), (5 * MIB as u64 + 10, &etag, attributes()));
    assert_eq!(store.first_part_size("parts", &etag).await.unwrap(), Some(5 * MIB as u64));
    let given_up = store.create_upload("never", &attributes(), Algorithm::Md5).await.unwrap();
    given_up.abort().await.unwrap();
    given_up.abort().await.unwrap();
    assert_eq!(store.head("never").await.unwrap_err().kind(), ErrorKind::NoSuchKey);
}

fn checksum(algorithm: Algorithm, bytes: &[u8]) -> Checksum {
    let mut hasher = ContentHasher::new(algorithm);
    hasher.update(bytes);
    hasher.finish()
}

#[tokio::test]
async fn an_object_made_of_parts_has_a_checksum_of_all_its_bytes() {
    let world = world().await;
    let store = &world.store;
    let whole = bytes(5 * MIB + 10);
    for algorithm in [Algorithm::Crc64Nvme, Algorithm::Crc32, Algorithm::Crc32c] {
        let upload = store.create_upload("parts", &attributes(), algorithm).await.unwrap();
        assert_eq!(upload.checksum(), Some(algorithm));
        let first = upload.part(1, whole.slice(..5 * MIB)).await.unwrap();
        let rest = stream::iter(vec![Ok(whole.slice(5 * MIB..))]);
        let parts = [first, upload.part_stream(2, 10, rest).await.unwrap()];
        upload.complete(&parts).await.unwrap();
        let known = store.head("parts").await.unwrap().checksums;
        assert_eq!(known, [checksum(algorithm, &whole)]);
        assert_eq!(honk_storage::Part::checksum_of(&parts), known.into_iter().next());
    }
}

#[tokio::test]
async fn only_uploads_of_exactly_the_key_are_aborted() {
    let world = world().await;
    let store = &world.store;
    let none = Attributes::default();
    let begin = |key| store.create_upload(key, &none, Algorithm::Crc64Nvme);
    let left = [begin("a b").await.unwrap(), begin("a b").await.unwrap()];
    let (longer, shorter) = (begin("a b/c").await.unwrap(), begin("a").await.unwrap());
    assert_eq!(store.abort_uploads("a b").await.unwrap(), 2);
    assert_eq!(store.abort_uploads("a b").await.unwrap(), 0);
    for upload in &left {
        assert_eq!(upload.part(1, bytes(1)).await.unwrap_err().code(), Some("NoSuchUpload"));
    }
    for upload in [longer, shorter] {
        let part = upload.part(1, bytes(1)).await.unwrap();
        upload.complete(&[part]).await.unwrap();
    }
}

#[tokio::test]
async fn tags_are_written_with_the_object_and_read_apart() {
    let world = world().await;
    let store = &world.store;
    let tagging = Some("team=data%20platform&stage=x%2Fy".to_owned());
    let tagged = Attributes { tagging: tagging.clone(), ..attributes() };
    let etag = store.put_small("tagged", bytes(6 * MIB), &tagged).await.unwrap();
    store.put_small("plain", bytes(1), &attributes()).await.unwrap();
    let object = info("tagged", 6 * MIB, etag);
    store
        .copy_object_in_parts(store, &object, "copy", PartLayout::new(object.size, 5 * MIB as u64), Keep::default())
        .await
        .unwrap();
    for key in ["tagged", "copy"] {
        assert_eq!(store.get(key, None, None).await.unwrap().head.tag_count, Some(2), "{key}");
        assert_eq!(store.tagging(key).await.unwrap(), tagging, "{key}");
    }
    assert_eq!(store.get("plain", None, None).await.unwrap().head.tag_count, None);
    assert_eq!(store.tagging("plain").await.unwrap(), None);
}

#[tokio::test]
async fn the_server_copies_with_attributes_in_one_request_and_in_parts() {
    let world = world().await;
    let store = &world.store;
    let length = 11 * MIB;
    let etag = store.put_small("from +ü", bytes(length), &attributes()).await.unwrap();
    let object = info("from +ü", length, etag.clone());
    assert!(store.copies_in_parts(object.size) && !store.copies_in_parts(1));
    assert_eq!(store.copy_object(store, &object, "one", Keep::default()).await.unwrap(), etag);
    let layout = PartLayout::new(object.size, 5 * MIB as u64);
    let parts = store.copy_object_in_parts(store, &object, "parts", layout, Keep::default()).await.unwrap();
    assert_eq!(parts.parts(), Some(3));
    for key in ["one", "parts"] {
        let download = store.get(key, None, None).await.unwrap();
        assert_eq!(download.head.attributes, attributes(), "{key}");
        assert!(download.collect().await.unwrap() == bytes(length), "{key}");
    }
}

#[tokio::test]
async fn another_version_than_the_one_wanted_is_a_change() {
    let world = world().await;
    let store = &world.store;
    let old = store.put_small("key", bytes(5), &attributes()).await.unwrap();
    store.put_small("key", bytes(6), &attributes()).await.unwrap();
    let object = info("key", 5, old.clone());
    let layout = PartLayout::new(5, 5 * MIB as u64);
    let errors = [
        store.get("key", None, Some(&old)).await.unwrap_err(),
        store.copy_object(store, &object, "copy", Keep::default()).await.unwrap_err(),
        store.copy_object_in_parts(store, &object, "copy", layout, Keep::default()).await.unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::Changed, "{error}");
    }
}

#[tokio::test]
async fn listings_page_through_any_number_of_keys_and_stay_inside_the_prefix() {
    let world = world().await;
    let store = &world.store;
    let puts = (0..25).map(|index| {
        let (store, key) = (store.clone(), format!("data/a+b %41 {index:02}"));
        async move { store.put_small(&key, bytes(index), &Attributes::default()).await }
    });
    let _etags: Vec<_> = stream::iter(puts).buffer_unordered(5).try_collect().await.unwrap();
    for key in ["data/", "data-2/x", "dat"] {
        store.put_small(key, Bytes::new(), &Attributes::default()).await.unwrap();
    }
    let pages: Vec<_> = store.list("data/", 10).try_collect().await.unwrap();
    assert_eq!(pages.len(), 3);
    let keys: Vec<_> = pages.into_iter().flatten().map(|object| object.key).collect();
    let wanted: Vec<_> = (0..25).map(|index| format!("data/a+b %41 {index:02}")).collect();
    assert_eq!(keys, wanted);
    let survey = listing::survey(store, "data/").await.unwrap();
    assert_eq!((survey.objects, survey.bytes), (25, (0..25).sum()));
    assert_ne!(listing::survey(store, "").await.unwrap().digest, survey.digest);
}

#[tokio::test]
async fn what_is_missing_or_forbidden_is_told_apart() {
    let world = world().await;
    let place = |bucket: &str| Place::new(bucket, "").at(&world.url);
    let missing = Stores::new(config("secret")).open(&place("missing")).await.unwrap();
    assert!(world.store.bucket_exists().await.unwrap() && !missing.bucket_exists().await.unwrap());
    let listed: Result<Vec<_>, _> = missing.list("", 10).try_collect().await;
    assert_eq!(listed.unwrap_err().kind(), ErrorKind::NoSuchBucket);
    assert_eq!(world.store.get("none", None, None).await.unwrap_err().kind(), ErrorKind::NoSuchKey);
    world.store.delete("none").await.unwrap();
    let wrong = Stores::new(config("another")).open(&place("bucket")).await.unwrap();
    let error = wrong.get("none", None, None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadCredentials, "{error}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let store = Stores::new(config("secret")).open(&Place::new("bucket", "").at(url)).await.unwrap();
    let error = store.head("key").await.unwrap_err();
    assert!(error.kind() == ErrorKind::Unavailable && error.is_retryable(), "{error}");
}

#[tokio::test]
async fn a_server_that_answers_for_tags_with_the_object_has_none_and_is_not_read() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut server = tokio::task::JoinSet::new();
    server.spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 4096];
        tokio::io::AsyncReadExt::read(&mut stream, &mut request).await.unwrap();
        // A body that never ends: who reads it waits.
        let head = b"HTTP/1.1 200 OK\r\netag: \"e\"\r\ncontent-length: 1000000000\r\n\r\nbytes";
        tokio::io::AsyncWriteExt::write_all(&mut stream, head).await.unwrap();
        std::future::pending::<()>().await;
    });
    let store = Stores::new(config("secret")).open(&Place::new("bucket", "").at(url)).await.unwrap();
    let error = store.tagging("key").await.unwrap_err();
    assert!(error.kind() == ErrorKind::Invalid && error.to_string().contains("the object"), "{error}");
}
