//! Plain objects: whether they can be written and read at all, what is kept of them, and which conditions hold.

use std::collections::HashMap;

use aws_sdk_s3::operation::put_object::PutObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use md5::{Digest as _, Md5};

use super::{Abilities, Ability, Finding, Ground, must_refuse, patiently};
use crate::attributes::Attributes;
use crate::checksum::{Algorithm, ContentHasher};
use crate::error::{ErrorKind, StorageError};
use crate::list::ObjectInfo;
use crate::store::Store;

/// The object that the other probes start from.
pub(super) const PLAIN: &str = "plain";

/// What is in it.
pub(super) const CONTENT: &[u8] = b"written by honk to find out what this store can do";

/// An `ETag` that no object has.
pub(super) const ANOTHER: &str = "\"00000000000000000000000000000000\"";

/// What the object carries besides its bytes.
pub(super) fn attributes() -> Attributes {
    Attributes {
        content_type: Some("text/x-honk-probe".to_owned()),
        cache_control: Some("max-age=7".to_owned()),
        metadata: HashMap::from([("honk-probe".to_owned(), "kept".to_owned())]),
        ..Attributes::default()
    }
}

/// Whether what was sent with an object came back.
pub(super) fn keeps_attributes(found: &Attributes) -> bool {
    let sent = attributes();
    found.content_type == sent.content_type
        && found.cache_control == sent.cache_control
        && found.metadata.get("honk-probe") == sent.metadata.get("honk-probe")
}

/// Without these nothing can be migrated here, so their failure is the probe's. Returns what is in the folder.
pub(super) async fn essentials(ground: &Ground<'_>, found: &mut Abilities) -> Result<Vec<ObjectInfo>, StorageError> {
    let (store, key) = (ground.store, ground.key(PLAIN));
    let (content, carried) = (Bytes::from_static(CONTENT), attributes());
    patiently(|| store.put_small(&key, content.clone(), &carried)).await?;
    let read = || async {
        let read = store.get(&key, None, None).await?.collect().await?;
        let other = || store.corrupt("probe", &key, "what was read is not what was written");
        if read == content { Ok(()) } else { Err(other()) }
    };
    patiently(read).await?;
    found.note(Ability::Read, Finding::Yes);
    let listed = patiently(|| store.list(&ground.folder, 1_000).try_concat()).await?;
    found.note(Ability::List, Finding::Yes);
    let there = listed.iter().any(|object| object.key == key && object.size == content.len() as u64);
    if !there {
        return Err(store.error(ErrorKind::Invalid, ("probe", &key), "what was written is not in the listing"));
    }
    found.note(Ability::Write, Finding::Yes);
    Ok(listed)
}

/// What was deleted and is listed nevertheless was not deleted.
pub(super) async fn deletes(ground: &Ground<'_>, found: &mut Abilities) -> Result<(), StorageError> {
    let (store, key) = (ground.store, ground.key("deleted"));
    let none = Attributes::default();
    patiently(|| store.put_small(&key, Bytes::from_static(CONTENT), &none)).await?;
    patiently(|| store.delete(&key)).await?;
    let listed = patiently(|| store.list(&ground.folder, 1_000).try_concat()).await?;
    found.note(Ability::Delete, Finding::yes_if(listed.iter().all(|object| object.key != key)));
    Ok(())
}

/// What the store tells of the object.
pub(super) async fn reads(ground: &Ground<'_>, found: &mut Abilities) {
    let (store, key) = (ground.store, ground.key(PLAIN));
    conditional_read(store, &key, found).await;
    let head = patiently(|| store.head(&key)).await;
    let described = head.as_ref().map(|head| Finding::yes_if(keeps_attributes(&head.attributes)));
    found.judge(Ability::Headers, described.map_err(StorageError::clone));
    let md5 = hex::encode(Md5::digest(CONTENT));
    let tagged = head.map(|head| Finding::yes_if(head.etag.md5() == Some(md5.as_str())));
    found.judge(Ability::EtagIsMd5, tagged);
}

