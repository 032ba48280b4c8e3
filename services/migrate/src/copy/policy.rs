//! What a migration may do and how much it has to prove: the part of `with:` that the engine obeys.

use serde::{Deserialize, Serialize};

use super::chunk::ChunkSize;

/// What becomes of objects of the target that were there before the migration, under names that the source has too, with other bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Existing {
    /// Nothing is copied, and they are named.
    #[default]
    Fail,
    /// They are replaced.
    Overwrite,
    /// They stay, and the source's objects of these names are not migrated.
    Skip,
}

/// How much is proved of each object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verify {
    /// That it is there with the right size.
    None,
    /// That besides its checksum is the source's, and of about one in [`SAMPLE`] that it reads back as it should.
    #[default]
    Sample,
    /// That each reads back as it should.
    Full,
}

/// One in so many objects is read back by [`Verify::Sample`].
pub const SAMPLE: u64 = 64;

/// What a migration may do, and how much it has to prove.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// Objects that are in the way.
    pub existing: Existing,
    /// How much is proved.
    pub verify: Verify,
    /// How much one agent copies at a time.
    pub chunk: ChunkSize,
}

impl Verify {
    /// The word that workflows use.
    pub const fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Sample => "sample",
            Self::Full => "full",
        }
    }

    /// Whether the object of this name is read back. The same name always is or is not, so that a repeat proves the same.
    pub(super) fn reads_back(self, key: &str) -> bool {
        // FNV-1a, 64 bits (Fowler, Noll, Vo).
        let hash = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        match self {
            Self::None => false,
            Self::Sample => key.bytes().fold(0xcbf2_9ce4_8422_2325, hash).is_multiple_of(SAMPLE),
            Self::Full => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_about_one_in_so_many() {
        let read = (0..100_000).filter(|number| Verify::Sample.reads_back(&format!("part-{number:06}.csv"))).count();
        assert!((1_000..2_200).contains(&read), "{read}");
    }
}
