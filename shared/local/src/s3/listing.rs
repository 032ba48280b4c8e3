//! `ListObjectsV2` and `ListObjects`: pages over the ordered index, with common prefixes skipped in one step each.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::dto::{
    ChecksumAlgorithm, ChecksumType, CommonPrefix, EncodingType, ListObjectsInput, ListObjectsOutput,
    ListObjectsV2Input, ListObjectsV2Output, Object as Listed, ObjectStorageClass, Owner,
};
use s3s::{S3Result, s3_error};

use super::model::Object;
use super::store::Store;

/// S3's largest page.
const MAX_KEYS: i32 = 1000;

/// What `encoding-type=url` leaves as it is.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'*').remove(b'/');

/// What to list.
struct Query<'a> {
    prefix: &'a str,
    delimiter: Option<&'a str>,
    /// The key or common prefix that the page before ended with.
    after: &'a str,
    limit: usize,
}

#[derive(Debug, PartialEq, Eq)]
struct Page<V> {
    keys: Vec<(String, V)>,
    prefixes: Vec<String>,
    /// The last key or prefix, if there is more.
    next: Option<String>,
}

fn page<V: Clone>(index: &BTreeMap<String, V>, query: &Query<'_>) -> Page<V> {
    let mut page = Page { keys: Vec::new(), prefixes: Vec::new(), next: None };
    let mut last = String::new();
    let mut range = start(index, query);
    while let Some((key, value)) = range.next() {
        if !key.starts_with(query.prefix) || query.limit == 0 {
            break;
        }
        if page.keys.len() + page.prefixes.len() == query.limit {
            page.next = Some(last);
            break;
        }
        if let Some(common) = common_prefix(key, query) {
            common.clone_into(&mut last);
            page.prefixes.push(common.to_owned());
            let Some(beyond) = successor(common) else { break };
            range = index.range(beyond..);
        } else {
            last.clone_from(key);
            page.keys.push((key.clone(), value.clone()));
        }
    }
    page
}

fn start<'a, V>(
    index: &'a BTreeMap<String, V>,
    query: &Query<'_>,
) -> std::collections::btree_map::Range<'a, String, V> {
    let from = |bound: Bound<&str>| index.range::<str, _>((bound, Bound::Unbounded));
    if query.after.is_empty() || query.after < query.prefix {
        return from(Bound::Included(query.prefix));
    }
    // A page that ended with a common prefix goes on behind everything below it.
    if common_prefix(query.after, query) == Some(query.after)
        && let Some(beyond) = successor(query.after)
    {
        return from(Bound::Included(&beyond));
    }
    from(Bound::Excluded(query.after))
}

/// The key up to and with the first delimiter behind the listed prefix.
fn common_prefix<'a>(key: &'a str, query: &Query<'_>) -> Option<&'a str> {
    let delimiter = query.delimiter.filter(|delimiter| !delimiter.is_empty())?;
    let rest = key.strip_prefix(query.prefix)?;
    let end = rest.find(delimiter)? + delimiter.len();
    Some(&key[..query.prefix.len() + end])
}

/// The first string behind all that begin with `prefix`; none if there is no such string.
fn successor(prefix: &str) -> Option<String> {
    let mut text = prefix.to_owned();
    while let Some(last) = text.pop() {
        let next = (u32::from(last) + 1..=u32::from(char::MAX)).find_map(char::from_u32);
        if let Some(next) = next {
            text.push(next);
            return Some(text);
        }
    }
    None
}

fn limit(max_keys: Option<i32>) -> S3Result<(i32, usize)> {
    let keys = max_keys.unwrap_or(MAX_KEYS).min(MAX_KEYS);
    match usize::try_from(keys) {
        Ok(limit) => Ok((keys, limit)),
        Err(_) => Err(s3_error!(InvalidArgument, "max-keys must not be negative")),
    }
}

/// Writes names as the client asked: percent-encoded or plain.
pub(super) struct Encoding(bool);

