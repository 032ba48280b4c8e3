//! `ListParts` and `ListMultipartUploads`.

use s3s::dto::{
    ChecksumAlgorithm, ChecksumType, ETag, ListMultipartUploadsInput, ListMultipartUploadsOutput, ListPartsInput,
    ListPartsOutput, MultipartUpload, Part as ListedPart, StorageClass,
};
use s3s::{S3Result, s3_error};

use super::checksum::fill_checksum;
use super::listing::Encoding;
use super::model::{Part, Upload, timestamp};
use super::store::Store;

/// S3's largest page of either list.
const MAX_ITEMS: i32 = 1000;

fn limit(asked: Option<i32>) -> S3Result<(i32, usize)> {
    let items = asked.unwrap_or(MAX_ITEMS).min(MAX_ITEMS);
    let limit = usize::try_from(items).map_err(|_| s3_error!(InvalidArgument, "the page size must not be negative"))?;
    Ok((items, limit))
}

pub(super) fn parts(store: &Store, input: &ListPartsInput) -> S3Result<ListPartsOutput> {
    let upload = store.bucket(&input.bucket)?.upload(&input.key, &input.upload_id)?;
    let (max_parts, limit) = limit(input.max_parts)?;
    let after = input.part_number_marker.unwrap_or_default();
    let mut found = upload.parts.range(after.saturating_add(1)..);
    let page: Vec<ListedPart> = found.by_ref().take(limit).map(|(number, part)| listed_part(*number, part)).collect();
    let is_truncated = found.next().is_some();
    let composite = if upload.composite { ChecksumType::COMPOSITE } else { ChecksumType::FULL_OBJECT };
    Ok(ListPartsOutput {
        bucket: Some(input.bucket.clone()),
        key: Some(input.key.clone()),
        upload_id: Some(input.upload_id.clone()),
        max_parts: Some(max_parts),
        part_number_marker: Some(after),
        next_part_number_marker: page.last().filter(|_| is_truncated).and_then(|part| part.part_number),
        is_truncated: Some(is_truncated),
        parts: Some(page),
        storage_class: Some(storage_class(&upload)),
        checksum_algorithm: checksum_algorithm(&upload),
        checksum_type: upload.algorithm.map(|_| ChecksumType::from_static(composite)),
        ..Default::default()
    })
}

fn listed_part(number: i32, part: &Part) -> ListedPart {
    let mut listed = ListedPart {
        part_number: Some(number),
        size: i64::try_from(part.size).ok(),
        e_tag: Some(ETag::Strong(part.etag.clone())),
        last_modified: Some(timestamp(part.modified)),
        ..Default::default()
    };
    fill_checksum!(listed, &part.checksum);
    listed
}

fn storage_class(upload: &Upload) -> StorageClass {
    let class = upload.attributes.storage_class.clone();
    StorageClass::from(class.unwrap_or_else(|| StorageClass::STANDARD.to_owned()))
}

fn checksum_algorithm(upload: &Upload) -> Option<ChecksumAlgorithm> {
    upload.algorithm.map(|algorithm| ChecksumAlgorithm::from_static(algorithm.name()))
}

/// Uploads under way, by key and upload id. They are few, so common prefixes are found by looking at each.
pub(super) fn uploads(store: &Store, input: &ListMultipartUploadsInput) -> S3Result<ListMultipartUploadsOutput> {
    let encoding = Encoding::new(input.encoding_type.as_ref())?;
    let (max_uploads, limit) = limit(input.max_uploads)?;
    let prefix = input.prefix.as_deref().unwrap_or_default();
    let bucket = store.bucket(&input.bucket)?;
    let contents = bucket.lock();
    let matching = contents.uploads.iter().filter(|((key, id), _)| key.starts_with(prefix) && is_after(input, key, id));
    let (mut listed, mut prefixes) = (Vec::new(), Vec::<String>::new());
    let (mut last, mut is_truncated) = (None, false);
    for ((key, id), upload) in matching {
        let common = common_prefix(input, prefix, key);
        if common.is_some() && common == prefixes.last().map(String::as_str) {
            continue;
        }
        if common.is_some_and(|common| input.key_marker.as_deref() == Some(common)) {
            continue;
        }
        if listed.len() + prefixes.len() == limit {
            is_truncated = limit > 0;
            break;
        }
        if let Some(common) = common {
            last = Some((common.to_owned(), None));
            prefixes.push(common.to_owned());
        } else {
            last = Some((key.clone(), Some(id.clone())));
            listed.push(listed_upload(encoding.write(key), id, upload));
        }
    }
    let next = last.filter(|_| is_truncated);
    Ok(ListMultipartUploadsOutput {
        bucket: Some(input.bucket.clone()),
        prefix: Some(encoding.write(prefix)),
        delimiter: input.delimiter.as_deref().map(|delimiter| encoding.write(delimiter)),
        key_marker: Some(encoding.write(input.key_marker.as_deref().unwrap_or_default())),
        upload_id_marker: Some(input.upload_id_marker.clone().unwrap_or_default()),
        max_uploads: Some(max_uploads),
        is_truncated: Some(is_truncated),
        next_key_marker: next.as_ref().map(|(key, _)| encoding.write(key)),
        next_upload_id_marker: next.and_then(|(_, id)| id),
        uploads: Some(listed),
        common_prefixes: Some(encoding.prefixes(&prefixes)),
        encoding_type: input.encoding_type.clone(),
        request_charged: None,
    })
}

/// An upload id counts only together with a key.
fn is_after(input: &ListMultipartUploadsInput, key: &str, id: &str) -> bool {
    match (input.key_marker.as_deref().unwrap_or_default(), input.upload_id_marker.as_deref()) {
        ("", _) => true,
        (key_marker, Some(id_marker)) if !id_marker.is_empty() => (key, id) > (key_marker, id_marker),
        (key_marker, _) => key > key_marker,
    }
}

fn common_prefix<'a>(input: &ListMultipartUploadsInput, prefix: &str, key: &'a str) -> Option<&'a str> {
    let delimiter = input.delimiter.as_deref().filter(|delimiter| !delimiter.is_empty())?;
    let end = key[prefix.len()..].find(delimiter)? + delimiter.len();
    Some(&key[..prefix.len() + end])
}

fn listed_upload(key: String, id: &str, upload: &Upload) -> MultipartUpload {
    MultipartUpload {
        key: Some(key),
        upload_id: Some(id.to_owned()),
        initiated: Some(timestamp(upload.initiated)),
        storage_class: Some(storage_class(upload)),
        checksum_algorithm: checksum_algorithm(upload),
        ..Default::default()
    }
}
