//! The target lists exactly the objects that the transformation says it wrote, each with the size and the version that the store gave it.

use std::collections::HashMap;

use futures_util::TryStreamExt as _;
use honk_protocol::dataset::Side;
use honk_protocol::reason::Reason;
use honk_protocol::run::Fault;
use honk_protocol::settle::Failed;
use honk_protocol::transform::FileEvidence;
use honk_storage::listing::{Survey, Surveyor};
use honk_storage::{ObjectInfo, Place, StorageError, Stores};

const PAGE: i32 = 1_000;

/// Compares; the target's survey if all is as it should be.
pub(super) async fn verify(stores: &Stores, target: &Place, files: &[FileEvidence]) -> Result<Survey, Failed> {
    let failed = |error: StorageError| error.failed(Side::Target);
    let (store, prefix) = (stores.open(target).await.map_err(failed)?, target.prefix());
    let mut expected: HashMap<&str, &FileEvidence> = files.iter().map(|file| (file.key.as_str(), file)).collect();
    let mut surveyor = Surveyor::default();
    let mut pages = Box::pin(store.list(&prefix, PAGE));
    while let Some(page) = pages.try_next().await.map_err(failed)? {
        for object in page {
            let key = object.key.strip_prefix(&prefix).unwrap_or(&object.key);
            is_as_written(key, &object, expected.remove(key))?;
            surveyor.add(key, object.size, &object.etag);
        }
    }
    match expected.keys().min() {
        Some(key) => Err(mismatch(format!("`{key}` was written and is not at the target"))),
        None => Ok(surveyor.finish()),
    }
}

fn is_as_written(key: &str, object: &ObjectInfo, file: Option<&FileEvidence>) -> Result<(), Failed> {
    match file {
        None => Err(mismatch(format!("`{key}` is at the target, and the transformation did not write it"))),
        Some(file) if file.bytes != object.size || file.etag != object.etag.as_str() => {
            Err(mismatch(format!("`{key}` at the target is not what was written: somebody else writes there")))
        }
        Some(_) => Ok(()),
    }
}

/// Writers at the target did it, not the system; the next attempt writes all of it again.
fn mismatch(message: String) -> Failed {
    Failed { fault: Fault::Failure, ..Failed::retry(Reason::VerifyMismatch, message) }
}
