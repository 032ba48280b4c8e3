//! Keys that some servers change, refuse, or take for something else.

use bytes::Bytes;
use futures_util::TryStreamExt as _;

use super::{Abilities, Ability, Finding, Ground, patiently};
use crate::attributes::Attributes;
use crate::error::StorageError;

/// S3's longest key, in bytes.
const LONGEST: usize = 1_024;

pub(super) async fn probe(ground: &Ground<'_>, found: &mut Abilities) {
    let odd = ["a b", "plus+", "per%20cent", "a&b=c", "quo'te\"", "ünïcödé/näme", "日本/語", "q?x#y", "semi;colon:at@"];
    let room = LONGEST.saturating_sub(keys_folder(ground).len());
    let (flat, deep) = ("k".repeat(room), "kkkkkkkkk/".repeat(LONGEST / 10)[..room - 1].to_owned() + "k");
    let groups: [(Ability, &[&str]); 5] = [
        (Ability::OddKeys, &odd),
        (Ability::DotKeys, &["dots/../up", "dots/./here", "dots//empty", "/leading", "..dots.."]),
        (Ability::FolderMarkers, &["folder/", "nothing"]),
        (Ability::Neighbours, &["beside", "beside/below"]),
        (Ability::LongKeys, &[flat.as_str(), deep.as_str()]),
    ];
    for (ability, names) in groups {
        found.judge(ability, Box::pin(kept(ground, names)).await);
    }
}

/// Writes all, then looks whether each is listed under its own name and has its own bytes.
async fn kept(ground: &Ground<'_>, names: &[&str]) -> Result<Finding, StorageError> {
    let mut refused = Vec::new();
    for name in names {
        if let Err(error) = put(ground, name).await {
            tracing::debug!(%error, "the store refuses a key");
            refused.push(shown(name));
        }
    }
    let folder = keys_folder(ground);
    let listed = patiently(|| ground.store.list(&folder, 1_000).try_concat()).await;
    for name in names.iter().filter(|name| !refused.contains(&shown(name))).collect::<Vec<_>>() {
        let is_listed =
            listed.as_ref().is_ok_and(|all| all.iter().any(|object| object.key == format!("{folder}{name}")));
        if !is_listed || !is_read(ground, name).await {
            refused.push(shown(name));
        }
    }
    for name in names {
        // What is listed under another name is found by the sweep.
        if let Err(error) = ground.store.delete(&format!("{folder}{name}")).await {
            tracing::debug!(%error, "the sweep will try again");
        }
    }
    Ok(if refused.is_empty() { Finding::Yes } else { Finding::No(refused.join(", ")) })
}

/// A folder of their own, so that a listing has nothing else.
fn keys_folder(ground: &Ground<'_>) -> String {
    ground.key("k/")
}

/// Folder markers and whatever is called so are empty.
fn body(name: &str) -> Bytes {
    if name.ends_with('/') || name == "nothing" { Bytes::new() } else { Bytes::from(name.to_owned()) }
}

async fn put(ground: &Ground<'_>, name: &str) -> Result<(), StorageError> {
    let (key, plain) = (format!("{}{name}", keys_folder(ground)), Attributes::default());
    patiently(|| ground.store.put_small(&key, body(name), &plain)).await.map(|_etag| ())
}

async fn is_read(ground: &Ground<'_>, name: &str) -> bool {
    let key = format!("{}{name}", keys_folder(ground));
    let read = patiently(|| async { ground.store.get(&key, None, None).await?.collect().await }).await;
    read.is_ok_and(|bytes| bytes == body(name))
}

fn shown(name: &str) -> String {
    match name.len() {
        0..=32 => format!("`{name}`"),
        _ if name.contains('/') => "1,024 bytes with slashes".to_owned(),
        _ => "1,024 bytes without a slash".to_owned(),
    }
}
