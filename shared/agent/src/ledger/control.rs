//! What people do to a whole run: the record is moved, and then every agent is told through the bucket of wishes
//! ([`honk_protocol::control`]), so that none begins what is held and each stops what was given up.

use std::time::Duration;

use honk_bus::BusError;
use honk_protocol::control::{Wish, run_key};
use honk_protocol::name::RunId;
use honk_protocol::run::RunEvent;
use honk_protocol::subject::DeadSubject;

use super::letters::KEEP_MARKER;
use super::{Ledger, LedgerError, Recorded, Trace};

/// How long agents remember that a run was given up: longer than a delivery of it can be under way.
const KEEP_WISH: Duration = Duration::from_hours(24 * 7);

/// Why a wish was not granted.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Another run of the same dataset or group is live or waits.
    #[error("run {0} of the same dataset or group is not finished; wait for its end, or cancel it first")]
    LaneTaken(RunId),
    /// The run record.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl From<BusError> for ControlError {
    fn from(error: BusError) -> Self {
        Self::Ledger(error.into())
    }
}

impl Ledger {
    /// Gives a run up: steps that run are ended wherever they run, and nothing more of it is begun. Doing it again changes nothing.
    pub async fn cancel(&self, run: &RunId) -> Result<Recorded, ControlError> {
        let known = self.find(run).await?;
        self.end(&known, &RunEvent::Cancelled).await
    }

    /// Ends a run that took longer than it may. One that was begun anew since has its whole time before it, and is left alone.
    pub async fn expire(&self, run: &RunId) -> Result<Recorded, ControlError> {
        let known = self.find(run).await?;
        if known.run.deadline.is_none_or(|deadline| deadline > self.clock.now()) {
            return Ok(known);
        }
        self.end(&known, &RunEvent::Expired).await
    }

    async fn end(&self, known: &Recorded, event: &RunEvent) -> Result<Recorded, ControlError> {
        let recorded = self.advance(known, event, &Trace::of_run(&known.run)).await?;
        self.wish(&recorded.run.id, Wish::End).await?;
        Ok(recorded)
    }

    /// Lets nothing new start in a run; what runs goes on.
    pub async fn pause(&self, run: &RunId) -> Result<Recorded, ControlError> {
        let known = self.find(run).await?;
        let (recorded, _) = self.record(&known, &RunEvent::Paused).await?;
        self.wish(run, Wish::Hold).await?;
        Ok(recorded)
    }

    /// Lets a paused run go on.
    pub async fn resume(&self, run: &RunId) -> Result<Recorded, ControlError> {
        let known = self.find(run).await?;
        let recorded = self.advance(&known, &RunEvent::Resumed, &Trace::of_run(&known.run)).await?;
        self.forget_wish(run).await?;
        Ok(recorded)
    }

    /// Does a finished run again: all of it, or only what did not succeed. Refused while another run of its dataset is not finished.
    pub async fn retry(&self, run: &RunId, failed_only: bool, trace: &Trace) -> Result<Recorded, ControlError> {
        let before = self.find(run).await?;
        let recorded = self.reopen(&before.run.dataset, run, &RunEvent::Retried { failed_only }).await?;
        self.publish_due(&recorded, trace).await?;
        self.forget_letters(&before).await?;
        Ok(recorded)
    }

    /// Erases the letters of jobs that are done again.
    async fn forget_letters(&self, before: &Recorded) -> Result<(), ControlError> {
        let dead = before.run.dead_jobs().map(|job| DeadSubject::Job {
            pool: job.pool.clone(),
            run: before.run.id.clone(),
            job: job.name.clone(),
        });
        for subject in dead {
            self.bus.erase(&subject.to_string(), KEEP_MARKER).await?;
        }
        Ok(())
    }

    /// Nothing is wished of the run any more.
    pub(super) async fn forget_wish(&self, run: &RunId) -> Result<(), LedgerError> {
        Ok(self.bus.erase(&self.bus.control().subject(&run_key(run)), KEEP_MARKER).await?)
    }

    async fn wish(&self, run: &RunId, wish: Wish) -> Result<(), ControlError> {
        let publication = self.bus.control().publication(&run_key(run), wish.to_json()).ttl(Some(KEEP_WISH));
        self.bus.publish(publication).await?;
        Ok(())
    }
}
