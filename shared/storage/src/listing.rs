//! A listing in three numbers: how many objects, how many bytes, and a digest that changes when any of them does.

use futures_util::{TryStreamExt as _, pin_mut};
use sha2::{Digest as _, Sha256};

use crate::checksum::Etag;
use crate::error::StorageError;
use crate::store::Store;

/// A digest of a set of objects: the sum, modulo 2^256, of the SHA-256 of `key\0size\0checksum\n` of each. So it is the same in
/// whatever order and in however many pieces the set is read (Bellare and Micciancio's `AdHash`, 1997). It tells accidents, and is no proof
/// against somebody who chooses objects to make two sets agree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SetDigest([u64; 4]);

impl SetDigest {
    /// Adds an object; `key` is relative to the listing's prefix, `checksum` is what identifies its content.
    pub fn add(&mut self, key: &str, size: u64, checksum: &str) {
        let mut hash = Sha256::new();
        hash.update(key);
        hash.update(b"\0");
        hash.update(size.to_string());
        hash.update(b"\0");
        hash.update(checksum);
        hash.update(b"\n");
        self.merge(&Self::of_bytes(&hash.finalize().into()));
    }

    /// Adds all objects of another set, which has none in common with this one.
    pub fn merge(&mut self, other: &Self) {
        let mut carry = false;
        for (word, more) in self.0.iter_mut().zip(other.0) {
            let (sum, first) = word.overflowing_add(more);
            let (sum, second) = sum.overflowing_add(u64::from(carry));
            (*word, carry) = (sum, first || second);
        }
    }

    /// 64 hex digits, the most significant first.
    pub fn to_hex(self) -> String {
        let [a, b, c, d] = self.0;
        format!("{d:016x}{c:016x}{b:016x}{a:016x}")
    }

    fn of_bytes(bytes: &[u8; 32]) -> Self {
        let mut words = [0; 4];
        for (word, chunk) in words.iter_mut().zip(bytes.rchunks_exact(8)) {
            *word = chunk.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
        }
        Self(words)
    }
}

/// What lies under a prefix.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// Number of objects.
    pub objects: u64,
    /// Sum of their sizes.
    pub bytes: u64,
    /// [`SetDigest`] of all objects by their `ETag`s, keys relative to the prefix.
    pub digest: String,
}

/// Builds a [`Survey`] one object at a time, in any order.
#[derive(Clone, Copy, Debug, Default)]
pub struct Surveyor {
    objects: u64,
    bytes: u64,
    digest: SetDigest,
}

impl Surveyor {
    /// Adds an object; `key` is relative to the listing's prefix.
    pub fn add(&mut self, key: &str, size: u64, etag: &Etag) {
        self.objects += 1;
        self.bytes += size;
        self.digest.add(key, size, etag.as_str());
    }

    /// The result.
    pub fn finish(self) -> Survey {
        Survey { objects: self.objects, bytes: self.bytes, digest: self.digest.to_hex() }
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
    use proptest::prelude::*;

    #[test]
    fn the_digest_of_one_object_is_that_of_its_line() {
        let mut surveyor = Surveyor::default();
        surveyor.add("a/b", 7, &Etag::new("\"e\""));
        let survey = surveyor.finish();
        assert_eq!((survey.objects, survey.bytes), (1, 7));
        assert_eq!(survey.digest, hex::encode(Sha256::digest(b"a/b\x007\x00e\n")));
    }

    proptest! {
        #[test]
        fn order_and_pieces_do_not_matter_and_every_object_does(
            keys in prop::collection::btree_set("[a-c]{1,4}", 1..20), cut in any::<prop::sample::Index>(),
        ) {
            let digest = |keys: &[&String]| {
                let mut digest = SetDigest::default();
                for key in keys {
                    digest.add(key, 1, "e");
                }
                digest
            };
            let keys: Vec<&String> = keys.iter().collect();
            let whole = digest(&keys);
            let (one, other) = keys.split_at(cut.index(keys.len()));
            let mut pieces = digest(other);
            pieces.merge(&digest(one));
            prop_assert_eq!(pieces, whole);
            let reversed: Vec<&String> = keys.iter().rev().copied().collect();
            prop_assert_eq!(digest(&reversed), whole);
            prop_assert_ne!(digest(&keys[1..]), whole);
        }
    }
}
