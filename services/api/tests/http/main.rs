//! The API over HTTP, before a real `nats-server`, as producers and the `honk` command use it.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on stops")]

mod catalog;
mod dead_letters;
mod events;
mod harness;
mod logs;
mod runs;
mod shape;
mod workflows;
