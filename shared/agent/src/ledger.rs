//! The run records: moved by compare-and-set, and what follows from each move published after it. Used by agents, intake
//! and API alike, so that a record moves in one way only.
//!
//! The order is always *record, then publish*. A crash between the two is repaired by whoever comes next (a redelivery, the
//! sweeper): a record says what is due, and publishing it again changes nothing.

mod control;
mod dispatch;
mod gate;
mod group;
mod lane;
mod letters;
mod turns;

use std::sync::Arc;

use bytes::Bytes;
use honk_bus::{Bucket, Bus, BusError, Entry, Expect};
use honk_protocol::name::{DatasetName, JobName, RunId};
use honk_protocol::run::{Effect, RUN_VERSION, Refusal, Run, RunEvent, RunState};
use honk_protocol::subject;
use honk_protocol::topology::{KEEP_DEAD, KEEP_SUCCESS, MAX_MESSAGE_BYTES};
use honk_service::{Clock, TraceParent};

pub use self::control::ControlError;
pub use self::gate::Turn;
pub use self::lane::{Created, Lane};
pub use self::letters::LetterError;
use self::turns::Turns;
use crate::failpoint;

/// The most bytes of a record: a job's message carries it, with a little around it.
const MAX_RECORD_BYTES: usize = MAX_MESSAGE_BYTES as usize - 8 * 1024;

/// Reads and moves run records. Clones share the connection.
#[derive(Debug, Clone)]
pub struct Ledger {
    bus: Bus,
    runs: Bucket,
    clock: Clock,
    turns: Turns,
}

/// A record as it is stored. Clones share it.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// The record.
    pub run: Arc<Run>,
    /// What the next compare-and-set expects; 0 if the record is an excerpt, which must be read again before it is moved.
    pub revision: u64,
    /// The record as JSON, where it is at hand because it was just read or written.
    json: Option<Bytes>,
}

impl Recorded {
    /// A record that a job message brought, which for an item is an excerpt.
    pub fn new(run: Run, revision: u64) -> Self {
        Self { run: Arc::new(run), revision, json: None }
    }

    fn to_json(&self) -> Result<Bytes, LedgerError> {
        match &self.json {
            Some(json) => Ok(json.clone()),
            None => Ok(encode(&self.run)?),
        }
    }
}

fn encode(run: &Run) -> Result<Bytes, BusError> {
    let json = serde_json::to_vec(run);
    let refused = |error: serde_json::Error| BusError::Refused {
        what: format!("write run {}", run.id),
        problem: error.to_string(),
    };
    json.map(Bytes::from).map_err(refused)
}

/// Why a record could not be read or moved.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The server.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// The record does not move that way.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// There is no such run.
    #[error("there is no run {0}; finished runs are kept for a while only")]
    NoRun(RunId),
    /// The record is not one that this version reads.
    #[error("the record of run {run} cannot be read: {problem}")]
    Unreadable {
        /// The run's key.
        run: String,
        /// Why.
        problem: String,
    },
    /// The record would be too large for a message.
    #[error(
        "the run's record would have {0} bytes, and at most {MAX_RECORD_BYTES} are allowed: its jobs' outputs are too large"
    )]
    TooLarge(usize),
}

impl LedgerError {
    /// [`BusError::leaves_open`], of a write.
    fn leaves_open(&self) -> bool {
        matches!(self, Self::Bus(error) if error.leaves_open())
    }
}

impl Ledger {
    /// A ledger on this connection.
    pub fn new(bus: Bus, clock: Clock) -> Self {
        Self { runs: bus.runs(), bus, clock, turns: Turns::default() }
    }

    /// The connection.
    pub fn bus(&self) -> &Bus {
        &self.bus
    }

    /// The clock.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The record of a run whose dataset is not known.
    pub async fn find(&self, run: &RunId) -> Result<Recorded, LedgerError> {
        let found = self.runs.get_all(&subject::run_filter(run)).await?;
        read(found.first().ok_or_else(|| LedgerError::NoRun(run.clone()))?)
    }

    /// The record of a run.
    pub async fn get(&self, dataset: &DatasetName, run: &RunId) -> Result<Recorded, LedgerError> {
        let entry = self.runs.get(&subject::run_key(dataset, run)).await?;
        read(&entry.ok_or_else(|| LedgerError::NoRun(run.clone()))?)
    }

