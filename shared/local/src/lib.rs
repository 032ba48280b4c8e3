//! What `honk dev`, the demo and tests start: `nats-server` as a child process and the embedded S3 store.
//!
//! Production brings its own NATS and its own object store; nothing here is on a production path.

pub mod nats;
pub mod s3;
