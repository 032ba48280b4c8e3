//! Reads what a run's steps printed from its stream, page by page. Nothing is kept here between two pages but the place that was
//! reached, so a reader that is slow, or goes away, costs nothing.

use honk_bus::{Bus, BusError, Message, Start};
use honk_protocol::log::{LOG_VERSION, LogChunk};
use honk_protocol::name::JobName;
use honk_protocol::run::Run;
use honk_protocol::subject::{LogSubject, job_log_filter, run_log_filter};
use honk_protocol::topology;
use jiff::{SignedDuration, Timestamp};

use crate::wire::{LogItem, LogQuery};

/// How many messages are asked for at a time: what of them does not fit into a page is read again for the next one.
const MESSAGES: usize = 32;

/// How much an agent's clock, which lines have their time from, may be ahead of the server's, which finds them by time.
const SKEW: SignedDuration = SignedDuration::from_mins(5);

/// A place in a log: the message with this sequence, of which this many lines have been read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Place {
    sequence: u64,
    lines: usize,
}

/// Reads a run's lines, or those of them that a query selects.
pub(crate) struct LogReader {
    bus: Bus,
    filter: String,
    /// Only this job's lines and those of its items, where the filter lets through more.
    job: Option<JobName>,
    attempt: Option<u32>,
    since: Option<Timestamp>,
    place: Place,
}

/// Lines, and whether there are more of them.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    pub(crate) items: Vec<LogItem>,
    pub(crate) more: bool,
}

impl LogReader {
    /// Reads what follows `after`; none if that is no cursor.
    pub(crate) fn new(bus: &Bus, run: &Run, query: &LogQuery, since: Option<Timestamp>) -> Option<Self> {
        // The items of a job print under their own names, which no filter of subjects has in common; and a job may still get items.
        let has_no_items =
            |job: &JobName| run.state.is_finished() && run.job(job).is_some_and(|job| job.items.is_empty());
        let alone = query.job.as_ref().filter(|job| job.parent().is_some() || has_no_items(job));
        let filter = alone.map_or_else(|| run_log_filter(&run.id), |job| job_log_filter(&run.id, job));
        let place = query.after.as_deref().map_or(Some(Place::default()), Place::parse)?;
        Some(Self { bus: bus.clone(), filter, job: query.job.clone(), attempt: query.attempt, since, place })
    }

    /// The subjects of all lines that it can find.
    pub(crate) fn filter(&self) -> &str {
        &self.filter
    }

    /// What `after` must be to go on from here.
    pub(crate) fn cursor(&self) -> String {
        self.place.to_string()
    }

    /// At most `limit` lines, those of a few messages; possibly none although there are more.
    pub(crate) async fn read(&mut self, limit: usize) -> Result<Lines, BusError> {
        let start = match self.since {
            Some(since) if self.place == Place::default() => {
                Start::Time(since.checked_sub(SKEW).unwrap_or(Timestamp::MIN).max(Timestamp::UNIX_EPOCH))
            }
            _ => Start::Sequence(self.place.sequence),
        };
        let part = self.bus.part(topology::LOGS, &self.filter, start, MESSAGES).await?;
        let mut lines = Lines { items: Vec::new(), more: part.more };
        for message in &part.messages {
            let seen = if message.sequence == self.place.sequence { self.place.lines } else { 0 };
            for (index, item) in items(message).into_iter().enumerate().skip(seen) {
                if lines.items.len() == limit {
                    lines.more = true;
                    return Ok(lines);
                }
                self.place = Place { sequence: message.sequence, lines: index + 1 };
                if self.selects(&item) {
                    lines.items.push(item);
                }
            }
            self.place = Place { sequence: message.sequence + 1, lines: 0 };
        }
        Ok(lines)
    }

    fn selects(&self, item: &LogItem) -> bool {
        let is_of = |job: &JobName| item.job == *job || item.job.parent().as_ref() == Some(job);
        self.job.as_ref().is_none_or(is_of)
            && self.attempt.is_none_or(|attempt| item.attempt == attempt)
            && self.since.is_none_or(|since| item.at >= since)
    }
}

/// The lines of a message; none if it cannot be read, so that one bad message does not hide the others.
fn items(message: &Message) -> Vec<LogItem> {
    let chunk = serde_json::from_slice::<LogChunk>(&message.payload).ok().filter(|chunk| chunk.v == LOG_VERSION);
    let (Ok(subject), Some(chunk)) = (message.subject.parse::<LogSubject>(), chunk) else {
        tracing::warn!(message.subject, message.sequence, "left out of a log: the message cannot be read");
        return Vec::new();
    };
    let LogChunk { attempt, agent, step, title, lines, .. } = chunk;
    let lines = lines.into_iter().enumerate().map(|(index, line)| LogItem {
        run: subject.run.clone(),
        job: subject.job.clone(),
        attempt,
        step,
        title: title.clone(),
        agent: agent.clone(),
        at: line.at,
        stream: line.stream,
        text: line.text,
        continued: line.continued,
        cursor: Place { sequence: message.sequence, lines: index + 1 }.to_string(),
    });
    lines.collect()
}

impl Place {
    fn parse(text: &str) -> Option<Self> {
        let (sequence, lines) = text.split_once('.')?;
        Some(Self { sequence: sequence.parse().ok()?, lines: lines.parse().ok()? })
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.sequence, self.lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_and_what_is_none_is_refused() {
        let place = Place { sequence: 4711, lines: 3 };
        assert_eq!(Place::parse(&place.to_string()), Some(place));
        for wrong in ["", "1", "x.1", "1.x", "-1.0", "1.2.3", "99999999999999999999.0"] {
            assert_eq!(Place::parse(wrong), None, "{wrong}");
        }
    }
}
