//! `CopyObject` and the source side of `UploadPartCopy`. A copy points to its source's blobs; bytes are read only where S3
//! answers with a digest that the source does not have.

use std::sync::Arc;

use s3s::crypto::{Checksum as _, Md5};
use s3s::dto::{
    ChecksumType, CopyObjectInput, CopyObjectOutput, CopyObjectResult, CopySource, ETagCondition, MetadataDirective,
    TaggingDirective,
};
use s3s::{S3Request, S3Result, s3_error};

use super::blob::{Reader, Segment};
use super::checksum::{Algorithm, Checksum, Hasher, fill_checksum};
use super::conditions::WriteCondition;
use super::model::{self, Attributes, Object, attributes_of};
use super::receive::MAX_BODY;
use super::store::{Store, internal};
use super::tags;

/// The conditions on the source in the input of a copy.
macro_rules! source_condition {
    ($input:expr) => {
        $crate::s3::conditions::ReadCondition {
            matches: $input.copy_source_if_match.clone(),
            none_matches: $input.copy_source_if_none_match.clone(),
            modified_since: $input.copy_source_if_modified_since.clone(),
            unmodified_since: $input.copy_source_if_unmodified_since.clone(),
        }
    };
}
pub(super) use source_condition;

pub(super) async fn copy(store: &Store, request: S3Request<CopyObjectInput>) -> S3Result<CopyObjectOutput> {
    let input = &request.input;
    let target = store.bucket(&input.bucket)?;
    let source = source(store, &input.copy_source)?;
    source_condition!(input).check_source(&source)?;
    if source.size > MAX_BODY {
        return Err(s3_error!(InvalidRequest, "The specified copy source is larger than the maximum allowable size"));
    }
    let attributes = attributes_for(input, &source)?;
    let (etag, checksum) = digests_for(input, &source).await?;
    let object = Object {
        size: source.size,
        etag,
        modified: model::now(),
        attributes,
        checksum,
        part_sizes: Vec::new(),
        segments: source.segments.clone(),
    };
    let mut result = CopyObjectResult {
        e_tag: Some(object.e_tag()),
        last_modified: Some(object.last_modified()),
        checksum_type: object.checksum.as_ref().map(|sum| ChecksumType::from_static(sum.type_name())),
        ..Default::default()
    };
    fill_checksum!(result, &object.checksum);
    store.put(&target, &input.key, object, &target_condition(&request)?)?;
    Ok(CopyObjectOutput { copy_object_result: Some(result), ..Default::default() })
}

/// The object that a copy source names.
pub(super) fn source(store: &Store, source: &CopySource) -> S3Result<Arc<Object>> {
    match source {
        CopySource::Bucket { bucket, key, version_id } if version_id.as_deref().is_none_or(|id| id == "null") => {
            store.bucket(bucket)?.object(key)
        }
        _ => Err(s3_error!(NotImplemented, "only the current version of an object in a bucket can be copied")),
    }
}

/// The conditions on the target, which S3 has but the protocol crate does not read.
fn target_condition<T>(request: &S3Request<T>) -> S3Result<WriteCondition> {
    let read = |name: &str| {
        let header = request.headers.get(name).map(|value| ETagCondition::parse_http_header(value.as_bytes()));
        header.transpose().map_err(|_| s3_error!(InvalidArgument, "{name} is no ETag"))
    };
    WriteCondition::new(read("if-match")?, read("if-none-match")?.as_ref())
}

fn attributes_for(input: &CopyObjectInput, source: &Object) -> S3Result<Arc<Attributes>> {
    let replaces = input.metadata_directive.as_ref().is_some_and(|d| d.as_str() == MetadataDirective::REPLACE);
    let retags = input.tagging_directive.as_ref().is_some_and(|d| d.as_str() == TaggingDirective::REPLACE);
    let is_itself = matches!(&input.copy_source, CopySource::Bucket { bucket, key, .. }
        if **bucket == *input.bucket && **key == *input.key);
    if is_itself && !replaces && !retags && input.storage_class.is_none() {
        return Err(s3_error!(
            InvalidRequest,
            "This copy request is illegal: it copies an object onto itself unchanged"
        ));
    }
    let tags = if retags { tags::from_header(input.tagging.as_deref())? } else { source.attributes.tags.clone() };
    if replaces {
        return Ok(Arc::new(attributes_of!(input, tags)));
    }
    // The class is never inherited, nor is the redirect.
    let storage_class = model::stored_class(input.storage_class.as_ref());
    let website_redirect_location = input.website_redirect_location.clone();
    let inherited = Attributes::clone(&source.attributes);
    let attributes = Attributes { website_redirect_location, storage_class, tags, ..inherited };
    if attributes == *source.attributes {
        return Ok(Arc::clone(&source.attributes));
    }
    Ok(Arc::new(attributes))
}

/// The copy is one body, whatever parts its source came in, so it has a plain MD5 and a checksum over all.
async fn digests_for(input: &CopyObjectInput, source: &Object) -> S3Result<(String, Option<Checksum>)> {
    let asked = input.checksum_algorithm.as_ref().map(|algorithm| Algorithm::from_name(algorithm.as_str()));
    let has = source.checksum.as_ref().map(|checksum| checksum.algorithm);
    let wanted = asked.transpose()?.or(has);
    if source.part_sizes.is_empty() && wanted == has {
        return Ok((source.etag.clone(), source.checksum.clone()));
    }
    digest(source.segments.clone(), wanted).await
}

/// Reads segments through and returns their MD5 in hexadecimal and a checksum.
pub(super) async fn digest(
    segments: Vec<Segment>,
    algorithm: Option<Algorithm>,
) -> S3Result<(String, Option<Checksum>)> {
    let (mut md5, mut hasher) = (Md5::new(), algorithm.map(Hasher::new));
    let mut reader = Reader::new(segments);
    while let Some(chunk) = reader.next().await {
        let chunk = chunk.map_err(|error| internal("read the copy's source", &error))?;
        md5.update(&chunk);
        if let Some(hasher) = &mut hasher {
            hasher.update(&chunk);
        }
        // A source in memory never makes this task wait, so it would hold its thread throughout.
        tokio::task::yield_now().await;
    }
    Ok((hex::encode(md5.finalize()), hasher.map(Hasher::finish)))
}
