//! The checksums that S3 keeps beside the `ETag`: computed while a body arrives, compared, and combined over parts.
//!
//! A multipart object's checksum is either COMPOSITE (the checksum of the parts' checksums, with `-N` behind it) or
//! `FULL_OBJECT` (that of all bytes, which a CRC allows to combine without reading them again).
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html>

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use crc_fast::CrcAlgorithm;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Sha1, Sha256};
use s3s::{S3Result, s3_error};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Algorithm {
    Crc32,
    Crc32c,
    Crc64Nvme,
    Sha1,
    Sha256,
}

impl Algorithm {
    const ALL: [Self; 5] = [Self::Crc32, Self::Crc32c, Self::Crc64Nvme, Self::Sha1, Self::Sha256];

    /// The name in headers and XML.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }

    /// The header or trailer that carries the value.
    pub(super) fn header(self) -> &'static str {
        match self {
            Self::Crc32 => "x-amz-checksum-crc32",
            Self::Crc32c => "x-amz-checksum-crc32c",
            Self::Crc64Nvme => "x-amz-checksum-crc64nvme",
            Self::Sha1 => "x-amz-checksum-sha1",
            Self::Sha256 => "x-amz-checksum-sha256",
        }
    }

    pub(super) fn from_name(name: &str) -> S3Result<Self> {
        let found = Self::ALL.into_iter().find(|algorithm| algorithm.name().eq_ignore_ascii_case(name));
        found.ok_or_else(|| s3_error!(InvalidRequest, "unknown checksum algorithm {name:?}"))
    }

    pub(super) fn from_header(header: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.header().eq_ignore_ascii_case(header.trim()))
    }

    /// The CRC that can be combined; none for a cryptographic hash.
    fn crc(self) -> Option<CrcAlgorithm> {
        match self {
            Self::Crc32 => Some(CrcAlgorithm::Crc32IsoHdlc),
            Self::Crc32c => Some(CrcAlgorithm::Crc32Iscsi),
            Self::Crc64Nvme => Some(CrcAlgorithm::Crc64Nvme),
            Self::Sha1 | Self::Sha256 => None,
        }
    }

    /// Whether a multipart object's checksum is COMPOSITE unless the client says otherwise.
    pub(super) fn composite_by_default(self) -> bool {
        self != Self::Crc64Nvme
    }

    pub(super) fn allows(self, composite: bool) -> bool {
        if composite { self != Self::Crc64Nvme } else { self.crc().is_some() }
    }
}

/// The checksum of an object or a part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Checksum {
    pub(super) algorithm: Algorithm,
    /// Base64, with `-N` behind it if composite.
    pub(super) value: String,
    pub(super) composite: bool,
}

impl Checksum {
    pub(super) fn type_name(&self) -> &'static str {
        if self.composite { "COMPOSITE" } else { "FULL_OBJECT" }
    }

    fn raw(&self) -> Option<Vec<u8>> {
        BASE64.decode(&self.value).ok()
    }
}

/// Computes one checksum over a body.
pub(super) enum Hasher {
    Crc32(Crc32),
    Crc32c(Crc32c),
    Crc64Nvme(Crc64Nvme),
    Sha1(Sha1),
    Sha256(Box<Sha256>),
}

impl Hasher {
    pub(super) fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Crc32 => Self::Crc32(Crc32::new()),
            Algorithm::Crc32c => Self::Crc32c(Crc32c::new()),
            Algorithm::Crc64Nvme => Self::Crc64Nvme(Crc64Nvme::new()),
            Algorithm::Sha1 => Self::Sha1(Sha1::new()),
            Algorithm::Sha256 => Self::Sha256(Box::new(Sha256::new())),
        }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Crc32(hasher) => hasher.update(bytes),
            Self::Crc32c(hasher) => hasher.update(bytes),
            Self::Crc64Nvme(hasher) => hasher.update(bytes),
            Self::Sha1(hasher) => hasher.update(bytes),
            Self::Sha256(hasher) => hasher.update(bytes),
        }
    }

    pub(super) fn finish(self) -> Checksum {
        let (algorithm, value) = match self {
            Self::Crc32(hasher) => (Algorithm::Crc32, BASE64.encode(hasher.finalize())),
            Self::Crc32c(hasher) => (Algorithm::Crc32c, BASE64.encode(hasher.finalize())),
            Self::Crc64Nvme(hasher) => (Algorithm::Crc64Nvme, BASE64.encode(hasher.finalize())),
            Self::Sha1(hasher) => (Algorithm::Sha1, BASE64.encode(hasher.finalize())),
            Self::Sha256(hasher) => (Algorithm::Sha256, BASE64.encode(hasher.finalize())),
        };
        Checksum { algorithm, value, composite: false }
    }
}

