//! What owners and consumers are told about where a dataset lies: `CloudEvents`, the same on NATS and in a webhook's body.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::dataset::Place;
use crate::name::{DatasetName, RunId, WorkflowName};

/// `CloudEvents` `type` of a migrated dataset's notice.
pub const DATASET_MIGRATED: &str = "dev.honk.dataset.migrated";

/// `CloudEvents` `type` of the notice that readers were sent back to the source.
pub const DATASET_ROLLED_BACK: &str = "dev.honk.dataset.rolled-back";

/// `CloudEvents` `type` of the notice of what was written to the target between a cut-over and its roll-back.
pub const ROLLBACK_REPORTED: &str = "dev.honk.dataset.rollback-reported";

/// `CloudEvents` `type` of the notice that nobody should read a source any more.
pub const SOURCE_DEPRECATED: &str = "dev.honk.dataset.source-deprecated";

/// `CloudEvents` `type` of the notice that a source's objects were removed.
pub const SOURCE_REMOVED: &str = "dev.honk.dataset.source-removed";

/// `CloudEvents` `source` of the notices of migrations.
pub const NOTICE_SOURCE: &str = "/honk/notify";

/// `CloudEvents` `source` of the notices about locations.
pub const LOCATION_SOURCE: &str = "/honk/locations";

/// A notice in structured mode. Standard Webhooks asks for `type`, `timestamp` and `data`; `CloudEvents` for the rest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Notice"))]
pub struct Notice<D = Migrated> {
    /// `1.0`.
    pub specversion: String,
    /// Stable over retries and redeliveries.
    pub id: String,
    /// [`NOTICE_SOURCE`] or [`LOCATION_SOURCE`].
    pub source: String,
    /// What kind of notice it is, such as [`DATASET_MIGRATED`].
    #[serde(rename = "type")]
    pub kind: String,
    /// The dataset.
    pub subject: String,
    /// When it happened, as it was recorded.
    pub time: Timestamp,
    /// The same, by the name that Standard Webhooks gives it.
    pub timestamp: Timestamp,
    /// `application/json`.
    pub datacontenttype: String,
    /// What happened.
    pub data: D,
}

impl Notice<Relocated> {
    /// A notice about where a dataset lies, of this `kind`, about what happened at `time`.
    pub fn of_location(kind: &str, id: String, time: Timestamp, data: Relocated) -> Self {
        Self {
            specversion: "1.0".to_owned(),
            id,
            source: LOCATION_SOURCE.to_owned(),
            kind: kind.to_owned(),
            subject: data.dataset.to_string(),
            time,
            timestamp: time,
            datacontenttype: "application/json".to_owned(),
            data,
        }
    }
}

/// What happened to a dataset's location.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Relocated {
    /// The dataset.
    pub dataset: DatasetName,
    /// The location's epoch since then.
    pub epoch: u64,
    /// Where readers find it now.
    pub active: Place,
    /// The other place: the one that was left, deprecated or removed.
    pub other: Place,
    /// The run that did it; none if a person did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// Objects that it is about: those that were written since, or that were removed.
    #[serde(default)]
    pub objects: u64,
    /// Their bytes.
    #[serde(default)]
    pub bytes: u64,
}

/// What happened to the dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Migrated {
    /// The dataset.
    pub dataset: DatasetName,
    /// The run.
    pub run: RunId,
    /// The workflow.
    pub workflow: WorkflowName,
    /// The owner, as an entity reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Where readers found it before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Place>,
    /// Where readers find it now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Place>,
    /// Objects that were verified.
    #[serde(default)]
    pub objects: u64,
    /// Bytes that were verified.
    #[serde(default)]
    pub bytes: u64,
}
