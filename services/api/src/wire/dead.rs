//! Dead letters: as a page, one by one with their bytes, and replayed.

use honk_protocol::name::{DatasetName, JobName, PoolName, RunId};
use honk_protocol::reason::Reason;
use honk_protocol::run::Fault;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Query of `GET /api/dead-letters`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeadLetterQuery {
    /// Only those of this reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// Only those of this pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<PoolName>,
    /// Only this dataset's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataset: Option<DatasetName>,
    /// The `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// How many at most, up to [`super::MAX_LIMIT`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// Answer to `GET /api/dead-letters`: the newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetterPage {
    /// The dead letters, each without its `payload`.
    pub dead_letters: Vec<DeadLetterView>,
    /// The cursor of the next page; none on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A dead letter. Answer to `GET /api/dead-letters/{id}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetterView {
    /// Its id: `<run>.<job>`, `event.<key>` or `message.<key>`.
    pub id: String,
    /// The subject that the original was stored under.
    pub subject: String,
    /// The stable code.
    pub reason: Reason,
    /// What the code means.
    pub meaning: String,
    /// What a person does about it.
    pub advice: String,
    /// Whose fault.
    pub fault: Fault,
    /// The last error.
    pub error: String,
    /// How often the original was delivered.
    pub attempts: u32,
    /// The dataset, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataset: Option<String>,
    /// The run, if it is a job's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// The job, if it is one's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobName>,
    /// The pool, if it is a job's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<PoolName>,
    /// The trace id, 32 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// When it was stored.
    pub time: Timestamp,
    /// The original's bytes; pages leave them out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Payload>,
}

/// Bytes in JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Payload {
    /// They are UTF-8.
    Text(String),
    /// They are not, so here they are in base64.
    Base64(String),
}

/// Answer to `POST /api/dead-letters/{id}/replay` (202): the work is dispatched again and the letter is gone. Discarding
/// one (`DELETE /api/dead-letters/{id}`) answers 204 without a body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replayed {
    /// The letter's id.
    pub id: String,
    /// The run that goes on, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// Where the run can be looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}
