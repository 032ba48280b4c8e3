//! Multipart uploads: create, upload a part, copy a part, complete, abort.
//!
//! Completing joins the parts' segments; no byte moves, whatever the size.

use std::collections::BTreeMap;
use std::sync::Arc;

use s3s::crypto::{Checksum as _, Md5};
use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, ChecksumAlgorithm, ChecksumType,
    CompleteMultipartUploadInput, CompleteMultipartUploadOutput, CompletedPart, CopyPartResult,
    CreateMultipartUploadInput, CreateMultipartUploadOutput, ETag, Range, UploadPartCopyInput, UploadPartCopyOutput,
    UploadPartInput, UploadPartOutput,
};
use s3s::{S3Request, S3Result, s3_error};

use super::blob::slice;
use super::checksum::{self, Algorithm, Checksum, declared_checksums, fill_checksum};
use super::conditions::WriteCondition;
use super::copy::{digest, source, source_condition};
use super::model::{self, Object, Part, Upload, attributes_of, timestamp};
use super::receive::{Declared, Fields, MAX_BODY, receive};
use super::store::Store;
use super::tags;

/// S3's limits: the smallest part that is not the last, in bytes, and the largest part number.
const MIN_PART: u64 = 5 * 1024 * 1024;
const MAX_PART_NUMBER: i32 = 10_000;

pub(super) fn create(store: &Store, input: &CreateMultipartUploadInput) -> S3Result<CreateMultipartUploadOutput> {
    let bucket = store.bucket(&input.bucket)?;
    let algorithm = input.checksum_algorithm.as_ref().map(|name| Algorithm::from_name(name.as_str())).transpose()?;
    let asked = input.checksum_type.as_ref().map(|kind| kind.as_str() == ChecksumType::COMPOSITE);
    let composite = asked.unwrap_or(algorithm.is_some_and(Algorithm::composite_by_default));
    if algorithm.is_some_and(|algorithm| !algorithm.allows(composite)) || (algorithm.is_none() && asked.is_some()) {
        return Err(s3_error!(InvalidRequest, "the checksum type does not go with the checksum algorithm"));
    }
    let attributes = Arc::new(attributes_of!(input, tags::from_header(input.tagging.as_deref())?));
    let upload = Upload { initiated: model::now(), attributes, algorithm, composite, parts: BTreeMap::new() };
    let id = uuid::Uuid::new_v4().simple().to_string();
    store.create_upload(&bucket, &input.key, &id, upload)?;
    let kind = if composite { ChecksumType::COMPOSITE } else { ChecksumType::FULL_OBJECT };
    Ok(CreateMultipartUploadOutput {
        bucket: Some(input.bucket.clone()),
        key: Some(input.key.clone()),
        upload_id: Some(id),
        checksum_algorithm: algorithm.map(|algorithm| ChecksumAlgorithm::from_static(algorithm.name())),
        checksum_type: algorithm.map(|_| ChecksumType::from_static(kind)),
        ..Default::default()
    })
}

fn check_part_number(number: i32) -> S3Result<i32> {
    if (1..=MAX_PART_NUMBER).contains(&number) {
        return Ok(number);
    }
    Err(s3_error!(InvalidArgument, "Part number must be an integer between 1 and {MAX_PART_NUMBER}, inclusive"))
}

pub(super) async fn upload_part(store: &Store, request: S3Request<UploadPartInput>) -> S3Result<UploadPartOutput> {
    let input = &request.input;
    let number = check_part_number(input.part_number)?;
    let bucket = store.bucket(&input.bucket)?;
    let algorithm = bucket.algorithm_of_upload(&input.key, &input.upload_id)?;
    let fields = Fields {
        length: input.content_length,
        md5: input.content_md5.clone(),
        algorithm: input.checksum_algorithm.clone(),
        checksums: declared_checksums!(input),
    };
    let declared = Declared::read(&request, fields)?.or_algorithm(algorithm);
    let UploadPartInput { body, key, upload_id, .. } = request.input;
    let received = receive(store, body, declared).await?;
    let etag = hex::encode(received.md5);
    let mut output = UploadPartOutput { e_tag: Some(ETag::Strong(etag.clone())), ..Default::default() };
    fill_checksum!(output, &received.checksum);
    let (size, checksum, segments) = (received.size, received.checksum, received.segments);
    let part = Part { size, etag, modified: model::now(), checksum, segments };
    store.put_part(&bucket, (&key, &upload_id), number, part)?;
    Ok(output)
}

pub(super) async fn copy_part(store: &Store, input: UploadPartCopyInput) -> S3Result<UploadPartCopyOutput> {
    let number = check_part_number(input.part_number)?;
    let bucket = store.bucket(&input.bucket)?;
    let algorithm = bucket.algorithm_of_upload(&input.key, &input.upload_id)?;
    let source = source(store, &input.copy_source)?;
    source_condition!(input).check_source(&source)?;
    let range = match &input.copy_source_range {
        Some(range) => copied_range(range, source.size)?,
        None => 0..source.size,
    };
    if range.end - range.start > MAX_BODY {
        return Err(s3_error!(InvalidRequest, "The specified copy range is larger than the maximum allowable size"));
    }
    let (size, segments) = (range.end - range.start, slice(&source.segments, &range));
    let (etag, checksum) = digest(segments.clone(), algorithm).await?;
    let part = Part { size, etag, modified: model::now(), checksum, segments };
    let mut result = CopyPartResult {
        e_tag: Some(ETag::Strong(part.etag.clone())),
        last_modified: Some(timestamp(part.modified)),
        ..Default::default()
    };
    fill_checksum!(result, &part.checksum);
    store.put_part(&bucket, (&input.key, &input.upload_id), number, part)?;
    Ok(UploadPartCopyOutput { copy_part_result: Some(result), ..Default::default() })
}

