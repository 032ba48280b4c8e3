//! What exists on the server is what the code says: the checked-in JSON, a server provisioned by Honk, and one that was made with that
//! JSON by other tools are all the same.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, also in its helpers")]

use std::collections::BTreeMap;
use std::time::Duration;

use honk_bus::{Bus, Change, ConnectOptions, bucket_config, consumer_config, object_store_config, stream_config};
use honk_local::nats::NatsServer;
use honk_protocol::topology::{LOGS, Settings, Topology, WhenFull};
use honk_testkit::raw::Raw;
use honk_testkit::users;
use serde::Serialize;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A server with nothing on it, and a connection to it.
async fn server() -> (TempDir, NatsServer, Bus) {
    let folder = TempDir::new().unwrap();
    let nats = users::open_to_all(folder.path()).await;
    let options = ConnectOptions { url: nats.url(), name: "test".into(), ..ConnectOptions::default() };
    let bus = Bus::connect(options).await.unwrap();
    (folder, nats, bus)
}

fn default() -> Topology {
    Topology::new(&Settings::default())
}

/// The files of `nats/topology`, by name: a stream each, and a consumer each.
fn files() -> BTreeMap<String, String> {
    fn text(config: &impl Serialize) -> String {
        // By way of a value, so that the keys are sorted and a change of the client's own order changes nothing.
        serde_json::to_string_pretty(&serde_json::to_value(config).unwrap()).unwrap() + "\n"
    }
    let mut files = BTreeMap::new();
    for stream in &default().streams {
        files.insert(format!("{}.json", stream.name), text(&stream_config(stream)));
        for consumer in &stream.consumers {
            files.insert(format!("{}.{}.json", stream.name, consumer.name), text(&consumer_config(consumer)));
        }
    }
    let buckets = default().buckets.iter().map(bucket_config).collect::<Vec<_>>();
    for config in buckets.into_iter().chain(default().object_stores.iter().map(object_store_config)) {
        files.insert(format!("{}.json", config.name), text(&config));
    }
    files
}

fn stored_files() -> BTreeMap<String, String> {
    let entries = std::fs::read_dir(users::root().join("nats/topology")).unwrap();
    let read = |path: std::path::PathBuf| {
        (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read_to_string(path).unwrap())
    };
    entries.map(|entry| read(entry.unwrap().path())).collect()
}

#[test]
fn the_json_files_are_what_the_code_says() {
    if honk_service::environment().get("UPDATE").is_some() {
        for (name, text) in files() {
            std::fs::write(users::root().join("nats/topology").join(name), text).unwrap();
        }
    }
    let (stored, made) = (stored_files(), files());
    assert_eq!(stored.keys().collect::<Vec<_>>(), made.keys().collect::<Vec<_>>());
    for (name, text) in made {
        assert_eq!(stored[&name], text, "{name}: write it anew with UPDATE=1 cargo test -p honk-tests --test topology");
    }
}

#[tokio::test]
async fn a_server_made_with_the_json_files_needs_no_provisioning() {
    let (_folder, nats, bus) = server().await;
    let mut raw = Raw::connect(nats.port(), None).await;
    let mut files: Vec<_> = stored_files().into_iter().collect();
    // Streams before the consumers on them.
    files.sort_by_key(|(file, _)| file.matches('.').count());
    for (file, text) in files {
        let config: Value = serde_json::from_str(&text).unwrap();
        let (subject, body) = match file.split('.').collect::<Vec<_>>()[..] {
            [stream, _] => (format!("$JS.API.STREAM.CREATE.{stream}"), text),
            [stream, consumer, _] => {
                let filter = config["filter_subject"].as_str().map(|filter| format!(".{filter}")).unwrap_or_default();
                let subject = format!("$JS.API.CONSUMER.CREATE.{stream}.{consumer}{filter}");
                (subject, json!({ "stream_name": stream, "config": config }).to_string())
            }
            _ => panic!("{file} is named neither STREAM.json nor STREAM.CONSUMER.json"),
        };
        let answer = raw.request(&subject, &body).await;
        assert!(answer["error"].is_null(), "{file}: {answer}");
    }
    assert_eq!(bus.provision(&default()).await.unwrap(), []);
}

