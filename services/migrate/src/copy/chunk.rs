//! The work of a migration cut up: neighbouring ranges of keys, each with about as much to copy as one agent should do at a time.

use serde::{Deserialize, Serialize};

use super::span::KeyRange;
use super::tally::Work;

/// The most chunks of one plan: each stands in the run's record, which is one message.
pub(crate) const MOST_CHUNKS: usize = 500;

/// A range of keys and what was found to be done in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// Which keys.
    #[serde(flatten)]
    pub range: KeyRange,
    /// What is to be done.
    #[serde(flatten)]
    pub work: Work,
}

/// How much a chunk has at most, unless one object alone has more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChunkSize {
    /// Objects to copy or remove.
    pub objects: u64,
    /// Bytes to copy.
    pub bytes: u64,
}

impl Default for ChunkSize {
    /// Some seconds to some minutes of work.
    fn default() -> Self {
        Self { objects: 5_000, bytes: 8 << 30 }
    }
}

impl ChunkSize {
    /// Whether so much is for one agent.
    pub fn holds(&self, work: &Work) -> bool {
        work.objects + work.removals <= self.objects && work.bytes <= self.bytes
    }

    /// The same chunks, with small neighbours put together, and so large that there are not too many.
    pub(crate) fn pack(self, chunks: &[Chunk]) -> Vec<Chunk> {
        let mut size = self;
        loop {
            let packed = size.pack_once(chunks);
            if packed.len() <= MOST_CHUNKS {
                return packed;
            }
            size = Self { objects: size.objects.saturating_mul(2), bytes: size.bytes.saturating_mul(2) };
        }
    }

    fn pack_once(self, chunks: &[Chunk]) -> Vec<Chunk> {
        let mut packed: Vec<Chunk> = Vec::new();
        for chunk in chunks.iter().filter(|chunk| !chunk.work.is_none()) {
            let mut both = packed.last().map_or_else(Work::default, |last| last.work);
            both.merge(&chunk.work);
            match packed.last_mut() {
                Some(last) if self.holds(&both) => {
                    last.work = both;
                    last.range.until.clone_from(&chunk.range.until);
                }
                _ => packed.push(chunk.clone()),
            }
        }
        packed
    }
}

/// Cuts the work of one range into chunks while its keys go by in their order.
#[derive(Debug)]
pub(super) struct Cutter {
    size: ChunkSize,
    open: Chunk,
    done: Vec<Chunk>,
}

impl Cutter {
    pub(super) fn new(size: ChunkSize, after: Option<String>) -> Self {
        let range = KeyRange { after, until: None };
        Self { size, open: Chunk { range, work: Work::default() }, done: Vec::new() }
    }

    /// Adds what is to be done about `key`, and ends the chunk with it if that is enough.
    pub(super) fn add(&mut self, key: &str, work: &Work) {
        self.open.work.merge(work);
        let Work { objects, bytes, removals } = self.open.work;
        if objects + removals >= self.size.objects || bytes >= self.size.bytes {
            let range = KeyRange { after: Some(key.to_owned()), until: None };
            let mut full = std::mem::replace(&mut self.open, Chunk { range, work: Work::default() });
            full.range.until = Some(key.to_owned());
            self.done.push(full);
        }
    }

    /// All chunks of a range that ends with `until`.
    pub(super) fn finish(mut self, until: Option<String>) -> Vec<Chunk> {
        if !self.open.work.is_none() {
            self.open.range.until = until;
            self.done.push(self.open);
        }
        self.done
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn all_work_is_in_one_chunk_and_chunks_are_as_large_as_they_may_be(
            sizes in prop::collection::vec(0u64..50, 1..200), objects in 1u64..20, bytes in 1u64..200,
        ) {
            let size = ChunkSize { objects, bytes };
            let mut cutter = Cutter::new(size, None);
            for (number, bytes) in sizes.iter().enumerate() {
                let key = format!("{number:05}");
                cutter.add(&key, &Work { objects: 1, bytes: *bytes, removals: 0 });
            }
            let chunks = size.pack(&cutter.finish(None));
            let sum = |of: fn(&Work) -> u64| chunks.iter().map(|chunk| of(&chunk.work)).sum::<u64>();
            prop_assert_eq!(sum(|work| work.objects), sizes.len() as u64);
            prop_assert_eq!(sum(|work| work.bytes), sizes.iter().sum::<u64>());
            for pair in chunks.windows(2) {
                prop_assert!(pair[0].range.until <= pair[1].range.after, "{pair:?}");
                let mut both = pair[0].work;
                both.merge(&pair[1].work);
                prop_assert!(!size.holds(&both), "{pair:?}");
            }
        }
    }

    #[test]
    fn a_plan_of_a_billion_objects_has_few_chunks() {
        let work = Work { objects: 5_000, bytes: 1, removals: 0 };
        let chunk = |number: u32| {
            let range = KeyRange { after: Some(format!("{number:09}")), until: Some(format!("{:09}", number + 1)) };
            Chunk { range, work }
        };
        let packed = ChunkSize::default().pack(&(0..200_000).map(chunk).collect::<Vec<_>>());
        assert!(packed.len() <= MOST_CHUNKS);
        assert_eq!(packed.iter().map(|chunk| chunk.work.objects).sum::<u64>(), 1_000_000_000);
    }
}
