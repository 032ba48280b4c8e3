//! Steps with real programs: how they start, what they print, how they and everything that they started end, what they may use.
#![cfg(target_os = "linux")]
#![expect(clippy::expect_used, reason = "helpers of tests fail the test")]

mod container;
mod endings;
mod limits;
mod printing;
mod stage;
mod starting;
