//! The embedded S3 server against the official client: every theme runs on both storages.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, also in its helpers")]

mod fixture;

mod buckets;
mod checksums;
mod conditions;
mod copies;
mod disk;
mod keys;
mod listing;
mod multipart;
mod objects;
mod signatures;
mod throughput;
