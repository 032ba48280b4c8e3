//! How the copies of a process keep to what an endpoint can and may do: a store that refuses, and a budget that several share.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]

#[path = "support/faults.rs"]
mod faults;
#[path = "support/world.rs"]
mod world;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use faults::{Fault, Faults};
use futures_util::future::join_all;
use honk_migrate::share::Keeper;
use honk_protocol::topology;
use honk_storage::{Attributes, EndpointConfig, Place, StorageConfig, Stores};
use world::{World, random};

#[tokio::test]
async fn a_store_that_allows_so_many_requests_a_second_is_seldom_asked_for_more() {
    let mut world = World::two_servers().await;
    for index in 0..1_000 {
        world.put_source(&format!("{index:04}"), random(100), &Attributes::default()).await;
    }
    // 200 a second, and 20 of them at once.
    let left = Mutex::new((20.0_f64, Instant::now()));
    let refused = std::sync::Arc::new(AtomicU64::new(0));
    let counter = std::sync::Arc::clone(&refused);
    let proxy = Faults::before(world.target_place.endpoint.as_ref().unwrap(), move |_request| {
        let mut left = left.lock().unwrap();
        left.0 = (left.0 + left.1.elapsed().as_secs_f64() * 200.0).min(20.0);
        left.1 = Instant::now();
        if left.0 >= 1.0 {
            left.0 -= 1.0;
            return Fault::None;
        }
        counter.fetch_add(1, Ordering::Relaxed);
        Fault::Answer(503, "SlowDown")
    });
    let proxy = proxy.await;
    world.target_place.endpoint = Some(proxy.url());
    let report = world.migrate().await.unwrap();
    assert_eq!((report.copied, report.verified), (1_000, 1_000));
    let refused = refused.load(Ordering::Relaxed);
    assert!(refused < 500, "{refused} of {} requests were refused", proxy.requests());
}

/// Asks for an object again and again. When the first answer came, and when so many had come.
async fn ask(stores: &Stores, place: &Place, times: usize) -> (Instant, Instant) {
    let store = stores.open(place).await.unwrap();
    store.bucket_exists().await.unwrap();
    let first = Instant::now();
    for _ in 1..times {
        store.bucket_exists().await.unwrap();
    }
    (first, Instant::now())
}

#[tokio::test]
async fn agents_together_keep_to_the_budget_of_an_endpoint() {
    const RATE: u32 = 40;
    const EACH: usize = 100;
    let world = honk_testkit::World::start().await;
    let place = Place::new("bucket", "").at(world.s3.url());
    let agents: Vec<Stores> = (0..2).map(|_| Stores::new(limited(&world.s3, RATE))).collect();
    world.stores.open(&place).await.unwrap().create_bucket().await.unwrap();
    let keepers: Vec<_> = agents.iter().map(|stores| Keeper::new(&world.bus, topology::CONTROL, stores)).collect();
    let keeping = join_all(keepers.iter().map(Keeper::keep));
    let asking = join_all(agents.iter().map(|stores| ask(stores, &place, EACH)));
    let asked = tokio::select! {
        asked = asking => asked,
        _ = keeping => panic!("a keeper never ends"),
    };
    let first = asked.iter().map(|(first, _last)| *first).min().unwrap();
    let last = asked.iter().map(|(_first, last)| *last).max().unwrap();
    // A second's worth may be sent in advance by both together.
    let shortest = Duration::from_secs_f64((2.0 * 100.0 - 2.0 * f64::from(RATE)) / f64::from(RATE));
    assert!(last - first >= shortest, "{:?} for {} requests", last - first, 2 * EACH);
}

fn limited(s3: &honk_local::s3::S3Server, requests_per_second: u32) -> StorageConfig {
    let credentials = honk_storage::Credentials {
        access_key: s3.access_key().to_owned(),
        secret_key: s3.secret_key().to_owned(),
        session_token: None,
    };
    let entry = EndpointConfig {
        endpoint: Some(s3.url()),
        region: None,
        bucket: None,
        credentials: Some(credentials),
        etag_is_md5: true,
        requests_per_second: Some(requests_per_second),
        bytes_per_second: None,
    };
    StorageConfig { endpoints: vec![entry], ..StorageConfig::default() }
}
