//! `PutObject`.

use std::sync::Arc;

use s3s::dto::{ChecksumType, ETag, PutObjectInput, PutObjectOutput};
use s3s::{S3Request, S3Result};

use super::checksum::{declared_checksums, fill_checksum};
use super::conditions::WriteCondition;
use super::model::{self, Object, attributes_of};
use super::receive::{Declared, Fields, receive};
use super::store::Store;
use super::tags;

pub(super) async fn put(store: &Store, request: S3Request<PutObjectInput>) -> S3Result<PutObjectOutput> {
    let input = &request.input;
    let bucket = store.bucket(&input.bucket)?;
    let condition = WriteCondition::new(input.if_match.clone(), input.if_none_match.as_ref())?;
    let attributes = attributes_of!(input, tags::from_header(input.tagging.as_deref())?);
    let fields = Fields {
        length: input.content_length,
        md5: input.content_md5.clone(),
        algorithm: input.checksum_algorithm.clone(),
        checksums: declared_checksums!(input),
    };
    let declared = Declared::read(&request, fields)?;
    let received = receive(store, request.input.body, declared).await?;
    let object = Object {
        size: received.size,
        etag: hex::encode(received.md5),
        modified: model::now(),
        attributes: Arc::new(attributes),
        checksum: received.checksum.clone(),
        part_sizes: Vec::new(),
        segments: received.segments,
    };
    let mut output = PutObjectOutput { e_tag: Some(ETag::Strong(object.etag.clone())), ..Default::default() };
    store.put(&bucket, &request.input.key, object, &condition)?;
    output.checksum_type = received.checksum.as_ref().map(|sum| ChecksumType::from_static(sum.type_name()));
    fill_checksum!(output, &received.checksum);
    Ok(output)
}
