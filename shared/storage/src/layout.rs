//! How an object is cut into parts.
//!
//! S3's limits: 10,000 parts, each of 5 MiB to 5 GiB but the last, which may be smaller
//! (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>).

use crate::read::ByteRange;

const MIB: u64 = 1 << 20;
const MAX_PARTS: u64 = 10_000;
const MIN_PART: u64 = 5 * MIB;
const MAX_PART: u64 = 5 << 30;

/// Parts of one size, and a last one with the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartLayout {
    size: u64,
    part_size: u64,
}

impl PartLayout {
    /// Parts of `wanted` bytes, or of as many whole MiB as keep their number allowed.
    pub fn new(size: u64, wanted: u64) -> Self {
        let needed = size.div_ceil(MAX_PARTS).div_ceil(MIB) * MIB;
        Self { size, part_size: wanted.clamp(MIN_PART, MAX_PART).max(needed) }
    }

    /// The layout of an object whose first part has `first` bytes and which has `count` parts, if it is regular and
    /// may be uploaded again.
    pub fn like(size: u64, first: u64, count: u32) -> Option<Self> {
        let regular = first > 0 && size.div_ceil(first) == u64::from(count) && u64::from(count) <= MAX_PARTS;
        let allowed = first <= MAX_PART && (first >= MIN_PART || count == 1);
        (regular && allowed).then_some(Self { size, part_size: first })
    }

    /// Bytes of every part but the last.
    pub fn part_size(&self) -> u64 {
        self.part_size
    }

    /// How many parts.
    pub fn count(&self) -> u64 {
        self.size.div_ceil(self.part_size)
    }

    /// Numbers (from 1) and ranges, in order.
    pub fn parts(self) -> impl Iterator<Item = (i32, ByteRange)> {
        (1..).zip(0..self.count()).map(move |(number, index)| {
            let start = index * self.part_size;
            (number, ByteRange { start, length: self.part_size.min(self.size - start) })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_largest_object_of_s3_fits() {
        let layout = PartLayout::new(5 << 40, 8 * MIB);
        assert!(layout.count() <= MAX_PARTS && layout.part_size().is_multiple_of(MIB));
        assert_eq!(PartLayout::new(100 * MIB, 8 * MIB).part_size(), 8 * MIB);
    }

    #[test]
    fn only_a_regular_layout_can_be_repeated() {
        assert!(PartLayout::like(100 * MIB, 8 * MIB, 13).is_some());
        assert!(PartLayout::like(100 * MIB, 8 * MIB, 12).is_none());
        assert!(PartLayout::like(100, 0, 1).is_none());
        assert!(PartLayout::like(10, 5, 2).is_none(), "parts below 5 MiB are refused by S3");
        assert!(PartLayout::like(10, 10, 1).is_some());
    }

    proptest! {
        #[test]
        fn parts_cover_the_object_without_gap_or_overlap(size in 1_u64..(5 << 40), wanted in 1_u64..(6 << 30)) {
            let layout = PartLayout::new(size, wanted);
            prop_assert!(layout.count() <= MAX_PARTS);
            let mut next = 0;
            for (index, (number, range)) in layout.parts().enumerate() {
                prop_assert_eq!(usize::try_from(number).ok(), Some(index + 1));
                prop_assert_eq!(range.start, next);
                prop_assert!(range.length > 0 && range.length <= MAX_PART);
                next += range.length;
            }
            prop_assert_eq!(next, size);
        }

        #[test]
        fn a_layout_is_recognised_from_its_first_part(size in (6 * MIB)..(1 << 40), wanted in MIN_PART..(1 << 30)) {
            let layout = PartLayout::new(size, wanted);
            let first = layout.part_size().min(size);
            let seen = PartLayout::like(size, first, u32::try_from(layout.count()).unwrap()).unwrap();
            prop_assert!(seen.parts().eq(layout.parts()));
        }
    }
}
