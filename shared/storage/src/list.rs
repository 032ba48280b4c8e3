//! Listings, page by page, in the order of the keys' bytes.

use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use aws_sdk_s3::types::{EncodingType, Object, OptionalObjectAttributes};
use futures_util::stream::{Stream, try_unfold};
use percent_encoding::percent_decode_str;

use crate::checksum::Etag;
use crate::error::{ErrorKind, StorageError};
use crate::probe::is_probe;
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PageCursor {
    /// Before the first page.
    Start,
    /// Before the first key that is greater than this one, which need not exist.
    AfterKey(String),
    /// After a page that named where the next begins.
    After(String),
    /// After the last page.
    End,
}

impl Store {
    /// Pages of the objects under `prefix`, each of at most `page` keys, any number of them. Ends after an error; who
    /// wants to try a page again uses [`Store::list_page`].
    pub fn list(&self, prefix: &str, page: i32) -> impl Stream<Item = Result<Vec<ObjectInfo>, StorageError>> + use<> {
        let (store, prefix) = (self.clone(), prefix.to_owned());
        try_unfold(PageCursor::Start, move |cursor| {
            let (store, prefix) = (store.clone(), prefix.clone());
            async move {
                match cursor {
                    PageCursor::End => Ok(None),
                    cursor => store.list_page(&prefix, page, &cursor).await.map(Some),
                }
            }
        })
    }

    /// One page of at most `page` keys, and where the next begins.
    ///
    /// An empty object whose key is the prefix itself is a folder's marker and left out, and so is what a probe may have left below it.
    pub async fn list_page(
        &self,
        prefix: &str,
        page: i32,
        cursor: &PageCursor,
    ) -> Result<(Vec<ObjectInfo>, PageCursor), StorageError> {
        let Some((output, next)) = self.page(prefix, page, cursor, None).await? else {
            return Ok((Vec::new(), PageCursor::End));
        };
        let listed = self.data(prefix, &output).map(|listed| listed.map(|(object, _)| object));
        Ok((listed.collect::<Result<_, _>>()?, next))
    }

    /// One page as the server gives it, with `more` about each object, and where the next begins; none after the last.
    pub(crate) async fn page(
        &self,
        prefix: &str,
        page: i32,
        cursor: &PageCursor,
        more: Option<OptionalObjectAttributes>,
    ) -> Result<Option<(ListObjectsV2Output, PageCursor)>, StorageError> {
        let (token, start) = match cursor {
            PageCursor::Start => (None, None),
            PageCursor::AfterKey(key) => (None, Some(key.clone())),
            PageCursor::After(token) => (Some(token.as_str()), None),
            PageCursor::End => return Ok(None),
        };
        let request = self
            .client
            .list_objects_v2()
            .bucket(self.bucket())
            .prefix(prefix)
            .max_keys(page)
            .encoding_type(EncodingType::Url)
            .set_optional_object_attributes(more.map(|more| vec![more]))
            .set_start_after(start)
            .set_continuation_token(token.map(str::to_owned));
        let output = self.ask(self.target("list", None), request.send()).await?;
        let next = match (output.is_truncated(), output.next_continuation_token()) {
            (Some(true), Some(next)) if Some(next) != token => PageCursor::After(next.to_owned()),
            (Some(true), _) => {
                let detail = "the listing says that it goes on but not where";
                return Err(self.error(ErrorKind::Unavailable, ("list", prefix), detail));
            }
            _ => PageCursor::End,
        };
        Ok(Some((output, next)))
    }

    /// The entries of a page that are data: neither the folder's own marker nor what a probe may have left.
    pub(crate) fn data<'o>(
        &'o self,
        prefix: &'o str,
        output: &'o ListObjectsV2Output,
    ) -> impl Iterator<Item = Result<(ObjectInfo, &'o Object), StorageError>> {
        let encoded = output.encoding_type() == Some(&EncodingType::Url);
        let broken = move || self.error(ErrorKind::Unavailable, ("list", prefix), "an entry lacks its key or size");
        let entries = output.contents().iter();
        let objects =
            entries.map(move |listed| self.object(listed, encoded).map(|object| (object, listed)).ok_or_else(broken));
        let is_data = move |object: &ObjectInfo| {
            let relative = object.key.strip_prefix(prefix).unwrap_or(&object.key);
            let is_marker = relative.is_empty() && object.size == 0;
            !is_marker && !is_probe(relative)
        };
        objects.filter(move |object| object.as_ref().map_or(true, |(object, _)| is_data(object)))
    }

    fn object(&self, object: &Object, encoded: bool) -> Option<ObjectInfo> {
        let key = object.key()?;
        let key = if encoded { decoded(key)? } else { key.to_owned() };
        let size = u64::try_from(object.size()?).ok()?;
        let last_modified = object.last_modified().map(aws_smithy_types::DateTime::secs);
        Some(ObjectInfo { key, size, etag: self.etag(object.e_tag()), last_modified })
    }
}

/// Undoes `encoding-type=url`, which writes a space as `+`; none if that is not UTF-8. Inventories encode keys alike.
pub fn decoded(key: &str) -> Option<String> {
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
