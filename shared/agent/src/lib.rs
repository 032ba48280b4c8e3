//! The agent runtime: pull, decode, handle, settle; heartbeats, fencing, retries, dead letters, drain.
//!
//! A service brings [`action::Action`]s; the runtime does the rest. In the order of the data: [`agent`] pulls deliveries,
//! `begin` finds out what a delivery is, `attempt` makes one try at a job, `steps` are its actions and programs, `supervise`
//! keeps watch over the work, `settlement` records its end, and [`ledger`] is where every record moves.

pub mod action;
pub mod agent;
mod attempt;
mod begin;
pub mod failpoint;
pub mod ledger;
mod metrics;
mod noop;
mod persist;
pub mod pump;
pub mod registry;
mod settlement;
pub mod start;
mod steps;
mod supervise;
mod wishes;
pub mod workflows;

pub use action::{Action, JobContext};
pub use agent::{Agent, AgentConfig, AgentError};
pub use ledger::{Ledger, LedgerError};
pub use persist::persist;
pub use steps::StepSettings;
