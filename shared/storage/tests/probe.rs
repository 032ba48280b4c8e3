//! What a probe finds out about the embedded S3 server, and about one that lies, and that it leaves nothing behind.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use honk_local::s3::{S3Options, S3Server, Storage};
use honk_storage::probe::{Ability, Finding, PROBE_FOLDER, probe, probe_reading, sweep};
use honk_storage::{Algorithm, Attributes, Credentials, ErrorKind, Place, StorageConfig, Store, Stores, listing};

async fn store() -> (Store, S3Server) {
    let options = S3Options {
        listen: "127.0.0.1:0".parse().unwrap(),
        storage: Storage::Memory,
        access_key: "tester".into(),
        secret_key: "secret".into(),
    };
    let server = S3Server::start(options).await.unwrap();
    let credentials = Credentials { access_key: "tester".into(), secret_key: "secret".into(), session_token: None };
    let config = StorageConfig { credentials: Some(credentials), request_backoff_ms: 1, ..StorageConfig::default() };
    let store = Stores::new(config).open(&Place::new("bucket", "").at(server.url())).await.unwrap();
    store.create_bucket().await.unwrap();
    (store, server)
}

/// Everything in the bucket, also what listings below a prefix leave out.
async fn all_keys(store: &Store) -> Vec<String> {
    let mut keys: Vec<_> =
        store.list("", 1_000).try_concat().await.unwrap().into_iter().map(|object| object.key).collect();
    for prefix in [PROBE_FOLDER, "data/.honk-probe/"] {
        keys.extend(store.list(prefix, 1_000).try_concat().await.unwrap().into_iter().map(|object| object.key));
    }
    keys
}

#[tokio::test]
async fn the_embedded_server_can_do_everything_and_is_left_as_it_was() {
    let (store, _server) = store().await;
    store.put_small("data/a", Bytes::from_static(b"data"), &Attributes::default()).await.unwrap();
    for _ in 0..2 {
        let found = probe(&store, "data/").await.unwrap();
        for ability in Ability::ALL {
            assert_eq!(found.get(*ability), Some(&Finding::Yes), "{}", ability.code());
        }
        assert_eq!(all_keys(&store).await, ["data/a"]);
    }
}

#[tokio::test]
async fn what_a_killed_probe_left_is_removed_by_the_next_and_is_never_taken_for_data() {
    let (store, _server) = store().await;
    let left = ["data/.honk-probe/plain", "data/.honk-probe/k/a b", "data/.honk-probe/sample/x/y"];
    for key in left {
        store.put_small(key, Bytes::from_static(b"left behind"), &Attributes::default()).await.unwrap();
    }
    let key = "data/.honk-probe/given-up";
    let upload = store.create_upload(key, &Attributes::default(), Algorithm::Crc64Nvme).await.unwrap();
    upload.part(1, Bytes::from_static(b"part")).await.unwrap();
    assert_eq!(listing::survey(&store, "data/").await.unwrap().objects, 0, "listings leave it out");
    assert_eq!(listing::survey(&store, "").await.unwrap().objects, 0, "at any depth");
    assert_eq!(sweep(&store, "data/").await.unwrap(), 3);
    assert_eq!(store.abort_uploads(key).await.unwrap(), 0, "the upload is gone too");
    assert!(all_keys(&store).await.is_empty());
}

#[tokio::test]
async fn a_source_is_only_read() {
    let (store, _server) = store().await;
    store.put_small("data/a", Bytes::from_static(b"data"), &Attributes::default()).await.unwrap();
    store.put_small("data/empty", Bytes::new(), &Attributes::default()).await.unwrap();
    let before = listing::survey(&store, "").await.unwrap();
    for object in store.list("data/", 10).try_concat().await.unwrap() {
        let found = probe_reading(&store, &object).await.unwrap();
        for ability in [Ability::List, Ability::Read, Ability::ReadIfMatch, Ability::Tags] {
            assert!(found.can(ability), "{}: {found:?}", ability.code());
        }
        assert_eq!(found.get(Ability::Write), None);
    }
    assert_eq!(listing::survey(&store, "").await.unwrap(), before);
}

#[tokio::test]
async fn without_the_essentials_a_probe_fails_with_what_the_store_says() {
    let (store, server) = store().await;
    let wrong = Credentials { access_key: "tester".into(), secret_key: "wrong".into(), session_token: None };
    let stores = Stores::new(StorageConfig { credentials: Some(wrong), ..StorageConfig::default() });
    let place = Place::new("bucket", "").at(server.url());
    let error = probe(&stores.open(&place).await.unwrap(), "").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadCredentials, "{error}");
    let absent = Place { bucket: "absent".into(), ..place };
    let error = probe(&stores.open(&absent).await.unwrap(), "").await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::NoSuchBucket | ErrorKind::BadCredentials), "{error}");
    assert!(all_keys(&store).await.is_empty());
}
