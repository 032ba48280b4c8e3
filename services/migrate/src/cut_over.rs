//! The moment in which a dataset's readers are sent to the target: writers are asked to wait, what they changed last is brought over, a
//! pass that finds nothing to do is the proof, and one compare-and-set moves the location.
//!
//! Nobody waits for longer than `max_hold`: if the last changes take longer, writers are let go on, and another round is made. A hold
//! ends by its own time should this agent die. Writers that do not look at the location are not held; what they write to the source
//! after the last comparison is found by a look afterwards, and named.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use honk_agent::registry::Registered;
use honk_protocol::dataset::Side;
use honk_protocol::evidence::{Evidence, EvidenceMeans, EvidenceSide, Late, OUTPUT, RoundKind};
use honk_protocol::reason::Reason;
use honk_protocol::run::Outputs;
use honk_protocol::settle::Failed;
use honk_storage::listing::SetDigest;
use jiff::SignedDuration;
use serde_json::json;

use crate::book::{Entry, Proved};
use crate::copy::pass::Pass;
use crate::copy::{Engine, Kept, KeyRange, Tally};
use crate::migration::{Migration, millis, object, round};

/// What brings a dataset over. A copy and a transformation differ in what is done and compared while writers wait, and in nothing else of
/// a cut-over.
#[async_trait]
pub(crate) trait Mover: Send + Sync {
    /// The migration's entry in the book.
    fn entry(&self) -> &Entry;

    /// While writers wait, which they do since `begin`: sees to it that what they changed last is at the target. What proves it; none if
    /// that takes too long.
    async fn last(
        &mut self,
        migration: &mut Migration<'_>,
        held: &Registered,
        begin: Instant,
    ) -> Result<Option<Evidence>, Failed>;

    /// Writers were let go on because it took too long: gets ready for another time, or gives up.
    async fn go_on(&mut self, migration: &mut Migration<'_>) -> Result<(), Failed>;

    /// Readers are at the target: clears up, and looks what was written to the source after the last comparison. Not being able to look
    /// does not undo the migration.
    async fn look_back(&self, migration: &Migration<'_>) -> Option<Late>;
}

/// A copy at its end.
pub(crate) struct Copying<'c> {
    pub(crate) engine: &'c Arc<Engine>,
    pub(crate) kept: &'c Kept,
    pub(crate) entry: Entry,
    /// The source when it was last compared.
    pub(crate) compared: SetDigest,
}

#[async_trait]
impl Mover for Copying<'_> {
    fn entry(&self) -> &Entry {
        &self.entry
    }

    async fn last(
        &mut self,
        migration: &mut Migration<'_>,
        held: &Registered,
        begin: Instant,
    ) -> Result<Option<Evidence>, Failed> {
        let Some(proof) = migration.last_rounds(self.kept, begin).await? else { return Ok(None) };
        self.compared = proof.source;
        let side = |side, digest: SetDigest| EvidenceSide {
            place: held.location.spec.place(side).clone(),
            objects: proof.equal,
            bytes: proof.bytes,
            digest: digest.to_hex(),
        };
        let sides = [side(Side::Source, proof.source), side(Side::Target, proof.target)];
        Ok(Some(Evidence {
            listing: proof.listing.to_hex(),
            means: proof.means,
            foreign: proof.foreign,
            skipped: proof.skipped.count,
            ..migration.evidence(held, begin, sides)
        }))
    }

    async fn go_on(&mut self, migration: &mut Migration<'_>) -> Result<(), Failed> {
        tracing::warn!("the last changes took too long: writers go on, and so does the copying");
        migration.must_converge()
    }

    async fn look_back(&self, _migration: &Migration<'_>) -> Option<Late> {
        self.engine.sweep_uploads().await;
        match self.engine.go_over(KeyRange::default(), Pass::Look(self.kept)).await {
            Ok(now) if now.source == self.compared => Some(Late::default()),
            Ok(now) => Some(Late { objects: now.wanted_keys.count, first: now.wanted_keys.first }),
            Err(error) => {
                tracing::warn!(%error, "the source cannot be looked at any more");
                None
            }
        }
    }
}

