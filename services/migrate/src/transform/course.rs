//! The course of a migration that transforms: all of the source at once, again if it has changed meanwhile, until a look at it while writers
//! wait finds it as it was transformed. Then readers are sent to the target, as after a copy (`cut_over`).
//!
//! What was transformed is in the book: an attempt that comes after it, be it because the run was paused, because the cut-over had to wait for
//! its window or because the agent died, begins with two listings and not from the beginning.

use std::time::Instant;

use async_trait::async_trait;
use honk_agent::action::Worked;
use honk_agent::registry::Registered;
use honk_protocol::dataset::{LocationSpec, Side};
use honk_protocol::evidence::{Evidence, EvidenceMeans, EvidenceSide, Late, Round, RoundKind};
use honk_protocol::reason::Reason;
use honk_protocol::settle::Failed;
use honk_protocol::transform::{TransformEvidence, TransformResult};
use serde::{Deserialize, Serialize};

use super::look::{Looked, Prints, Written, conflict};
use crate::book::Entry;
use crate::copy::{Existing, Kept};
use crate::cut_over::Mover;
use crate::migration::{Migration, millis};

/// Bytes that the evidence of the rows may take in a run's record, which has to carry it.
const EVIDENCE: usize = 96 << 10;

/// What was transformed, and what came of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Transformed {
    /// The source, as it was read.
    source: EvidenceSide,
    /// What was written.
    target: EvidenceSide,
    /// The digest of everything at the target.
    all: String,
    /// Objects at the target that are somebody else's.
    foreign: u64,
    /// The round in which it was done.
    round: Round,
    /// What the program says of the rows.
    evidence: TransformEvidence,
}

/// A transformation on its way.
struct Course {
    spec: LocationSpec,
    kept: Kept,
    entry: Entry,
    /// The source at the last look.
    seen: Option<String>,
    /// The source while writers wait.
    prints: Prints,
}

impl Migration<'_> {
    /// Transforms the dataset, and sends its readers to the target.
    pub(crate) async fn transform(&mut self, read: &Registered) -> Result<Worked, Failed> {
        let mut course = Course::begin(self, read).await?;
        course.bring_over(self).await?;
        if let Some(put_off) = self.put_off()? {
            return Ok(put_off);
        }
        Box::pin(self.cut_over(&mut course, read)).await.map(Worked::Done)
    }

    /// What `work` comes to, unless the job is to stop before.
    async fn heed<T>(&self, work: impl Future<Output = Result<T, Failed>>) -> Result<T, Failed> {
        let stopped = || Failed::retry(Reason::JobTimeout, "stopped before everything was transformed");
        self.job.cancelled.run_until_cancelled(work).await.unwrap_or_else(|| Err(stopped()))
    }
}

impl Course {
    /// The first attempt of all notes what is at the target and not the migration's; later ones believe the book.
    async fn begin(migration: &Migration<'_>, read: &Registered) -> Result<Self, Failed> {
        let (book, job) = (&migration.action.book, migration.job);
        let spec = read.location.spec.clone();
        let (entry, kept) = if let Some(found) = book.find(job).await? {
            found
        } else {
            let expect = migration.with.expect.clone().unwrap_or_default();
            let target = look(migration, &spec, Side::Target);
            let (kept, in_the_way) = migration.heed(target.foreign(&expect)).await?;
            if in_the_way.count > 0 && migration.with.existing == Existing::Fail {
                return Err(conflict(&in_the_way, &spec.target));
            }
            (book.begin(job, &kept).await?, kept)
        };
        Ok(Self { spec, kept, entry, seen: None, prints: Prints::default() })
    }

    /// Round after round, until the source is as it was when it was transformed.
    async fn bring_over(&mut self, migration: &mut Migration<'_>) -> Result<(), Failed> {
        loop {
            let source = migration.heed(look(migration, &self.spec, Side::Source).survey()).await?;
            self.see(migration, &source);
            if migration.heed(self.is_done(migration, &source)).await? {
                if migration.memo.rounds.is_empty() {
                    // An earlier attempt has done it.
                    migration.memo.rounds.extend(self.entry.transformed.as_ref().map(|done| done.round.clone()));
                }
                return Ok(());
            }
            if !migration.memo.rounds.is_empty() {
                migration.may_go_on()?;
            }
            if source.objects == 0 {
                return Err(Failed::reject(Reason::SourceEmpty, format!("there is no object at {}", source.place)));
            }
            self.round(migration).await?;
        }
    }

    /// Notes whether the source is as it was at the last look.
    fn see(&mut self, migration: &mut Migration<'_>, source: &EvidenceSide) {
        let before = self.seen.as_ref().or(self.entry.transformed.as_ref().map(|done| &done.source.digest));
        migration.is_written |= before.is_some_and(|before| *before != source.digest);
        self.seen = Some(source.digest.clone());
    }

