//! How many small objects a second the server takes in and copies: `cargo test --release -p honk-local --test s3 --
//! --ignored --nocapture --test-threads 1`.

use std::time::Instant;

use futures_util::{StreamExt as _, stream};

use crate::fixture::{BUCKET, Fixture, noise};

const OBJECTS: usize = 10_000;
const IN_FLIGHT: usize = 64;

#[expect(clippy::print_stdout, reason = "a measurement is for reading")]
async fn measure(s3: &Fixture, storage: &str) {
    let body = noise(4_096, 1);
    let puts = (0..OBJECTS).map(|i| s3.put_later(i, body.clone()));
    let put_rate = time(puts).await;
    let copies = (0..OBJECTS).map(|i| {
        let copy = s3.client.copy_object().bucket(BUCKET).key(format!("copy/{i:06}"));
        async move { drop(copy.copy_source(format!("data/put/{i:06}")).send().await.unwrap()) }
    });
    let copy_rate = time(copies).await;
    let heads = (0..OBJECTS).map(|i| {
        let head = s3.client.head_object().bucket(BUCKET).key(format!("copy/{i:06}"));
        async move { drop(head.send().await.unwrap()) }
    });
    let head_rate = time(heads).await;
    println!("{storage}: {put_rate:.0} puts/s, {copy_rate:.0} copies/s, {head_rate:.0} heads/s, client included");
}

impl Fixture {
    async fn put_later(&self, i: usize, body: Vec<u8>) {
        drop(self.put(&format!("put/{i:06}"), body).await);
    }
}

#[expect(clippy::cast_precision_loss, reason = "a rate for reading")]
async fn time(requests: impl Iterator<Item = impl Future<Output = ()>>) -> f64 {
    let start = Instant::now();
    stream::iter(requests).for_each_concurrent(IN_FLIGHT, |request| request).await;
    OBJECTS as f64 / start.elapsed().as_secs_f64()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn small_objects_a_second() {
    measure(&Fixture::in_memory().await, "memory").await;
    measure(&Fixture::on_disk().await, "disk").await;
}
