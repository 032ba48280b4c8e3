//! Objects in S3-compatible stores, through `aws-sdk-s3`: places, listing, reading, writing, multipart, checksums.
//!
//! [`Stores`] keeps one client per endpoint, region and credentials; [`Store`] is one bucket behind such a client. Every
//! call answers with a [`StorageError`] whose [`ErrorKind`] says whether trying again can help. The crate reads no
//! environment and decides no policy: how often to retry and what to do about a changed object is the caller's.

mod acl;
mod attributes;
mod checksum;
mod classes;
mod client;
mod config;
mod contract;
mod error;
mod layout;
mod lenient;
mod limiter;
mod list;
pub mod listing;
mod multipart;
mod pace;
mod place;
pub mod probe;
mod read;
mod server_copy;
mod settings;
mod store;
mod tags;
mod throttle;
mod ways;
mod write;

pub use attributes::{Attributes, Keep, ObjectHead};
pub use checksum::{Algorithm, Checksum, ContentHasher, Etag, multipart_etag};
pub use classes::ClassedObject;
pub use client::{SharedBudget, Stores};
pub use config::{Credentials, EndpointConfig, StorageConfig};
pub use error::{ErrorKind, StorageError};
pub use layout::PartLayout;
pub use list::{ObjectInfo, PageCursor, decoded};
pub use multipart::{Part, Upload, UploadId};
pub use place::{Place, is_same_endpoint, overlap};
pub use read::{ByteRange, Download};
pub use settings::{EndpointSettings, SecretText, StorageSettings};
pub use store::Store;
pub use throttle::Rates;
pub use ways::CopyWay;
pub use write::Md5Sum;
