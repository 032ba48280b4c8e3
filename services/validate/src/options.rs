//! What a workflow may say to `honk/validate` in `with:`. Everything has a default; a misspelt name is an error.

use std::collections::BTreeSet;

use honk_storage::probe::Ability;
use serde::{Deserialize, Deserializer};

/// How thoroughly the stores are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Probing {
    /// Everything that a migration can make use of.
    #[default]
    Full,
    /// Only what it cannot do without: list and read at the source; list, write, read and delete at the target.
    Brief,
}

/// The `with:` of `honk/validate`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// How thoroughly the stores are looked at.
    pub probe: Probing,
    /// What the target must be able to do, by the codes of docs/STORES.md.
    #[serde(deserialize_with = "abilities")]
    pub needs: BTreeSet<Ability>,
    /// The dry run. Left out: the usual one, of datasets that are so large that it is a small part of the work.
    pub sample: Option<SampleOptions>,
    /// Whether names and types of columns are read from the first object of a known format.
    pub schema: bool,
    /// Bytes that the dataset may take at the target. S3 has no question for the space that is left, so a person answers it.
    pub room: Option<u64>,
}

/// How much of the dataset is copied to the target's probe folder, compared and removed again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SampleOptions {
    /// The first so many objects; 0 leaves the dry run out.
    pub objects: usize,
    /// At most so many bytes of them together. They are held in memory.
    pub bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { probe: Probing::Full, needs: BTreeSet::new(), sample: None, schema: true, room: None }
    }
}

impl Default for SampleOptions {
    fn default() -> Self {
        Self { objects: 4, bytes: 4 << 20 }
    }
}

/// Without a word of the workflow, a dry run must be at most this part of the work.
const WORTH: u64 = 16;

impl Options {
    /// The dry run of a dataset of so many objects and bytes.
    pub fn sample_of(&self, objects: u64, bytes: u64) -> SampleOptions {
        let usual = SampleOptions::default();
        let is_large = objects >= WORTH * usual.objects as u64 || bytes >= WORTH * usual.bytes;
        match self.sample {
            Some(said) => said,
            None if is_large => usual,
            None => SampleOptions { objects: 0, ..usual },
        }
    }

    /// The first objects that are remembered for it.
    pub fn most_sampled(&self) -> usize {
        self.sample.unwrap_or_default().objects
    }
}

fn abilities<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeSet<Ability>, D::Error> {
    let codes = Vec::<String>::deserialize(deserializer)?;
    codes.iter().map(|code| code.parse().map_err(serde::de::Error::custom)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn everything_can_be_said_and_nothing_must() {
        let said = json!({
            "probe": "brief", "needs": ["tags", "write-if-absent"], "sample": {"objects": 0}, "schema": false, "room": 1000,
        });
        let options: Options = serde_json::from_value(said).unwrap();
        assert_eq!(options.needs, BTreeSet::from([Ability::Tags, Ability::WriteIfAbsent]));
        assert_eq!((options.probe, options.room), (Probing::Brief, Some(1000)));
        assert_eq!(options.sample, Some(SampleOptions { objects: 0, ..SampleOptions::default() }));
        assert_eq!(serde_json::from_value::<Options>(json!({})).unwrap(), Options::default());
    }

    #[test]
    fn a_small_dataset_has_a_dry_run_only_if_the_workflow_says_so() {
        let objects = |options: &Options, objects, bytes| options.sample_of(objects, bytes).objects;
        let (silent, asked) = (Options::default(), SampleOptions { objects: 2, bytes: 1 });
        assert_eq!((objects(&silent, 10, 40_960), objects(&silent, 64, 10), objects(&silent, 1, 64 << 20)), (0, 4, 4));
        assert_eq!(objects(&Options { sample: Some(asked), ..silent }, 1, 1), 2);
    }

    #[test]
    fn what_is_misspelt_is_named() {
        for (said, named) in [
            (json!({"smaple": {}}), "smaple"),
            (json!({"sample": {"object": 1}}), "object"),
            (json!({"needs": ["tagz"]}), "tagz"),
            (json!({"probe": "deep"}), "deep"),
        ] {
            let error = serde_json::from_value::<Options>(said).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
    }
}
