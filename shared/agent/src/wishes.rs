//! An agent's copy of what people wish of runs ([`honk_protocol::control`]). Nearly always it is empty, and then asking it costs nothing.

use honk_bus::{Bus, BusError, Mirror};
use honk_protocol::control::{RUN_WISHES, Wish, run_key};
use honk_protocol::name::RunId;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Wishes by run. Knows none until [`Wishes::follow`].
#[derive(Debug, Clone, Default)]
pub(crate) struct Wishes(Option<Mirror<Wish>>);

impl Wishes {
    /// Copies the wishes and keeps the copy up to date on `tasks` until `stop`.
    pub(crate) async fn follow(bus: &Bus, tasks: &TaskTracker, stop: CancellationToken) -> Result<Self, BusError> {
        Ok(Self(Some(Mirror::start_part(&bus.control(), RUN_WISHES, tasks, stop).await?)))
    }

    /// What is wished of the run.
    pub(crate) fn of(&self, run: &RunId) -> Option<Wish> {
        let wishes = self.0.as_ref().filter(|wishes| !wishes.is_empty())?;
        wishes.get(&run_key(run)).map(|wish| *wish)
    }

    /// Whether the run is over, so that what runs of it is to be stopped.
    pub(crate) fn is_over(&self, run: &RunId) -> bool {
        self.of(run) == Some(Wish::End)
    }
}
