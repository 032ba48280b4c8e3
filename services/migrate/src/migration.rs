//! A dataset's migration, from the first look to the proof: what one delivery of the job does of it, and what it leaves to others.
//!
//! ```text
//! look ──▶ more than one agent should do? ──▶ split: every part brings its range over; then the job is dispatched once more
//!   │                                                                                                       │
//!   ▼                                                                                                       ▼
//! rounds: bring over what has changed meanwhile, until that takes little time ──▶ hold, last round, cut over (`cut_over`)
//! ```
//!
//! Nothing here needs to be remembered by the process: what has been done is at the target, and what cannot be seen there is in the book.

use std::sync::Arc;
use std::time::{Duration, Instant};

use honk_agent::JobContext;
use honk_agent::action::{Split, Worked};
use honk_agent::registry::Registered;
use honk_protocol::evidence::{PlannedBy, Round, RoundKind};
use honk_protocol::reason::Reason;
use honk_protocol::run::{Outputs, PARTS};
use honk_protocol::settle::Failed;
use honk_storage::Place;
use honk_storage::listing::SetDigest;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::action::Migrate;
use crate::book::{Book, Entry, Plan};
use crate::copy::pass::Pass;
use crate::copy::{
    Chunk, CopyError, CopyPlan, Engine, Kept, KeyRange, Known, Progress, Tally, Work, refuse_conflicts, refuse_problems,
};
use crate::cut_over::Copying;
use crate::fault;
use crate::with::With;

/// What one dispatch of the job tells the next.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Memo {
    /// The plan that the parts follow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) plan: Option<String>,
    /// What the work was first cut by, if it was not a listing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) planned_by: Option<PlannedBy>,
    /// The rounds so far.
    pub(crate) rounds: Vec<Round>,
    /// Where to find what was proved of single objects.
    pub(crate) proofs: Vec<String>,
    /// Whether a person was asked to let the run go on.
    pub(crate) postponed: bool,
    /// Whether the source was seen to change.
    pub(crate) is_written: bool,
}

/// One delivery's share of a migration.
pub(crate) struct Migration<'a> {
    pub(crate) action: &'a Migrate,
    pub(crate) job: &'a JobContext,
    pub(crate) with: With,
    pub(crate) source: Place,
    pub(crate) target: Place,
    pub(crate) progress: &'a Progress,
    pub(crate) known: Arc<Known>,
    pub(crate) memo: Memo,
    /// The source at the last look.
    pub(crate) seen: Option<SetDigest>,
    /// Whether it was seen to change.
    pub(crate) is_written: bool,
}

impl<'a> Migration<'a> {
    /// The migration of a dataset that lies at `read`, as the dispatches before this one have left it.
    pub(crate) fn new(
        action: &'a Migrate,
        job: &'a JobContext,
        with: With,
        read: &Registered,
        progress: &'a Progress,
    ) -> Self {
        let spec = &read.location.spec;
        let (source, target) = (action.stores.resolve(&spec.source), action.stores.resolve(&spec.target));
        let memo = Memo::of(job.memo());
        let is_written = memo.is_written;
        Self { action, job, with, source, target, progress, known: Arc::default(), memo, seen: None, is_written }
    }

    /// Copies one part of a plan. What changes meanwhile is left to the rounds that follow.
    pub(crate) async fn part(&self, part: u32) -> Result<Outputs, Failed> {
        let book = &self.action.book;
        let missing = || Failed::reject(Reason::PlanMissing, format!("there is no plan with a part {part}"));
        let plan = book.plan(self.memo.plan.as_deref().ok_or_else(missing)?).await?;
        let chunk = plan.chunks.get(part as usize).ok_or_else(missing)?;
        let (_, kept) = book.find(self.job).await?.ok_or_else(missing)?;
        let earlier = Book::earlier(self.job);
        book.take_over(earlier.iter().map(String::as_str), &self.known.proofs).await;
        self.progress.expect(chunk.work.objects);
        let begin = Instant::now();
        let engine = self.engine(self.job.cancelled.child_token()).await?;
        let done = engine.go_over(chunk.range.clone(), Pass::Sync(&kept.within(&chunk.range))).await;
        // Also of an attempt that fails: the next one need not prove it again.
        let proofs = book.write_proofs(self.job, &self.known.proofs).await;
        let tally = self.checked(done)?;
        let round = round(RoundKind::Copy, &tally, begin);
        Ok(object(json!({ "round": round, "proofs": proofs? })))
    }

