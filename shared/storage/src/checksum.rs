//! `ETag`s and checksums: what they prove, and hashing while bytes stream by.
//!
//! An `ETag` is the MD5 of a plain upload, `md5(md5s of parts)-N` of a multipart one, and else an opaque version
//! (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html>). Two equal `ETag`s of the first two forms prove equal
//! bytes; two different ones prove a difference only when both are MD5s of whole objects.

use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumType};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crc_fast::CrcAlgorithm;
use md5::{Digest as _, Md5};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::write::Md5Sum;

/// An `ETag` without its quotes.
#[derive(Clone, Debug, Eq)]
pub struct Etag {
    value: String,
    opaque: bool,
}

impl PartialEq for Etag {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl Etag {
    /// Takes the header's value, quoted or not, weak or not.
    pub fn new(value: &str) -> Self {
        let value = value.trim().trim_start_matches("W/").trim_matches('"').to_owned();
        Self { value, opaque: false }
    }

    /// The same version, which says nothing about the bytes.
    #[must_use]
    pub fn into_opaque(self) -> Self {
        Self { opaque: true, ..self }
    }

    /// The text, as listings and digests use it.
    pub fn as_str(&self) -> &str {
        &self.value
    }

    /// The lower-case hex MD5 of the whole object, where the `ETag` is one.
    pub fn md5(&self) -> Option<&str> {
        (!self.opaque && is_md5(&self.value)).then_some(self.value.as_str())
    }

    /// The number of parts, where the `ETag` is that of a multipart upload.
    pub fn parts(&self) -> Option<u32> {
        let (hash, parts) = self.value.rsplit_once('-')?;
        (!self.opaque && is_md5(hash)).then(|| parts.parse().ok()).flatten().filter(|parts| *parts > 0)
    }

    /// Whether equality with another such `ETag` proves equal bytes.
    pub fn tells_content(&self) -> bool {
        self.md5().is_some() || self.parts().is_some()
    }
}

fn is_md5(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// The `ETag` of a multipart upload whose parts have these MD5s, in order.
pub fn multipart_etag(parts: &[[u8; 16]]) -> Etag {
    let mut whole = Md5::new();
    for part in parts {
        whole.update(part);
    }
    Etag::new(&format!("{}-{}", hex::encode(whole.finalize()), parts.len()))
}

/// A kind of full-object checksum, the preferred first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// CRC-64/NVME, what S3 stores by itself.
    Crc64Nvme,
    /// CRC-32 (ISO-HDLC).
    Crc32,
    /// CRC-32C (iSCSI).
    Crc32c,
    /// SHA-256.
    Sha256,
    /// MD5, known from a plain upload's `ETag`.
    Md5,
}

impl Algorithm {
    /// Those that S3 keeps of a whole object whatever parts it was made of: the ones that combine.
    pub(crate) fn crc(self) -> Option<(CrcAlgorithm, ChecksumAlgorithm)> {
        match self {
            Self::Crc64Nvme => Some((CrcAlgorithm::Crc64Nvme, ChecksumAlgorithm::Crc64Nvme)),
            Self::Crc32 => Some((CrcAlgorithm::Crc32IsoHdlc, ChecksumAlgorithm::Crc32)),
            Self::Crc32c => Some((CrcAlgorithm::Crc32Iscsi, ChecksumAlgorithm::Crc32C)),
            Self::Sha256 | Self::Md5 => None,
        }
    }

    /// Bytes of a value.
    const fn length(self) -> usize {
        match self {
            Self::Crc32 | Self::Crc32c => 4,
            Self::Crc64Nvme => 8,
            Self::Md5 => 16,
            Self::Sha256 => 32,
        }
    }

    /// Whether the checksums of stretches give that of the whole.
    pub fn combines(self) -> bool {
        self.crc().is_some()
    }
}

/// A checksum of all bytes of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checksum {
    /// Which one.
    pub algorithm: Algorithm,
    /// Base64 of the big-endian bytes, as S3's headers have it.
    pub value: String,
}

impl Checksum {
    /// From the headers CRC64NVME, CRC32, CRC32C, SHA256. A composite checksum, which is one of the parts' checksums, proves nothing and
    /// is left out: what the server calls one or marks with `-N`, and of an object `in_parts` everything that the server does
    /// not call a checksum of the full object. So is a value that is none of its algorithm.
    pub(crate) fn full_object(kind: Option<&ChecksumType>, in_parts: bool, values: [Option<&str>; 4]) -> Vec<Self> {
        let whole = kind == Some(&ChecksumType::FullObject) || (kind.is_none() && !in_parts);
        if !whole {
            return Vec::new();
        }
        let algorithms = [Algorithm::Crc64Nvme, Algorithm::Crc32, Algorithm::Crc32c, Algorithm::Sha256];
        let known = algorithms.into_iter().zip(values);
        known
            .filter_map(|(algorithm, value)| Some(Self { algorithm, value: value?.to_owned() }))
            .filter(Self::is_well_formed)
            .collect()
    }