impl Migration<'_> {
    /// Sends readers to the target, however many holds it takes.
    pub(crate) async fn cut_over(&mut self, mover: &mut dyn Mover, read: &Registered) -> Result<Outputs, Failed> {
        let (registry, dataset, run) = (&self.action.registry, self.job.dataset(), &self.job.run.id);
        let mut read = read.clone();
        loop {
            let begin = Instant::now();
            let until = self.action.clock.now()
                + SignedDuration::try_from(self.with.cut_over.max_hold).unwrap_or(SignedDuration::MAX);
            let held = registry.hold(dataset, &read, run, until).await?;
            match mover.last(self, &held, begin).await {
                Ok(Some(evidence)) => return self.flip(mover, &held, evidence).await,
                Ok(None) => {
                    registry.release(dataset, run).await?;
                    mover.go_on(self).await?;
                    read = self.location_as(&held).await?;
                }
                Err(failed) => {
                    // Whatever happened, writers need not wait for the next attempt.
                    if let Err(error) = registry.release(dataset, run).await {
                        tracing::warn!(error = error.message, "the hold stays until its time is over");
                    }
                    return Err(failed);
                }
            }
        }
    }

    /// The location again, which must still be about the same two places.
    async fn location_as(&self, before: &Registered) -> Result<Registered, Failed> {
        let read = self.action.registry.location(self.job.dataset()).await?;
        let is_same = read.location.spec == before.location.spec && read.location.active == before.location.active;
        if is_same { Ok(read) } else { Err(crate::action::location_changed(self.job)) }
    }

    /// Rounds until one finds nothing to do; none if the time is over before.
    async fn last_rounds(&mut self, kept: &Kept, begin: Instant) -> Result<Option<Tally>, Failed> {
        let mut drained = false;
        loop {
            let round_began = Instant::now();
            let cancel = self.job.cancelled.child_token();
            let engine = self.engine(cancel.clone()).await?;
            let left = self.with.cut_over.max_hold.saturating_sub(begin.elapsed());
            let pass = engine.go_over(KeyRange::default(), Pass::Sync(kept));
            tokio::pin!(pass);
            let (tally, in_time) = tokio::select! {
                tally = &mut pass => (tally, true),
                () = tokio::time::sleep(left) => {
                    cancel.cancel();
                    (pass.await, false)
                }
            };
            if !in_time && !self.job.cancelled.is_cancelled() {
                self.memo.rounds.push(round(RoundKind::Aborted, &tally.unwrap_or_default(), round_began));
                return Ok(None);
            }
            let tally = self.checked(tally)?;
            self.see(&tally);
            self.memo.rounds.push(round(RoundKind::Hold, &tally, round_began));
            if self.is_written && !drained {
                // Somebody writes, and may have asked where to just before the hold.
                tokio::time::sleep(self.with.cut_over.drain).await;
                drained = true;
            } else if tally.is_clean() {
                return Ok(Some(tally));
            }
        }
    }

    /// Writes down what was proved, moves the location, and looks whether anybody came too late.
    async fn flip(&self, mover: &dyn Mover, held: &Registered, evidence: Evidence) -> Result<Outputs, Failed> {
        let copied = self.memo.rounds.iter().map(|round| round.copied).sum();
        self.must_still_be_held(held)?;
        let mut proved = Proved { evidence, copied };
        self.action.book.prove(self.job, mover.entry(), &proved).await?;
        let (dataset, run) = (self.job.dataset(), &self.job.run.id);
        self.action.registry.cut_over(dataset, held, run, self.with.retain).await?;
        self.action.book.forget(self.memo.proofs.iter().map(String::as_str)).await;
        proved.evidence.late = mover.look_back(self).await;
        if let Some(late) = proved.evidence.late.as_ref().filter(|late| late.objects > 0) {
            tracing::warn!(objects = late.objects, first = ?late.first, "the source was written to after the cut-over");
        }
        // So that a repeat says the same.
        self.action.book.prove(self.job, mover.entry(), &proved).await?;
        self.action.metrics.migrated(&proved);
        Ok(outputs(&proved))
    }

    /// An agent that was frozen may wake up when writers have long gone on: what it had compared proves nothing any more.
    fn must_still_be_held(&self, held: &Registered) -> Result<(), Failed> {
        let now = self.action.clock.now();
        if held.location.active == Side::Target || held.location.live_hold(now).is_some() {
            return Ok(());
        }
        Err(Failed::retry(Reason::DatasetHeld, "the hold was over before readers could be sent to the target"))
    }

    /// What is proved of `held` by now: that the two places were this. It has to be said how.
    pub(crate) fn evidence(&self, held: &Registered, begin: Instant, [source, target]: [EvidenceSide; 2]) -> Evidence {
        let location = &held.location;
        Evidence {
            dataset: self.job.dataset().clone(),
            run: self.job.run.id.clone(),
            epoch: location.epoch + u64::from(location.active == Side::Source),
            proved_at: self.action.clock.now(),
            listing: target.digest.clone(),
            source,
            target,
            verify: self.with.verify.word().to_owned(),
            means: EvidenceMeans::default(),
            planned_by: self.memo.planned_by.clone(),
            rounds: self.memo.rounds.clone(),
            foreign: 0,
            skipped: 0,
            held_ms: millis(begin.elapsed()),
            late: None,
            transform: None,
        }
    }
}

/// What the job leaves for later ones and for people: of the dataset as readers find it.
pub(crate) fn outputs(proved: &Proved) -> Outputs {
    let Proved { evidence, copied } = proved;
    let EvidenceSide { objects, bytes, digest, .. } =
        if evidence.transform.is_some() { &evidence.target } else { &evidence.source };
    object(json!({
        "from": evidence.source.place, "to": evidence.target.place,
        "objects": objects, "bytes": bytes, "digest": digest,
        "copied": copied, "already_there": objects.saturating_sub(*copied),
        OUTPUT: evidence,
    }))
}
