//! What the steps of a run printed: page by page, or as server-sent events.

use honk_protocol::log::LogStream;
use honk_protocol::name::{JobName, RunId};
use jiff::{SpanRelativeTo, Timestamp};
use serde::{Deserialize, Serialize};

use super::RunEnd;

/// How many lines a page has if the query does not say.
pub const DEFAULT_LOG_LIMIT: usize = 1_000;

/// The most lines a page may have; long lines make it shorter.
pub const MAX_LOG_LIMIT: usize = 5_000;

/// Query of `GET /api/runs/{id}/logs` and `GET /api/datasets/{name}/logs`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogQuery {
    /// Only this job's; of one with a matrix, those of all its items, which are named `job:0`, `job:1` and so on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobName>,
    /// Only those of this attempt, counted from 1 over all dispatches of the job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// Only lines that were printed since then: a time, or how long ago, such as `10m` ([`since`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Only what follows the line with this cursor, or the page with this `next`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// How many lines at most, up to [`MAX_LOG_LIMIT`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// Lines of a run, the oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPage {
    /// The run.
    pub run: RunId,
    /// The lines.
    pub items: Vec<LogItem>,
    /// What `after` must be for the next page; none if there are no more lines at this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A line that a step printed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogItem {
    /// The run.
    pub run: RunId,
    /// The job.
    pub job: JobName,
    /// The attempt, from 1.
    pub attempt: u32,
    /// The step, from 1 in the order of the workflow.
    pub step: u32,
    /// The step's name, or its command.
    pub title: String,
    /// The agent that ran it.
    pub agent: String,
    /// When the line was read.
    pub at: Timestamp,
    /// Where it was printed.
    pub stream: LogStream,
    /// The text as it was printed, with whatever escape sequences it has; secrets are masked.
    pub text: String,
    /// Whether the next line of the same stream continues it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub continued: bool,
    /// Its place in the log, for `after` and `Last-Event-ID`.
    pub cursor: String,
}

/// One server-sent event of a log that is followed; the variant is the `event:` field, its content the `data:`.
#[derive(Debug, Clone, PartialEq)]
pub enum LogUpdate {
    /// `event: line`: a line; its cursor is the event's `id:`.
    Line(Box<LogItem>),
    /// `event: end`: the run came to its end, and all of its lines were sent.
    End(RunEnd),
}

impl LogUpdate {
    /// The word in the `event:` field.
    pub const fn event(&self) -> &'static str {
        match self {
            Self::Line(_) => "line",
            Self::End(_) => "end",
        }
    }

    /// The JSON in the `data:` field.
    pub fn data(&self) -> Result<String, serde_json::Error> {
        match self {
            Self::Line(line) => serde_json::to_string(line),
            Self::End(end) => serde_json::to_string(end),
        }
    }

    /// Reads an event; one of another name is none of these, and to be passed over.
    pub fn read(event: &str, data: &str) -> Result<Option<Self>, serde_json::Error> {
        Ok(match event {
            "line" => Some(Self::Line(serde_json::from_str(data)?)),
            "end" => Some(Self::End(serde_json::from_str(data)?)),
            _ => None,
        })
    }
}

/// Reads a time such as `2026-01-02T03:04:05Z`, or how long before `now` such as `90s`, `10m`, `1h 30m` or `2d`.
///
/// # Errors
/// What must be written instead.
pub fn since(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    let wrong =
        || format!("`{text}` is neither a time, such as `2026-01-02T03:04:05Z`, nor how long ago, such as `10m`");
    let span: jiff::Span = text.parse().map_err(|_| wrong())?;
    let ago = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    if ago.is_negative() {
        return Err(wrong());
    }
    Ok(now.checked_sub(ago).unwrap_or(Timestamp::MIN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_a_time_or_how_long_ago() {
        let now: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        for (text, expected) in [
            ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
            ("2026-01-01T00:00:00+02:00", "2025-12-31T22:00:00Z"),
            ("10m", "2026-01-02T02:54:05Z"),
            ("1h 30m", "2026-01-02T01:34:05Z"),
            ("90s", "2026-01-02T03:02:35Z"),
            ("2d", "2025-12-31T03:04:05Z"),
        ] {
            assert_eq!(since(text, now).unwrap(), expected.parse().unwrap(), "{text}");
        }
        for wrong in ["", "yesterday", "-10m", "10", "1 year"] {
            assert!(since(wrong, now).unwrap_err().contains("`10m`"), "{wrong}");
        }
    }
}
