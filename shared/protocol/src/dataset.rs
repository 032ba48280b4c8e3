//! Where a dataset lies: its source, its target, and which of the two readers should use now.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::name::RunId;

/// A place in S3-compatible storage: all objects of `bucket` whose keys begin with `prefix` and a `/`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct S3Place {
    /// The bucket.
    pub bucket: String,
    /// The folder inside it; empty means the whole bucket.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub prefix: String,
    /// The endpoint's URL; none means AWS, or the agents' configured default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// The region; none means the endpoint's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
}

/// A place, by the kind of storage it is in.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// S3-compatible storage.
    S3(S3Place),
}

/// What a person registers: the JSON registry's form `{"source":{"s3":{…}},"target":{"s3":{…}}}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LocationSpec {
    /// Where the dataset lies.
    pub source: Place,
    /// Where it shall go.
    pub target: Place,
    /// The data's format, such as `parquet`; for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
}

/// Which side of a location.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The place it comes from.
    Source,
    /// The place it goes to.
    Target,
}

/// A dataset's location, as it is kept. Only a migration that has verified every object moves `active` to the target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Location {
    /// The two places.
    #[serde(flatten)]
    pub spec: LocationSpec,
    /// The place that readers should use.
    pub active: Side,
    /// Since when it is.
    pub since: Timestamp,
    /// The run that made it so; none if a person did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
}

impl Location {
    /// A location as a person registers it: the source is active.
    pub fn registered(spec: LocationSpec, now: Timestamp) -> Self {
        Self { spec, active: Side::Source, since: now, run: None }
    }

    /// The location after `run` has verified the target.
    #[must_use]
    pub fn cut_over(&self, run: &RunId, now: Timestamp) -> Self {
        Self { active: Side::Target, since: now, run: Some(run.clone()), ..self.clone() }
    }

    /// The active place.
    pub fn active_place(&self) -> &Place {
        match self.active {
            Side::Source => &self.spec.source,
            Side::Target => &self.spec.target,
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self::S3(place) = self;
        write!(f, "s3://{}", place.bucket)?;
        if place.prefix.is_empty() { Ok(()) } else { write!(f, "/{}", place.prefix.trim_matches('/')) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_json_registrys_form_reads_and_a_cut_over_moves_only_what_it_should() {
        let spec: LocationSpec = serde_json::from_str(
            r#"{"source":{"s3":{"bucket":"old"}},"target":{"s3":{"bucket":"new","prefix":"a/b"}}}"#,
        )
        .expect("the registry's form");
        let before = Location::registered(spec.clone(), Timestamp::UNIX_EPOCH);
        let run = RunId::of_event("test", "1");
        let after = before.cut_over(&run, Timestamp::MAX);
        assert_eq!((after.spec.clone(), after.active, after.run.clone()), (spec, Side::Target, Some(run)));
        assert_eq!(
            (before.active_place().to_string(), after.active_place().to_string()),
            ("s3://old".into(), "s3://new/a/b".into())
        );
        let json = serde_json::to_string(&after).expect("serialises");
        assert_eq!(serde_json::from_str::<Location>(&json).expect("reads back"), after);
    }

    #[test]
    fn a_misspelt_key_of_a_place_is_refused() {
        let text = r#"{"source":{"s3":{"bucket":"old","prefx":"a"}},"target":{"s3":{"bucket":"new"}}}"#;
        let error = serde_json::from_str::<LocationSpec>(text).expect_err("`prefx` is no key").to_string();
        assert!(error.contains("prefx") && error.contains("prefix"), "{error}");
    }
}
