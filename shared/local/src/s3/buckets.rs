//! Buckets: create, head, delete, list, and the questions about them that clients ask first.

use s3s::dto::{
    Bucket, CreateBucketInput, CreateBucketOutput, DeleteBucketInput, DeleteBucketOutput, HeadBucketInput,
    HeadBucketOutput, ListBucketsInput, ListBucketsOutput,
};
use s3s::{S3Request, S3Result, s3_error};

use super::model::timestamp;
use super::store::Store;

pub(super) fn create(store: &Store, input: &CreateBucketInput) -> S3Result<CreateBucketOutput> {
    store.create_bucket(&input.bucket)?;
    Ok(CreateBucketOutput { location: Some(format!("/{}", input.bucket)) })
}

/// The bucket is in whatever region the client signed for.
pub(super) fn head(store: &Store, request: &S3Request<HeadBucketInput>) -> S3Result<HeadBucketOutput> {
    store.bucket(&request.input.bucket)?;
    let bucket_region = request.region.as_ref().map(|region| region.as_str().to_owned());
    Ok(HeadBucketOutput { bucket_region, ..Default::default() })
}

pub(super) fn delete(store: &Store, input: &DeleteBucketInput) -> S3Result<DeleteBucketOutput> {
    store.delete_bucket(&input.bucket)?;
    Ok(DeleteBucketOutput::default())
}

/// Pages by bucket name; the token is the last name told.
pub(super) fn list(store: &Store, input: &ListBucketsInput) -> S3Result<ListBucketsOutput> {
    let prefix = input.prefix.as_deref().unwrap_or_default();
    let after = input.continuation_token.as_deref().unwrap_or_default();
    let limit = usize::try_from(input.max_buckets.unwrap_or(10_000));
    let limit = limit.ok().filter(|limit| *limit > 0).ok_or_else(|| s3_error!(InvalidArgument, "MaxBuckets"))?;
    let mut found = store.list_buckets();
    found.retain(|bucket| bucket.name.starts_with(prefix) && bucket.name.as_str() > after);
    let is_truncated = found.len() > limit;
    found.truncate(limit);
    let token = found.last().filter(|_| is_truncated).map(|bucket| bucket.name.clone());
    let buckets = found.iter().map(|bucket| Bucket {
        name: Some(bucket.name.clone()),
        creation_date: Some(timestamp(bucket.created)),
        bucket_region: None,
    });
    Ok(ListBucketsOutput {
        buckets: Some(buckets.collect()),
        continuation_token: token,
        prefix: input.prefix.clone(),
        owner: None,
    })
}
