//! Where it is decided whether a run may begin for which its dataset is not all that counts: its workflow may be paused, and its
//! [`Gate`](honk_protocol::gate::Gate) may name a group and a rate.
//!
//! Such a run is created waiting, with a ticket in the bucket of wishes, and only intake's starters begin it ([`Ledger::try_begin`]); whoever else
//! finds that its dataset is free writes the ticket anew, which they see. Runs of workflows that use none of this have no gate: creating,
//! running and ending them reads and writes nothing for its sake. Only where a run has waited for its dataset, one read asks whether its
//! workflow was paused meanwhile.
//!
//! The order of the questions matters. The group comes first, so that a run that waits for its dataset already has its place there. The rate
//! comes last, because what is counted there counts as begun.

use std::time::Duration;

use honk_bus::{BusError, Expect};
use honk_protocol::control::{Wish, rate_key, start_key, workflow_key};
use honk_protocol::gate::{Claimed, Rate, Starts, Ticket};
use honk_protocol::name::{RunId, WorkflowName};
use honk_protocol::run::{Run, RunState};
use honk_protocol::topology;
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::group::Place;
use super::lane::Order;
use super::letters::KEEP_MARKER;
use super::{Ledger, LedgerError, Recorded};
use crate::failpoint;

/// How long it is remembered which runs of a workflow began: longer than the time of any rate.
const KEEP_STARTS: Duration = Duration::from_hours(3);

/// How old what a replica answers can be, at most.
const BEHIND_AT_MOST: Duration = Duration::from_hours(1);

/// What a try at beginning a run came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It has begun, or never will: its ticket is gone.
    Over,
    /// Another run of its dataset or its group comes first.
    Behind,
    /// Its workflow is paused.
    Held,
    /// As many runs of its workflow began as may; the next one may at this time.
    NotBefore(Timestamp),
}

impl Ledger {
    /// Lets no run of the workflow begin any more; what has begun goes on. Returns the wish's revision.
    pub async fn hold_workflow(&self, workflow: &WorkflowName) -> Result<u64, LedgerError> {
        Ok(self.bus.control().put(&workflow_key(workflow), Wish::Hold.to_json()).await?)
    }

    /// Lets runs of the workflow begin again. Doing it again changes nothing. Returns the revision at which the wish is gone.
    pub async fn release_workflow(&self, workflow: &WorkflowName) -> Result<u64, LedgerError> {
        let subject = self.bus.control().subject(&workflow_key(workflow));
        Ok(self.bus.erase_if(&subject, Expect::Any, KEEP_MARKER).await?)
    }

    /// Begins a waiting run if it may. Any number of processes may try at once.
    pub async fn try_begin(&self, ticket: &Ticket) -> Result<Turn, LedgerError> {
        loop {
            let lane = self.lane(&ticket.dataset).await?;
            let Some(known) = lane.run(&ticket.run) else { return self.miss(ticket).await };
            if known.run.state != RunState::Waiting {
                self.withdraw(&ticket.run).await?;
                return Ok(Turn::Over);
            }
            if self.is_held(&ticket.workflow).await? {
                return Ok(Turn::Held);
            }
            let order = self.order(&lane).await?;
            // A newer run of the dataset has just taken its place: its record says so now.
            let is_replaced = lane.waiting().first().is_none_or(|newest| newest.run.id != ticket.run);
            if order == Order::Moved || is_replaced {
                continue;
            }
            if let Some(turn) = self.ask(known, order).await? {
                return Ok(turn);
            }
        }
    }

    /// A run that is not there: a replica that is behind may not have it yet, or it is forgotten for long.
    async fn miss(&self, ticket: &Ticket) -> Result<Turn, LedgerError> {
        if ticket.created_at > self.clock.now() - BEHIND_AT_MOST {
            return Ok(Turn::Behind);
        }
        self.withdraw(&ticket.run).await?;
        Ok(Turn::Over)
    }

