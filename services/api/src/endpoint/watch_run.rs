//! `GET /api/runs/{id}/watch`: a run as server-sent events: how it stands, every change, progress in between, its end.
//!
//! What comes is the state of the moment, not a log: a slow reader skips states, and never the last one. A run that was
//! asked for a moment ago may not exist yet, so it is waited for.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream::{BoxStream, SelectAll, select_all, unfold};
use futures_util::{Stream, StreamExt};
use honk_bus::Message;
use honk_protocol::live::Progress;
use honk_protocol::name::{JobName, RunId};
use honk_protocol::run::Run;
use honk_protocol::subject::LiveSubject;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::show_run;
use crate::problem::ApiError;
use crate::state::Api;
use crate::wire::{ProgressView, RunEnd, RunUpdate, RunView};

/// How long a run that is not there is waited for.
const APPEARANCE: Duration = Duration::from_secs(5);

pub(super) async fn handle(State(api): State<Api>, Path(id): Path<String>) -> Result<impl IntoResponse, ApiError> {
    let id = RunId::new(id)?;
    let mut changes = api.runs.changes();
    let appeared = tokio::time::timeout(APPEARANCE, appearance(&api, &id, &mut changes)).await;
    let run = appeared.map_err(|_| show_run::unknown(&id))?;
    let progress = progress(&api, &run).await?;
    let mut follow = Follow { api, id, changes, progress, queue: VecDeque::new(), ended: false };
    follow.show(&run);
    Ok(Sse::new(events(follow)).keep_alive(KeepAlive::default()))
}

async fn appearance(api: &Api, id: &RunId, changes: &mut broadcast::Receiver<RunId>) -> Arc<Run> {
    loop {
        if let Some(run) = api.runs.get(id) {
            return run;
        }
        if changes.recv().await == Err(RecvError::Closed) {
            std::future::pending::<()>().await;
        }
    }
}

/// What agents say about the run's jobs.
async fn progress(api: &Api, run: &Run) -> Result<SelectAll<BoxStream<'static, ProgressView>>, ApiError> {
    let mut streams = Vec::new();
    for job in &run.jobs {
        let (id, name) = (run.id.clone(), job.name.clone());
        let subject = LiveSubject { run: id.clone(), job: name.clone() }.to_string();
        let signals = api.bus.signals(&subject).await?;
        let read = move |message: Message| std::future::ready(view(&id, &name, &message));
        streams.push(signals.filter_map(read).boxed());
    }
    Ok(select_all(streams))
}

fn view(run: &RunId, job: &JobName, message: &Message) -> Option<ProgressView> {
    let progress: Progress = serde_json::from_slice(&message.payload).ok()?;
    Some(ProgressView { run: run.clone(), job: job.clone(), progress })
}

struct Follow {
    api: Api,
    id: RunId,
    changes: broadcast::Receiver<RunId>,
    progress: SelectAll<BoxStream<'static, ProgressView>>,
    queue: VecDeque<RunUpdate>,
    ended: bool,
}

impl Follow {
    fn show(&mut self, run: &Run) {
        self.queue.push_back(RunUpdate::Run(Box::new(RunView::new(run, self.api.clock.now()))));
        if run.state.is_finished() {
            self.queue.push_back(RunUpdate::End(RunEnd { run: run.id.clone(), state: run.state }));
            self.ended = true;
        }
    }

    /// The next event; none after the end, or when the process stops.
    async fn next(&mut self) -> Option<RunUpdate> {
        loop {
            if let Some(update) = self.queue.pop_front() {
                return Some(update);
            }
            if self.ended {
                return None;
            }
            tokio::select! {
                () = self.api.stopping.cancelled() => return None,
                changed = self.changes.recv() => match changed {
                    Ok(id) if id != self.id => {}
                    Ok(_) | Err(RecvError::Lagged(_)) => {
                        let run = self.api.runs.get(&self.id)?;
                        self.show(&run);
                    }
                    Err(RecvError::Closed) => return None,
                },
                Some(progress) = self.progress.next() => return Some(RunUpdate::Progress(progress)),
            }
        }
    }
}

fn events(follow: Follow) -> impl Stream<Item = Result<Event, Infallible>> {
    unfold(follow, |mut follow| async move {
        let update = follow.next().await?;
        let data = update.data().unwrap_or_default();
        Some((Ok(Event::default().event(update.event()).data(data)), follow))
    })
}
