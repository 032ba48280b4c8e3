//! One step of a job: a program, started, limited, listened to, and ended together with everything that it started.
//!
//! This crate knows nothing of workflows or NATS. [`run`] takes a [`Command`] whose environment is complete, starts it without a
//! shell in a process group of its own, sends what it prints line by line with secrets masked ([`Masks`]), and returns when
//! neither it nor anything that it started is left. What it may use is bounded by [`Limits`]. [`outputs`] reads the
//! file in which a step leaves its outputs. `docs/decisions/steps.md` says why it is done with these means.
//!
//! Order of the modules: what is asked ([`command`]), how it starts (`start`), how it is watched and ended (`family`, `leash`, `watch`,
//! `process`), what it prints (`output`, `lines`, [`masks`]), and [`run`], which holds them together.

pub mod command;
mod family;
mod leash;
mod lines;
pub mod masks;
mod output;
pub mod outputs;
mod process;
mod run;
mod start;
mod watch;

pub use command::{Command, Ended, Exit, LimitHit, Limits, StartError};
pub use family::COOKIE;
pub use masks::Masks;
pub use output::Listener;
pub use run::run;
