//! The contract every part of Honk shares: names, subjects, topology, events, messages, the run record and the one
//! pure function that moves it. No I/O, no async, no clock: times and randomness come in as values.
//!
//! Read in the order of the data: [`event`] → [`run`] → [`job`] → [`settle`] → [`dead`], with [`name`]s and
//! [`subject`]s underneath and [`topology`] as the list of everything that exists on the server.

pub mod control;
pub mod dataset;
pub mod dead;
pub mod entity;
pub mod event;
pub mod evidence;
pub mod gate;
pub mod job;
pub mod live;
pub mod log;
pub mod name;
pub mod notice;
pub mod reason;
pub mod retry;
pub mod run;
#[cfg(feature = "schema")]
pub mod schema;
pub mod selector;
pub mod settle;
pub mod subject;
pub mod topology;
pub mod transform;
pub mod workflow;
