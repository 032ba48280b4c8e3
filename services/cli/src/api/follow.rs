//! Follows a run, or what it prints, to its end, or a location without one. A connection that breaks is made again, because a run outlives restarts of the API.

use std::time::Duration;

use honk_api::wire::{LocationView, LogQuery, LogUpdate, RunUpdate, RunView};
use honk_protocol::name::{DatasetName, RunId};
use serde::Serialize;
use tokio::time::{Instant, sleep};

use super::stream::EventReader;
use super::{Api, ApiError};
use crate::error::CliError;

/// The first wait before the connection is made again; it doubles up to [`MAX_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// The longest wait before the connection is made again.
const MAX_WAIT: Duration = Duration::from_secs(5);

/// How long the API may stay away, or a run that was asked for just now.
const PATIENCE: Duration = Duration::from_mins(1);

/// How long a connection may be silent. The API sends a comment every few seconds, if nothing else.
const SILENCE: Duration = Duration::from_mins(1);

/// What a run that does not exist means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Absent {
    /// There is no such run.
    IsWrong,
    /// It was asked for just now, and will exist as soon as intake has read its event.
    IsEarly,
}

/// Why following ended early.
#[derive(Debug)]
pub(crate) enum FollowError {
    /// The API did not answer, or not so that it helps.
    Api(ApiError),
    /// Whoever was to hear of the updates gave up.
    Told(CliError),
}

impl FollowError {
    /// The error as a person is told it; `what` completes the sentence "cannot …".
    pub(crate) fn told(self, what: &str) -> CliError {
        match self {
            Self::Api(error) => error.told(what),
            Self::Told(error) => error,
        }
    }
}

impl From<ApiError> for FollowError {
    fn from(error: ApiError) -> Self {
        Self::Api(error)
    }
}

/// Follows `run` until it is finished, and returns it as it is then. `on_update` hears of every change; after a broken
/// connection it hears again how the run stands.
pub(crate) async fn follow(
    api: &Api,
    run: &RunId,
    absent: Absent,
    mut on_update: impl FnMut(&RunUpdate) -> Result<(), CliError>,
) -> Result<RunView, FollowError> {
    let mut again = Again::new(absent);
    let path = ["api", "runs", run.as_str(), "watch"];
    loop {
        let listened = listen(api, &path, &(), &mut again, |name, data| {
            let update = RunUpdate::read(name, data)?;
            let told = update.as_ref().map_or(Ok(()), &mut on_update);
            Ok(told.map(|()| matches!(update, Some(RunUpdate::End(_)))))
        });
        let finished = match listened.await {
            Ok(()) => api.get(&["api", "runs", run.as_str()]).await,
            Err(FollowError::Api(error)) => Err(error),
            Err(told) => return Err(told),
        };
        match finished {
            Ok(finished) => return Ok(finished),
            Err(error) => again.wait(error).await?,
        }
    }
}

/// Follows what `run` prints until it is finished. `on_update` hears of every line that `query` selects once: after a broken connection the
/// query goes on after the last one.
pub(crate) async fn follow_log(
    api: &Api,
    run: &RunId,
    query: &mut LogQuery,
    mut on_update: impl FnMut(LogUpdate) -> Result<(), CliError>,
) -> Result<(), FollowError> {
    let mut again = Again::new(Absent::IsWrong);
    let path = ["api", "runs", run.as_str(), "logs"];
    loop {
        let asked = query.clone();
        let listened = listen(api, &path, &asked, &mut again, |name, data| {
            let Some(update) = LogUpdate::read(name, data)? else { return Ok(Ok(false)) };
            if let LogUpdate::Line(line) = &update {
                query.after = Some(line.cursor.clone());
            }
            let is_end = matches!(update, LogUpdate::End(_));
            Ok(on_update(update).map(|()| is_end))
        });
        match listened.await {
            Ok(()) => return Ok(()),
            Err(FollowError::Api(error)) => again.wait(error).await?,
            Err(told) => return Err(told),
        }
    }
}

/// Follows where `dataset` lies, for ever: `on_update` hears how it is, and of every change.
pub(crate) async fn follow_location(
    api: &Api,
    dataset: &DatasetName,
    mut on_update: impl FnMut(&LocationView) -> Result<(), CliError>,
) -> Result<(), FollowError> {
    let (mut again, mut told) = (Again::new(Absent::IsWrong), None);
    let path = ["api", "datasets", dataset.as_str(), "location", "watch"];
    loop {
        let listened = listen(api, &path, &(), &mut again, |name, data| {
            if name != "location" {
                return Ok(Ok(false));
            }
            let location: LocationView = serde_json::from_str(data)?;
            // A connection that was made again begins with what the one before may have ended with.
            if told.as_ref() == Some(&location) {
                return Ok(Ok(false));
            }
            Ok(on_update(told.insert(location)).map(|()| false))
        });
        match listened.await {
            Ok(()) => return Ok(()),
            Err(FollowError::Api(error)) => again.wait(error).await?,
            Err(told) => return Err(told),
        }
    }
}

/// Whether and when to connect again.
struct Again {
    absent: Absent,
    heard: bool,
    reached: bool,
    failing_since: Option<Instant>,
    wait: Duration,
}

impl Again {
    const fn new(absent: Absent) -> Self {
        Self { absent, heard: false, reached: false, failing_since: None, wait: FIRST_WAIT }
    }

    /// Waits after a connection that ended with `error`, or gives up with it.
    async fn wait(&mut self, error: ApiError) -> Result<(), FollowError> {
        if std::mem::take(&mut self.heard) {
            (self.reached, self.failing_since, self.wait) = (true, None, FIRST_WAIT);
        }
        let early = self.absent == Absent::IsEarly && error.is_not_found();
        let passes = error.is_passing() && (self.reached || self.absent == Absent::IsEarly);
        if !(early || passes) || self.failing_since.get_or_insert_with(Instant::now).elapsed() > PATIENCE {
            return Err(error.into());
        }
        sleep(self.wait).await;
        self.wait = (self.wait * 2).min(MAX_WAIT);
        Ok(())
    }
}

/// What came of an event: whether it was the last one, or that whoever heard it gave up; or it could not be read.
type Heard = Result<Result<bool, CliError>, serde_json::Error>;

/// Listens to one connection until `on_event`, which gets each event's name and data, says that it was the last. A connection that ends
/// before is an error that passes.
async fn listen(
    api: &Api,
    path: &[&str],
    query: &impl Serialize,
    again: &mut Again,
    mut on_event: impl FnMut(&str, &str) -> Heard,
) -> Result<(), FollowError> {
    let mut response = api.open(path, query).await?;
    let mut reader = EventReader::default();
    loop {
        let broken = |cause: &str| ApiError::Unreachable { url: api.shown(), cause: cause.to_owned() };
        let piece = tokio::time::timeout(SILENCE, response.chunk()).await.map_err(|_| broken("it fell silent"))?;
        let piece = piece.map_err(|error| broken(&super::deepest(&error)))?;
        let piece = piece.ok_or_else(|| broken("it ended the stream before the run's end"))?;
        again.heard = true;
        let strange = |cause: String| ApiError::Strange { url: api.shown(), status: 200, cause };
        for event in reader.push(&piece).map_err(|error| strange(error.to_string()))? {
            let heard = on_event(&event.name, &event.data).map_err(|error| strange(error.to_string()))?;
            if heard.map_err(FollowError::Told)? {
                return Ok(());
            }
        }
    }
}
