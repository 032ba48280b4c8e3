//! What an object carries besides its bytes, and how it is read from answers and written to requests.

use std::collections::HashMap;

use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use serde::{Deserialize, Serialize};

use crate::checksum::{Checksum, Etag};

/// What of an object a copy carries beside its bytes, headers and user metadata, which it always does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Keep {
    /// Its tags.
    pub tags: bool,
    /// Grants to others than its owner; one to three more requests for every object.
    pub acl: bool,
    /// Its storage class, else the target bucket's default decides; one more request for every object that is copied inside an endpoint.
    pub storage_class: bool,
}

impl Default for Keep {
    fn default() -> Self {
        Self { tags: true, acl: false, storage_class: false }
    }
}

/// Headers and user metadata that a copy keeps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// `Cache-Control`.
    pub cache_control: Option<String>,
    /// `Content-Disposition`.
    pub content_disposition: Option<String>,
    /// `Content-Encoding`, without the `aws-chunked` that some servers keep from the upload.
    pub content_encoding: Option<String>,
    /// `Content-Language`.
    pub content_language: Option<String>,
    /// `Expires`; one that is no HTTP date is dropped, as S3 would not send it either.
    pub expires: Option<aws_smithy_types::DateTime>,
    /// `x-amz-website-redirect-location`.
    pub website_redirect: Option<String>,
    /// `x-amz-meta-*`, names without that prefix.
    pub metadata: HashMap<String, String>,
    /// The tags as a query string. No answer about an object carries them: they are what [`crate::Store::tagging`] found.
    pub tagging: Option<String>,
    /// `x-amz-storage-class`; none for the default one.
    pub storage_class: Option<String>,
}

impl Attributes {
    /// Those of them that a copy carries. Tags are not among them, as they are not read with the object.
    #[must_use]
    pub fn kept(&self, keep: Keep) -> Self {
        let storage_class = self.storage_class.clone().filter(|_| keep.storage_class);
        Self { storage_class, tagging: None, ..self.clone() }
    }
}

/// An object's description, from HEAD or from the head of a GET.
#[derive(Clone, Debug)]
pub struct ObjectHead {
    /// Bytes of the whole object.
    pub size: u64,
    /// Its `ETag`; opaque when the server encrypts with keys of its own, where it is no MD5.
    pub etag: Etag,
    /// What a copy keeps.
    pub attributes: Attributes,
    /// Full-object checksums that the server knows.
    pub checksums: Vec<Checksum>,
    /// How many tags it has, where the answer says so; a HEAD need not, and servers leave out zero.
    pub tag_count: Option<i32>,
}

fn without_aws_chunked(encoding: Option<&str>) -> Option<String> {
    let kept: Vec<&str> =
        encoding?.split(',').map(str::trim).filter(|coding| !coding.is_empty() && *coding != "aws-chunked").collect();
    (!kept.is_empty()).then(|| kept.join(", "))
}

/// The two answers have the same accessors and no common trait.
macro_rules! head_from {
    ($output:expr, $size:expr) => {{
        let output = $output;
        let attributes = Attributes {
            content_type: output.content_type().map(str::to_owned),
            cache_control: output.cache_control().map(str::to_owned),
            content_disposition: output.content_disposition().map(str::to_owned),
            content_encoding: without_aws_chunked(output.content_encoding()),
            content_language: output.content_language().map(str::to_owned),
            expires: output.expires_string().and_then(|text| {
                let format = aws_smithy_types::date_time::Format::HttpDate;
                aws_smithy_types::DateTime::from_str(text, format).ok()
            }),
            website_redirect: output.website_redirect_location().map(str::to_owned),
            metadata: output.metadata().cloned().unwrap_or_default(),
            tagging: None,
            storage_class: output.storage_class().map(|class| class.as_str().to_owned()),
        };
        let etag = Etag::new(output.e_tag().unwrap_or_default());
        let checksums = Checksum::full_object(
            output.checksum_type(),
            etag.parts().is_some(),
            [
                output.checksum_crc64_nvme(),
                output.checksum_crc32(),
                output.checksum_crc32_c(),
                output.checksum_sha256(),
            ],
        );
        let keyed = output.sse_customer_algorithm().is_some()
            || output.server_side_encryption().is_some_and(|kind| kind.as_str().starts_with("aws:kms"));
        let etag = if keyed { etag.into_opaque() } else { etag };
        ObjectHead { size: $size, etag, attributes, checksums, tag_count: output.tag_count() }
    }};
}

impl ObjectHead {
    /// What the bytes can be checked against: the MD5 that the `ETag` is, else a full-object checksum.
    pub fn evidence(&self) -> Option<Checksum> {
        Checksum::of_etag(&self.etag).or_else(|| self.checksums.first().cloned())
    }

    /// All that is known of the whole object's bytes.
    pub fn all_checksums(&self) -> Vec<Checksum> {
        Checksum::of_etag(&self.etag).into_iter().chain(self.checksums.iter().cloned()).collect()
    }

    pub(crate) fn of_head(output: &HeadObjectOutput, size: u64) -> Self {
        head_from!(output, size)
    }

    pub(crate) fn of_get(output: &GetObjectOutput, size: u64) -> Self {
        head_from!(output, size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_transfer_coding_of_an_upload_is_not_the_objects() {
        assert_eq!(without_aws_chunked(Some("aws-chunked")), None);
        assert_eq!(without_aws_chunked(Some("aws-chunked,gzip")).as_deref(), Some("gzip"));
        assert_eq!(without_aws_chunked(Some("gzip, br")).as_deref(), Some("gzip, br"));
        assert_eq!(without_aws_chunked(None), None);
    }

    #[test]
    fn an_etag_under_a_servers_own_key_is_no_md5() {
        let md5 = "\"0cc175b9c0f1b6a831c399e269772661\"";
        let plain = HeadObjectOutput::builder().e_tag(md5).build();
        assert!(ObjectHead::of_head(&plain, 1).etag.md5().is_some());
        let kms = aws_sdk_s3::types::ServerSideEncryption::AwsKms;
        let keyed = HeadObjectOutput::builder().e_tag(md5).server_side_encryption(kms).build();
        assert!(ObjectHead::of_head(&keyed, 1).etag.md5().is_none());
    }
}
