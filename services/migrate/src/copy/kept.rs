//! The names at the target that were taken before the migration began. What else is at the target the migration has brought there, and so
//! it may replace and remove it as the source changes.

use serde::{Deserialize, Serialize};

use super::span::KeyRange;

/// The most names that are remembered: they are kept in memory. Who has more should migrate into a folder of its own.
pub(crate) const MOST_KEPT: usize = 200_000;

/// Sorted names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept(Vec<String>);

impl Kept {
    /// Names in the order of a listing.
    pub(crate) fn new(mut names: Vec<String>) -> Self {
        names.sort_unstable();
        names.dedup();
        Self(names)
    }

    /// How many.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn contains(&self, key: &str) -> bool {
        self.0.binary_search_by(|name| name.as_str().cmp(key)).is_ok()
    }

    /// All of them.
    pub(crate) fn names(&self) -> &[String] {
        &self.0
    }

    /// Those within a range.
    pub(crate) fn within(&self, range: &KeyRange) -> Self {
        let is_within = |name: &&String| {
            range.after.as_ref().is_none_or(|after| *name > after)
                && range.until.as_ref().is_none_or(|until| *name <= until)
        };
        Self(self.0.iter().filter(is_within).cloned().collect())
    }
}