    /// Asks group, lane and rate, and begins the run if all agree; nothing if it must be asked again because something moved.
    async fn ask(&self, waiting: &Recorded, order: Order) -> Result<Option<Turn>, LedgerError> {
        if let Some(group) = waiting.run.group() {
            match Box::pin(self.join(group, &waiting.run)).await? {
                Place::Holder => {}
                Place::Waiter => return Ok(Some(Turn::Behind)),
                Place::Moved => return Ok(None),
            }
        }
        if order == Order::Behind {
            return Ok(Some(Turn::Behind));
        }
        if let Some(rate) = waiting.run.gate.as_ref().and_then(|gate| gate.rate)
            && let Some(time) = self.claim_start(&waiting.run, rate).await?
        {
            return Ok(Some(Turn::NotBefore(time)));
        }
        if !self.promote(waiting).await? {
            return Ok(None);
        }
        self.withdraw(&waiting.run.id).await?;
        Ok(Some(Turn::Over))
    }

    /// Whether somebody paused the workflow.
    pub(super) async fn is_held(&self, workflow: &WorkflowName) -> Result<bool, LedgerError> {
        Ok(self.bus.control().get(&workflow_key(workflow)).await?.is_some())
    }

    /// Counts a start against the workflow's rate; the time from which on it may begin, if that is later.
    async fn claim_start(&self, run: &Run, rate: Rate) -> Result<Option<Timestamp>, LedgerError> {
        let key = rate_key(&run.workflow.name);
        loop {
            let (starts, expect) = self.kept::<Starts>(&key).await?;
            let mut starts = starts.unwrap_or_default();
            match starts.claim(&run.id, rate, self.clock.now()) {
                Claimed::NotBefore(time) => return Ok(Some(time)),
                Claimed::Before => return Ok(None),
                Claimed::Now if self.keep(&key, &starts, expect, Some(KEEP_STARTS)).await? => {
                    failpoint::hit("after-claim");
                    return Ok(None);
                }
                Claimed::Now => {}
            }
        }
    }

    /// Has intake look whether the run may begin, also if it looked before.
    pub(super) async fn ask_to_begin(&self, waiting: &Recorded) -> Result<(), LedgerError> {
        self.bus.control().put(&start_key(&waiting.run.id), to_json(&Ticket::of(&waiting.run))?).await?;
        Ok(())
    }

    /// Makes sure that intake knows of the waiting run. What it knows already is not looked at again.
    pub async fn ask_once(&self, waiting: &Recorded) -> Result<(), LedgerError> {
        match self.bus.control().create(&start_key(&waiting.run.id), to_json(&Ticket::of(&waiting.run))?).await {
            Ok(_) | Err(BusError::Conflict { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Nobody need look at the run any more.
    pub(super) async fn withdraw(&self, run: &RunId) -> Result<(), LedgerError> {
        Ok(self.bus.erase(&self.bus.control().subject(&start_key(run)), KEEP_MARKER).await?)
    }

    /// What is kept under a key of the bucket of wishes, and what a compare-and-set of it expects. What cannot be read counts as nothing.
    pub(super) async fn kept<T: DeserializeOwned>(&self, key: &str) -> Result<(Option<T>, Expect), LedgerError> {
        let subject = self.bus.control().subject(key);
        let stream = honk_bus::Bucket::stream_of(topology::CONTROL);
        let Some(message) = self.bus.last(&stream, &subject).await? else { return Ok((None, Expect::New)) };
        let expect = Expect::Last(message.sequence);
        let value = if message.is_removal() { None } else { serde_json::from_slice(&message.payload).ok() };
        Ok((value, expect))
    }

    /// Writes what [`Ledger::kept`] has read; whether nobody was faster.
    pub(super) async fn keep<T: Serialize>(
        &self,
        key: &str,
        value: &T,
        expect: Expect,
        ttl: Option<Duration>,
    ) -> Result<bool, LedgerError> {
        let publication = self.bus.control().publication(key, to_json(value)?).expect(expect).ttl(ttl);
        match self.bus.publish(publication).await {
            Ok(_) => Ok(true),
            // After a time-out the write may have been done: reading it again tells.
            Err(error) if error.leaves_open() => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

fn to_json<T: Serialize>(value: &T) -> Result<Vec<u8>, BusError> {
    let refused =
        |error: serde_json::Error| BusError::Refused { what: "write a wish".into(), problem: error.to_string() };
    serde_json::to_vec(value).map_err(refused)
}
