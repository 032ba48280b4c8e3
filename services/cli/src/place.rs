//! `s3://bucket/prefix` as people write it.

use honk_protocol::dataset::S3Place;

/// Reads `s3://bucket` or `s3://bucket/prefix`; slashes around the prefix do not matter.
///
/// # Errors
/// What is wrong with it, for the person who wrote it.
pub(crate) fn parse_s3_url(text: &str) -> Result<S3Place, String> {
    let Some(rest) = text.strip_prefix("s3://") else {
        return Err("it must look like `s3://bucket/prefix`".to_owned());
    };
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    if let Some(c) = text.chars().find(|c| c.is_control() || matches!(c, '?' | '#')) {
        return Err(format!("{c:?} cannot be part of it; give the endpoint and the region as options of their own"));
    }
    check_bucket(bucket)?;
    let prefix = prefix.trim_matches('/').to_owned();
    Ok(S3Place { bucket: bucket.to_owned(), prefix, endpoint: None, region: None })
}

/// The part of the rules for bucket names (Amazon S3 user guide, "Bucket naming rules") that other stores share:
/// some allow capitals and underscores, none allows more than 63 characters.
fn check_bucket(bucket: &str) -> Result<(), String> {
    if bucket.is_empty() {
        return Err("the bucket is missing: it must look like `s3://bucket/prefix`".to_owned());
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    match bucket.chars().find(|c| !allowed(*c)) {
        Some(c) => Err(format!("{c:?} cannot be part of a bucket's name")),
        None if !(3..=63).contains(&bucket.len()) => Err("a bucket's name has 3 to 63 characters".to_owned()),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Result<(String, String), String> {
        parse_s3_url(text).map(|place| (place.bucket, place.prefix))
    }

    #[test]
    fn buckets_and_prefixes_are_told_apart() {
        let place = |bucket: &str, prefix: &str| Ok((bucket.to_owned(), prefix.to_owned()));
        assert_eq!(parts("s3://bucket"), place("bucket", ""));
        assert_eq!(parts("s3://bucket/"), place("bucket", ""));
        assert_eq!(parts("s3://my.bucket/a/b c/"), place("my.bucket", "a/b c"));
        assert_eq!(parts("s3://bucket//a"), place("bucket", "a"));
    }

    #[test]
    fn what_is_no_place_is_refused_with_the_reason() {
        for (text, reason) in [
            ("bucket/prefix", "`s3://bucket/prefix`"),
            ("https://host/bucket", "`s3://bucket/prefix`"),
            ("s3://", "missing"),
            ("s3:///prefix", "missing"),
            ("s3://a b/c", "bucket's name"),
            ("s3://ab", "3 to 63"),
            ("s3://key:secret@bucket", "':'"),
            ("s3://bucket/a?endpoint=x", "'?'"),
            ("s3://bucket/a\u{1b}", "cannot be part"),
        ] {
            let error = parts(text).expect_err(text);
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
