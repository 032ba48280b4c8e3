//! `DeleteObject` and `DeleteObjects`. Deleting what is not there succeeds, as in S3.

use s3s::dto::{
    DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput, DeletedObject, ETagCondition, Error,
};
use s3s::{S3Result, s3_error};

use super::conditions::WriteCondition;
use super::store::Store;

/// S3's limit for one `DeleteObjects`.
const MAX_KEYS: usize = 1000;

pub(super) fn one(store: &Store, input: DeleteObjectInput) -> S3Result<DeleteObjectOutput> {
    let bucket = store.bucket(&input.bucket)?;
    store.delete(&bucket, &input.key, &WriteCondition::new(input.if_match, None)?)?;
    Ok(DeleteObjectOutput::default())
}

pub(super) fn many(store: &Store, input: DeleteObjectsInput) -> S3Result<DeleteObjectsOutput> {
    if input.delete.objects.is_empty() || input.delete.objects.len() > MAX_KEYS {
        return Err(s3_error!(MalformedXML, "between 1 and {MAX_KEYS} keys can be deleted at once"));
    }
    let bucket = store.bucket(&input.bucket)?;
    let is_quiet = input.delete.quiet.unwrap_or_default();
    let (mut deleted, mut errors) = (Vec::new(), Vec::new());
    for object in input.delete.objects {
        let condition = WriteCondition::new(object.e_tag.map(ETagCondition::ETag), None)?;
        match store.delete(&bucket, &object.key, &condition) {
            Ok(()) => deleted.push(DeletedObject { key: Some(object.key), ..Default::default() }),
            Err(error) => errors.push(Error {
                code: Some(error.code().as_str().to_owned()),
                message: error.message().map(str::to_owned),
                key: Some(object.key),
                version_id: None,
            }),
        }
    }
    let deleted = (!is_quiet).then_some(deleted);
    Ok(DeleteObjectsOutput { deleted, errors: Some(errors).filter(|errors| !errors.is_empty()), request_charged: None })
}
