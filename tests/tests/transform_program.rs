//! The program `honk-transform` by itself, over a real S3 protocol: a request on its standard input, its last line of output, and the
//! objects at the target.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, also in its helpers")]

#[path = "transform_program/bad_input.rs"]
mod bad_input;
#[path = "transform_program/contract.rs"]
mod contract;
#[path = "transform_program/documents.rs"]
mod documents;
#[path = "transform_program/forms.rs"]
mod forms;
#[path = "transform_program/repeats.rs"]
mod repeats;
#[path = "transform_program/setting.rs"]
mod setting;