/// The checksum of a multipart object from those of its parts, each with the part's size in bytes. None if a part has no
/// such checksum.
pub(super) fn of_parts(algorithm: Algorithm, composite: bool, parts: &[(Checksum, u64)]) -> Option<Checksum> {
    if composite {
        let mut hasher = Hasher::new(algorithm);
        for (part, _) in parts {
            hasher.update(&part.raw()?);
        }
        let value = format!("{}-{}", hasher.finish().value, parts.len());
        return Some(Checksum { algorithm, value, composite });
    }
    let crc = algorithm.crc()?;
    let as_number = |part: &Checksum| Some(part.raw()?.iter().fold(0, |sum: u64, byte| sum << 8 | u64::from(*byte)));
    let ((first, _), rest) = parts.split_first()?;
    let mut sum = as_number(first)?;
    for (part, size) in rest {
        sum = crc_fast::checksum_combine(crc, sum, as_number(part)?, *size);
    }
    let bytes = sum.to_be_bytes();
    let width = first.raw()?.len().min(bytes.len());
    Some(Checksum { algorithm, value: BASE64.encode(&bytes[bytes.len() - width..]), composite })
}

/// The checksums that a request declares in its fields, as (algorithm, value).
macro_rules! declared_checksums {
    ($input:expr) => {{
        use $crate::s3::checksum::Algorithm;
        let fields = [
            (Algorithm::Crc32, $input.checksum_crc32.clone()),
            (Algorithm::Crc32c, $input.checksum_crc32c.clone()),
            (Algorithm::Crc64Nvme, $input.checksum_crc64nvme.clone()),
            (Algorithm::Sha1, $input.checksum_sha1.clone()),
            (Algorithm::Sha256, $input.checksum_sha256.clone()),
        ];
        fields.into_iter().filter_map(|(algorithm, value)| Some((algorithm, value?))).collect::<Vec<_>>()
    }};
}

/// Puts an optional checksum into the response field of its algorithm.
macro_rules! fill_checksum {
    ($output:expr, $checksum:expr) => {
        if let Some(checksum) = $checksum {
            use $crate::s3::checksum::Algorithm;
            let value = Some(checksum.value.clone());
            match checksum.algorithm {
                Algorithm::Crc32 => $output.checksum_crc32 = value,
                Algorithm::Crc32c => $output.checksum_crc32c = value,
                Algorithm::Crc64Nvme => $output.checksum_crc64nvme = value,
                Algorithm::Sha1 => $output.checksum_sha1 = value,
                Algorithm::Sha256 => $output.checksum_sha256 = value,
            }
        }
    };
}

pub(super) use {declared_checksums, fill_checksum};

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(algorithm: Algorithm, bytes: &[u8]) -> Checksum {
        let mut hasher = Hasher::new(algorithm);
        hasher.update(bytes);
        hasher.finish()
    }

    #[test]
    fn a_full_object_crc_is_combined_from_the_parts() {
        let (first, second, third) = (vec![1_u8; 70_000], b"between".to_vec(), vec![9_u8; 13]);
        let whole = [first.clone(), second.clone(), third.clone()].concat();
        for algorithm in [Algorithm::Crc32, Algorithm::Crc32c, Algorithm::Crc64Nvme] {
            let parts: Vec<_> = [&first, &second, &third].map(|part| (sum(algorithm, part), part.len() as u64)).into();
            assert_eq!(of_parts(algorithm, false, &parts), Some(sum(algorithm, &whole)));
        }
    }

    #[test]
    fn a_composite_checksum_is_that_of_the_parts_checksums() {
        let part = sum(Algorithm::Sha256, b"part");
        let expected = sum(Algorithm::Sha256, &[part.raw().unwrap(), part.raw().unwrap()].concat());
        let composite = of_parts(Algorithm::Sha256, true, &[(part.clone(), 4), (part, 4)]).unwrap();
        assert_eq!(composite.value, format!("{}-2", expected.value));
    }

    #[test]
    fn a_hash_cannot_be_that_of_the_full_object() {
        assert!(!Algorithm::Sha1.allows(false) && Algorithm::Sha1.allows(true));
        assert!(Algorithm::Crc64Nvme.allows(false) && !Algorithm::Crc64Nvme.allows(true));
        assert_eq!(of_parts(Algorithm::Sha1, false, &[(sum(Algorithm::Sha1, b"x"), 1)]), None);
    }
}
