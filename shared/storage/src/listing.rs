//! A listing in three numbers: how many objects, how many bytes, and a digest that changes when any of them does.

use futures_util::{TryStreamExt as _, pin_mut};
use sha2::{Digest as _, Sha256};

use crate::checksum::Etag;
use crate::error::StorageError;
use crate::store::Store;

/// What lies under a prefix.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// Number of objects.
    pub objects: u64,
    /// Sum of their sizes.
    pub bytes: u64,
    /// Hex SHA-256 over `key\0size\0etag\n` of every object in listing order, keys relative to the prefix.
    pub digest: String,
}

/// Builds a [`Survey`] one object at a time.
#[derive(Clone, Debug, Default)]
pub struct Surveyor {
    objects: u64,
    bytes: u64,
    hash: Sha256,
}

impl Surveyor {
    /// Adds the next object of a listing; `key` is relative to the listing's prefix.
    pub fn add(&mut self, key: &str, size: u64, etag: &Etag) {
        self.objects += 1;
        self.bytes += size;
        self.hash.update(key);
        self.hash.update(b"\0");
        self.hash.update(size.to_string());
        self.hash.update(b"\0");
        self.hash.update(etag.as_str());
        self.hash.update(b"\n");
    }

    /// The result.
    pub fn finish(self) -> Survey {
        Survey { objects: self.objects, bytes: self.bytes, digest: hex::encode(self.hash.finalize()) }
    }
}

/// Lists everything under `prefix`, a page at a time.
pub async fn survey(store: &Store, prefix: &str) -> Result<Survey, StorageError> {
    let pages = store.list(prefix, store.config.page_size);
    pin_mut!(pages);
    let mut surveyor = Surveyor::default();
    while let Some(page) = pages.try_next().await? {
        for object in page {
            surveyor.add(object.key.strip_prefix(prefix).unwrap_or(&object.key), object.size, &object.etag);
        }
    }
    Ok(surveyor.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_over_lines_of_key_size_and_etag() {
        let mut surveyor = Surveyor::default();
        surveyor.add("a/b", 7, &Etag::new("\"e\""));
        let survey = surveyor.finish();
        assert_eq!((survey.objects, survey.bytes), (1, 7));
        assert_eq!(survey.digest, hex::encode(Sha256::digest(b"a/b\x007\x00e\n")));
    }
}
