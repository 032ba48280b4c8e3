//! Where a dataset lies, who reads it there, and what becomes of the place that readers have left.

pub use honk_protocol::dataset::LOCATION_MAX_AGE;
use honk_protocol::dataset::{Consumer, Hold, Location, Place, Retired, Side};
use honk_protocol::name::{DatasetName, RunId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The header that names the consumer that asks for a location; the query's `consumer` does too.
pub const CONSUMER_HEADER: &str = "honk-consumer";

/// Where a dataset lies. Answer to `PUT` and `GET` of `/api/datasets/{name}/location`; the `PUT`'s body is
/// [`honk_protocol::dataset::LocationSpec`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocationView {
    /// The dataset.
    pub dataset: DatasetName,
    /// Where it came from.
    pub source: Place,
    /// Where it goes, or went.
    pub target: Place,
    /// The data's format, such as `parquet`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// The side that readers should use.
    pub active: Side,
    /// The place of that side.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// Which answer this is: higher than before whenever readers have to go to another place.
    #[serde(default = "first_epoch")]
    pub epoch: u64,
    /// Since when it is.
    pub since: Timestamp,
    /// The run that made it so; none if a person did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// A run asks writers to wait: it is about to cut over. It counts until its `until`, not longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
    /// Until when the source is kept, so that it can be rolled back; none before a cut-over, and where nobody has set an end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retain_until: Option<Timestamp>,
    /// What became of the source after that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retired: Option<Retired>,
}

const fn first_epoch() -> u64 {
    1
}

/// Query of `GET /api/datasets/{name}/location`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocationQuery {
    /// Who asks: a consumer that is told the place has moved there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumer: Option<String>,
}

/// Answer to `GET /api/datasets/{name}/consumers`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsumerList {
    /// The dataset.
    pub dataset: DatasetName,
    /// The location's present epoch; none if it has no location.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
    /// Who is known to read it.
    pub consumers: Vec<Consumer>,
}

/// Body of `POST /api/datasets/{name}/consumers/{consumer}/ack`. It may be left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsumerAck {
    /// The epoch whose place it reads; the present one unless it is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
}

/// Body of `POST /api/datasets/{name}/rollback`. It may be left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RollbackRequest {
    /// Go back although the retention is over.
    #[serde(default)]
    pub force: bool,
}

/// Answer to `POST /api/datasets/{name}/rollback` (200): readers are sent to the source again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolledBack {
    /// Where the dataset lies now.
    pub location: LocationView,
    /// The run that finds out what was written to the target in the meantime.
    pub run: RunId,
    /// Where it can be looked at.
    pub url: String,
}

/// Body of `POST /api/datasets/{name}/retire`; its answer is [`super::EventAccepted`] (202). It may be left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetireRequest {
    /// Only list what would be removed.
    #[serde(default)]
    pub dry_run: bool,
    /// Remove the source's objects, instead of only marking it as deprecated.
    #[serde(default)]
    pub remove: bool,
    /// Remove what this list of a dry run has, instead of listing now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list: Option<String>,
}

impl LocationView {
    /// The location as it is shown.
    pub fn new(dataset: &DatasetName, location: &Location) -> Self {
        Self {
            dataset: dataset.clone(),
            source: location.spec.source.clone(),
            target: location.spec.target.clone(),
            format: location.spec.format.clone(),
            active: location.active,
            place: Some(location.active_place().clone()),
            epoch: location.epoch,
            since: location.since,
            run: location.run.clone(),
            hold: location.hold.clone(),
            retain_until: location.retain_until,
            retired: location.retired.clone(),
        }
    }

    /// The place that readers should use.
    pub fn active_place(&self) -> &Place {
        match self.active {
            Side::Source => &self.source,
            Side::Target => &self.target,
        }
    }
}