    fn is_well_formed(&self) -> bool {
        STANDARD.decode(&self.value).is_ok_and(|bytes| bytes.len() == self.algorithm.length())
    }

    /// The MD5 that an `ETag` is, as a checksum.
    pub fn of_etag(etag: &Etag) -> Option<Self> {
        let bytes = hex::decode(etag.md5()?).ok()?;
        Some(Self { algorithm: Algorithm::Md5, value: STANDARD.encode(bytes) })
    }

    /// The MD5 itself, if it is one.
    pub fn md5(&self) -> Option<Md5Sum> {
        let bytes = STANDARD.decode(&self.value).ok().filter(|_| self.algorithm == Algorithm::Md5)?;
        bytes.try_into().ok()
    }

    /// The checksum of bytes whose stretches have these checksums and lengths, in order. `None` when they are not all of
    /// one kind that combines, or when there are none.
    pub fn combined<'a>(parts: impl IntoIterator<Item = (&'a Self, u64)>) -> Option<Self> {
        let mut parts = parts.into_iter();
        let (first, _) = parts.next()?;
        let algorithm = first.algorithm;
        let (crc, _) = algorithm.crc()?;
        let mut sum = first.number()?;
        for (part, length) in parts {
            if part.algorithm != algorithm {
                return None;
            }
            sum = crc_fast::checksum_combine(crc, sum, part.number()?, length);
        }
        Some(Self { algorithm, value: crc_text(algorithm, sum) })
    }

    fn number(&self) -> Option<u64> {
        let bytes = STANDARD.decode(&self.value).ok().filter(|bytes| bytes.len() <= 8)?;
        Some(bytes.iter().fold(0, |sum, byte| (sum << 8) | u64::from(*byte)))
    }

    /// Whether two objects' checksums agree; `None` when they share no algorithm.
    pub fn agree(a: &[Self], b: &[Self]) -> Option<bool> {
        a.iter().find_map(|one| b.iter().find(|other| other.algorithm == one.algorithm).map(|other| one == other))
    }
}

/// A 32-bit CRC stands in the low half of the 64 bits.
fn crc_text(algorithm: Algorithm, crc: u64) -> String {
    let bytes = crc.to_be_bytes();
    STANDARD.encode(if algorithm == Algorithm::Crc64Nvme { &bytes[..] } else { &bytes[4..] })
}

#[derive(Clone)]
enum State {
    Crc(Box<crc_fast::Digest>),
    Sha256(Box<Sha256>),
    Md5(Box<Md5>),
}

/// Hashes the bytes of an object in order with one algorithm.
#[derive(Clone)]
pub struct ContentHasher {
    algorithm: Algorithm,
    state: State,
}

impl std::fmt::Debug for ContentHasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ContentHasher").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

impl ContentHasher {
    /// Starts with no bytes.
    pub fn new(algorithm: Algorithm) -> Self {
        let state = match algorithm {
            Algorithm::Crc64Nvme => State::Crc(Box::new(crc_fast::Digest::new(CrcAlgorithm::Crc64Nvme))),
            Algorithm::Crc32 => State::Crc(Box::new(crc_fast::Digest::new(CrcAlgorithm::Crc32IsoHdlc))),
            Algorithm::Crc32c => State::Crc(Box::new(crc_fast::Digest::new(CrcAlgorithm::Crc32Iscsi))),
            Algorithm::Sha256 => State::Sha256(Box::default()),
            Algorithm::Md5 => State::Md5(Box::default()),
        };
        Self { algorithm, state }
    }

    /// Adds the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.state {
            State::Crc(crc) => crc.update(bytes),
            State::Sha256(sha) => sha.update(bytes),
            State::Md5(md5) => md5.update(bytes),
        }
    }

    /// The checksum of everything so far.
    pub fn finish(self) -> Checksum {
        let value = match self.state {
            State::Crc(crc) => crc_text(self.algorithm, crc.finalize()),
            State::Sha256(sha) => STANDARD.encode(sha.finalize()),
            State::Md5(md5) => STANDARD.encode(md5.finalize()),
        };
        Checksum { algorithm: self.algorithm, value }
    }
}

#[cfg(test)]
mod tests {
    use std::slice::from_ref;

    use super::*;
    use proptest::prelude::*;

    fn hash(algorithm: Algorithm, bytes: &[u8]) -> String {
        let mut hasher = ContentHasher::new(algorithm);
        hasher.update(bytes);
        hasher.finish().value
    }

