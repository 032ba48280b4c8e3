//! A log as server-sent events: the lines that are there, then each as it comes, until the run's end. Every line has its cursor as the
//! event's id, so that a browser that lost the connection goes on where it was.
//!
//! Lines are read page by page as they are sent, so that a slow reader holds nothing up. What an agent publishes is listened to only to
//! know when to look: a signal that is lost costs a pause, never a line.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream::unfold;
use futures_util::{Stream, StreamExt};
use honk_protocol::name::RunId;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Notify, broadcast};
use tokio::task::JoinSet;

use crate::log::LogReader;
use crate::problem::ApiError;
use crate::state::Api;
use crate::wire::{LogItem, LogUpdate, RunEnd};

/// The longest pause between two looks.
const PAUSE: Duration = Duration::from_secs(2);

/// How long nothing must have come after the run's end. A cancelled run's steps print while they are ended, and the replica that is read
/// from can be a moment behind.
const QUIET: Duration = Duration::from_millis(500);

/// The lines that `reader` finds, as events.
pub(super) async fn events(
    api: Api,
    id: RunId,
    reader: LogReader,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    let news = Arc::new(Notify::new());
    let mut tasks = JoinSet::new();
    let (mut signals, notify) = (api.bus.signals(reader.filter()).await?, Arc::clone(&news));
    tasks.spawn(async move {
        while signals.next().await.is_some() {
            notify.notify_one();
        }
    });
    let changes = api.runs.changes();
    let follow = Follow { api, id, reader, changes, news, queue: VecDeque::new(), last: Last::Unknown, _tasks: tasks };
    let events = unfold(follow, |mut follow| async move {
        let update = follow.next().await?;
        let event = Event::default().event(update.event()).data(update.data().unwrap_or_default());
        let event = match &update {
            LogUpdate::Line(line) => event.id(&line.cursor),
            LogUpdate::End(_) => event,
        };
        Some((Ok(event), follow))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

struct Follow {
    api: Api,
    id: RunId,
    reader: LogReader,
    changes: broadcast::Receiver<RunId>,
    news: Arc<Notify>,
    queue: VecDeque<LogItem>,
    last: Last,
    _tasks: JoinSet<()>,
}

/// What is known about the last line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Last {
    /// More may come.
    Unknown,
    /// The run is finished, and nothing has come for a while.
    Sent,
    /// So was said.
    Told,
}

impl Follow {
    /// The next event; none after the end, or when the process stops.
    async fn next(&mut self) -> Option<LogUpdate> {
        loop {
            if let Some(line) = self.queue.pop_front() {
                return Some(LogUpdate::Line(Box::new(line)));
            }
            if self.last == Last::Told {
                return None;
            }
            match self.reader.read(usize::MAX).await {
                Ok(lines) if lines.more || !lines.items.is_empty() => {
                    self.queue.extend(lines.items);
                    self.last = Last::Unknown;
                    continue;
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(run = %self.id, %error, "a log that is followed cannot be read at the moment");
                    self.last = Last::Unknown;
                }
            }
            // A finished run can go on: its dead letter is replayed.
            let state = self.api.runs.get(&self.id)?.state;
            if state.is_finished() && self.last == Last::Sent {
                self.last = Last::Told;
                return Some(LogUpdate::End(RunEnd { run: self.id.clone(), state }));
            }
            self.wait(state.is_finished()).await?;
        }
    }

    /// Waits until it is worth looking again; none when the process stops.
    async fn wait(&mut self, finished: bool) -> Option<()> {
        let pause = if finished { QUIET } else { PAUSE };
        tokio::select! {
            () = self.api.stopping.cancelled() => return None,
            () = self.news.notified() => {}
            () = tokio::time::sleep(pause) => {
                if finished {
                    self.last = Last::Sent;
                }
            }
            () = changed(&mut self.changes, &self.id), if !finished => {}
        }
        Some(())
    }
}

/// Waits until the run has changed, or may have.
async fn changed(changes: &mut broadcast::Receiver<RunId>, id: &RunId) {
    loop {
        match changes.recv().await {
            Ok(other) if other != *id => {}
            Ok(_) | Err(RecvError::Lagged(_)) => return,
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}
