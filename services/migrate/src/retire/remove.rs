//! Removes what a list has, a piece at a time. Before each piece the location is read again, and before each object both of its versions: who
//! wakes up late, or meets an object that somebody has written since, leaves it alone.

use std::sync::atomic::Ordering;

use futures_util::{StreamExt as _, TryStreamExt as _, stream, try_join};
use honk_agent::action::JobContext;
use honk_protocol::dataset::{Removal, RetiredState, Side};
use honk_protocol::reason::Reason;
use honk_protocol::settle::Failed;
use honk_storage::ErrorKind;

use super::{Listed, Retire, list};
use crate::sides::{End, Ends};

/// Objects that are removed at a time.
const AT_ONCE: usize = 16;

/// What was removed.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Removed {
    /// Objects that are gone.
    pub(super) objects: u64,
    /// Their bytes.
    pub(super) bytes: u64,
    /// Objects that were left, because they or their copies are not what was listed.
    pub(super) kept: u64,
}

/// What became of one object.
enum Outcome {
    Gone(u64),
    Kept,
}

/// Removes everything that is listed.
pub(super) async fn all(retire: &Retire, job: &JobContext, listed: &Listed) -> Result<Removed, Failed> {
    let ends = Ends::open(&retire.stores, &listed.list.source, &listed.list.target).await?;
    job.progress.objects_total.store(listed.list.objects, Ordering::Relaxed);
    let mut removed = Removed::default();
    for name in &listed.list.pieces {
        let piece = list::piece(&retire.bus, name).await?;
        still_ours(retire, job, listed).await?;
        let outcomes: Vec<Outcome> =
            stream::iter(piece).map(|entry| one(&ends, entry)).buffer_unordered(AT_ONCE).try_collect().await?;
        for outcome in outcomes {
            job.progress.objects.fetch_add(1, Ordering::Relaxed);
            match outcome {
                Outcome::Gone(bytes) => (removed.objects, removed.bytes) = (removed.objects + 1, removed.bytes + bytes),
                Outcome::Kept => removed.kept += 1,
            }
        }
    }
    Ok(removed)
}

/// Readers are still elsewhere, and this list is still what is being removed.
async fn still_ours(retire: &Retire, job: &JobContext, listed: &Listed) -> Result<(), Failed> {
    let location = retire.registry.location(job.dataset()).await?.location;
    let is_listed = location
        .retired
        .as_ref()
        .is_some_and(|retired| retired.state == RetiredState::Removing && retired.list.as_ref() == Some(&listed.name));
    if location.active == Side::Target && location.spec.source == listed.list.source && is_listed {
        return Ok(());
    }
    let message = format!("the location of `{}` was changed while its source was being removed", job.dataset());
    Err(Failed::reject(Reason::LocationChanged, message))
}

async fn one(ends: &Ends, entry: Removal) -> Result<Outcome, Failed> {
    let is = try_join!(version(&ends.source, &entry.key), version(&ends.target, &entry.key))?;
    match is {
        // An attempt before this one has removed it.
        (None, Some(target)) if target == entry.target => Ok(Outcome::Gone(entry.size)),
        (Some(source), Some(target)) if (&source, &target) == (&entry.source, &entry.target) => {
            let removed = ends.source.store.delete(&ends.source.key(&entry.key)).await;
            removed.map_err(|error| ends.source.failed(&error))?;
            Ok(Outcome::Gone(entry.size))
        }
        _ => Ok(Outcome::Kept),
    }
}

/// The version of the object, if there is one.
async fn version(end: &End, relative: &str) -> Result<Option<String>, Failed> {
    match end.store.head(&end.key(relative)).await {
        Ok(head) => Ok(Some(head.etag.as_str().to_owned())),
        Err(error) if error.kind() == ErrorKind::NoSuchKey => Ok(None),
        Err(error) => Err(end.failed(&error)),
    }
}
