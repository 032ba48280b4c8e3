//! How a process starts and stops: configuration, telemetry, health, metrics, signals, drain.
//!
//! The order of the modules is the order of a process's life. [`main`] runs all of it, so that a service's `main.rs`
//! is one call; `Environment`, `config::load`, `Telemetry` and `Lifecycle` also stand alone, for the `honk` command
//! and for tests. This crate is the only one that reads the environment, and [`Clock`] the only reader of the wall
//! clock.

pub mod admin;
pub mod clock;
pub mod config;
pub mod environment;
pub mod failure;
pub mod health;
pub mod lifecycle;
pub mod messaging;
pub mod metrics;
pub mod run;
pub mod secret;
pub mod telemetry;
pub mod trace_context;

pub use clock::Clock;
pub use environment::{Environment, environment};
pub use failure::{Failure, Hint};
pub use health::Health;
pub use lifecycle::Lifecycle;
pub use metrics::Metrics;
pub use run::{Context, main};
pub use secret::Secret;
pub use telemetry::Telemetry;
pub use trace_context::TraceParent;

/// Every process is made of small short-lived values (messages, records, futures), which the system's allocator spends a fifth of the
/// time on (`honk bench chains`).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
