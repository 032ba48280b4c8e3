//! What owners and consumers are told when a dataset moved: a `CloudEvent`, the same on NATS and in a webhook's body.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::dataset::Place;
use crate::name::{DatasetName, RunId, WorkflowName};

/// `CloudEvents` `type` of a migrated dataset's notice.
pub const DATASET_MIGRATED: &str = "dev.honk.dataset.migrated";

/// `CloudEvents` `source` of all notices.
pub const NOTICE_SOURCE: &str = "/honk/notify";

/// A notice in structured mode. Standard Webhooks asks for `type`, `timestamp` and `data`; `CloudEvents` for the rest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Notice {
    /// `1.0`.
    pub specversion: String,
    /// Stable over retries and redeliveries.
    pub id: String,
    /// [`NOTICE_SOURCE`].
    pub source: String,
    /// [`DATASET_MIGRATED`].
    #[serde(rename = "type")]
    pub kind: String,
    /// The dataset.
    pub subject: String,
    /// When the run's cut-over was recorded.
    pub time: Timestamp,
    /// The same, by the name that Standard Webhooks gives it.
    pub timestamp: Timestamp,
    /// `application/json`.
    pub datacontenttype: String,
    /// What happened.
    pub data: Migrated,
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
