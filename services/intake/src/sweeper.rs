//! What makes the loss of messages a delay and not a loss: every now and then the sweeper looks at the runs that have stood still,
//! and dispatches anew each job that its record says is due but that no message can bring to an agent any more.
//!
//! It also ends the runs whose time is up. It reads only the records that changed since it last looked. Any number of copies may sweep: the
//! record decides who dispatches.

use std::collections::HashMap;
use std::time::Duration;

use honk_agent::Ledger;
use honk_agent::ledger::{ControlError, LedgerError, Recorded, read};
use honk_bus::{Bucket, Entry};
use honk_protocol::name::{DatasetName, PoolName, RunId};
use honk_protocol::run::{Job, Run, RunState};
use honk_protocol::subject::{JobSubject, parse_run_key};
use honk_protocol::topology::{self, Settings, Topology};
use honk_service::Metrics;
use jiff::Timestamp;
use prometheus_client::metrics::counter::Counter;
use tokio_util::sync::CancellationToken;

use crate::config::IntakeSection;

/// Looks for runs that no message carries.
#[derive(Debug)]
pub struct Sweeper {
    ledger: Ledger,
    every: Duration,
    after: Duration,
    provision: bool,
    /// The last change of a run that was seen.
    seen: u64,
    /// Runs that have not come to their end.
    open: HashMap<(DatasetName, RunId), Open>,
    redispatched: Counter,
}

/// What is remembered of a run.
#[derive(Debug, Clone, Copy)]
struct Open {
    /// When its record last changed, by the server's clock.
    changed: Timestamp,
    /// When it is to be ended.
    deadline: Option<Timestamp>,
}

impl Sweeper {
    /// A sweeper that has seen nothing yet.
    pub fn new(ledger: Ledger, section: &IntakeSection, metrics: &Metrics) -> Self {
        Self {
            ledger,
            every: section.sweep_every,
            after: section.sweep_after,
            provision: section.provision,
            seen: 0,
            open: HashMap::new(),
            redispatched: metrics.register(
                "redispatched_jobs",
                "Jobs that no message carried any more",
                Counter::default(),
            ),
        }
    }

    /// Sweeps until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(self.every)).await.is_some() {
            if let Err(error) = self.sweep().await {
                tracing::warn!(%error, "sweeping; trying again later");
            }
        }
    }

    /// Looks once at everything that has stood still.
    async fn sweep(&mut self) -> Result<(), LedgerError> {
        if self.provision {
            let made = self.ledger.bus().restore(&Topology::new(&Settings::default())).await;
            made.iter().flatten().for_each(|change| tracing::warn!(?change, "made what was missing on the server"));
        }
        self.catch_up().await?;
        self.end_overdue().await?;
        let still_since = self.ledger.clock().now() - self.after;
        let still: Vec<(DatasetName, RunId)> =
            self.open.iter().filter(|(_, open)| open.changed < still_since).map(|(key, _)| key.clone()).collect();
        for (dataset, run) in still {
            match self.ledger.get(&dataset, &run).await {
                Ok(recorded) => self.look_at(recorded).await?,
                Err(LedgerError::NoRun(_)) => drop(self.open.remove(&(dataset, run))),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Ends the runs whose time is up.
    async fn end_overdue(&mut self) -> Result<(), LedgerError> {
        let now = self.ledger.clock().now();
        let is_overdue = |open: &Open| open.deadline.is_some_and(|deadline| deadline <= now);
        let overdue: Vec<(DatasetName, RunId)> =
            self.open.iter().filter(|(_, open)| is_overdue(open)).map(|(key, _)| key.clone()).collect();
        for (dataset, run) in overdue {
            match self.ledger.expire(&run).await {
                Ok(_) => tracing::warn!(%run, %dataset, "its time is up: ended"),
                // It ended meanwhile, or began anew with another deadline: its record was or will be read again.
                Err(ControlError::Ledger(LedgerError::Refused(_) | LedgerError::NoRun(_))) => {}
                Err(ControlError::Ledger(error)) => return Err(error),
                Err(error) => tracing::warn!(%error, %run, "not ended"),
            }
        }
        Ok(())
    }

    /// Reads the records that changed.
    async fn catch_up(&mut self) -> Result<(), LedgerError> {
        let bucket = self.ledger.bus().runs();
        let stream = Bucket::stream_of(topology::RUNS);
        let changed = self.ledger.bus().changes(&stream, self.seen + 1).await?;
        for message in changed {
            self.seen = self.seen.max(message.sequence);
            let Some(key) = bucket.key(&message.subject).map(ToOwned::to_owned) else { continue };
            let Ok(parsed) = parse_run_key(&key) else { continue };
            let removed = message.is_removal();
            let time = message.time;
            let entry = Entry { key, value: message.payload, revision: message.sequence, time };
            match read(&entry) {
                Ok(Recorded { run, .. }) if !removed && needs_sweeping(&run) => {
                    // A finished run has nothing more to end.
                    let deadline = run.deadline.filter(|_| !run.state.is_finished());
                    self.open.insert(parsed, Open { changed: time, deadline });
                }
                _ => drop(self.open.remove(&parsed)),
            }
        }
        Ok(())
    }

    async fn look_at(&mut self, recorded: Recorded) -> Result<(), LedgerError> {
        let run = recorded.run.clone();
        match run.state {
            // Its starters look at it by themselves, if they know of it.
            RunState::Waiting if run.gate.is_some() => self.ledger.ask_once(&recorded).await,
            RunState::Waiting => self.ledger.settle_lane(&run.dataset).await,
            RunState::Running => {
                let mut idle = HashMap::new();
                for job in run.due_jobs() {
                    let is_idle = match idle.get(&job.pool) {
                        Some(known) => *known,
                        None => *idle.entry(&job.pool).or_insert(self.is_idle(&job.pool).await?),
                    };
                    if is_idle || self.is_gone(&run.id, job).await? {
                        tracing::warn!(run = %run.id, job = %job.name, "no message carries it: dispatched anew");
                        self.redispatched.inc();
                        self.ledger.redispatch(&recorded, &job.name, job.generation).await?;
                    }
                }
                Ok(())
            }
            _ => {
                self.ledger.leave_group(&run).await?;
                self.ledger.settle_lane(&run.dataset).await?;
                self.open.remove(&(run.dataset.clone(), run.id.clone()));
                Ok(())
            }
        }
    }

    /// Whether the job's message is gone.
    async fn is_gone(&self, run: &RunId, job: &Job) -> Result<bool, LedgerError> {
        let (pool, name) = (job.pool.clone(), job.name.clone());
        let subject = JobSubject { pool, run: run.clone(), job: name, generation: job.generation };
        let message = self.ledger.bus().last(topology::JOBS, &subject.to_string()).await?;
        Ok(message.is_none())
    }

    /// Whether the pool's consumer has nothing left to deliver: a message that is still there will then reach nobody.
    async fn is_idle(&self, pool: &PoolName) -> Result<bool, LedgerError> {
        let backlog = self.ledger.bus().backlog(topology::JOBS, pool.as_str()).await?;
        Ok(backlog.waiting == 0 && backlog.unsettled == 0)
    }
}

/// Whoever ended a run that has a successor, or a group, may have been killed before the next one could be told.
fn needs_sweeping(run: &Run) -> bool {
    !run.state.is_finished() || run.successor.is_some() || run.group().is_some()
}
