//! The HTTP API: events, catalog, locations, workflows, runs, what they print, dead letters.
//!
//! A request passes `guard` (origin, time limit, form of errors), is read by `extract` and answered by its own file
//! in `endpoint`. What is read often comes from memory: mirrors of the catalog, the locations and the workflows, and the
//! `index` of runs and dead letters, all fed by the server. What is decided is decided there, by compare-and-set, so any
//! number of copies may run.

pub mod config;
mod endpoint;
mod extract;
mod guard;
mod index;
mod log;
mod place;
mod problem;
mod server;
mod state;
mod text;
mod upload;
mod versions;
pub mod wire;

pub use config::{ApiConfig, ApiSettings};
pub use endpoint::router;
pub use server::{Server, serve};
pub use state::Api;