    /// Moves a record by `event`, from what is known of it; reads it again and decides again as often as another writer is faster. Does not
    /// publish what follows, but says what that is. A record that already says so is returned as it is, with all that is due by it.
    pub async fn record(&self, known: &Recorded, event: &RunEvent) -> Result<(Recorded, Vec<Effect>), LedgerError> {
        let mut current = known.clone();
        let mut outdated = known.revision == 0;
        let mut turn = None;
        loop {
            if outdated {
                // From here on the writers of this process wait for each other, instead of reading in vain what another of them is
                // about to change.
                if turn.is_none() {
                    turn = Some(self.turns.take(&known.run.id).await);
                }
                current = Box::pin(self.get(&known.run.dataset, &known.run.id)).await?;
            }
            let (run, effects) = match current.run.apply(event, self.clock.now()) {
                Ok(moved) => moved,
                Err(Refusal::Already) => {
                    let due = current.run.due();
                    return Ok((current, due));
                }
                Err(refusal) => return Err(refusal.into()),
            };
            match self.write(run, Expect::Last(current.revision)).await {
                Ok(recorded) => return Ok((recorded, effects)),
                Err(error) if error.leaves_open() => outdated = true,
                Err(error) => return Err(error),
            }
        }
    }

    /// [`Ledger::record`], then publishes what follows.
    pub async fn advance(&self, known: &Recorded, event: &RunEvent, trace: &Trace) -> Result<Recorded, LedgerError> {
        let (recorded, effects) = self.record(known, event).await?;
        failpoint::hit("after-record");
        self.publish(&recorded, effects, trace).await?;
        failpoint::hit("after-publish");
        Ok(recorded)
    }

    /// Publishes everything that is due by the record. Doing it again changes nothing.
    pub async fn publish_due(&self, recorded: &Recorded, trace: &Trace) -> Result<(), LedgerError> {
        self.publish(recorded, recorded.run.due(), trace).await
    }

    /// Writes a record; one that came to its end expires by itself.
    async fn write(&self, run: Run, expect: Expect) -> Result<Recorded, LedgerError> {
        let json = encode(&run)?;
        if json.len() > MAX_RECORD_BYTES {
            return Err(LedgerError::TooLarge(json.len()));
        }
        let ttl = match run.state {
            RunState::Waiting | RunState::Running => None,
            RunState::Success | RunState::Cancelled => Some(KEEP_SUCCESS),
            RunState::Failure | RunState::Error | RunState::Timeout => Some(KEEP_DEAD),
        };
        let key = subject::run_key(&run.dataset, &run.id);
        let publication = self.runs.publication(&key, json.clone()).expect(expect).ttl(ttl);
        let revision = self.bus.publish(publication).await?.sequence;
        Ok(Recorded { run: Arc::new(run), revision, json: Some(json) })
    }

    /// Dispatches a job anew whose message is lost, if its record still says that `generation` is due.
    pub async fn redispatch(&self, known: &Recorded, job: &JobName, generation: u32) -> Result<Recorded, LedgerError> {
        let trace = Trace::of_run(&known.run);
        self.advance(known, &RunEvent::Lost { job: job.clone(), generation }, &trace).await
    }
}

/// The trace that what is published belongs to, where no span says it.
#[derive(Debug, Clone, Default)]
pub struct Trace(Option<TraceParent>);

impl Trace {
    /// From a message's header; what is no `traceparent` counts as none.
    pub fn from_header(value: Option<&str>) -> Self {
        Self(value.and_then(|text| TraceParent::parse(text).ok()))
    }

    /// The one a run was begun with.
    pub fn of_run(run: &Run) -> Self {
        Self::from_header(Some(&run.trace))
    }

    /// From a parsed value.
    pub fn new(parent: TraceParent) -> Self {
        Self(Some(parent))
    }

    /// The value.
    pub fn parent(&self) -> Option<&TraceParent> {
        self.0.as_ref()
    }
}

/// Reads a record and its version.
pub fn read(entry: &Entry) -> Result<Recorded, LedgerError> {
    let unreadable = |problem: String| LedgerError::Unreadable { run: entry.key.clone(), problem };
    let run: Run = serde_json::from_slice(&entry.value).map_err(|error| unreadable(error.to_string()))?;
    if run.v == RUN_VERSION {
        Ok(Recorded { run: Arc::new(run), revision: entry.revision, json: Some(entry.value.clone()) })
    } else {
        Err(unreadable(format!("it has schema version {}, this service reads {RUN_VERSION}", run.v)))
    }
}
