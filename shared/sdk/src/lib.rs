//! For agents of one's own: a program that serves a pool with actions that are plain async functions.
//!
//! ```no_run
//! use honk_sdk::{Agent, Failed, JobContext, reject};
//!
//! #[derive(serde::Deserialize)]
//! struct Limit {
//!     at_most: usize,
//! }
//!
//! #[derive(serde::Serialize)]
//! struct Measured {
//!     letters: usize,
//! }
//!
//! async fn name_length(job: JobContext, limit: Limit) -> Result<Measured, Failed> {
//!     let letters = job.dataset().as_str().len();
//!     if letters > limit.at_most { Err(reject("the name is too long")) } else { Ok(Measured { letters }) }
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     Agent::new("checks").action("acme/name-length", name_length).serve()
//! }
//! ```
//!
//! A workflow calls it with `runs-on: checks` and `uses: acme/name-length`, `with: {at_most: 40}`; the pool is made by `honk provision
//! --pool checks`. Everything else (pulling, heartbeats, retries, records, dead letters, stopping) is the runtime's, the same as in Honk's
//! own agents, and so are the settings: `HONK_NATS__URL`, `HONK_AGENT__SLOTS` and the rest.
//!
//! An action may run more than once for one job: again after a crash, or beside an earlier attempt that was frozen and woke up. Doing
//! it again must change nothing; [`JobContext::idempotency_key`] stays the same, and `honk_testkit::law` checks it on what [`action`] returns.

mod agent;
mod failed;
mod function;

pub use honk_agent::action::ProgressCounters;
pub use honk_agent::{Action, JobContext};
pub use honk_protocol::reason::Reason;
pub use honk_protocol::run::Outputs;
pub use honk_protocol::settle::Failed;

pub use self::agent::{Agent, AgentSection, AgentSettings};
pub use self::failed::{reject, retry};
pub use self::function::{Function, action};