    /// Whether this source was transformed, and the target is as it was left.
    async fn is_done(&self, migration: &Migration<'_>, source: &EvidenceSide) -> Result<bool, Failed> {
        let Some(done) = self.entry.transformed.as_ref().filter(|done| done.source == *source) else {
            return Ok(false);
        };
        Ok(look(migration, &self.spec, Side::Target).survey().await?.digest == done.all)
    }

    async fn round(&mut self, migration: &mut Migration<'_>) -> Result<(), Failed> {
        let begin = Instant::now();
        let settings = &migration.action.transform;
        let running = settings.run(migration.job, &self.spec, (&migration.with, &self.kept));
        let result = match migration.heed(running).await {
            Err(failed) if failed.reason == Reason::SourceChanged => {
                tracing::info!(message = failed.message, "the source has changed while it was read");
                migration.is_written = true;
                migration.memo.rounds.push(Round { unsettled: 1, ..round(begin, &[]) });
                return Ok(());
            }
            result => result?,
        };
        let TransformResult { mut evidence, source, files, removed } = result;
        let target = look(migration, &self.spec, Side::Target);
        let Written { files: target, all, foreign } = migration.heed(target.verify(&files, &self.kept)).await?;
        tracing::info!(rows = evidence.after.rows, files = files.len(), "transformed and verified");
        evidence.fit(EVIDENCE);
        let sizes: Vec<u64> = files.iter().map(|file| file.bytes).collect();
        let round = Round { removed, ..round(begin, &sizes) };
        migration.memo.rounds.push(round.clone());
        self.entry.transformed = Some(Transformed { source, target, all, foreign, round, evidence });
        migration.action.book.transformed(migration.job, &self.entry).await
    }
}

#[async_trait]
impl Mover for Course {
    fn entry(&self) -> &Entry {
        &self.entry
    }

    /// Both places are listed once more. Nothing is transformed while writers wait.
    async fn last(
        &mut self,
        migration: &mut Migration<'_>,
        held: &Registered,
        begin: Instant,
    ) -> Result<Option<Evidence>, Failed> {
        if migration.is_written {
            // Somebody writes, and may have asked where to just before the hold.
            let drain = migration.with.cut_over.drain;
            let draining = async {
                tokio::time::sleep(drain).await;
                Ok(())
            };
            migration.heed(draining).await?;
        }
        let left = migration.with.cut_over.max_hold.saturating_sub(begin.elapsed());
        let looking = async {
            let (source, prints) = look(migration, &self.spec, Side::Source).prints().await?;
            let is_done = self.is_done(migration, &source).await?;
            Ok((source, prints, is_done))
        };
        let looked = migration.heed(async { Ok(tokio::time::timeout(left, looking).await) }).await?;
        let Ok(looked) = looked else { return Ok(None) };
        let (source, prints, is_done) = looked?;
        self.prints = prints;
        self.see(migration, &source);
        let done = self.entry.transformed.as_ref().filter(|_| is_done);
        Ok(done.map(|done| Evidence {
            verify: "written".to_owned(),
            means: EvidenceMeans { etag: done.target.objects, ..EvidenceMeans::default() },
            foreign: done.foreign,
            transform: Some(done.evidence.clone()),
            ..migration.evidence(held, begin, [source, done.target.clone()])
        }))
    }

    async fn go_on(&mut self, migration: &mut Migration<'_>) -> Result<(), Failed> {
        tracing::warn!("a place has changed, or could not be listed in time: writers go on, and so does the migration");
        migration.memo.rounds.push(Round { kind: RoundKind::Aborted, ..round(Instant::now(), &[]) });
        migration.may_go_on()?;
        self.bring_over(migration).await
    }

    async fn look_back(&self, migration: &Migration<'_>) -> Option<Late> {
        match migration.heed(look(migration, &self.spec, Side::Source).since(&self.prints)).await {
            Ok(late) => Some(late),
            Err(failed) => {
                tracing::warn!(error = failed.message, "the source cannot be looked at any more");
                None
            }
        }
    }
}

fn look<'l>(migration: &Migration<'l>, spec: &'l LocationSpec, side: Side) -> Looked<'l> {
    Looked { stores: &migration.action.stores, place: spec.place(side), side }
}

/// A round that began at `begin` and wrote files of these sizes.
fn round(begin: Instant, sizes: &[u64]) -> Round {
    Round {
        kind: RoundKind::Copy,
        parts: 1,
        copied: sizes.len() as u64,
        bytes: sizes.iter().sum(),
        removed: 0,
        unsettled: 0,
        took_ms: millis(begin.elapsed()),
    }
}
