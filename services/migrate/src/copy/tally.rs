//! What a pass over both listings found and did, added up. Tallies of neighbouring ranges add up to that of both.

use honk_protocol::evidence::EvidenceMeans;
use honk_storage::StorageError;
use honk_storage::listing::SetDigest;
use serde::{Deserialize, Serialize};

use super::chunk::Chunk;
use super::join::Pair;
use super::marks::Trail;
use super::refused::{Refusal, Refused};

/// Keys that a report or an error names at most.
pub const NAMED_KEYS: usize = 20;

/// How many keys, and the first of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keys {
    /// How many.
    pub count: u64,
    /// The first of them, at most [`NAMED_KEYS`].
    pub first: Vec<String>,
}

impl Keys {
    /// Counts a key, and names it if it is one of the first.
    pub(crate) fn add(&mut self, key: impl Into<String>) {
        self.count += 1;
        if self.first.len() < NAMED_KEYS {
            self.first.push(key.into());
        }
    }

    fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.first.extend(other.first);
        self.first.truncate(NAMED_KEYS);
    }
}

impl std::fmt::Display for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let named: Vec<String> = self.first.iter().map(|key| format!("{key:?}")).collect();
        f.write_str(&named.join(", "))?;
        let more = self.count.saturating_sub(self.first.len() as u64);
        if more > 0 { write!(f, " and {more} more") } else { Ok(()) }
    }
}

/// What became of one pair of objects.
#[derive(Debug)]
pub(super) enum Finding {
    /// Both sides have the same bytes.
    Equal(Proof),
    /// It has to be copied: only said by a pass that looks.
    Wanted,
    /// It was copied.
    Copied,
    /// The source no longer has it, so it has to be removed: only said by a pass that looks.
    Gone,
    /// It was removed.
    Removed,
    /// Only the target has it, from before the migration.
    Foreign,
    /// The target has other bytes, from before the migration, and may keep them.
    Skipped,
    /// The target has other bytes, from before the migration, and that is not allowed.
    Conflict,
    /// It changed while it was copied: the next pass looks again.
    Unsettled,
    /// It was copied, and copied again, and still differs.
    Differs,
    /// A store refuses this object, and this object alone.
    Refused(Refusal, StorageError),
}

/// How equality was proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Proof {
    pub(super) by: By,
    pub(super) read_back: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    Etag,
    Checksum,
    Size,
}

/// What a pass found and did.
#[derive(Debug, Default)]
pub struct Tally {
    /// Objects of the source.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Objects that both sides have with the same bytes.
    pub equal: u64,
    /// Objects that are to be copied or removed, and the bytes of the former; only of a pass that looks.
    pub wanted: Work,
    /// Which are to be copied.
    pub wanted_keys: Keys,
    /// Objects that were copied, or removed, and the bytes of the former.
    pub done: Work,
    /// Objects that changed while they were copied.
    pub unsettled: Keys,
    /// Objects of the target that were there before the migration and are nobody's business.
    pub foreign: u64,
    /// Objects of the target that differ and may.
    pub skipped: Keys,
    /// Objects of the target that differ and must not.
    pub conflicts: Keys,
    /// Objects that still differ after they were copied twice.
    pub differing: Keys,
    /// Objects that a store refuses.
    pub refused: Option<Refused>,
    /// What proved the equal ones.
    pub means: EvidenceMeans,
    /// Of the source's objects, by what identifies their content.
    pub source: SetDigest,
    /// Of those of them that the target has, by the same.
    pub target: SetDigest,
    /// Of the same objects, by the target's own `ETag`s: whoever lists the target can make it again.
    pub listing: SetDigest,
    /// Keys of the target that are not the migration's; only of the first pass that looks.
    pub(crate) kept: Vec<String>,
    /// The work, cut up; only of a pass that looks.
    pub(crate) chunks: Vec<Chunk>,
    /// Where the keys were found.
    pub(super) trail: Trail,
}

/// Objects that are to be copied or removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    /// Objects to copy.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Objects to remove.
    pub removals: u64,
}

impl Work {
    /// Whether there is none.
    pub fn is_none(&self) -> bool {
        self.objects == 0 && self.removals == 0
    }

    pub(super) fn copy(&mut self, bytes: u64) {
        self.objects += 1;
        self.bytes += bytes;
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.objects += other.objects;
        self.bytes += other.bytes;
        self.removals += other.removals;
    }
}

impl Tally {
    /// Whether source and target are proved to be the same, and this pass had to do nothing for it.
    pub fn is_clean(&self) -> bool {
        self.wanted.is_none() && self.done.is_none() && self.unsettled.count == 0 && self.problems() == 0
    }

    /// Objects that no further pass will set right.
    pub fn problems(&self) -> u64 {
        self.conflicts.count + self.differing.count + self.refused.as_ref().map_or(0, |refused| refused.objects)
    }

    /// Adds what became of a pair.
    pub(super) fn add(&mut self, Pair { key, source, target }: Pair, finding: Finding) {
        let bytes = source.as_ref().map_or(0, |source| source.size);
        if let Some(source) = &source {
            let version = source.etag.as_str();
            self.objects += 1;
            self.bytes += bytes;
            self.source.add(&key, bytes, version);
            if let (Finding::Equal(_), Some(target)) = (&finding, &target) {
                self.target.add(&key, bytes, version);
                self.listing.add(&key, bytes, target.etag.as_str());
            }
        }
        match finding {
            Finding::Equal(proof) => self.equal(proof),
            Finding::Wanted => {
                self.wanted.copy(bytes);
                self.wanted_keys.add(key);
            }
            Finding::Copied => self.done.copy(bytes),
            Finding::Gone => self.wanted.removals += 1,
            Finding::Removed => self.done.removals += 1,
            Finding::Foreign => self.foreign += 1,
            Finding::Unsettled => self.unsettled.add(key),
            Finding::Skipped => self.skipped.add(key),
            Finding::Conflict => self.conflicts.add(key),
            Finding::Differs => self.differing.add(key),
            Finding::Refused(why, error) => Refused::add(&mut self.refused, key, why, &error),
        }
    }

    fn equal(&mut self, proof: Proof) {
        self.equal += 1;
        let counter = match proof.by {
            By::Etag => &mut self.means.etag,
            By::Checksum => &mut self.means.checksum,
            By::Size => &mut self.means.size,
        };
        *counter += 1;
        self.means.read_back += u64::from(proof.read_back);
    }

    /// Adds the tally of the range that follows.
    pub(super) fn merge(&mut self, other: Self) {
        self.objects += other.objects;
        self.bytes += other.bytes;
        self.equal += other.equal;
        self.wanted.merge(&other.wanted);
        self.wanted_keys.merge(other.wanted_keys);
        self.done.merge(&other.done);
        self.unsettled.merge(other.unsettled);
        self.foreign += other.foreign;
        self.skipped.merge(other.skipped);
        self.conflicts.merge(other.conflicts);
        self.differing.merge(other.differing);
        Refused::merge(&mut self.refused, other.refused);
        self.means.etag += other.means.etag;
        self.means.checksum += other.means.checksum;
        self.means.size += other.means.size;
        self.means.read_back += other.means.read_back;
        self.source.merge(&other.source);
        self.target.merge(&other.target);
        self.listing.merge(&other.listing);
        self.kept.extend(other.kept);
        self.chunks.extend(other.chunks);
        self.trail.extend(other.trail);
    }
}
