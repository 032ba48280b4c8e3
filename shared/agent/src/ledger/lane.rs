//! A dataset's lane: all its runs, of which at most one is live. A second waits, a third takes the waiting one's place.
//!
//! There is no lock. A run is only ever *begun* under the expectation that nothing in its lane has changed since the lane was
//! read: the server compares the last sequence of all the lane's keys. A waiting run blocks every other beginning, so promoting
//! it needs no more than its own record.

use std::sync::Arc;

use honk_bus::{Bucket, BusError, Expect};
use honk_protocol::name::{DatasetName, RunId};
use honk_protocol::run::{NewRun, Refusal, Run, RunEvent, RunState};
use honk_protocol::subject::lane_filter;
use honk_protocol::topology;

use super::{Ledger, LedgerError, Recorded, Trace, read};
use crate::failpoint;

/// All runs of a dataset that are still remembered.
#[derive(Debug, Clone)]
pub struct Lane {
    /// The runs.
    pub runs: Vec<Recorded>,
    /// The last sequence of any of their keys, removed ones included; 0 if there is none.
    pub sequence: u64,
}

/// What became of an event's run.
#[derive(Debug, Clone, PartialEq)]
pub enum Created {
    /// It is new. It is live, or waits for its turn.
    New(Arc<Run>),
    /// The event came before.
    Existing(Arc<Run>),
}

impl Created {
    /// The run.
    pub fn run(&self) -> &Run {
        match self {
            Self::New(run) | Self::Existing(run) => run,
        }
    }
}

impl Lane {
    /// The live run.
    pub fn live(&self) -> Option<&Recorded> {
        self.runs.iter().find(|recorded| recorded.run.state == RunState::Running)
    }

    /// Whether a run may begin.
    pub fn is_free(&self) -> bool {
        self.runs.iter().all(|recorded| recorded.run.state.is_finished())
    }

    /// The run of this id.
    pub fn run(&self, id: &RunId) -> Option<&Recorded> {
        self.runs.iter().find(|recorded| recorded.run.id == *id)
    }

    /// Waiting runs, the newest first.
    fn waiting(&self) -> Vec<&Recorded> {
        let mut waiting: Vec<&Recorded> =
            self.runs.iter().filter(|recorded| recorded.run.state == RunState::Waiting).collect();
        waiting.sort_by(|a, b| (b.run.created_at, &b.run.id).cmp(&(a.run.created_at, &a.run.id)));
        waiting
    }
}

impl Ledger {
    /// Reads a dataset's lane.
    pub async fn lane(&self, dataset: &DatasetName) -> Result<Lane, LedgerError> {
        let bucket = &self.runs;
        let stream = Bucket::stream_of(topology::RUNS);
        let messages = self.bus.last_of(&stream, &[bucket.subject(&lane_filter(dataset))]).await?;
        let sequence = messages.iter().map(|message| message.sequence).max().unwrap_or_default();
        let mut runs = Vec::new();
        for message in messages.into_iter().filter(|message| !message.is_removal()) {
            let key = bucket.key(&message.subject).unwrap_or_default().to_owned();
            runs.push(read(&honk_bus::Entry {
                key,
                value: message.payload,
                revision: message.sequence,
                time: message.time,
            })?);
        }
        Ok(Lane { runs, sequence })
    }

    /// Makes an event's run, if it is not there yet, and publishes what is due.
    pub async fn create(&self, new: &NewRun, trace: &Trace) -> Result<Created, LedgerError> {
        let (id, dataset) = (&new.id, &new.dataset);
        let mut lane = Lane { runs: Vec::new(), sequence: 0 };
        let recorded = loop {
            if let Some(existing) = lane.run(id) {
                self.resume(existing, trace).await?;
                return Ok(Created::Existing(Arc::clone(&existing.run)));
            }
            let (run, _) = Run::create(new.clone(), !lane.is_free(), self.clock.now());
            match self.write(run, self.if_unchanged(dataset, lane.sequence)).await {
                Ok(recorded) => break recorded,
                // After a time-out the write may have been done: the lane tells.
                Err(BusError::Conflict { .. } | BusError::Timeout { .. }) => {
                    lane = Box::pin(self.lane(dataset)).await?;
                }
                Err(error) => return Err(error.into()),
            }
        };
        failpoint::hit("after-record");
        self.resume(&recorded, trace).await?;
        failpoint::hit("after-publish");
        Ok(Created::New(recorded.run))
    }

    /// Brings the lane in order: the newest waiting run waits alone, for the live one if there is one; else its turn has come. Any
    /// number of processes may do this at once.
    pub async fn settle_lane(&self, dataset: &DatasetName) -> Result<(), LedgerError> {
        loop {
            let lane = self.lane(dataset).await?;
            let waiting = lane.waiting();
            let Some((newest, older)) = waiting.split_first() else { return Ok(()) };
            if self.order(&lane, newest, older).await? {
                return Ok(());
            }
        }
    }

    /// The expectation under which a run may begin.
    pub(super) fn if_unchanged(&self, dataset: &DatasetName, sequence: u64) -> Expect {
        Expect::LastOf { filter: self.runs.subject(&lane_filter(dataset)), sequence }
    }

    async fn resume(&self, recorded: &Recorded, trace: &Trace) -> Result<(), LedgerError> {
        match recorded.run.state {
            RunState::Waiting => Box::pin(self.settle_lane(&recorded.run.dataset)).await,
            _ => self.publish_due(recorded, trace).await,
        }
    }

    /// One try at ordering the lane; whether it held still.
    async fn order(&self, lane: &Lane, newest: &Recorded, older: &[&Recorded]) -> Result<bool, LedgerError> {
        for replaced in older {
            let event = RunEvent::Superseded { by: newest.run.id.clone() };
            if !held_still(self.record(replaced, &event).await)? {
                return Ok(false);
            }
        }
        if let Some(live) = lane.live() {
            let event = RunEvent::Parked { successor: newest.run.id.clone() };
            return held_still(self.record(live, &event).await);
        }
        let trace = Trace::of_run(&newest.run);
        held_still(self.advance(newest, &RunEvent::Promoted, &trace).await)
    }
}

/// A record that does not move that way has moved in the meantime: the lane must be read again.
fn held_still<T>(moved: Result<T, LedgerError>) -> Result<bool, LedgerError> {
    match moved {
        Ok(_) => Ok(true),
        Err(LedgerError::Refused(Refusal::NotAllowed { .. } | Refusal::Fenced(_))) => Ok(false),
        Err(error) => Err(error),
    }
}
