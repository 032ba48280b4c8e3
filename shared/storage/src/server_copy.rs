//! Copies inside one endpoint, without the bytes passing through this process.

use std::time::Instant;

use aws_sdk_s3::types::{MetadataDirective, StorageClass, TaggingDirective};
use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::attributes::{Attributes, Keep};
use crate::checksum::{Algorithm, Etag};
use crate::error::{ErrorKind, StorageError};
use crate::layout::PartLayout;
use crate::list::ObjectInfo;
use crate::multipart::{Part, Upload};
use crate::store::{Store, quoted};
use crate::ways::CopyWay;

/// Part copies of one object under way at a time.
const PARTS_IN_FLIGHT: usize = 8;

/// What a copy source header may hold unescaped: the unreserved characters of RFC 3986, and `/` between names.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// The value of `x-amz-copy-source`; the SDK sends it as it is.
pub(crate) fn copy_source(bucket: &str, key: &str) -> String {
    format!("{bucket}/{}", utf8_percent_encode(key, PLAIN))
}

impl Store {
    /// Whether an object of this size is beyond one copy request.
    pub fn copies_in_parts(&self, size: u64) -> bool {
        size > self.config.copy_object_limit
    }

    /// Lets the server copy `object` of `source` to `key`, attributes and what is to be kept included, only if it still is this version.
    pub async fn copy_object(
        &self,
        source: &Store,
        object: &ObjectInfo,
        key: &str,
        keep: Keep,
    ) -> Result<Etag, StorageError> {
        // The copy has the default class unless it is told another.
        let head = if keep.storage_class { Some(source.head(&object.key).await?) } else { None };
        let class = head.and_then(|head| head.attributes.storage_class);
        let begin = Instant::now();
        let request = self
            .client
            .copy_object()
            .bucket(self.bucket())
            .key(key)
            .copy_source(copy_source(source.bucket(), &object.key))
            .copy_source_if_match(quoted(&object.etag))
            .metadata_directive(MetadataDirective::Copy)
            .set_tagging_directive((!keep.tags).then_some(TaggingDirective::Replace))
            .set_storage_class(class.as_deref().map(StorageClass::from));
        let output = self.call(self.target("copy to", Some(key)), object.size, request.send()).await?;
        // An answer can say 200 and nothing else; then only the object itself can tell.
        let etag = match output.copy_object_result().and_then(|result| result.e_tag()) {
            Some(etag) => self.etag(Some(etag)),
            None => self.head(key).await?.etag,
        };
        let differ = object.etag.md5().is_some() && etag.md5().is_some() && object.etag != etag;
        if differ && self.proves_difference(source, object, key).await? {
            let detail = format!("the source is {}, the copy {}", object.etag.as_str(), etag.as_str());
            return Err(self.error(ErrorKind::Corrupt, ("copy to", key), detail));
        }
        self.ways.took(CopyWay::Whole, object.size, begin.elapsed());
        if keep.acl {
            self.copy_acl(source, &object.key, key).await?;
        }
        Ok(etag)
    }

    /// Different `ETag`s are different bytes only if neither object is encrypted under a server's key.
    async fn proves_difference(&self, source: &Store, object: &ObjectInfo, key: &str) -> Result<bool, StorageError> {
        let (from, to) = (source.head(&object.key).await?, self.head(key).await?);
        Ok(from.size != to.size || (from.etag.md5().is_some() && to.etag.md5().is_some() && from.etag != to.etag))
    }

    /// The same in parts of this layout, with the source's attributes sent again. Returns the copy's `ETag`.
    pub async fn copy_object_in_parts(
        &self,
        source: &Store,
        object: &ObjectInfo,
        key: &str,
        layout: PartLayout,
        keep: Keep,
    ) -> Result<Etag, StorageError> {
        let begin = Instant::now();
        let head = source.head(&object.key).await?;
        if head.etag != object.etag {
            return Err(source.changed("copy", &object.key, (&object.etag, &head.etag)));
        }
        let tagging = if keep.tags { source.tagging_or_none(&object.key).await? } else { None };
        self.clear_uploads(key).await;
        let wanted = head.checksums.first().map_or(Algorithm::Crc64Nvme, |checksum| checksum.algorithm);
        let upload = self.create_upload(key, &Attributes { tagging, ..head.attributes.kept(keep) }, wanted).await?;
        let copied = copy_parts(&upload, source, object, layout).await;
        let done = match copied {
            Ok(parts) => upload.complete(&parts).await,
            Err(error) => Err(error),
        };
        if done.is_err()
            && let Err(error) = upload.abort().await
        {
            tracing::warn!(%error, "an unfinished upload stays behind");
        }
        let etag = done?;
        self.ways.took(CopyWay::Parts, object.size, begin.elapsed());
        if keep.acl {
            self.copy_acl(source, &object.key, key).await?;
        }
        Ok(etag)
    }
}

async fn copy_parts(
    upload: &Upload,
    source: &Store,
    object: &ObjectInfo,
    layout: PartLayout,
) -> Result<Vec<Part>, StorageError> {
    stream::iter(layout.parts())
        .map(|(number, range)| upload.part_copy(number, (source, object.key.as_str()), &object.etag, range).boxed())
        .buffered(PARTS_IN_FLIGHT)
        .try_collect()
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copy_sources_are_percent_encoded_but_for_slashes() {
        assert_eq!(copy_source("b", "a b/ü+%?.txt"), "b/a%20b/%C3%BC%2B%25%3F.txt");
    }
}
