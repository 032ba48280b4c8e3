//! Uploads in parts. One part is enough to see all that matters, as the last part may be of any size.

use bytes::Bytes;

use super::objects::{CONTENT, PLAIN, attributes, keeps_attributes};
use super::{Abilities, Ability, Finding, Ground, must_refuse, patiently};
use crate::checksum::{Algorithm, Etag};
use crate::error::{ErrorKind, StorageError};
use crate::multipart::{Part, Upload};
use crate::read::ByteRange;

/// The keys that uploads are begun for; a killed probe's are aborted by the next.
pub(super) const KEYS: [&str; 3] = ["parts", "part-copy", "given-up"];

pub(super) async fn probe(ground: &Ground<'_>, found: &mut Abilities) {
    let uploaded = Box::pin(uploaded(ground)).await;
    let is_there = uploaded.is_ok();
    if let Ok((etag, keeps)) = &uploaded {
        found.note(Ability::PartsEtag, Finding::yes_if(etag.parts() == Some(1)));
        found.note(Ability::PartsHeaders, Finding::yes_if(*keeps));
    }
    found.judge(Ability::Parts, uploaded.map(|_object| Finding::Yes));
    if is_there {
        found.judge(Ability::PartCopy, Box::pin(part_copied(ground)).await);
        found.judge(Ability::Abort, Box::pin(given_up(ground)).await);
    }
}

async fn begun(ground: &Ground<'_>, name: &str) -> Result<Upload, StorageError> {
    let (key, carried) = (ground.key(name), attributes());
    patiently(|| ground.store.create_upload(&key, &carried, Algorithm::Crc64Nvme)).await
}

/// Completes the upload with its only part; the object must have the bytes. Its `ETag` is what readers are told, which need not be
/// what the upload was answered.
async fn completed(ground: &Ground<'_>, name: &str, upload: &Upload, part: Part) -> Result<(Etag, bool), StorageError> {
    let (store, key) = (ground.store, ground.key(name));
    patiently(|| upload.complete(std::slice::from_ref(&part))).await?;
    let download = patiently(|| store.get(&key, None, None)).await?;
    let (etag, keeps) = (download.head.etag.clone(), keeps_attributes(&download.head.attributes));
    if download.collect().await? == CONTENT {
        return Ok((etag, keeps));
    }
    Err(store.corrupt("complete upload of", &key, "the object has other bytes than its part"))
}

async fn uploaded(ground: &Ground<'_>) -> Result<(Etag, bool), StorageError> {
    let upload = begun(ground, KEYS[0]).await?;
    let part = patiently(|| upload.part(1, Bytes::from_static(CONTENT))).await?;
    completed(ground, KEYS[0], &upload, part).await
}

async fn part_copied(ground: &Ground<'_>) -> Result<Finding, StorageError> {
    let (store, plain) = (ground.store, ground.key(PLAIN));
    let head = patiently(|| store.head(&plain)).await?;
    let upload = begun(ground, KEYS[1]).await?;
    let whole = ByteRange { start: 0, length: CONTENT.len() as u64 };
    let part = patiently(|| upload.part_copy(1, (store, &plain), &head.etag, whole)).await?;
    completed(ground, KEYS[1], &upload, part).await.map(|_object| Finding::Yes)
}

/// An upload that was given up takes no more parts.
async fn given_up(ground: &Ground<'_>) -> Result<Finding, StorageError> {
    let upload = begun(ground, KEYS[2]).await?;
    patiently(|| upload.part(1, Bytes::from_static(CONTENT))).await?;
    patiently(|| upload.abort()).await?;
    let late = upload.part(2, Bytes::from_static(CONTENT)).await;
    must_refuse(late, &[ErrorKind::Unavailable, ErrorKind::Invalid, ErrorKind::NoSuchKey])
}
