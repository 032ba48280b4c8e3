//! An object's tags, which no other answer carries: only their number comes with the object.

use aws_sdk_s3::types::Tag;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::error::{ErrorKind, StorageError};
use crate::lenient::{NotTheObject, OBJECT_INSTEAD};
use crate::store::Store;

/// What stands for itself in a query string: the unreserved characters of RFC 3986.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

impl Store {
    /// The tags of an object as uploads take them, a query string; `None` when it has none.
    pub async fn tagging(&self, key: &str) -> Result<Option<String>, StorageError> {
        let request = self.client.get_object_tagging().bucket(self.bucket()).key(key);
        let request = request.customize().interceptor(NotTheObject).send();
        match self.ask(self.target("read the tags of", Some(key)), request).await {
            Ok(output) => Ok(query(output.tag_set())),
            Err(error) if error.to_string().contains(OBJECT_INSTEAD) => {
                Err(self.error(ErrorKind::Invalid, ("read the tags of", key), OBJECT_INSTEAD))
            }
            Err(error) => Err(error),
        }
    }

    /// The same, where a server without tags and credentials that may not read them count as no tags.
    pub async fn tagging_or_none(&self, key: &str) -> Result<Option<String>, StorageError> {
        match self.tagging(key).await {
            Err(error) if matches!(error.kind(), ErrorKind::Invalid | ErrorKind::AccessDenied) => {
                tracing::debug!(%error, "copying the object without tags");
                Ok(None)
            }
            other => other,
        }
    }
}

fn query(tags: &[Tag]) -> Option<String> {
    let encoded = |text: &str| utf8_percent_encode(text, PLAIN).to_string();
    let pairs: Vec<_> = tags.iter().map(|tag| format!("{}={}", encoded(tag.key()), encoded(tag.value()))).collect();
    (!pairs.is_empty()).then(|| pairs.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_written_as_a_query_string() {
        let tag = |key: &str, value: &str| Tag::builder().key(key).value(value).build().unwrap();
        assert_eq!(query(&[]), None);
        let tags = [tag("team", "data platform"), tag("a/b", "x=1&y"), tag("empty", "")];
        assert_eq!(query(&tags).as_deref(), Some("team=data%20platform&a%2Fb=x%3D1%26y&empty="));
    }
}
