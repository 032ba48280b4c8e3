//! A uniform sample of keys of any number, and ranges of about equal work made of it.

use fastrand::Rng;

use crate::{Inventory, Scope};

/// The most keys that are kept: two hundred for each of five hundred ranges, some ten MB.
pub const MOST_SAMPLED: usize = 100_000;

/// One range's share of the work, to be exact to a trillionth of it.
const UNIT: u128 = 1 << 40;

/// Keys greater than `after` and not greater than `until`, by their bytes, relative to the scope's prefix; and what is in there, estimated
/// where not all keys were kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Range {
    /// None in the first range: it begins with the first key, also with one that the inventory does not know.
    pub after: Option<String>,
    /// None in the last one.
    pub until: Option<String>,
    /// Objects.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Counts, and keeps each key with the same probability (reservoir sampling). The same rows give the same sample.
#[derive(Debug)]
pub(crate) struct Sampler {
    pub(crate) scope: Scope,
    most: usize,
    random: Rng,
    objects: u64,
    bytes: u64,
    kept: Vec<(String, u64)>,
}

impl Sampler {
    pub(crate) fn new(scope: Scope, most: usize) -> Self {
        Self { scope, most, random: Rng::with_seed(0), objects: 0, bytes: 0, kept: Vec::new() }
    }

    /// Counts the object `key`, if it is in scope.
    pub(crate) fn add(&mut self, key: &str, size: u64) {
        // An object named like the folder itself is its marker.
        let Some(key) = key.strip_prefix(&self.scope.prefix).filter(|key| !key.is_empty()) else { return };
        self.objects += 1;
        self.bytes = self.bytes.saturating_add(size);
        if self.kept.len() < self.most {
            self.kept.push((key.to_owned(), size));
            return;
        }
        let place = usize::try_from(self.random.u64(..self.objects)).unwrap_or(usize::MAX);
        if let Some(kept) = self.kept.get_mut(place) {
            *kept = (key.to_owned(), size);
        }
    }

    pub(crate) fn finish(self, created_ms: Option<i64>) -> Inventory {
        let mut sample = self.kept;
        sample.sort_unstable();
        Inventory { created_ms, objects: self.objects, bytes: self.bytes, sample }
    }
}

impl Inventory {
    /// Ranges of about equal work in the order of the keys, together all keys there can be: so many that none has much more than `objects`
    /// or `bytes`, but not more than `most`, and none of which nothing is known. None at all if the inventory is empty.
    pub fn cut(&self, (objects, bytes): (u64, u64), most: usize) -> Vec<Range> {
        let sums = self.sums();
        let share = |part: u64, whole: u64| u128::from(part) * UNIT / u128::from(whole.max(1));
        let works = sums.windows(2).map(|pair| {
            let (before, now) = (pair[0], pair[1]);
            share(now.0 - before.0, objects).max(share(now.1 - before.1, bytes))
        });
        let works: Vec<u128> = works.collect();
        let total = works.iter().sum::<u128>().max(1);
        let parts = total.div_ceil(UNIT).clamp(1, most.max(1) as u128);
        let mut ranges: Vec<Range> = Vec::new();
        let (mut begun, mut done, mut number) = ((0, 0), 0, 0);
        for (index, (key, _)) in self.sample.iter().enumerate() {
            // Of keys that are named twice, both are in one range.
            let is_new = index == 0 || self.sample[index - 1].0 != *key;
            if ranges.is_empty() || (is_new && done * parts / total > number) {
                number = done * parts / total;
                let after = index.checked_sub(1).map(|last| self.sample[last].0.clone());
                if let Some(last) = ranges.last_mut() {
                    last.until.clone_from(&after);
                }
                ranges.push(Range { after, ..Range::default() });
                begun = sums[index];
            }
            if let Some(range) = ranges.last_mut() {
                (range.objects, range.bytes) = (sums[index + 1].0 - begun.0, sums[index + 1].1 - begun.1);
            }
            done += works[index];
        }
        ranges
    }

