//! What the steps of a job print, line by line. An agent publishes lines in chunks while the step runs; they are kept in
//! order under one subject for each attempt ([`crate::subject::LogSubject`]).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The message's schema version.
pub const LOG_VERSION: u8 = 1;

/// The longest text of a line, in bytes: a longer line comes as several, each but the last marked as
/// [`LogLine::continued`].
pub const MAX_LINE_BYTES: usize = 16 * 1024;

/// Lines of one step, in the order they were printed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LogChunk {
    /// [`LOG_VERSION`].
    #[cfg_attr(feature = "schema", schemars(extend("const" = LOG_VERSION)))]
    pub v: u8,
    /// The attempt as people count it, over all dispatches of the job, from 1.
    pub attempt: u32,
    /// The agent that ran the step.
    pub agent: String,
    /// The step, from 1 in the order of the workflow.
    pub step: u32,
    /// The step's name, or its command.
    pub title: String,
    /// The lines.
    pub lines: Vec<LogLine>,
}

/// A line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LogLine {
    /// When it was read.
    pub at: Timestamp,
    /// Where it was printed.
    pub stream: LogStream,
    /// The text without its end of line; secrets are masked, bytes that are no UTF-8 are replaced by U+FFFD.
    pub text: String,
    /// Whether the next line of the same stream continues it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub continued: bool,
}

/// Where a line was printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum LogStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// The agent's own words about the step: how it ended, that its output was cut off.
    Agent,
}
