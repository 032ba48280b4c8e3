//! What a store can do, found out with real requests and nothing else: by the name of a server nobody can tell what the version,
//! the gateway before it and the policy of the bucket make of it.
//!
//! A probe writes below [`PROBE_FOLDER`] only, under names that are always the same: what a killed process left there is removed
//! by the next probe, and listings leave it out, so that it is never taken for data. Without the essentials (list, write,
//! read, delete) a probe fails with the store's own error; everything else is a finding.

mod ability;
mod copies;
mod keys;
mod objects;
mod parts;

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use serde::{Serialize, Serializer};

pub use ability::{Ability, Finding};

use crate::error::{ErrorKind, StorageError};
use crate::list::PageCursor;
use crate::store::Store;

/// The folder, directly below a place's prefix, that belongs to probes.
pub const PROBE_FOLDER: &str = ".honk-probe/";

/// Tries of one request that fails in a way that may pass.
const TRIES: u32 = 4;

/// The pause before the second try; it doubles.
const PAUSE: Duration = Duration::from_millis(50);

/// Whether a key, relative to the prefix that was listed, was written by a probe at this place or at one inside it.
pub fn is_probe(relative: &str) -> bool {
    relative.starts_with(PROBE_FOLDER) || relative.contains("/.honk-probe/")
}

/// What was found out about a store, in the order of [`Ability::ALL`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Abilities(BTreeMap<Ability, Finding>);

impl Abilities {
    /// What was found of this ability; nothing if it was not tried.
    pub fn get(&self, ability: Ability) -> Option<&Finding> {
        self.0.get(&ability)
    }

    /// Whether the store was seen to do this.
    pub fn can(&self, ability: Ability) -> bool {
        self.get(ability).is_some_and(Finding::is_yes)
    }

    /// All that was tried.
    pub fn iter(&self) -> impl Iterator<Item = (Ability, &Finding)> {
        self.0.iter().map(|(ability, finding)| (*ability, finding))
    }

    fn note(&mut self, ability: Ability, finding: Finding) {
        self.0.insert(ability, finding);
    }

    /// Notes what a request for something that a store need not be able to do came to. That it failed is a finding too.
    fn judge(&mut self, ability: Ability, tried: Result<Finding, StorageError>) {
        let finding = tried.unwrap_or_else(|error| {
            tracing::debug!(%error, ability = ability.code(), "the store cannot do this");
            Finding::No(in_short(&error))
        });
        self.note(ability, finding);
    }
}

impl Serialize for Abilities {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter().map(|(ability, finding)| (ability.code(), finding.to_string())))
    }
}

/// The server's own code where it gave one, so that the words fit into a table.
fn in_short(error: &StorageError) -> String {
    match (error.code(), error.kind()) {
        (Some(code), _) => code.to_owned(),
        (None, ErrorKind::AccessDenied) => "denied".to_owned(),
        (None, ErrorKind::Invalid) => "not understood".to_owned(),
        (None, ErrorKind::Unavailable) => "no usable answer".to_owned(),
        (None, kind) => format!("{kind:?}").to_ascii_lowercase(),
    }
}

/// Where a probe of one place writes.
struct Ground<'s> {
    store: &'s Store,
    folder: String,
}

impl Ground<'_> {
    fn key(&self, name: &str) -> String {
        format!("{}{name}", self.folder)
    }
}

/// Finds out what can be done below `prefix` (as [`crate::Place::prefix`] gives it), and leaves nothing behind.
pub async fn probe(store: &Store, prefix: &str) -> Result<Abilities, StorageError> {
    sweep(store, prefix).await?;
    let ground = Ground { store, folder: format!("{prefix}{PROBE_FOLDER}") };
    let mut found = Abilities::default();
    let probed = Box::pin(probe_all(&ground, &mut found)).await;
    let swept = sweep(store, prefix).await;
    probed?;
    swept?;
    Ok(found)
}

/// The same for the essentials alone, in as few requests as there are questions.
pub async fn probe_briefly(store: &Store, prefix: &str) -> Result<Abilities, StorageError> {
    let ground = Ground { store, folder: format!("{prefix}{PROBE_FOLDER}") };
    let mut found = Abilities::default();
    let listed = Box::pin(objects::essentials(&ground, &mut found)).await?;
    // Its own object, and what was left there before.
    for object in listed {
        patiently(|| store.delete(&object.key)).await?;
    }
    found.note(Ability::Delete, Finding::Yes);
    Ok(found)
}

