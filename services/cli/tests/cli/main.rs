//! The `honk` command as people and scripts meet it: exit code, standard output and standard error of the real binary
//! against an API of canned answers.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, also in its helpers")]

mod catalog;
mod dead_letters;
mod doctor;
mod failures;
mod fixtures;
mod lint;
mod locations;
mod logs;
mod migrate;
mod runs;
mod stub;
mod terminal;
mod usage;
mod workflows;