impl Encoding {
    pub(super) fn new(asked: Option<&EncodingType>) -> S3Result<Self> {
        match asked.map(EncodingType::as_str) {
            None => Ok(Self(false)),
            Some(EncodingType::URL) => Ok(Self(true)),
            Some(_) => Err(s3_error!(InvalidArgument, "Invalid Encoding Method specified in Request")),
        }
    }

    pub(super) fn write(&self, name: &str) -> String {
        if self.0 { utf8_percent_encode(name, KEPT).to_string() } else { name.to_owned() }
    }

    pub(super) fn prefixes(&self, prefixes: &[String]) -> Vec<CommonPrefix> {
        let prefixes = prefixes.iter().map(|prefix| CommonPrefix { prefix: Some(self.write(prefix)) });
        prefixes.collect()
    }

    fn objects(&self, keys: &[(String, Arc<Object>)], with_owner: bool) -> Vec<Listed> {
        keys.iter().map(|(key, object)| listed(self.write(key), object, with_owner)).collect()
    }
}

fn listed(key: String, object: &Object, with_owner: bool) -> Listed {
    let class = object.attributes.storage_class.clone().unwrap_or_else(|| "STANDARD".to_owned());
    let checksum = object.checksum.as_ref();
    Listed {
        key: Some(key),
        e_tag: Some(object.e_tag()),
        last_modified: Some(object.last_modified()),
        size: i64::try_from(object.size).ok(),
        storage_class: Some(ObjectStorageClass::from(class)),
        checksum_algorithm: checksum.map(|sum| vec![ChecksumAlgorithm::from_static(sum.algorithm.name())]),
        checksum_type: checksum.map(|sum| ChecksumType::from_static(sum.type_name())),
        owner: with_owner.then(owner),
        restore_status: None,
    }
}

fn owner() -> Owner {
    Owner { display_name: Some("honk".to_owned()), id: Some("honk".to_owned()) }
}

pub(super) fn v2(store: &Store, input: &ListObjectsV2Input) -> S3Result<ListObjectsV2Output> {
    let encoding = Encoding::new(input.encoding_type.as_ref())?;
    let (max_keys, limit) = limit(input.max_keys)?;
    let token = input.continuation_token.as_deref().map(from_token).transpose()?;
    let after = token.as_deref().or(input.start_after.as_deref()).unwrap_or_default();
    let prefix = input.prefix.as_deref().unwrap_or_default();
    let query = Query { prefix, delimiter: input.delimiter.as_deref(), after, limit };
    let bucket = store.bucket(&input.bucket)?;
    let page = page(&bucket.lock().objects, &query);
    Ok(ListObjectsV2Output {
        name: Some(input.bucket.clone()),
        prefix: Some(encoding.write(prefix)),
        delimiter: input.delimiter.as_deref().map(|delimiter| encoding.write(delimiter)),
        start_after: input.start_after.as_deref().map(|after| encoding.write(after)),
        max_keys: Some(max_keys),
        key_count: i32::try_from(page.keys.len() + page.prefixes.len()).ok(),
        continuation_token: input.continuation_token.clone(),
        is_truncated: Some(page.next.is_some()),
        next_continuation_token: page.next.as_deref().map(|next| URL_SAFE_NO_PAD.encode(next)),
        contents: Some(encoding.objects(&page.keys, input.fetch_owner.unwrap_or_default())),
        common_prefixes: Some(encoding.prefixes(&page.prefixes)),
        encoding_type: input.encoding_type.clone(),
        request_charged: None,
    })
}

fn from_token(token: &str) -> S3Result<String> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok().filter(|bytes| !bytes.is_empty());
    let key = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    key.ok_or_else(|| s3_error!(InvalidArgument, "The continuation token provided is incorrect"))
}