/// A read of another version than the one that is there.
pub(super) async fn conditional_read(store: &Store, key: &str, found: &mut Abilities) {
    let read = || {
        let request = store.client.get_object().bucket(store.bucket()).key(key).if_match(ANOTHER).send();
        store.call(store.target("read", Some(key)), 0, request)
    };
    found.judge(Ability::ReadIfMatch, must_refuse(patiently(read).await, &[ErrorKind::Changed]));
}

/// What the store does with what is said about a write.
pub(super) async fn writes(ground: &Ground<'_>, found: &mut Abilities) {
    found.judge(Ability::WriteIfAbsent, if_absent(ground).await);
    found.judge(Ability::WriteIfMatch, if_match(ground).await);
    found.judge(Ability::DigestChecked, wrong_digest(ground).await);
    found.judge(Ability::Checksums, checksum(ground).await);
    found.judge(Ability::Tags, tags(ground).await);
}

/// A write on a condition, for which a server-side wrapper has no use: Honk itself never relies on one.
async fn put_if(
    ground: &Ground<'_>,
    name: &str,
    condition: (Option<&str>, Option<&str>),
) -> Result<PutObjectOutput, StorageError> {
    let (store, key) = (ground.store, ground.key(name));
    let put = || {
        let request = store
            .client
            .put_object()
            .bucket(store.bucket())
            .key(&key)
            .body(ByteStream::from_static(CONTENT))
            .set_if_none_match(condition.0.map(str::to_owned))
            .set_if_match(condition.1.map(str::to_owned));
        store.call(store.target("write", Some(&key)), CONTENT.len() as u64, request.send())
    };
    patiently(put).await
}

async fn if_absent(ground: &Ground<'_>) -> Result<Finding, StorageError> {
    put_if(ground, "absent", (Some("*"), None)).await?;
    must_refuse(put_if(ground, "absent", (Some("*"), None)).await, &[ErrorKind::Changed])
}

async fn if_match(ground: &Ground<'_>) -> Result<Finding, StorageError> {
    let first = put_if(ground, "match", (None, None)).await?;
    let refused = must_refuse(put_if(ground, "match", (None, Some(ANOTHER))).await, &[ErrorKind::Changed])?;
    if refused.is_yes() {
        put_if(ground, "match", (None, first.e_tag())).await?;
    }
    Ok(refused)
}

async fn wrong_digest(ground: &Ground<'_>) -> Result<Finding, StorageError> {
    let (store, key) = (ground.store, ground.key("digest"));
    let request = store
        .client
        .put_object()
        .bucket(store.bucket())
        .key(&key)
        .content_md5(STANDARD.encode(Md5::digest(b"something else")))
        .body(ByteStream::from_static(CONTENT));
    let answer = store.call(store.target("write", Some(&key)), CONTENT.len() as u64, request.send()).await;
    // Not tried again: that the store takes the bytes for damaged is what is asked for.
    must_refuse(answer, &[ErrorKind::Corrupt, ErrorKind::Invalid])
}

async fn checksum(ground: &Ground<'_>) -> Result<Finding, StorageError> {
    let (store, key) = (ground.store, ground.key("checksum"));
    let mut hasher = ContentHasher::new(Algorithm::Crc64Nvme);
    hasher.update(CONTENT);
    let sent = hasher.finish();
    let put = || {
        let body = ByteStream::from_static(CONTENT);
        let request = store.client.put_object().bucket(store.bucket()).key(&key).body(body);
        let request = request.checksum_crc64_nvme(sent.value.clone()).send();
        store.call(store.target("write", Some(&key)), CONTENT.len() as u64, request)
    };
    patiently(put).await?;
    let head = patiently(|| store.head(&key)).await?;
    Ok(Finding::yes_if(head.checksums.contains(&sent)))
}

async fn tags(ground: &Ground<'_>) -> Result<Finding, StorageError> {
    let (store, key) = (ground.store, ground.key("tagged"));
    let sent = Attributes { tagging: Some("honk-probe=kept".to_owned()), ..Attributes::default() };
    patiently(|| store.put_small(&key, Bytes::from_static(CONTENT), &sent)).await?;
    let kept = patiently(|| store.tagging(&key)).await?;
    Ok(Finding::yes_if(kept == sent.tagging))
}