/// Unlike a GET's, the range of a copy must name both ends and lie within the source.
fn copied_range(header: &str, size: u64) -> S3Result<std::ops::Range<u64>> {
    match Range::parse(header) {
        Ok(Range::Int { first, last: Some(last) }) if last < size => Ok(first..last + 1),
        Ok(Range::Int { last: Some(_), .. }) => {
            Err(s3_error!(InvalidRange, "the range {header:?} is not within the source's {size} bytes"))
        }
        _ => Err(s3_error!(InvalidArgument, "x-amz-copy-source-range must be of the form bytes=first-last")),
    }
}

pub(super) fn complete(store: &Store, input: &CompleteMultipartUploadInput) -> S3Result<CompleteMultipartUploadOutput> {
    let bucket = store.bucket(&input.bucket)?;
    let condition = WriteCondition::new(input.if_match.clone(), input.if_none_match.as_ref())?;
    let upload = (input.key.as_str(), input.upload_id.as_str());
    let object = store.complete_upload(&bucket, upload, &condition, |upload| assemble(input, upload))?;
    let mut output = CompleteMultipartUploadOutput {
        bucket: Some(input.bucket.clone()),
        key: Some(input.key.clone()),
        location: Some(format!("/{}/{}", input.bucket, input.key)),
        e_tag: Some(object.e_tag()),
        checksum_type: object.checksum.as_ref().map(|sum| ChecksumType::from_static(sum.type_name())),
        ..Default::default()
    };
    fill_checksum!(output, &object.checksum);
    Ok(output)
}

/// The object that the listed parts of an upload make.
fn assemble(input: &CompleteMultipartUploadInput, upload: &Upload) -> S3Result<Object> {
    let listed = input.multipart_upload.as_ref().and_then(|parts| parts.parts.as_deref()).unwrap_or_default();
    if listed.is_empty() {
        return Err(s3_error!(MalformedXML, "You must specify at least one part"));
    }
    if !listed.is_sorted_by(|one, next| one.part_number < next.part_number) {
        return Err(s3_error!(InvalidPartOrder, "The list of parts was not in ascending order"));
    }
    let parts: Vec<&Part> = listed.iter().map(|part| find_part(part, upload)).collect::<S3Result<_>>()?;
    let (_, but_the_last) = parts.split_last().unwrap_or((&parts[0], &[]));
    if but_the_last.iter().any(|part| part.size < MIN_PART) {
        return Err(s3_error!(EntityTooSmall, "Your proposed upload is smaller than the minimum allowed size"));
    }
    let size = parts.iter().map(|part| part.size).sum();
    if input.mpu_object_size.is_some_and(|declared| u64::try_from(declared) != Ok(size)) {
        return Err(s3_error!(InvalidRequest, "the object has {size} bytes, not the declared number"));
    }
    let mut md5 = Md5::new();
    for part in &parts {
        md5.update(&hex::decode(&part.etag).unwrap_or_default());
    }
    Ok(Object {
        size,
        etag: format!("{}-{}", hex::encode(md5.finalize()), parts.len()),
        modified: model::now(),
        attributes: Arc::clone(&upload.attributes),
        checksum: checksum_of(input, upload, &parts)?,
        part_sizes: parts.iter().map(|part| part.size).collect(),
        segments: parts.iter().flat_map(|part| part.segments.iter().cloned()).collect(),
    })
}

fn find_part<'a>(listed: &CompletedPart, upload: &'a Upload) -> S3Result<&'a Part> {
    let invalid = || s3_error!(InvalidPart, "One or more of the specified parts could not be found or is another one");
    let part = listed.part_number.and_then(|number| upload.parts.get(&number)).ok_or_else(invalid)?;
    let is_same = listed.e_tag.as_ref().is_none_or(|etag| etag.value() == part.etag);
    let declared = declared_checksums!(listed);
    let agrees = declared.iter().all(|(algorithm, value)| {
        part.checksum.as_ref().is_none_or(|sum| sum.algorithm != *algorithm || sum.value == *value)
    });
    if is_same && agrees { Ok(part) } else { Err(invalid()) }
}

/// The object's checksum, compared with what the client declares for it.
fn checksum_of(input: &CompleteMultipartUploadInput, upload: &Upload, parts: &[&Part]) -> S3Result<Option<Checksum>> {
    let Some(algorithm) = upload.algorithm else { return Ok(None) };
    let sums: Option<Vec<_>> = parts.iter().map(|part| Some((part.checksum.clone()?, part.size))).collect();
    let sums = sums.filter(|sums| sums.iter().all(|(sum, _)| sum.algorithm == algorithm));
    let sums = sums.ok_or_else(|| s3_error!(InvalidPart, "a part has no {} checksum", algorithm.name()))?;
    let sum = checksum::of_parts(algorithm, upload.composite, &sums);
    let computed = sum.as_ref().map(|sum| sum.value.as_str()).unwrap_or_default();
    let is_right = |value: &str| value == computed || computed.split_once('-').is_some_and(|(bare, _)| bare == value);
    for (declared, value) in declared_checksums!(input) {
        if declared != algorithm || !is_right(&value) {
            return Err(s3_error!(BadDigest, "The {} you specified did not match the object's", declared.name()));
        }
    }
    Ok(sum)
}

pub(super) fn abort(store: &Store, input: &AbortMultipartUploadInput) -> S3Result<AbortMultipartUploadOutput> {
    let bucket = store.bucket(&input.bucket)?;
    store.abort_upload(&bucket, &input.key, &input.upload_id)?;
    Ok(AbortMultipartUploadOutput::default())
}
