//! Follows a run to its end. A connection that breaks is made again, because a run outlives restarts of the API.

use std::time::Duration;

use honk_api::wire::{RunUpdate, RunView};
use honk_protocol::name::RunId;
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
    let mut reached = false;
    let mut failing_since: Option<Instant> = None;
    let mut wait = FIRST_WAIT;
    loop {
        let mut heard = false;
        let error = match listen(api, run, &mut heard, &mut on_update).await {
            Ok(finished) => return Ok(finished),
            Err(FollowError::Api(error)) => error,
            Err(told) => return Err(told),
        };
        if heard {
            (reached, failing_since, wait) = (true, None, FIRST_WAIT);
        }
        let early = absent == Absent::IsEarly && error.is_not_found();
        let passes = error.is_passing() && (reached || absent == Absent::IsEarly);
        if !(early || passes) || failing_since.get_or_insert_with(Instant::now).elapsed() > PATIENCE {
            return Err(error.into());
        }
        sleep(wait).await;
        wait = (wait * 2).min(MAX_WAIT);
    }
}

/// Listens to one connection until the run is finished. A connection that ends before is an error that passes.
async fn listen(
    api: &Api,
    run: &RunId,
    heard: &mut bool,
    on_update: &mut impl FnMut(&RunUpdate) -> Result<(), CliError>,
) -> Result<RunView, FollowError> {
    let mut response = api.open(&["api", "runs", run.as_str(), "watch"]).await?;
    let mut reader = EventReader::default();
    loop {
        let broken = |cause: &str| ApiError::Unreachable { url: api.shown(), cause: cause.to_owned() };
        let piece = tokio::time::timeout(SILENCE, response.chunk()).await.map_err(|_| broken("it fell silent"))?;
        let piece = piece.map_err(|error| broken(&super::deepest(&error)))?;
        let piece = piece.ok_or_else(|| broken("it ended the stream before the run's end"))?;
        *heard = true;
        let strange = |cause: String| ApiError::Strange { url: api.shown(), status: 200, cause };
        for event in reader.push(&piece).map_err(|error| strange(error.to_string()))? {
            let update = RunUpdate::read(&event.name, &event.data).map_err(|error| strange(error.to_string()))?;
            if let Some(update) = &update {
                on_update(update).map_err(FollowError::Told)?;
            }
            if matches!(update, Some(RunUpdate::End(_))) {
                return Ok(api.get(&["api", "runs", run.as_str()]).await?);
            }
        }
    }
}
