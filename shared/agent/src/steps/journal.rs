//! What a step prints, on its way from the agent to the stream of logs: lines are gathered for a moment and published as one chunk.
//! A log never fails a job: what cannot be stored in time is counted, and the log says so where it is missing.

use std::time::Duration;

use honk_bus::{Bus, Publication};
use honk_protocol::log::{LOG_VERSION, LogChunk, LogLine, LogStream};
use honk_protocol::subject::LogSubject;
use honk_service::Clock;
use tokio::sync::mpsc;

/// How long lines are gathered before they are published.
const GATHER: Duration = Duration::from_millis(200);

/// The most text in one chunk, in bytes, and the most lines.
const CHUNK_BYTES: usize = 128 * 1024;
const CHUNK_LINES: usize = 1_000;

/// How long a chunk may take to be stored.
const STORE: Duration = Duration::from_secs(15);

/// Lines that may wait to be gathered.
const WAITING: usize = 256;

/// Whose lines they are.
#[derive(Debug, Clone)]
pub(super) struct About {
    pub(super) subject: LogSubject,
    pub(super) attempt: u32,
    pub(super) agent: String,
    pub(super) step: u32,
    pub(super) title: String,
}

/// The log of one step.
pub(super) struct Journal {
    bus: Bus,
    clock: Clock,
    about: About,
    lines: mpsc::Receiver<LogLine>,
    /// Lines that were not stored and that the log does not mention yet.
    lost: usize,
    /// The last line of standard error that says anything.
    last_error: Option<String>,
}

impl Journal {
    /// A log, and where its lines go in.
    pub(super) fn open(bus: Bus, clock: Clock, about: About) -> (Self, mpsc::Sender<LogLine>) {
        let (sender, lines) = mpsc::channel(WAITING);
        (Self { bus, clock, about, lines, lost: 0, last_error: None }, sender)
    }

    /// Publishes lines until the last sender is gone. Returns the last line of standard error.
    pub(super) async fn keep(mut self) -> Option<String> {
        while let Some(first) = self.lines.recv().await {
            let chunk = self.gather(first).await;
            self.publish(chunk).await;
        }
        if self.lost > 0 {
            let rest = self.missing();
            self.publish(vec![rest]).await;
        }
        self.last_error
    }

    /// The line and what comes within a moment after it.
    async fn gather(&mut self, first: LogLine) -> Vec<LogLine> {
        let mut chunk = Vec::new();
        let mut bytes = 0;
        if self.lost > 0 {
            chunk.push(self.missing());
        }
        let mut next = Some(first);
        let moment = tokio::time::sleep(GATHER);
        tokio::pin!(moment);
        while let Some(line) = next {
            bytes += line.text.len();
            if line.stream == LogStream::Stderr && !line.text.trim().is_empty() {
                self.last_error = Some(line.text.clone());
            }
            chunk.push(line);
            if bytes >= CHUNK_BYTES || chunk.len() >= CHUNK_LINES {
                break;
            }
            next = tokio::select! {
                biased;
                line = self.lines.recv() => line,
                () = &mut moment => None,
            };
        }
        chunk
    }

    async fn publish(&mut self, lines: Vec<LogLine>) {
        let count = lines.len();
        let About { attempt, agent, step, title, .. } = self.about.clone();
        let chunk = LogChunk { v: LOG_VERSION, attempt, agent, step, title, lines };
        let stored = match serde_json::to_vec(&chunk) {
            Ok(payload) => {
                let publication = Publication::new(self.about.subject.to_string(), payload);
                tokio::time::timeout(STORE, self.bus.publish(publication)).await
            }
            Err(error) => {
                tracing::warn!(%error, "a chunk of the log is no JSON");
                return;
            }
        };
        match stored {
            Ok(Ok(_)) => self.lost = 0,
            Ok(Err(error)) => {
                tracing::warn!(%error, lines = count, "a part of a step's log was not stored");
                self.lost += count;
            }
            Err(_) => self.lost += count,
        }
    }

    fn missing(&self) -> LogLine {
        let text = format!("{} lines before this one could not be stored", self.lost);
        LogLine { at: self.clock.now(), stream: LogStream::Agent, text, continued: false }
    }
}
