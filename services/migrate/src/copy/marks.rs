//! Where the keys of a source lie: what one pass met is where the next one cuts the key space from its beginning, instead of looking for
//! middles again.

use std::sync::{Mutex, PoisonError};

use super::span::KeyRange;

/// Keys between two marks: two pages, because a range of less is not worth a walk of its own.
const APART: u64 = 2_000;

/// The most marks that are kept; beyond it every other one goes.
const MOST: usize = 1_024;

/// Marks of one walk, in the order of its keys, evenly spaced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Trail {
    marks: Vec<String>,
    /// How often the distance was doubled.
    doubled: u32,
    since: u64,
}

impl Trail {
    /// Notes the next key.
    pub(super) fn note(&mut self, key: &str) {
        self.since += 1;
        if self.since >= APART << self.doubled {
            self.since = 0;
            self.marks.push(key.to_owned());
            self.thin();
        }
    }

    /// Adds the trail of the keys behind this one's.
    pub(super) fn extend(&mut self, next: Self) {
        self.marks.extend(next.marks);
        self.doubled = self.doubled.max(next.doubled);
        self.since = next.since;
        self.thin();
    }

    fn thin(&mut self) {
        if self.marks.len() > MOST {
            // Every second one, so that the last mark before the distance was doubled is as far from the next as the others.
            self.marks = std::mem::take(&mut self.marks).into_iter().skip(1).step_by(2).collect();
            self.doubled += 1;
        }
    }
}

/// What is known of where keys lie; empty at first.
#[derive(Debug, Default)]
pub(crate) struct Marks(Mutex<Vec<String>>);

impl Marks {
    /// Replaces it by what a walk over all keys has met.
    pub(super) fn learn(&self, trail: Trail) {
        self.replace(trail.marks);
    }

    /// Replaces it by keys in their order.
    pub(crate) fn replace(&self, marks: Vec<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = marks;
    }

    /// All keys, in at most `most` ranges of about as many keys each.
    pub(super) fn ranges(&self, most: usize) -> Vec<KeyRange> {
        let marks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = most.clamp(1, marks.len() + 1);
        let mut after = None;
        let mut ranges = Vec::with_capacity(count);
        for number in 1..count {
            let until = marks.get(number * (marks.len() + 1) / count - 1).cloned();
            ranges.push(KeyRange { after, until: until.clone() });
            after = until;
        }
        ranges.push(KeyRange { after, until: None });
        ranges
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ranges_follow_each_other_and_have_all_keys(count in 0usize..50, most in 0usize..20) {
            let marks = Marks::default();
            marks.replace((0..count).map(|number| format!("{number:03}")).collect());
            let ranges = marks.ranges(most);
            prop_assert_eq!(ranges.len(), most.clamp(1, count + 1));
            prop_assert_eq!((&ranges[0].after, &ranges[ranges.len() - 1].until), (&None, &None));
            for pair in ranges.windows(2) {
                prop_assert!(pair[0].until.is_some() && pair[0].until == pair[1].after, "{pair:?}");
                prop_assert!(pair[0].after < pair[1].after, "{pair:?}");
            }
        }
    }

    #[test]
    fn marks_are_few_and_evenly_spaced_however_many_keys_there_are() {
        let mut trail = Trail::default();
        for number in 0..5_000_000 {
            trail.note(&format!("{number:07}"));
        }
        assert!(trail.marks.len() <= MOST && trail.marks.len() > MOST / 4, "{}", trail.marks.len());
        let numbers: Vec<u64> = trail.marks.iter().map(|mark| mark.parse().unwrap()).collect();
        let gaps: Vec<u64> = numbers.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(gaps.iter().max() <= gaps.iter().min().map(|least| 2 * least).as_ref(), "{gaps:?}");
    }
}
