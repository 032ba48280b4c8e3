//! Object tags: from the header of an upload, and by their own operations.

use std::collections::BTreeSet;

use s3s::dto::{
    DeleteObjectTaggingInput, DeleteObjectTaggingOutput, GetObjectTaggingInput, GetObjectTaggingOutput,
    PutObjectTaggingInput, PutObjectTaggingOutput, Tag,
};
use s3s::{S3Result, s3_error};

use super::store::Store;

/// S3's limits: tags of an object, and characters of a tag's key and value.
const MAX_TAGS: usize = 10;
const MAX_KEY: usize = 128;
const MAX_VALUE: usize = 256;

/// Reads `x-amz-tagging`, which is written as a query string.
pub(super) fn from_header(header: Option<&str>) -> S3Result<Vec<(String, String)>> {
    let pairs = form_urlencoded::parse(header.unwrap_or_default().as_bytes());
    checked(pairs.map(|(key, value)| (key.into_owned(), value.into_owned())).collect())
}

fn checked(tags: Vec<(String, String)>) -> S3Result<Vec<(String, String)>> {
    if tags.len() > MAX_TAGS {
        return Err(s3_error!(InvalidTag, "Object tags cannot be greater than {MAX_TAGS}"));
    }
    let mut seen = BTreeSet::new();
    for (key, value) in &tags {
        if key.is_empty() || key.chars().count() > MAX_KEY {
            return Err(s3_error!(InvalidTag, "The TagKey you have provided is invalid"));
        }
        if value.chars().count() > MAX_VALUE {
            return Err(s3_error!(InvalidTag, "The TagValue you have provided is invalid"));
        }
        if !seen.insert(key) {
            return Err(s3_error!(InvalidTag, "Cannot provide multiple Tags with the same key"));
        }
    }
    Ok(tags)
}

pub(super) fn put(store: &Store, input: PutObjectTaggingInput) -> S3Result<PutObjectTaggingOutput> {
    let tags = input.tagging.tag_set.into_iter();
    let tags = tags.map(|tag| (tag.key.unwrap_or_default(), tag.value.unwrap_or_default())).collect();
    let bucket = store.bucket(&input.bucket)?;
    store.set_tags(&bucket, &input.key, checked(tags)?)?;
    Ok(PutObjectTaggingOutput::default())
}

pub(super) fn get(store: &Store, input: &GetObjectTaggingInput) -> S3Result<GetObjectTaggingOutput> {
    let object = store.bucket(&input.bucket)?.object(&input.key)?;
    let tags = object.attributes.tags.iter();
    let tag_set = tags.map(|(key, value)| Tag { key: Some(key.clone()), value: Some(value.clone()) }).collect();
    Ok(GetObjectTaggingOutput { tag_set, version_id: None })
}

pub(super) fn delete(store: &Store, input: &DeleteObjectTaggingInput) -> S3Result<DeleteObjectTaggingOutput> {
    let bucket = store.bucket(&input.bucket)?;
    store.set_tags(&bucket, &input.key, Vec::new())?;
    Ok(DeleteObjectTaggingOutput::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_read_from_a_query_string_and_checked() {
        let tags = from_header(Some("team=data+platform&stage=a%2Fb&empty=")).unwrap();
        let expected = [("team", "data platform"), ("stage", "a/b"), ("empty", "")];
        assert_eq!(tags, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
        assert!(from_header(None).unwrap().is_empty());
        assert!(from_header(Some("a=1&a=2")).is_err());
        assert!(from_header(Some("=1")).is_err());
        let eleven: Vec<String> = (0..11).map(|i| format!("k{i}=v")).collect();
        assert!(from_header(Some(&eleven.join("&"))).is_err());
        assert!(from_header(Some(&format!("k={}", "v".repeat(257)))).is_err());
    }
}
