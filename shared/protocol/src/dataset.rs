//! Where a dataset lies: its two places, and the [`Location`] that says which of them readers should use now.

mod consumer;
mod location;
mod removal;

use serde::{Deserialize, Serialize};

pub use consumer::{Consumer, Heard, Sighting, consumers, parse_consumer};
pub use location::{
    Former, Hold, KEEP_FORMER, LOCATION_MAX_AGE, Location, NotRetirable, NotRollable, Retired, RetiredState,
};
pub use removal::{Removal, RemovalList};

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

impl LocationSpec {
    /// The place of this side.
    pub const fn place(&self, side: Side) -> &Place {
        match side {
            Side::Source => &self.source,
            Side::Target => &self.target,
        }
    }
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
    fn a_misspelt_key_of_a_place_is_refused() {
        let text = r#"{"source":{"s3":{"bucket":"old","prefx":"a"}},"target":{"s3":{"bucket":"new"}}}"#;
        let error = serde_json::from_str::<LocationSpec>(text).expect_err("`prefx` is no key").to_string();
        assert!(error.contains("prefx") && error.contains("prefix"), "{error}");
    }
}
