//! What the two places list: whether the source is as it was, and whether the target has exactly what the transformation says it wrote.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use futures_util::TryStreamExt as _;
use honk_protocol::dataset::{Place, Side};
use honk_protocol::evidence::{EvidenceSide, Late};
use honk_protocol::reason::Reason;
use honk_protocol::run::Fault;
use honk_protocol::settle::Failed;
use honk_protocol::transform::{Expect, FileEvidence};
use honk_storage::listing::{Survey, Surveyor};
use honk_storage::{ObjectInfo, StorageError, Stores};

use crate::copy::{Kept, Keys, MOST_KEPT};

/// Keys per listing request.
const PAGE: i32 = 1_000;

/// One of the two places, to be listed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Looked<'a> {
    pub(super) stores: &'a Stores,
    pub(super) place: &'a Place,
    pub(super) side: Side,
}

/// The target with what is the transformation's.
#[derive(Debug)]
pub(super) struct Written {
    /// Its files.
    pub(super) files: EvidenceSide,
    /// The digest of everything that is listed, so that any change is seen.
    pub(super) all: String,
    /// Objects that are somebody else's.
    pub(super) foreign: u64,
}

/// A listing to compare a later one with, object by object. A few bytes of each: hashes of its name and of its version.
#[derive(Debug, Default)]
pub(super) struct Prints(HashMap<u64, u64>);

impl Looked<'_> {
    /// Shows every object, by its key below the place, and sums them up.
    async fn each(&self, mut see: impl FnMut(&str, &ObjectInfo) -> Result<(), Failed>) -> Result<EvidenceSide, Failed> {
        let failed = |error: StorageError| error.failed(self.side);
        let place = self.stores.resolve(self.place);
        let (store, prefix) = (Box::pin(self.stores.open(&place)).await.map_err(failed)?, place.prefix());
        let mut surveyor = Surveyor::default();
        let mut pages = Box::pin(store.list(&prefix, PAGE));
        while let Some(page) = pages.try_next().await.map_err(failed)? {
            for object in page {
                let key = object.key.strip_prefix(&prefix).unwrap_or(&object.key);
                surveyor.add(key, object.size, &object.etag);
                see(key, &object)?;
            }
        }
        Ok(side(self.place, surveyor.finish()))
    }

    /// All of it, summed up.
    pub(super) async fn survey(&self) -> Result<EvidenceSide, Failed> {
        self.each(|_, _| Ok(())).await
    }

    /// The same, and what tells a later listing from it.
    pub(super) async fn prints(&self) -> Result<(EvidenceSide, Prints), Failed> {
        let mut prints = Prints::default();
        let side = self.each(|key, object| {
            prints.0.insert(hash(key), version(object));
            Ok(())
        });
        let side = side.await?;
        Ok((side, prints))
    }

    /// What has come since.
    pub(super) async fn since(&self, before: &Prints) -> Result<Late, Failed> {
        let mut late = Keys::default();
        self.each(|key, object| {
            if before.0.get(&hash(key)) != Some(&version(object)) {
                late.add(key);
            }
            Ok(())
        })
        .await?;
        Ok(Late { objects: late.count, first: late.first })
    }

    /// Before the first attempt: what is there is somebody else's, and what of it is in the way. Rows that an earlier migration put aside are not,
    /// nor is the object without bytes that some programs make a folder of.
    pub(super) async fn foreign(&self, expect: &Expect) -> Result<(Kept, Keys), Failed> {
        let (mut names, mut in_the_way) = (Vec::new(), Keys::default());
        self.each(|key, object| {
            if names.len() >= MOST_KEPT {
                let message = format!("more than {MOST_KEPT} objects of others lie at {}", self.place);
                return Err(Failed::reject(Reason::TargetCrowded, message));
            }
            names.push(key.to_owned());
            let is_folder = object.size == 0 && object.key.ends_with('/');
            if !is_folder && !expect.is_quarantine(key) {
                in_the_way.add(key);
            }
            Ok(())
        })
        .await?;
        Ok((Kept::new(names), in_the_way))
    }

    /// Compares with what was written; the target if all is as it should be.
    pub(super) async fn verify(&self, files: &[FileEvidence], kept: &Kept) -> Result<Written, Failed> {
        let mut expected: HashMap<&str, &FileEvidence> = files.iter().map(|file| (file.key.as_str(), file)).collect();
        let (mut own, mut foreign) = (Surveyor::default(), 0);
        let all = self.each(|key, object| {
            match expected.remove(key) {
                Some(file) if file.bytes == object.size && file.etag == object.etag.as_str() => {
                    own.add(key, object.size, &object.etag);
                }
                Some(_) => {
                    return Err(mismatch(key, "at the target is not what was written: somebody else writes there"));
                }
                None if kept.contains(key) => foreign += 1,
                None => return Err(mismatch(key, "is at the target, and the transformation did not write it")),
            }
            Ok(())
        });
        let all = all.await?.digest;
        match expected.keys().min() {
            Some(key) => Err(mismatch(key, "was written and is not at the target")),
            None => Ok(Written { files: side(self.place, own.finish()), all, foreign }),
        }
    }
}

fn side(place: &Place, Survey { objects, bytes, digest }: Survey) -> EvidenceSide {
    EvidenceSide { place: place.clone(), objects, bytes, digest }
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

fn version(object: &ObjectInfo) -> u64 {
    hash(&format!("{} {}", object.size, object.etag.as_str()))
}

/// Nothing is written among other people's objects unless somebody has said so.
pub(super) fn conflict(keys: &Keys, place: &Place) -> Failed {
    let message = format!(
        "{} objects lie at {place}, where a transformation would write its files, and were there before: {keys} - move them away, or \
         say `existing: overwrite`: then those with the names of its files are replaced, and all others stay",
        keys.count
    );
    Failed::reject(Reason::TargetConflict, message)
}

/// Writers at the target did it, not the system; the next attempt writes all of it again.
fn mismatch(key: &str, what: &str) -> Failed {
    Failed { fault: Fault::Failure, ..Failed::retry(Reason::VerifyMismatch, format!("`{key}` {what}")) }
}
