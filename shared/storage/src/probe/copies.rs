//! Copies that the server makes by itself.

use aws_sdk_s3::operation::copy_object::CopyObjectOutput;
use aws_sdk_s3::types::MetadataDirective;

use super::objects::{ANOTHER, CONTENT, PLAIN, keeps_attributes};
use super::{Abilities, Ability, Finding, Ground, must_refuse, patiently};
use crate::error::{ErrorKind, StorageError};
use crate::server_copy::copy_source;

pub(super) async fn probe(ground: &Ground<'_>, found: &mut Abilities) {
    let copied = copied(ground).await;
    let keeps = copied.as_ref().ok().copied();
    found.judge(Ability::Copy, copied.map(|_keeps| Finding::Yes));
    let Some(keeps) = keeps else { return };
    found.note(Ability::CopyHeaders, Finding::yes_if(keeps));
    let other = copy(ground, "copy-of-another", Some(ANOTHER)).await;
    found.judge(Ability::CopyIfMatch, must_refuse(other, &[ErrorKind::Changed]));
}

async fn copy(ground: &Ground<'_>, name: &str, if_match: Option<&str>) -> Result<CopyObjectOutput, StorageError> {
    let (store, key) = (ground.store, ground.key(name));
    let once = || {
        let request = store
            .client
            .copy_object()
            .bucket(store.bucket())
            .key(&key)
            .copy_source(copy_source(store.bucket(), &ground.key(PLAIN)))
            .set_copy_source_if_match(if_match.map(str::to_owned))
            .metadata_directive(MetadataDirective::Copy);
        store.call(store.target("copy to", Some(&key)), CONTENT.len() as u64, request.send())
    };
    patiently(once).await
}

/// Whether a copy, which must have the bytes, has the headers too.
async fn copied(ground: &Ground<'_>) -> Result<bool, StorageError> {
    copy(ground, "copy", None).await?;
    let (store, key) = (ground.store, ground.key("copy"));
    let download = patiently(|| store.get(&key, None, None)).await?;
    let keeps = keeps_attributes(&download.head.attributes);
    let same = download.collect().await? == CONTENT;
    let other = || store.corrupt("copy to", &key, "the copy has other bytes");
    if same { Ok(keeps) } else { Err(other()) }
}
