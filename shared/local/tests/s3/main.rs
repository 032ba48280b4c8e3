//! The embedded S3 server against the official client: every theme runs on both storages.

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