    /// Objects and bytes up to each sampled key, estimated so that the last are those of all; before the first, nothing.
    fn sums(&self) -> Vec<(u64, u64)> {
        let sampled = self.sample.iter().fold(0u64, |sum, (_, size)| sum.saturating_add(*size));
        let of = |whole: u64, part: u64, parts: u64| u128::from(whole) * u128::from(part) / u128::from(parts.max(1));
        let narrow = |sum: u128| u64::try_from(sum).unwrap_or(u64::MAX);
        let (mut count, mut bytes) = (0u64, 0u64);
        let later = self.sample.iter().map(|(_, size)| {
            count += 1;
            bytes = bytes.saturating_add(*size);
            (narrow(of(self.objects, count, self.sample.len() as u64)), narrow(of(self.bytes, bytes, sampled)))
        });
        std::iter::once((0, 0)).chain(later).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn inventory(rows: &[(String, u64)], most: usize) -> Inventory {
        let scope = Scope { bucket: "b".into(), prefix: "in/".into() };
        let mut sampler = Sampler::new(scope, most);
        for (key, size) in rows {
            sampler.add(&format!("in/{key}"), *size);
            sampler.add(&format!("out/{key}"), *size);
        }
        sampler.add("in/", 7);
        sampler.finish(None)
    }

    /// How many of the keys are in each range.
    fn found(ranges: &[Range], keys: &[(String, u64)]) -> Vec<(u64, u64)> {
        let holds = |range: &Range, key: &String| {
            range.after.as_ref().is_none_or(|after| key > after)
                && range.until.as_ref().is_none_or(|until| key <= until)
        };
        let held = |range| keys.iter().filter(move |(key, _)| holds(range, key));
        ranges.iter().map(|range| held(range).fold((0, 0), |(count, sum), (_, size)| (count + 1, sum + size))).collect()
    }

    proptest! {
        #[test]
        fn ranges_follow_each_other_cover_everything_and_are_never_empty(
            rows in prop::collection::vec(("(a|b/|é|%20)[0-9]{1,3}", 0u64..1_000), 1..120),
            sampled in 1usize..150, objects in 0u64..30, bytes in 0u64..5_000, most in 1usize..12,
        ) {
            let inventory = inventory(&rows, sampled);
            prop_assert_eq!(inventory.objects, rows.len() as u64);
            let ranges = inventory.cut((objects, bytes), most);
            prop_assert!(!ranges.is_empty() && ranges.len() <= most.min(inventory.sample.len()), "{ranges:?}");
            prop_assert_eq!((&ranges[0].after, &ranges[ranges.len() - 1].until), (&None, &None));
            for pair in ranges.windows(2) {
                prop_assert!(pair[0].until.is_some() && pair[0].until == pair[1].after, "{pair:?}");
                prop_assert!(pair[0].after < pair[0].until, "{pair:?}");
            }
            prop_assert!(found(&ranges, &inventory.sample).iter().all(|(count, _)| *count > 0), "{ranges:?}");
            prop_assert_eq!(ranges.iter().map(|range| range.objects).sum::<u64>(), inventory.objects);
        }

        #[test]
        fn where_all_keys_are_kept_the_counts_are_exact_and_the_shares_equal(
            rows in prop::collection::btree_map("[a-c]{1,4}", 1u64..100, 1..80), objects in 1u64..30,
        ) {
            let rows: Vec<_> = rows.into_iter().collect();
            let ranges = inventory(&rows, 80).cut((objects, u64::MAX), 500);
            let counts: Vec<_> = ranges.iter().map(|range| (range.objects, range.bytes)).collect();
            prop_assert_eq!(&counts, &found(&ranges, &rows));
            let (least, largest) = (counts.iter().min().unwrap().0, counts.iter().map(|of| of.0).max().unwrap());
            prop_assert!(largest <= least + 1 && largest <= objects, "{counts:?}");
        }
    }

    #[test]
    fn of_a_million_keys_each_range_has_about_its_share() {
        let rows: Vec<_> = (0..1_000_000).map(|number| (format!("{number:07}"), number / 1_000)).collect();
        let inventory = inventory(&rows, 10_000);
        assert_eq!(inventory.sample.len(), 10_000);
        let ranges = inventory.cut((50_000, u64::MAX), 500);
        assert_eq!(ranges.len(), 20);
        for (range, (objects, bytes)) in ranges.iter().zip(found(&ranges, &rows)) {
            assert!(range.objects.abs_diff(objects) < 10_000, "{range:?} has {objects}");
            assert!(range.bytes.abs_diff(bytes) < 10_000_000, "{range:?} has {bytes}");
        }
        assert!(inventory.cut((1, 1), 500).len() > 450, "many are wanted, few may be");
        assert_eq!(inventory.cut((u64::MAX, u64::MAX), 500).len(), 1);
        assert_eq!(super::tests::inventory(&[], 10).cut((1, 1), 500), vec![]);
    }
}
