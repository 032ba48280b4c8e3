//! A dataset's lane: all its runs, of which at most one is live. A second waits, a third takes the waiting one's place.
//!
//! There is no lock. A run is only ever *begun* under the expectation that nothing in its lane has changed since the lane was
//! read: the server compares the last sequence of all the lane's keys. A waiting run blocks every other beginning, so promoting
//! it needs no more than its own record.
//!
//! A run that must ask for more than its dataset is created waiting, and promoted by intake alone ([`super::gate`]).

use std::sync::Arc;

use honk_bus::{Bucket, Expect};
use honk_protocol::name::{DatasetName, RunId};
use honk_protocol::run::{NewRun, Refusal, Run, RunEvent, RunState};
use honk_protocol::subject::lane_filter;
use honk_protocol::topology;

use super::{ControlError, Ledger, LedgerError, Recorded, Trace, read};
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
    pub(super) fn waiting(&self) -> Vec<&Recorded> {
        let mut waiting: Vec<&Recorded> =
            self.runs.iter().filter(|recorded| recorded.run.state == RunState::Waiting).collect();
        waiting.sort_by(|a, b| b.run.seniority().cmp(&a.run.seniority()));
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
                self.carry_on(existing, trace).await?;
                return Ok(Created::Existing(Arc::clone(&existing.run)));
            }
            let waits = new.gate.is_some() || !lane.is_free();
            let (run, _) = Run::create(new.clone(), waits, self.clock.now());
            match self.write(run, self.if_unchanged(dataset, lane.sequence)).await {
                Ok(recorded) => break recorded,
                Err(error) if error.leaves_open() => lane = Box::pin(self.lane(dataset)).await?,
                Err(error) => return Err(error),
            }
        };
        failpoint::hit("after-record");
        self.carry_on(&recorded, trace).await?;
        failpoint::hit("after-publish");
        Ok(Created::New(recorded.run))
    }

    /// Brings the lane in order: the newest waiting run waits alone, for the live one if there is one; else its turn has come, and it is
    /// begun, or intake is asked to begin it. Any number of processes may do this at once.
    pub async fn settle_lane(&self, dataset: &DatasetName) -> Result<(), LedgerError> {
        loop {
            let lane = self.lane(dataset).await?;
            let Some(newest) = lane.waiting().first().copied() else { return Ok(()) };
            let order = self.order(&lane).await?;
            if order == Order::Moved {
                continue;
            }
            if newest.run.gate.is_some() {
                return self.ask_to_begin(newest).await;
            }
            if order == Order::Behind {
                return Ok(());
            }
            if self.is_held(&newest.run.workflow.name).await? {
                return self.ask_once(newest).await;
            }
            if self.promote(newest).await? {
                return Ok(());
            }
        }
    }

    /// Moves a finished run by `event`, which makes it live again, if no other run of its dataset has begun or waits. Publishes nothing.
    pub(super) async fn reopen(
        &self,
        dataset: &DatasetName,
        run: &RunId,
        event: &RunEvent,
    ) -> Result<Recorded, ControlError> {
        loop {
            let lane = self.lane(dataset).await?;
            let known = lane.run(run).ok_or_else(|| LedgerError::NoRun(run.clone()))?;
            let other = lane.runs.iter().find(|other| other.run.id != *run && !other.run.state.is_finished());
            if let Some(other) = other {
                return Err(ControlError::LaneTaken(other.run.id.clone()));
            }
            let moved = match known.run.apply(event, self.clock.now()) {
                Ok((moved, _)) => moved,
                Err(Refusal::Already) => return Ok(known.clone()),
                Err(refusal) => return Err(LedgerError::from(refusal).into()),
            };
            if let Some(group) = known.run.group() {
                self.join_again(group, &known.run).await?;
            }
            match self.write(moved, self.if_unchanged(dataset, lane.sequence)).await {
                Ok(recorded) => {
                    self.forget_wish(run).await?;
                    return Ok(recorded);
                }
                Err(error) if error.leaves_open() => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The expectation under which a run may begin.
    pub(super) fn if_unchanged(&self, dataset: &DatasetName, sequence: u64) -> Expect {
        Expect::LastOf { filter: self.runs.subject(&lane_filter(dataset)), sequence }
    }

    async fn carry_on(&self, recorded: &Recorded, trace: &Trace) -> Result<(), LedgerError> {
        match recorded.run.state {
            RunState::Waiting => Box::pin(self.settle_lane(&recorded.run.dataset)).await,
            _ => self.publish_due(recorded, trace).await,
        }
    }

    /// One try at ordering the lane, in which a run waits.
    pub(super) async fn order(&self, lane: &Lane) -> Result<Order, LedgerError> {
        let waiting = lane.waiting();
        let Some((newest, older)) = waiting.split_first() else { return Ok(Order::Moved) };
        for replaced in older {
            if !self.supersede(replaced, &newest.run).await? {
                return Ok(Order::Moved);
            }
        }
        let Some(live) = lane.live() else { return Ok(Order::Turn) };
        let event = RunEvent::Parked { successor: newest.run.id.clone() };
        Ok(if held_still(self.record(live, &event).await)? { Order::Behind } else { Order::Moved })
    }

    /// Has `newer` take the place of a waiting run; whether that was still waiting.
    pub(super) async fn supersede(&self, replaced: &Recorded, newer: &Run) -> Result<bool, LedgerError> {
        let event = RunEvent::Superseded { by: newer.id.clone() };
        if !held_still(self.record(replaced, &event).await)? {
            return Ok(false);
        }
        if replaced.run.gate.is_some() {
            self.withdraw(&replaced.run.id).await?;
        }
        Ok(true)
    }

    /// Begins a waiting run whose turn it is; whether it was still waiting, or has begun already.
    pub(super) async fn promote(&self, waiting: &Recorded) -> Result<bool, LedgerError> {
        let trace = Trace::of_run(&waiting.run);
        held_still(self.advance(waiting, &RunEvent::Promoted, &trace).await)
    }
}

/// How a lane is found, once its waiting runs are in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// It changed meanwhile and must be read again.
    Moved,
    /// The newest waiting run waits for the live one.
    Behind,
    /// It is the newest waiting run's turn.
    Turn,
}

/// A record that does not move that way has moved in the meantime: the lane must be read again.
fn held_still<T>(moved: Result<T, LedgerError>) -> Result<bool, LedgerError> {
    match moved {
        Ok(_) => Ok(true),
        Err(LedgerError::Refused(Refusal::NotAllowed { .. } | Refusal::Fenced(_))) => Ok(false),
        Err(error) => Err(error),
    }
}
