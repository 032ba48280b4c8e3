//! An S3 server inside this process, for `honk dev`, the demo and tests.
//!
//! The protocol (routes, signatures, XML, aws-chunked bodies) is the `s3s` crate's; what an object store *is* is here: one
//! ordered index in memory, bodies as immutable blobs in memory or on disk, and on disk a journal of every change, from
//! which the index is rebuilt. Objects point to ranges of blobs, so that copies and completed multipart uploads move no
//! bytes. It leaves out what Honk does not use: versions, ACLs, lifecycle, encryption, website hosting.

mod blob;
mod buckets;
mod checksum;
mod conditions;
mod copy;
mod delete;
mod download;
mod journal;
mod listing;
mod model;
mod multipart;
mod multipart_list;
mod objects;
mod receive;
mod server;
mod service;
mod store;
mod tags;

pub use server::{S3Options, S3Server, S3ServerError, Storage};
