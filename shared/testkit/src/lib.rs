//! For black-box tests: the real services as real processes, over a `nats-server` and an S3 store of each test's own. For tests of one
//! action by itself: a [`world::World`] without any process of ours, and a [`stub`] that answers as it is told.
//!
//! [`binaries`] builds what is run, a [`process::Process`] is one of them, a [`Harness`] is what they run over and what
//! is true at the end of every test (its *floor*). [`proxy::FaultProxy`] makes the storage misbehave, a [`link::Link`] the network, [`receiver`] is who gets
//! notices, [`tls`] is what encrypts, and [`law`] checks what every action must keep to. [`users`] and [`raw`] are for what NATS users
//! may do. Whatever goes wrong here fails the test, so all of it panics.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a harness fails a test")]

pub mod binaries;
pub mod datasets;
mod floor;
pub mod harness;
pub mod law;
pub mod link;
pub mod npm;
pub mod process;
pub mod proxy;
pub mod python;
pub mod raw;
pub mod receiver;
pub mod runs;
pub mod stub;
pub mod tls;
pub mod users;
pub mod world;

use std::future::Future;
use std::time::Duration;

pub use binaries::Service;
pub use datasets::Dataset;
pub use harness::{Harness, Options};
pub use process::Process;
pub use proxy::{Fault, FaultProxy};
pub use receiver::Receiver;
pub use stub::Stub;
pub use world::World;

/// The most that one awaited thing should take, on a loaded machine and in a debug build.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// How often something is asked that nobody announces.
const ASK_EVERY: Duration = Duration::from_millis(20);

/// Asks until `look` has an answer, at most for `limit`; then fails with what was awaited and what was `last` seen.
pub async fn eventually<T, F: Future<Output = Result<T, String>>>(
    awaited: &str,
    limit: Duration,
    mut look: impl FnMut() -> F,
) -> T {
    let begin = tokio::time::Instant::now();
    loop {
        match look().await {
            Ok(found) => return found,
            Err(last) if begin.elapsed() > limit => panic!("{awaited}: not within {limit:?}; last seen: {last}"),
            Err(_) => tokio::time::sleep(ASK_EVERY).await,
        }
    }
}