    /// Looks what there is to do, and either leaves it to parts or brings the dataset over until its readers can be sent to the target.
    pub(crate) async fn bring_over(&mut self, read: &Registered) -> Result<Worked, Failed> {
        self.join_parts().await;
        let engine = self.engine(self.job.cancelled.child_token()).await?;
        if let Some(split) = Box::pin(self.split_by_inventory()).await? {
            return Ok(Worked::Split(split));
        }
        let begin = Instant::now();
        let (entry, kept, tally) = self.look(&engine).await?;
        let is_ready = tally.wanted.is_none() && self.is_short(begin);
        self.progress.expect(tally.objects);
        self.see(&tally);
        // What there is to do after a round came meanwhile.
        self.is_written |= !self.memo.rounds.is_empty() && !tally.wanted.is_none();
        let size = self.with.chunk;
        if self.job.may_split && !size.holds(&tally.wanted) && tally.chunks.len() > 1 {
            if !self.memo.rounds.is_empty() {
                self.must_converge()?;
            }
            return self.split(&tally.wanted, tally.chunks).await.map(Worked::Split);
        }
        if !is_ready {
            self.catch_up(&engine, &kept).await?;
        }
        if let Some(put_off) = self.put_off()? {
            return Ok(put_off);
        }
        let mut copying = Copying { engine: &engine, kept: &kept, entry, compared: SetDigest::default() };
        Box::pin(self.cut_over(&mut copying, read)).await.map(Worked::Done)
    }

    /// The first look of all says what at the target is not the migration's; later ones believe the book.
    async fn look(&self, engine: &Arc<Engine>) -> Result<(Entry, Kept, Tally), Failed> {
        let all = KeyRange::default();
        if let Some((entry, kept)) = self.action.book.find(self.job).await? {
            let tally = self.checked(engine.go_over(all, Pass::Look(&kept)).await)?;
            return Ok((entry, kept, tally));
        }
        let looked = engine.go_over(all, Pass::Begin).await;
        let mut tally =
            looked.and_then(|tally| refuse_conflicts(&tally).map(|()| tally)).map_err(|e| self.failed(&e))?;
        let kept = Kept::new(std::mem::take(&mut tally.kept));
        let entry = self.action.book.begin(self.job, &kept).await?;
        Ok((entry, kept, tally))
    }

    pub(crate) async fn split(&mut self, wanted: &Work, chunks: Vec<Chunk>) -> Result<Split, Failed> {
        let plan = Plan { chunks };
        let parts = u32::try_from(plan.chunks.len()).unwrap_or(u32::MAX);
        let Work { objects, bytes, removals } = *wanted;
        tracing::info!(parts, objects, bytes, removals, "the work is split");
        self.memo.plan = Some(self.action.book.write_plan(self.job, &plan).await?);
        self.memo.is_written = self.is_written;
        self.memo.proofs.extend(self.action.book.write_proofs(self.job, &self.known.proofs).await?);
        Ok(Split { parts, max_parallel: None, memo: self.memo.to_outputs() })
    }

    /// Takes over what the parts have left.
    async fn join_parts(&mut self) {
        let book = &self.action.book;
        let parts = self.job.memo().get(PARTS).and_then(Value::as_object).cloned().unwrap_or_default();
        let list = |name: &str| parts.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
        self.memo.proofs.extend(list("proofs").iter().filter_map(Value::as_str).map(ToOwned::to_owned));
        book.take_over(self.memo.proofs.iter().map(String::as_str), &self.known.proofs).await;
        let rounds = list("round").into_iter().filter_map(|round| serde_json::from_value::<Round>(round).ok());
        let joined = rounds.reduce(|sum, part| Round {
            parts: sum.parts + part.parts,
            copied: sum.copied + part.copied,
            bytes: sum.bytes + part.bytes,
            removed: sum.removed + part.removed,
            unsettled: sum.unsettled + part.unsettled,
            took_ms: sum.took_ms.max(part.took_ms),
            kind: RoundKind::Copy,
        });
        self.is_written |= joined.as_ref().is_some_and(|round| round.unsettled > 0);
        self.memo.rounds.extend(joined);
        if let Some(name) = self.memo.plan.take() {
            if let Ok(plan) = book.plan(&name).await {
                self.known.marks.replace(plan.chunks.into_iter().filter_map(|chunk| chunk.range.until).collect());
            }
            book.forget([name.as_str()]).await;
        }
    }

    /// Round after round, until what changes during one can be copied while writers wait.
    async fn catch_up(&mut self, engine: &Arc<Engine>, kept: &Kept) -> Result<(), Failed> {
        loop {
            let begin = Instant::now();
            let tally = self.checked(engine.go_over(KeyRange::default(), Pass::Sync(kept)).await)?;
            self.see(&tally);
            let is_short = self.is_short(begin);
            self.memo.rounds.push(round(RoundKind::Copy, &tally, begin));
            if is_short || tally.is_clean() {
                return Ok(());
            }
            self.must_converge()?;
        }
    }

