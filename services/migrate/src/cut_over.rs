//! The moment in which a dataset's readers are sent to the target: writers are asked to wait, what they changed last is brought over, a
//! pass that finds nothing to do is the proof, and one compare-and-set moves the location.
//!
//! Nobody waits for longer than `max_hold`: if the last changes take longer, writers are let go on, and another round is made. A hold
//! ends by its own time should this agent die. Writers that do not look at the location are not held; what they write to the source
//! after the last comparison is found by a look afterwards, and named.

use std::sync::Arc;
use std::time::{Duration, Instant};

use honk_agent::registry::Registered;
use honk_protocol::dataset::{Location, Side};
use honk_protocol::evidence::{Evidence, EvidenceSide, Late, OUTPUT, RoundKind};
use honk_protocol::reason::Reason;
use honk_protocol::run::Outputs;
use honk_protocol::settle::Failed;
use honk_storage::listing::SetDigest;
use jiff::SignedDuration;
use serde_json::json;

use crate::book::{Entry, Proved};
use crate::copy::pass::Pass;
use crate::copy::{Engine, Kept, KeyRange, Tally};
use crate::migration::{Migration, object, round};

/// What was compared while writers waited.
struct Held {
    /// The pass that found nothing to do.
    proof: Tally,
    /// How long they waited until then.
    waited: Duration,
}

impl Migration<'_> {
    /// Sends readers to the target, however many holds it takes.
    pub(crate) async fn cut_over(
        &mut self,
        engine: &Arc<Engine>,
        read: &Registered,
        (entry, kept): (Entry, &Kept),
    ) -> Result<Outputs, Failed> {
        let (registry, dataset, run) = (&self.action.registry, self.job.dataset(), &self.job.run.id);
        let mut read = read.clone();
        loop {
            let begin = Instant::now();
            let until = self.action.clock.now()
                + SignedDuration::try_from(self.with.cut_over.max_hold).unwrap_or(SignedDuration::MAX);
            let held = registry.hold(dataset, &read, run, until).await?;
            match self.last_rounds(kept, begin).await {
                Ok(Some(done)) => return self.flip(engine, &held, done, (entry, kept)).await,
                Ok(None) => {
                    registry.release(dataset, run).await?;
                    tracing::warn!("the last changes took too long: writers go on, and so does the copying");
                    self.must_converge()?;
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
    async fn last_rounds(&mut self, kept: &Kept, begin: Instant) -> Result<Option<Held>, Failed> {
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
                return Ok(Some(Held { proof: tally, waited: begin.elapsed() }));
            }
        }
    }

    /// Writes down what was proved, moves the location, and looks whether anybody came too late.
    async fn flip(
        &self,
        engine: &Arc<Engine>,
        held: &Registered,
        done: Held,
        (entry, kept): (Entry, &Kept),
    ) -> Result<Outputs, Failed> {
        let copied = self.memo.rounds.iter().map(|round| round.copied).sum();
        self.must_still_be_held(held)?;
        let mut proved = Proved { evidence: self.evidence(&held.location, &done), copied };
        self.action.book.prove(self.job, &entry, &proved).await?;
        let (dataset, run) = (self.job.dataset(), &self.job.run.id);
        self.action.registry.cut_over(dataset, held, run, self.with.retain).await?;
        self.action.book.forget(self.memo.proofs.iter().map(String::as_str)).await;
        engine.sweep_uploads().await;
        proved.evidence.late = self.late(engine, kept, done.proof.source).await;
        // So that a repeat says the same.
        self.action.book.prove(self.job, &entry, &proved).await?;
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

    /// What was written to the source after the last comparison. Not being able to look does not undo the migration.
    async fn late(&self, engine: &Arc<Engine>, kept: &Kept, compared: SetDigest) -> Option<Late> {
        match engine.go_over(KeyRange::default(), Pass::Look(kept)).await {
            Ok(now) if now.source == compared => Some(Late::default()),
            Ok(now) => {
                let late = Late { objects: now.wanted_keys.count, first: now.wanted_keys.first };
                tracing::warn!(objects = late.objects, first = ?late.first, "the source was written to after the cut-over");
                Some(late)
            }
            Err(error) => {
                tracing::warn!(%error, "the source cannot be looked at any more");
                None
            }
        }
    }

    fn evidence(&self, location: &Location, Held { proof, waited }: &Held) -> Evidence {
        let place = |side| location.spec.place(side).clone();
        let side = |side, digest: SetDigest| EvidenceSide {
            place: place(side),
            objects: proof.equal,
            bytes: proof.bytes,
            digest: digest.to_hex(),
        };
        Evidence {
            dataset: self.job.dataset().clone(),
            run: self.job.run.id.clone(),
            epoch: location.epoch + u64::from(location.active == Side::Source),
            proved_at: self.action.clock.now(),
            source: side(Side::Source, proof.source),
            target: side(Side::Target, proof.target),
            listing: proof.listing.to_hex(),
            verify: self.with.verify.word().to_owned(),
            means: proof.means,
            planned_by: self.memo.planned_by.clone(),
            rounds: self.memo.rounds.clone(),
            foreign: proof.foreign,
            skipped: proof.skipped.count,
            held_ms: u64::try_from(waited.as_millis()).unwrap_or(u64::MAX),
            late: None,
        }
    }
}

/// What the job leaves for later ones and for people.
pub(crate) fn outputs(proved: &Proved) -> Outputs {
    let Proved { evidence, copied } = proved;
    object(json!({
        "from": evidence.source.place, "to": evidence.target.place,
        "objects": evidence.source.objects, "bytes": evidence.source.bytes, "digest": evidence.source.digest,
        "copied": copied, "already_there": evidence.source.objects.saturating_sub(*copied),
        OUTPUT: evidence,
    }))
}
