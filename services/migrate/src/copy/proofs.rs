//! What is known of pairs of objects beyond their listings: that versions have the same bytes though their `ETag`s differ, that a target's
//! version was read back, how often a version was copied. Each fact is sixteen bytes, whatever the key, so that a million of them is no
//! burden, and can be handed to another agent.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use honk_storage::Etag;
use sha2::{Digest as _, Sha256};

/// Bytes of one fact.
const SIZE: usize = 16;

/// Facts kept at a time; some 200 MiB. Objects beyond it are compared anew.
const MOST: usize = 4_000_000;

/// Which fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fact {
    /// Both versions have the same bytes.
    SameBytes,
    /// The target's version was read, and has the source's bytes.
    ReadBack,
    /// The source's version was copied.
    Copied,
    /// It was copied again, because the target was found to differ.
    CopiedAgain,
}

/// Facts about versions of objects.
#[derive(Debug, Default)]
pub(crate) struct Proofs(Mutex<HashSet<[u8; SIZE]>>);

impl Proofs {
    /// Remembers, while there is room.
    pub(super) fn remember(&self, fact: Fact, key: &str, versions: (&Etag, &Etag)) {
        let mut facts = self.lock();
        if facts.len() < MOST {
            facts.insert(digest(fact, key, versions));
        }
    }

    pub(super) fn has(&self, fact: Fact, key: &str, versions: (&Etag, &Etag)) -> bool {
        self.lock().contains(&digest(fact, key, versions))
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// All of them, to be taken over by another process.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        self.lock().iter().flatten().copied().collect()
    }

    /// Adds what another process has found.
    pub(crate) fn take_over(&self, bytes: &[u8]) {
        self.lock().extend(bytes.as_chunks::<SIZE>().0);
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<[u8; SIZE]>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn digest(fact: Fact, key: &str, (source, target): (&Etag, &Etag)) -> [u8; SIZE] {
    let mut hash = Sha256::new();
    hash.update([fact as u8]);
    for part in [key, source.as_str(), target.as_str()] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let whole: [u8; 32] = hash.finalize().into();
    std::array::from_fn(|index| whole[index])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fact_is_about_these_versions_alone_and_moves_with_its_bytes() {
        let (one, two) = (Etag::new("one"), Etag::new("two"));
        let proofs = Proofs::default();
        proofs.remember(Fact::SameBytes, "k", (&one, &two));
        let other = Proofs::default();
        other.take_over(&proofs.to_bytes());
        assert!(other.has(Fact::SameBytes, "k", (&one, &two)));
        assert!(!other.has(Fact::ReadBack, "k", (&one, &two)));
        assert!(!other.has(Fact::SameBytes, "k", (&two, &one)));
        assert!(!other.has(Fact::SameBytes, "ko", (&Etag::new("ne"), &two)));
    }
}
