//! Why an inventory cannot be read, and what to do about it.

use honk_storage::{ErrorKind, StorageError, Store};

/// An inventory that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum InventoryError {
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// There was no room for a temporary file.
    #[error("a file of the inventory cannot be kept in {folder}: {error} - make room there")]
    Disk {
        /// Where.
        folder: String,
        /// What the system says.
        error: std::io::Error,
    },
    /// It is not what can be read, and trying again cannot help.
    #[error("{file}: {fault}")]
    Invalid {
        /// Which of its files, as an address.
        file: String,
        /// What is wrong with it.
        fault: Fault,
    },
}

/// What is wrong with a file of an inventory.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It is not there.
    #[error("there is no such object - name the `manifest.json` of an inventory that is complete and has not expired")]
    Missing,
    /// It is far larger than such a file is.
    #[error("it has {0} bytes, which no such file has - name the `manifest.json` of an inventory")]
    TooLarge(u64),
    /// The manifest is not one.
    #[error("it is no manifest of an inventory: {0} - name the `manifest.json` that the store writes")]
    NoManifest(String),
    /// The inventory is of another bucket.
    #[error("it is an inventory of the bucket {0:?}, not of the source's - name one of the source")]
    OtherBucket(String),
    /// Its files are of a format that is not read.
    #[error("its files are {0} - configure the inventory to be written as CSV or Parquet")]
    Format(String),
    /// Something is not said of each object.
    #[error("it has no column {0} - add it to the configuration of the inventory")]
    NoColumn(&'static str),
    /// The bytes are not those that were written.
    #[error("its MD5 is {found}, announced was {announced} - it was changed or damaged; take another inventory")]
    Checksum {
        /// What the store wrote down.
        announced: String,
        /// What was read.
        found: String,
    },
    /// The bytes are those that were written, and still not to be read.
    #[error("it cannot be read: {0} - take another inventory")]
    Unreadable(String),
}

impl Fault {
    /// The error about the object `key` of `store`.
    pub(crate) fn of(self, store: &Store, key: &str) -> InventoryError {
        InventoryError::Invalid { file: format!("s3://{}/{key}", store.bucket()), fault: self }
    }
}

/// A missing object is the inventory's fault, not the store's.
pub(crate) fn failed(error: StorageError, store: &Store, key: &str) -> InventoryError {
    match error.kind() {
        ErrorKind::NoSuchKey | ErrorKind::NoSuchBucket => Fault::Missing.of(store, key),
        _ => error.into(),
    }
}
