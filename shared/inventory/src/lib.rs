//! S3 Inventory: what a bucket holds, read from the lists that the store itself writes of it once a day or once a week.
//!
//! Listing a bucket of a hundred million keys takes hours, because each request brings a thousand of them. An inventory has all of them in a
//! few hundred files, which a `manifest.json` names. It is up to two days old and may be incomplete, so nothing is concluded from it but
//! where work is best cut up: [`read`] counts what it names and keeps a uniform sample of the keys, whatever their number, and
//! [`Inventory::cut`] makes ranges of about equal work of that. Every byte is checked against the MD5 that the store wrote beside it.

mod error;
mod file;
mod manifest;
mod rows;
mod sample;

use std::path::Path;

use honk_storage::Store;

pub use error::{Fault, InventoryError};
pub use sample::{MOST_SAMPLED, Range};

use sample::Sampler;

/// Whose objects count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The bucket that the inventory must be of.
    pub bucket: String,
    /// What their keys begin with: empty, or a folder with its final `/`.
    pub prefix: String,
}

/// What an inventory says of a place.
#[derive(Debug)]
pub struct Inventory {
    /// When the store began to write it, in milliseconds since 1970, where it says so.
    pub created_ms: Option<i64>,
    /// Objects.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Sampled keys with their sizes, in the order of the keys' bytes.
    sample: Vec<(String, u64)>,
}

/// Reads the inventory whose manifest is the object `manifest` of `store`, and counts what is in `scope`. Files that cannot be read as a
/// stream are written to an unnamed file in `folder` first, one at a time. Dropped, it stops.
pub async fn read(store: &Store, manifest: &str, scope: &Scope, folder: &Path) -> Result<Inventory, InventoryError> {
    let found = manifest::read(store, manifest, &scope.bucket).await?;
    let mut sampler = Sampler::new(scope.clone(), MOST_SAMPLED);
    for data in &found.files {
        sampler = file::read(store, data, &found.format, sampler, folder).await?;
    }
    Ok(sampler.finish(found.created_ms))
}
