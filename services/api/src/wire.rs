//! The JSON of every request and answer, for both sides: the handlers write these types, the `honk` command reads them.
//!
//! A field that has no value is left out. Times are RFC 3339, durations milliseconds, sizes bytes. A reader must pass
//! over fields that it does not know. Every error is a [`Problem`].

mod dataset;
mod dead;
mod location;
mod log;
mod problem;
mod run;
mod workflow;

use honk_protocol::name::RunId;
use serde::{Deserialize, Serialize};

pub use dataset::{
    DatasetPage, DatasetQuery, DatasetView, ImportAnswer, ImportProblem, ImportStatus, ImportedDocument,
};
pub use dead::{DeadLetterPage, DeadLetterQuery, DeadLetterView, Payload, Replayed};
pub use location::{
    CONSUMER_HEADER, ConsumerAck, ConsumerList, LOCATION_MAX_AGE, LocationQuery, LocationView, RetireRequest,
    RollbackRequest, RolledBack,
};
pub use log::{DEFAULT_LOG_LIMIT, LogItem, LogPage, LogQuery, LogUpdate, MAX_LOG_LIMIT, since};
pub use problem::{Fault, Problem};
pub use run::{FailureView, ItemsView, JobView, ProgressView, RunEnd, RunPage, RunQuery, RunRetry, RunUpdate, RunView};
pub use workflow::{
    WorkflowDeletion, WorkflowHistory, WorkflowJob, WorkflowPage, WorkflowRegistered, WorkflowRegistration,
    WorkflowRollback, WorkflowStatus, WorkflowSummary, WorkflowTermView, WorkflowView,
};

/// Answer to `POST /events` (202): the event is stored; its run exists as soon as intake has read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventAccepted {
    /// The run that the event starts; the same for a repeated event.
    pub run: RunId,
    /// Where the run can be looked at: a path on this server, or below the configured public URL.
    pub url: String,
}

/// How many items a page has if the query does not say.
pub const DEFAULT_LIMIT: usize = 50;

/// The most items a page may have.
pub const MAX_LIMIT: usize = 500;
