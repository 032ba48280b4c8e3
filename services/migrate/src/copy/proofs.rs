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
    /// The source's version was copied, and nobody wants to know more.
    Trusted,
    /// The source's version was copied.
    Copied,
    /// It was copied again, because the target was found to differ.
    CopiedAgain,
}

impl Fact {
    /// Whether it spares another agent work. What was copied here only tells this process when to give up.
    fn is_for_others(self) -> bool {
        matches!(self, Self::SameBytes | Self::ReadBack | Self::Trusted)
    }
}

type Facts = HashSet<[u8; SIZE]>;

/// Facts about versions of objects.
#[derive(Debug, Default)]
pub(crate) struct Proofs {
    for_others: Mutex<Facts>,
    own: Mutex<Facts>,
}

impl Proofs {
    /// Remembers, while there is room.
    pub(super) fn remember(&self, fact: Fact, key: &str, versions: (&Etag, &Etag)) {
        let mut facts = self.facts(fact);
        if facts.len() < MOST {
            facts.insert(digest(fact, key, versions));
        }
    }

    pub(super) fn has(&self, fact: Fact, key: &str, versions: (&Etag, &Etag)) -> bool {
        self.facts(fact).contains(&digest(fact, key, versions))
    }

    /// Whether there are none for others.
    pub(crate) fn is_empty(&self) -> bool {
        lock(&self.for_others).is_empty()
    }

    /// Those for others, to be taken over by another process.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        lock(&self.for_others).iter().flatten().copied().collect()
    }

    /// Adds what another process has found.
    pub(crate) fn take_over(&self, bytes: &[u8]) {
        lock(&self.for_others).extend(bytes.as_chunks::<SIZE>().0);
    }

    fn facts(&self, fact: Fact) -> MutexGuard<'_, Facts> {
        lock(if fact.is_for_others() { &self.for_others } else { &self.own })
    }
}

fn lock(facts: &Mutex<Facts>) -> MutexGuard<'_, Facts> {
    facts.lock().unwrap_or_else(PoisonError::into_inner)
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
        proofs.remember(Fact::Copied, "k", (&one, &one));
        assert!(proofs.has(Fact::Copied, "k", (&one, &one)));
        let other = Proofs::default();
        other.take_over(&proofs.to_bytes());
        assert!(other.has(Fact::SameBytes, "k", (&one, &two)));
        assert!(!other.has(Fact::Copied, "k", (&one, &one)), "of no use to others");
        assert!(!other.has(Fact::ReadBack, "k", (&one, &two)));
        assert!(!other.has(Fact::SameBytes, "k", (&two, &one)));
        assert!(!other.has(Fact::SameBytes, "ko", (&Etag::new("ne"), &two)));
    }
}