/// That objects can be listed and read, without writing anything and in one request, for a store of which the rest is known.
pub async fn probe_reading_briefly(store: &Store, object: &crate::ObjectInfo) -> Result<(), StorageError> {
    patiently(|| store.head(&object.key)).await.map(|_head| ())
}

async fn probe_all(ground: &Ground<'_>, found: &mut Abilities) -> Result<(), StorageError> {
    objects::essentials(ground, found).await?;
    objects::deletes(ground, found).await?;
    objects::reads(ground, found).await;
    objects::writes(ground, found).await;
    copies::probe(ground, found).await;
    parts::probe(ground, found).await;
    keys::probe(ground, found).await;
    Ok(())
}

/// Finds out what can be done with an object that is there, without writing anything.
pub async fn probe_reading(store: &Store, object: &crate::ObjectInfo) -> Result<Abilities, StorageError> {
    let mut found = Abilities::default();
    found.note(Ability::List, Finding::Yes);
    // A listing proves only the right to list.
    let head = patiently(|| store.head(&object.key)).await?;
    let start = (object.size > 0).then_some(crate::ByteRange { start: 0, length: object.size.min(16) });
    patiently(|| async { store.get(&object.key, start, None).await?.collect().await }).await?;
    found.note(Ability::Read, Finding::Yes);
    objects::conditional_read(store, &object.key, &mut found).await;
    let tags = patiently(|| store.tagging(&object.key)).await.map(|_tags| Finding::Yes);
    found.judge(Ability::Tags, tags);
    // An object without one may have been written without one.
    if !head.checksums.is_empty() {
        found.note(Ability::Checksums, Finding::Yes);
    }
    Ok(found)
}

/// Removes what probes left below `prefix`: objects, and uploads that were begun. Returns how many objects.
pub async fn sweep(store: &Store, prefix: &str) -> Result<u64, StorageError> {
    let folder = format!("{prefix}{PROBE_FOLDER}");
    for name in parts::KEYS {
        store.clear_uploads(&format!("{folder}{name}")).await;
    }
    let mut removed = 0;
    let mut cursor = PageCursor::Start;
    while cursor != PageCursor::End {
        let (page, next) = patiently(|| store.list_page(&folder, 1_000, &cursor)).await?;
        for object in page {
            patiently(|| store.delete(&object.key)).await?;
            removed += 1;
        }
        cursor = next;
    }
    Ok(removed)
}

/// Tries again what may pass, a few times, so that one hiccup is not taken for what a store can do.
async fn patiently<T, F>(mut request: impl FnMut() -> F) -> Result<T, StorageError>
where
    F: Future<Output = Result<T, StorageError>>,
{
    let mut pause = PAUSE;
    for _ in 1..TRIES {
        match request().await {
            Err(error) if error.is_retryable() => tracing::debug!(%error, "probing again"),
            other => return other,
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
    request().await
}

/// What became of a request that a store must refuse in one of these ways. One that it fulfils shows that it ignores what was asked.
fn must_refuse<T>(answer: Result<T, StorageError>, refusals: &[ErrorKind]) -> Result<Finding, StorageError> {
    match answer {
        Ok(_accepted) => Ok(Finding::Ignored),
        Err(error) if refusals.contains(&error.kind()) => Ok(Finding::Yes),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_probe_writes_is_told_from_data_at_any_depth() {
        for probe in [".honk-probe/plain", "a/.honk-probe/plain", ".honk-probe/"] {
            assert!(is_probe(probe), "{probe}");
        }
        for data in ["a", ".honk-probe", "a/.honk-probe-results/x", "x.honk-probe/y", "honk-probe/x"] {
            assert!(!is_probe(data), "{data}");
        }
    }

    #[test]
    fn findings_are_shown_by_the_codes_of_their_abilities() {
        let mut found = Abilities::default();
        found.note(Ability::Write, Finding::Yes);
        found.note(Ability::WriteIfAbsent, Finding::Ignored);
        found.note(Ability::Tags, Finding::No("NotImplemented".into()));
        let shown = serde_json::to_value(&found).unwrap();
        let wanted = serde_json::json!({ "write": "yes", "write-if-absent": "ignored", "tags": "no: NotImplemented" });
        assert_eq!(shown, wanted);
        assert!(found.can(Ability::Write) && !found.can(Ability::WriteIfAbsent) && !found.can(Ability::Copy));
    }
}
