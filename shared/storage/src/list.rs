//! Listings, page by page, in the order of the keys' bytes.

use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use aws_sdk_s3::types::{EncodingType, Object};
use futures_util::stream::{Stream, try_unfold};
use percent_encoding::percent_decode_str;

use crate::checksum::Etag;
use crate::error::{ErrorKind, StorageError};
use crate::store::Store;

/// An object as a listing shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectInfo {
    /// The full key.
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// Its version, and often a checksum.
    pub etag: Etag,
    /// Seconds since 1970, where the server tells.
    pub last_modified: Option<i64>,
}

/// Where a listing stands.
enum Cursor {
    Start,
    After(String),
    End,
}

impl Store {
    /// Pages of the objects under `prefix`, each of at most `page` keys, any number of them.
    ///
    /// An empty object whose key is the prefix itself is a folder's marker and left out.
    pub fn list(&self, prefix: &str, page: i32) -> impl Stream<Item = Result<Vec<ObjectInfo>, StorageError>> + use<> {
        let (store, prefix) = (self.clone(), prefix.to_owned());
        try_unfold(Cursor::Start, move |cursor| {
            let (store, prefix) = (store.clone(), prefix.clone());
            async move { store.next_page(&prefix, page, cursor).await }
        })
    }

    async fn next_page(
        &self,
        prefix: &str,
        page: i32,
        cursor: Cursor,
    ) -> Result<Option<(Vec<ObjectInfo>, Cursor)>, StorageError> {
        let token = match cursor {
            Cursor::Start => None,
            Cursor::After(token) => Some(token),
            Cursor::End => return Ok(None),
        };
        let request = self
            .client
            .list_objects_v2()
            .bucket(self.bucket())
            .prefix(prefix)
            .max_keys(page)
            .encoding_type(EncodingType::Url)
            .set_continuation_token(token.clone());
        let output = self.call(self.target("list", None), 0, request.send()).await?;
        let next = match (output.is_truncated(), output.next_continuation_token()) {
            (Some(true), Some(next)) if Some(next) != token.as_deref() => Cursor::After(next.to_owned()),
            (Some(true), _) => {
                let detail = "the listing says that it goes on but not where";
                return Err(self.error(ErrorKind::Unavailable, ("list", prefix), detail));
            }
            _ => Cursor::End,
        };
        let objects = self.objects(prefix, &output)?;
        Ok(Some((objects, next)))
    }

    fn objects(&self, prefix: &str, output: &ListObjectsV2Output) -> Result<Vec<ObjectInfo>, StorageError> {
        let encoded = output.encoding_type() == Some(&EncodingType::Url);
        let objects = output.contents().iter().map(|object| {
            self.object(object, encoded)
                .ok_or_else(|| self.error(ErrorKind::Unavailable, ("list", prefix), "an entry lacks its key or size"))
        });
        objects.filter(|object| !matches!(object, Ok(object) if object.key == prefix && object.size == 0)).collect()
    }

    fn object(&self, object: &Object, encoded: bool) -> Option<ObjectInfo> {
        let key = object.key()?;
        let key = if encoded { decoded(key)? } else { key.to_owned() };
        let size = u64::try_from(object.size()?).ok()?;
        let last_modified = object.last_modified().map(aws_smithy_types::DateTime::secs);
        Some(ObjectInfo { key, size, etag: self.etag(object.e_tag()), last_modified })
    }
}

/// Undoes `encoding-type=url`, which writes a space as `+`.
fn decoded(key: &str) -> Option<String> {
    let spaced = key.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_keys_are_decoded_as_s3_encodes_them() {
        assert_eq!(decoded("a/b%2Bc+d%25%0A").as_deref(), Some("a/b+c d%\n"));
        assert_eq!(decoded("%C3%A9").as_deref(), Some("é"));
        assert_eq!(decoded("%FF"), None);
    }
}
