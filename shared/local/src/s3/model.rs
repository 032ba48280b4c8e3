//! What the store holds: objects, their attributes, uploads under way, parts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use s3s::dto::{ETag, Timestamp};
use serde::{Deserialize, Serialize};

use super::blob::Segment;
use super::checksum::{Algorithm, Checksum};

/// A stored object; replaced as a whole, never changed.
#[derive(Debug, Clone)]
pub(super) struct Object {
    pub(super) size: u64,
    /// Without quotes: the body's MD5, or for a multipart object the MD5 of the parts' MD5s with `-N` behind it.
    pub(super) etag: String,
    /// Seconds since 1970, as S3 does not tell finer.
    pub(super) modified: u64,
    pub(super) attributes: Arc<Attributes>,
    pub(super) checksum: Option<Checksum>,
    /// The sizes of the parts it was uploaded in; empty for a simple upload.
    pub(super) part_sizes: Vec<u64>,
    pub(super) segments: Vec<Segment>,
}

impl Object {
    pub(super) fn e_tag(&self) -> ETag {
        ETag::Strong(self.etag.clone())
    }

    pub(super) fn last_modified(&self) -> Timestamp {
        timestamp(self.modified)
    }
}

/// What a client sends along with a body and gets back with it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Attributes {
    pub(super) cache_control: Option<String>,
    pub(super) content_disposition: Option<String>,
    pub(super) content_encoding: Option<String>,
    pub(super) content_language: Option<String>,
    pub(super) content_type: Option<String>,
    /// Seconds since 1970.
    pub(super) expires: Option<u64>,
    pub(super) website_redirect_location: Option<String>,
    pub(super) metadata: BTreeMap<String, String>,
    /// None is STANDARD.
    pub(super) storage_class: Option<String>,
    pub(super) tags: Vec<(String, String)>,
}

/// The type of a body whose sender does not name one, as in S3.
pub(super) const DEFAULT_CONTENT_TYPE: &str = "binary/octet-stream";

/// Reads the attributes from an input that has S3's usual fields for them.
macro_rules! attributes_of {
    ($input:expr, $tags:expr) => {
        $crate::s3::model::Attributes {
            cache_control: $input.cache_control.clone(),
            content_disposition: $input.content_disposition.clone(),
            content_encoding: $crate::s3::model::stored_encoding($input.content_encoding.as_deref()),
            content_language: $input.content_language.clone(),
            content_type: $input.content_type.clone(),
            expires: $input.expires.as_ref().map($crate::s3::model::seconds),
            website_redirect_location: $input.website_redirect_location.clone(),
            metadata: $input.metadata.clone().unwrap_or_default().into_iter().collect(),
            storage_class: $crate::s3::model::stored_class($input.storage_class.as_ref()),
            tags: $tags,
        }
    };
}
pub(super) use attributes_of;

/// `aws-chunked` describes the transfer, not the object.
pub(super) fn stored_encoding(sent: Option<&str>) -> Option<String> {
    let codings = sent?.split(',').map(str::trim).filter(|coding| !coding.is_empty() && *coding != "aws-chunked");
    let codings: Vec<&str> = codings.collect();
    (!codings.is_empty()).then(|| codings.join(","))
}

pub(super) fn stored_class(sent: Option<&s3s::dto::StorageClass>) -> Option<String> {
    sent.map(|class| class.as_str().to_owned()).filter(|class| class != "STANDARD")
}

/// A multipart upload under way.
#[derive(Debug, Clone)]
pub(super) struct Upload {
    pub(super) initiated: u64,
    pub(super) attributes: Arc<Attributes>,
    pub(super) algorithm: Option<Algorithm>,
    /// Whether the object's checksum will be that of its parts' checksums.
    pub(super) composite: bool,
    pub(super) parts: BTreeMap<i32, Part>,
}

#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) size: u64,
    /// The MD5 of the part's bytes, in hexadecimal.
    pub(super) etag: String,
    pub(super) modified: u64,
    pub(super) checksum: Option<Checksum>,
    pub(super) segments: Vec<Segment>,
}

/// Now, in seconds since 1970.
#[expect(
    clippy::disallowed_methods,
    reason = "Last-Modified is the wall clock of a server that stands for one on another machine; it decides nothing in Honk"
)]
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

pub(super) fn timestamp(seconds: u64) -> Timestamp {
    Timestamp::from(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}

/// Of an instant before 1970: zero.
pub(super) fn seconds(timestamp: &Timestamp) -> u64 {
    let mut text = Vec::new();
    let written = timestamp.format(s3s::dto::TimestampFormat::EpochSeconds, &mut text);
    let whole = text.split(|byte| *byte == b'.').next().unwrap_or_default();
    written.ok().and_then(|()| std::str::from_utf8(whole).ok()?.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_transfers_own_encoding_is_not_stored() {
        assert_eq!(stored_encoding(Some("aws-chunked")), None);
        assert_eq!(stored_encoding(Some("gzip, aws-chunked")).as_deref(), Some("gzip"));
        assert_eq!(stored_encoding(None), None);
    }

    #[test]
    fn seconds_and_timestamps_agree() {
        assert_eq!(seconds(&timestamp(1_700_000_000)), 1_700_000_000);
    }
}