    /// Whether another round like the one since `begin` fits into the time for which writers may be asked to wait, with much to spare.
    fn is_short(&self, begin: Instant) -> bool {
        begin.elapsed() * 4 <= self.with.cut_over.max_hold
    }

    /// Notes whether the source is as it was at the last look.
    pub(crate) fn see(&mut self, tally: &Tally) {
        self.is_written |= self.seen.is_some_and(|seen| seen != tally.source) || tally.unsettled.count > 0;
        self.seen = Some(tally.source);
    }

    /// A source whose changes do not grow fewer is given up.
    pub(crate) fn must_converge(&self) -> Result<(), Failed> {
        let last = self.memo.rounds.last_chunk::<4>();
        let shrinks = last.is_none_or(|last| changes(&last[3]) * 10 < changes(&last[0]) * 9);
        if shrinks { self.may_go_on() } else { Err(self.not_converging()) }
    }

    /// There are only so many rounds.
    pub(crate) fn may_go_on(&self) -> Result<(), Failed> {
        let has_rounds = self.memo.rounds.len() < self.with.cut_over.rounds as usize;
        if has_rounds { Ok(()) } else { Err(self.not_converging()) }
    }

    fn not_converging(&self) -> Failed {
        let rounds = &self.memo.rounds;
        let counts: Vec<String> = rounds.iter().map(|round| changes(round).to_string()).collect();
        let message = format!(
            "after {} rounds the source still changes too fast to cut over within {:?}; changes in each: {}",
            rounds.len(),
            self.with.cut_over.max_hold,
            counts.join(", ")
        );
        Failed::retry(Reason::NotConverging, message)
    }

    /// Whether it is not the time to send readers to the target.
    pub(crate) fn put_off(&mut self) -> Result<Option<Worked>, Failed> {
        if self.with.cut_over.postpone && self.job.may_split && !self.memo.postponed {
            tracing::info!("everything is copied; the cut-over waits for `honk run resume`");
            self.memo.postponed = true;
            self.memo.is_written = self.is_written;
            return Ok(Some(Worked::Postponed(self.memo.to_outputs())));
        }
        let window = self.with.cut_over.window.as_ref();
        match window.and_then(|window| window.opens_in(self.action.clock.now())) {
            None => Ok(None),
            Some(wait) => Err(Failed {
                again: honk_protocol::settle::Again::NotBefore(wait),
                ..Failed::retry(Reason::OutsideWindow, format!("everything is copied; the window opens in {wait:.0?}"))
            }),
        }
    }

    pub(crate) async fn engine(&self, cancel: CancellationToken) -> Result<Arc<Engine>, Failed> {
        let mut settings = self.action.settings.clone();
        settings.policy = self.with.policy();
        settings.keep = self.with.keep;
        let plan = CopyPlan {
            stores: self.action.stores.clone(),
            source: self.source.clone(),
            target: self.target.clone(),
            settings,
            budget: self.action.budget.clone(),
            journal: Some(self.action.book.uploads(self.job)),
        };
        let engine = Engine::open(plan, self.progress.clone(), cancel, Arc::clone(&self.known)).await;
        engine.map_err(|error| self.failed(&error))
    }

    /// The tally of a pass that has left nothing that a further one could not set right.
    pub(crate) fn checked(&self, tally: Result<Tally, CopyError>) -> Result<Tally, Failed> {
        tally.and_then(|tally| refuse_problems(&tally).map(|()| tally)).map_err(|error| self.failed(&error))
    }

    pub(crate) fn failed(&self, error: &CopyError) -> Failed {
        fault::failed(error, &self.source, &self.target)
    }
}

impl Memo {
    /// What the record has; nothing if there is none, or if an older agent wrote it otherwise: then the work is looked at anew.
    fn of(memo: &Outputs) -> Self {
        let mut memo = memo.clone();
        memo.remove(PARTS);
        serde_json::from_value(Value::Object(memo)).unwrap_or_default()
    }

    fn to_outputs(&self) -> Outputs {
        object(json!(self))
    }
}

/// The fields of a JSON object.
pub(crate) fn object(value: Value) -> Outputs {
    match value {
        Value::Object(fields) => fields,
        _ => Outputs::new(),
    }
}

fn changes(round: &Round) -> u64 {
    round.copied + round.removed + round.unsettled
}

/// What a pass that began at `begin` has done.
pub(crate) fn round(kind: RoundKind, tally: &Tally, begin: Instant) -> Round {
    Round {
        kind,
        parts: 1,
        copied: tally.done.objects,
        bytes: tally.done.bytes,
        removed: tally.done.removals,
        unsettled: tally.unsettled.count,
        took_ms: millis(begin.elapsed()),
    }
}

/// Whole milliseconds.
pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