pub(super) fn v1(store: &Store, input: &ListObjectsInput) -> S3Result<ListObjectsOutput> {
    let encoding = Encoding::new(input.encoding_type.as_ref())?;
    let (max_keys, limit) = limit(input.max_keys)?;
    let prefix = input.prefix.as_deref().unwrap_or_default();
    let after = input.marker.as_deref().unwrap_or_default();
    let query = Query { prefix, delimiter: input.delimiter.as_deref(), after, limit };
    let bucket = store.bucket(&input.bucket)?;
    let page = page(&bucket.lock().objects, &query);
    Ok(ListObjectsOutput {
        name: Some(input.bucket.clone()),
        prefix: Some(encoding.write(prefix)),
        marker: Some(encoding.write(after)),
        delimiter: input.delimiter.as_deref().map(|delimiter| encoding.write(delimiter)),
        max_keys: Some(max_keys),
        is_truncated: Some(page.next.is_some()),
        // Without a delimiter S3 leaves it to the client to go on behind the last key.
        next_marker: page.next.as_deref().filter(|_| input.delimiter.is_some()).map(|next| encoding.write(next)),
        contents: Some(encoding.objects(&page.keys, true)),
        common_prefixes: Some(encoding.prefixes(&page.prefixes)),
        encoding_type: input.encoding_type.clone(),
        request_charged: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(keys: &[&str]) -> BTreeMap<String, u8> {
        keys.iter().map(|key| ((*key).to_owned(), 0)).collect()
    }

    /// Everything a client sees that pages with this limit: keys, and prefixes with a star.
    fn walk(index: &BTreeMap<String, u8>, prefix: &str, delimiter: Option<&str>, limit: usize) -> Vec<String> {
        let (mut seen, mut after) = (Vec::new(), String::new());
        loop {
            let page = page(index, &Query { prefix, delimiter, after: &after, limit });
            assert!(page.keys.len() + page.prefixes.len() <= limit);
            let prefixes = page.prefixes.into_iter().map(|prefix| format!("{prefix}*"));
            let mut names: Vec<String> = page.keys.into_iter().map(|(key, _)| key).chain(prefixes).collect();
            names.sort();
            seen.extend(names);
            match page.next {
                Some(next) => after = next,
                None => return seen,
            }
        }
    }

    #[test]
    fn every_page_size_shows_the_same_listing_once() {
        let index =
            index(&["a", "a/", "a/1", "a/2/x", "a/2/y", "a0", "b/1", "b/2", "c", "ü/ö", "\u{10ffff}", "\u{10ffff}/x"]);
        for limit in 1..14 {
            assert_eq!(walk(&index, "", None, limit).len(), index.len(), "limit {limit}");
            let grouped = walk(&index, "", Some("/"), limit);
            assert_eq!(grouped, ["a", "a/*", "a0", "b/*", "c", "ü/*", "\u{10ffff}", "\u{10ffff}/*"], "limit {limit}");
            assert_eq!(walk(&index, "a/", Some("/"), limit), ["a/", "a/1", "a/2/*"], "limit {limit}");
            assert_eq!(walk(&index, "b", None, limit), ["b/1", "b/2"], "limit {limit}");
        }
    }

    #[test]
    fn a_delimiter_of_many_characters_groups_too() {
        let index = index(&["x--y--z", "x--w", "x-"]);
        assert_eq!(walk(&index, "", Some("--"), 1), ["x-", "x--*"]);
    }

    #[test]
    fn nothing_is_listed_and_nothing_is_left_when_no_key_is_asked_for() {
        let page = page(&index(&["a", "b"]), &Query { prefix: "", delimiter: None, after: "", limit: 0 });
        assert_eq!(page, Page { keys: vec![], prefixes: vec![], next: None });
    }

    #[test]
    fn the_successor_is_behind_every_string_with_the_prefix() {
        assert_eq!(successor("a/").as_deref(), Some("a0"));
        assert_eq!(successor("a\u{10ffff}").as_deref(), Some("b"));
        assert_eq!(successor("\u{d7ff}").as_deref(), Some("\u{e000}"));
        assert_eq!(successor("\u{10ffff}"), None);
    }
}