    #[test]
    fn checksums_are_those_of_the_published_check_values() {
        let crc64 = STANDARD.encode(0xae8b_1486_0a79_9888_u64.to_be_bytes());
        assert_eq!(hash(Algorithm::Crc64Nvme, b"123456789"), crc64);
        assert_eq!(hash(Algorithm::Crc32, b"123456789"), STANDARD.encode(0xcbf4_3926_u32.to_be_bytes()));
        assert_eq!(hash(Algorithm::Crc32c, b"123456789"), STANDARD.encode(0xe306_9283_u32.to_be_bytes()));
        assert_eq!(
            hash(Algorithm::Md5, b"a"),
            STANDARD.encode(hex::decode("0cc175b9c0f1b6a831c399e269772661").unwrap())
        );
    }

    #[test]
    fn an_etag_tells_what_it_is() {
        let plain = Etag::new("\"0cc175b9c0f1b6a831c399e269772661\"");
        assert_eq!((plain.md5(), plain.parts()), (Some("0cc175b9c0f1b6a831c399e269772661"), None));
        let parts = Etag::new("\"0cc175b9c0f1b6a831c399e269772661-12\"");
        assert_eq!((parts.md5(), parts.parts()), (None, Some(12)));
        for opaque in ["", "abc", "0cc175b9c0f1b6a831c399e26977266z", "0cc175b9c0f1b6a831c399e269772661-0", "x-1"] {
            assert!(!Etag::new(opaque).tells_content(), "{opaque}");
        }
        assert!(!plain.into_opaque().tells_content());
    }

    #[test]
    fn composite_checksums_prove_nothing_about_whole_objects() {
        let values = [None, Some("AAAAAA==-3"), Some("AAAAAA=="), None];
        assert_eq!(Checksum::full_object(None, false, values).len(), 1);
        assert_eq!(Checksum::full_object(Some(&ChecksumType::FullObject), true, values).len(), 1);
        assert!(Checksum::full_object(None, true, values).is_empty());
        assert!(Checksum::full_object(Some(&ChecksumType::Composite), false, values).is_empty());
        assert!(Checksum::full_object(None, false, [Some("AAAAAA=="), None, None, None]).is_empty(), "too short");
        let crc = Checksum { algorithm: Algorithm::Crc32, value: "a".into() };
        let sha = Checksum { algorithm: Algorithm::Sha256, value: "a".into() };
        assert_eq!(Checksum::agree(from_ref(&crc), from_ref(&sha)), None);
        assert_eq!(Checksum::agree(&[sha.clone(), crc.clone()], from_ref(&crc)), Some(true));
        let other = Checksum { value: "b".into(), ..crc.clone() };
        assert_eq!(Checksum::agree(&[crc], &[other]), Some(false));
    }

    fn sum(algorithm: Algorithm, bytes: &[u8]) -> Checksum {
        Checksum { algorithm, value: hash(algorithm, bytes) }
    }

    #[test]
    fn only_crcs_of_one_kind_combine() {
        let (crc, other, sha) =
            (sum(Algorithm::Crc32, b"a"), sum(Algorithm::Crc32c, b"a"), sum(Algorithm::Sha256, b"a"));
        assert_eq!(Checksum::combined([(&crc, 1)]), Some(crc.clone()));
        assert_eq!(Checksum::combined([(&crc, 1), (&other, 1)]), None);
        assert_eq!(Checksum::combined([(&sha, 1)]), None);
        assert_eq!(Checksum::combined([]), None);
    }

    proptest! {
        #[test]
        fn the_checksums_of_stretches_give_that_of_the_whole(
            bytes in prop::collection::vec(any::<u8>(), 0..300),
            cut in 0_usize..300,
        ) {
            let (one, other) = bytes.split_at(cut.min(bytes.len()));
            for algorithm in [Algorithm::Crc64Nvme, Algorithm::Crc32, Algorithm::Crc32c] {
                let parts = [(&sum(algorithm, one), one.len() as u64), (&sum(algorithm, other), other.len() as u64)];
                prop_assert_eq!(Checksum::combined(parts), Some(sum(algorithm, &bytes)));
            }
        }

        #[test]
        fn hashing_does_not_depend_on_how_the_bytes_arrive(
            bytes in prop::collection::vec(any::<u8>(), 0..300),
            cut in 0_usize..300,
        ) {
            let cut = cut.min(bytes.len());
            for algorithm in
                [Algorithm::Crc64Nvme, Algorithm::Crc32, Algorithm::Crc32c, Algorithm::Sha256, Algorithm::Md5]
            {
                let mut hasher = ContentHasher::new(algorithm);
                hasher.update(&bytes[..cut]);
                hasher.update(&bytes[cut..]);
                prop_assert_eq!(hasher.finish().value, hash(algorithm, &bytes));
            }
        }
    }
}