#[tokio::test]
async fn provisioning_a_fresh_server_makes_everything_and_a_second_time_changes_nothing() {
    let (_folder, _nats, bus) = server().await;
    let changes = bus.provision(&default()).await.unwrap();
    assert_eq!(changes.len(), files().len());
    assert!(changes.iter().all(|change| matches!(change, Change::Created(_))), "{changes:?}");
    assert_eq!(bus.provision(&default()).await.unwrap(), []);
}

#[tokio::test]
async fn a_stream_that_drifted_is_brought_back_where_no_message_can_be_lost_by_it() {
    let (_folder, _nats, bus) = server().await;
    let mut drifted = default();
    drifted.streams[0].max_age = Some(Duration::from_hours(1));
    drifted.streams[0].when_full = WhenFull::DropOld;
    drifted.streams[1].consumers[0].ack_wait = Duration::from_secs(5);
    bus.provision(&drifted).await.unwrap();
    let changes = bus.provision(&default()).await.unwrap();
    let shown: Vec<&str> = changes
        .iter()
        .map(|change| match change {
            Change::Updated(shown) => shown.as_str(),
            Change::Created(shown) => panic!("{shown} was there"),
        })
        .collect();
    assert!(shown.len() == 2 && shown[0].starts_with("stream HONK_EVENTS: "), "{shown:?}");
    assert!(shown[0].contains("max_age: 3600s → 2592000s") && shown[0].contains("discard: Old → New"), "{shown:?}");
    assert_eq!(shown[1], "consumer validate: ack_wait: 5s → 30s");
    assert_eq!(bus.provision(&default()).await.unwrap(), []);
}

#[tokio::test]
async fn a_stream_for_which_the_server_has_no_room_is_refused_with_what_to_do() {
    let (_folder, _nats, bus) = server().await;
    let mut vast = default();
    let logs = vast.streams.iter_mut().find(|stream| stream.name == LOGS).unwrap();
    logs.max_bytes = Some(i64::MAX / 2);
    let error = bus.provision(&vast).await.unwrap_err().to_string();
    assert!(
        error.starts_with("no room on the server for `HONK_LOGS`, which reserves 4611686018427387903 bytes"),
        "{error}"
    );
    assert!(error.contains("max_file_store"), "{error}");
    bus.provision(&default()).await.unwrap();
}

#[tokio::test]
async fn where_messages_could_be_lost_the_difference_is_told_and_nothing_is_changed() {
    let (_folder, _nats, bus) = server().await;
    let mut drifted = default();
    // The first difference is harmless, the second is not, and a consumer is missing.
    drifted.streams[0].max_age = Some(Duration::from_hours(1));
    drifted.streams[1].subjects.push("other.>".into());
    drifted.streams[1].consumers.pop();
    bus.provision(&drifted).await.unwrap();
    let error = bus.provision(&default()).await.unwrap_err().to_string();
    assert!(error.starts_with("stream `HONK_JOBS` exists with subjects: "), "{error}");
    assert!(error.contains("other.>") && error.ends_with("nothing was changed"), "{error}");
    assert_eq!(bus.provision(&drifted).await.unwrap(), []);
}

#[tokio::test]
async fn what_honk_does_not_know_is_left_alone() {
    let (_folder, _nats, bus) = server().await;
    let mut more = Topology::new(&Settings { pools: vec!["gpu".parse().unwrap()], ..Settings::default() });
    let mut foreign = more.streams[3].clone();
    foreign.name = "SOMEBODY_ELSES".into();
    foreign.subjects = vec!["else.>".into()];
    more.streams.push(foreign);
    bus.provision(&more).await.unwrap();
    assert_eq!(bus.provision(&default()).await.unwrap(), []);
    assert_eq!(bus.provision(&more).await.unwrap(), []);
}
