//! Who reads a dataset, and who among them has said that it reads the present place.
//!
//! A consumer is an entity of the catalog, or whoever calls itself by such a name. It is known because the catalog says that it reads the
//! dataset, or because it was heard: it asked for the location by its name, or said that it has moved.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::entity::{DEFAULT_NAMESPACE, EntityRef, EntityRefError};

/// What a consumer's name is if it says no kind.
const DEFAULT_KIND: &str = "component";

/// Reads a consumer's name: an entity reference, where `report` stands for `component:default/report`.
///
/// # Errors
/// It is no reference.
pub fn parse_consumer(text: &str) -> Result<EntityRef, EntityRefError> {
    EntityRef::parse(text, Some(DEFAULT_KIND), DEFAULT_NAMESPACE)
}

/// How a consumer was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Heard {
    /// It said that it reads the place of this epoch.
    Acknowledged,
    /// It asked where the dataset lies, and was told the place of this epoch.
    Resolved,
}

/// The newest epoch that a consumer is known to have seen; one key a dataset and consumer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighting {
    /// The consumer.
    pub consumer: EntityRef,
    /// The epoch.
    pub epoch: u64,
    /// When.
    pub at: Timestamp,
    /// How.
    pub how: Heard,
}

/// A consumer of a dataset, and how far it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consumer {
    /// Its reference, such as `component:default/report`.
    pub consumer: EntityRef,
    /// Whether the catalog says that it reads the dataset.
    pub declared: bool,
    /// Whether it reads the present place, as far as is known; if not, it may still read an old one.
    pub current: bool,
    /// The newest epoch that it has seen; none if it was never heard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
    /// When it was heard last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// How it was heard last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub how: Option<Heard>,
}

/// Every consumer that is `declared` or was heard, by its reference; `epoch` is the location's present one.
pub fn consumers(declared: &BTreeSet<EntityRef>, heard: Vec<Sighting>, epoch: u64) -> Vec<Consumer> {
    let unheard = |consumer: &EntityRef| Consumer {
        consumer: consumer.clone(),
        declared: declared.contains(consumer),
        current: false,
        epoch: None,
        at: None,
        how: None,
    };
    let mut all: BTreeMap<EntityRef, Consumer> = declared.iter().map(|one| (one.clone(), unheard(one))).collect();
    for sighting in heard {
        let known = unheard(&sighting.consumer);
        let told = Consumer {
            current: sighting.epoch >= epoch,
            epoch: Some(sighting.epoch),
            at: Some(sighting.at),
            how: Some(sighting.how),
            ..known
        };
        all.insert(sighting.consumer, told);
    }
    all.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_name_is_a_components() {
        for (text, expected) in [
            ("Report", "component:default/report"),
            ("api:feed", "api:default/feed"),
            ("component:team/report", "component:team/report"),
        ] {
            assert_eq!(parse_consumer(text).expect("a reference").to_string(), expected);
        }
        assert!(parse_consumer("a b").is_err() && parse_consumer("").is_err());
    }

    #[test]
    fn who_is_declared_or_was_heard_is_known_and_only_who_saw_the_epoch_is_current() {
        let one = |text: &str| parse_consumer(text).expect("a reference");
        let declared = BTreeSet::from([one("report"), one("board")]);
        let at = Timestamp::UNIX_EPOCH;
        let heard = |text: &str, epoch| Sighting { consumer: one(text), epoch, at, how: Heard::Resolved };
        let known = consumers(&declared, vec![heard("report", 3), heard("laptop", 2)], 3);
        let shown: Vec<_> =
            known.iter().map(|one| (one.consumer.name().as_str(), one.declared, one.current, one.epoch)).collect();
        assert_eq!(
            shown,
            [("board", true, false, None), ("laptop", false, false, Some(2)), ("report", true, true, Some(3))]
        );
    }
}
