//! Objects, and parts of streams, on a real server.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, also in its helpers")]

use std::path::{Path, PathBuf};

use honk_bus::{Bus, ConnectOptions, Publication, Start};
use honk_local::nats::{Lookup, NatsOptions, NatsServer, find_or_fetch};
use honk_protocol::topology::{LOGS, Settings, Topology};
use tempfile::TempDir;

struct World {
    bus: Bus,
    _nats: NatsServer,
    _folder: TempDir,
}

async fn world() -> World {
    let lookup = Lookup {
        nats_server: std::env::var_os("NATS_SERVER").map(PathBuf::from),
        path: std::env::var_os("PATH"),
        cache_dir: Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache"),
    };
    let folder = TempDir::new().unwrap();
    let binary = find_or_fetch(&lookup).await.unwrap();
    let nats = NatsServer::start(NatsOptions::new(binary, folder.path())).await.unwrap();
    let options = ConnectOptions { url: nats.url(), name: "test".into(), ..ConnectOptions::default() };
    let bus = Bus::connect(options).await.unwrap();
    bus.provision(&Topology::new(&Settings::default())).await.unwrap();
    World { bus, _nats: nats, _folder: folder }
}

#[tokio::test]
async fn an_object_of_many_pieces_is_read_back_as_it_was_put() {
    let world = world().await;
    let objects = world.bus.bundles();
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    assert_eq!(objects.get("a").await.unwrap(), None);
    assert!(!objects.exists("a").await.unwrap());
    assert!(objects.put("a", &bytes).await.unwrap());
    assert!(objects.put("empty", &[]).await.unwrap());
    assert!(objects.exists("a").await.unwrap());
    assert_eq!(objects.get("a").await.unwrap().unwrap(), bytes);
    assert_eq!(objects.get("empty").await.unwrap().unwrap(), "");
}

#[tokio::test]
async fn putting_an_object_again_writes_nothing_and_a_removed_one_can_be_put_again() {
    let world = world().await;
    let objects = world.bus.bundles();
    assert!(objects.put("a", b"content").await.unwrap());
    assert!(!objects.put("a", b"content").await.unwrap());
    objects.delete("a").await.unwrap();
    objects.delete("never was there").await.unwrap();
    assert!(!objects.exists("a").await.unwrap());
    assert_eq!(objects.get("a").await.unwrap(), None);
    assert!(objects.put("a", b"content").await.unwrap());
    assert_eq!(objects.get("a").await.unwrap().unwrap(), "content");
}

#[tokio::test]
async fn a_stream_is_read_part_by_part_without_a_consumer() {
    let world = world().await;
    for number in 0..10 {
        let job = if number % 2 == 0 { "even" } else { "odd" };
        let subject = format!("honk.log.r0123456789abcdef0123.{job}.1.1");
        world.bus.publish(Publication::new(subject, number.to_string())).await.unwrap();
    }
    let read = async |filter: &str, start, limit| {
        let part = world.bus.part(LOGS, filter, start, limit).await.unwrap();
        let texts: Vec<String> =
            part.messages.iter().map(|message| String::from_utf8(message.payload.to_vec()).unwrap()).collect();
        (texts.concat(), part.more, part.messages.last().map(|message| (message.sequence, message.time)))
    };
    let (texts, more, last) = read("honk.log.*.even.>", Start::Sequence(0), 3).await;
    assert_eq!((texts.as_str(), more), ("024", true));
    let (sequence, time) = last.unwrap();
    let (texts, more, _) = read("honk.log.*.even.>", Start::Sequence(sequence + 1), 3).await;
    assert_eq!((texts.as_str(), more), ("68", false));
    let (texts, more, _) = read("honk.log.>", Start::Time(time), 100).await;
    assert_eq!((texts.as_str(), more), ("456789", false));
    for start in [Start::Sequence(11), Start::Sequence(u64::MAX), Start::Time(jiff::Timestamp::MAX)] {
        assert_eq!(read("honk.log.>", start, 3).await, (String::new(), false, None), "{start:?}");
    }
    assert_eq!(read("honk.log.r00000000000000000000.>", Start::Sequence(1), 3).await, (String::new(), false, None));
}

#[tokio::test]
async fn a_part_with_long_messages_is_cut_and_says_that_more_follow() {
    let world = world().await;
    for _ in 0..8 {
        let chunk = Publication::new("honk.log.r0123456789abcdef0123.a.1.1", vec![b'x'; 400_000]);
        world.bus.publish(chunk).await.unwrap();
    }
    let part = world.bus.part(LOGS, "honk.log.>", Start::Sequence(1), 100).await.unwrap();
    assert!(part.more && (1..8).contains(&part.messages.len()), "{}", part.messages.len());
}
