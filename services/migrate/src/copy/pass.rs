//! One pass over both listings, merged and never held: it looks at what there is to do, or does it.
//!
//! Everything is built of passes. The first looks, and remembers what the target has of its own. The next ones bring the target to where the
//! source is by then: what is missing or differs is copied, what the source has no longer is removed. A pass that finds nothing to do is the
//! proof that both sides were the same, object by object, while it went by. Passes can be repeated after any failure, by anybody: the
//! target itself is the journal of what was done.

use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _};
use honk_storage::{ObjectInfo, PageCursor};

use super::chunk::Cutter;
use super::engine::Engine;
use super::error::CopyError;
use super::is_source_change;
use super::join::Pair;
use super::kept::{Kept, MOST_KEPT};
use super::policy::Existing;
use super::proofs::Fact;
use super::refused::Refusal;
use super::sameness::Sameness;
use super::span::{KeyRange, Span, walk};
use super::tally::{Finding, Tally, Work};

/// What a pass is for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pass<'k> {
    /// The first look of a migration: what the target has and the source has not, or not so, is somebody else's.
    Begin,
    /// A look at what is to be done, where these names are somebody else's.
    Look(&'k Kept),
    /// Do it.
    Sync(&'k Kept),
}

/// One pair, and what became of it.
type Found = (Pair, Finding);

impl Engine<'_> {
    /// Goes once over all keys of `range`. Boxed outside of any `async`: only here can the compiler see that it may move between threads.
    pub(crate) fn go_over<'a>(&'a self, range: KeyRange, pass: Pass<'a>) -> BoxFuture<'a, Result<Tally, CopyError>> {
        Box::pin(self.go_over_all(range, pass))
    }

    async fn go_over_all(&self, range: KeyRange, pass: Pass<'_>) -> Result<Tally, CopyError> {
        let visit = |span| self.visit(span, pass).boxed();
        let has_beyond = |key| self.has_beyond(key);
        if matches!(pass, Pass::Sync(_)) {
            // What somebody removes by mistake is not removed at the target too, if it is everything.
            if !self.has_any().await? {
                return Err(CopyError::SourceEmptied);
            }
            self.progress.begin_pass();
        }
        let parts = walk(vec![range], self.settings.listings, visit, &has_beyond).await.map_err(first_cause)?;
        if self.cancel.is_cancelled() {
            return Err(CopyError::Cancelled);
        }
        let mut tally = Tally::default();
        for (_, part) in parts {
            tally.merge(part);
        }
        if tally.kept.len() > MOST_KEPT {
            return Err(CopyError::Crowded { bucket: self.target.store.bucket().to_owned() });
        }
        tally.chunks = self.settings.policy.chunk.pack(&tally.chunks);
        Ok(tally)
    }

    /// Walks one span. After a failure nothing new is begun, and what is under way ends by itself, so that no upload stays unfinished.
    async fn visit(&self, span: std::sync::Arc<Span>, pass: Pass<'_>) -> Result<Tally, CopyError> {
        let mut tally = Tally::default();
        let mut cutter = Cutter::new(self.settings.policy.chunk, span.after().map(str::to_owned));
        let mut failure = None;
        {
            let pairs = self.pairs(span.after());
            let admitted =
                pairs.take_while(|pair| std::future::ready(pair.as_ref().map_or(true, |pair| span.admits(&pair.key))));
            let settled =
                admitted.take_until(self.cancel.clone().cancelled_owned()).map(|pair| self.settle(pair, pass));
            // Work is cut up in the order of the keys; where it is done, nobody waits for the object before.
            let at_a_time = self.settings.objects_in_flight.max(1);
            let mut settled = match pass {
                Pass::Sync(_) => settled.buffer_unordered(at_a_time).boxed(),
                Pass::Begin | Pass::Look(_) => settled.buffered(at_a_time).boxed(),
            };
            while let Some(found) = settled.next().await {
                match found {
                    Ok(found) => note(&mut tally, &mut cutter, found, pass),
                    Err(error) => {
                        self.cancel.cancel();
                        failure.get_or_insert(error);
                    }
                }
            }
        }
        if let Some(error) = failure {
            return Err(error);
        }
        tally.chunks = cutter.finish(span.range().until);
        Ok(tally)
    }

    /// Boxed: it is as large as a copy.
    fn settle<'a>(&'a self, pair: Result<Pair, CopyError>, pass: Pass<'a>) -> BoxFuture<'a, Result<Found, CopyError>> {
        async move {
            let pair = pair?;
            let finding = match pass {
                Pass::Begin => self.look(&pair, None).await?,
                Pass::Look(kept) => self.look(&pair, Some(kept)).await?,
                Pass::Sync(kept) => self.sync(&pair, kept).await?,
            };
            Ok((pair, finding))
        }
        .boxed()
    }

    /// What is to be done about a pair.
    async fn look(&self, pair: &Pair, kept: Option<&Kept>) -> Result<Finding, CopyError> {
        let is_foreign = || kept.is_none_or(|kept| kept.contains(&pair.key));
        let Some(source) = &pair.source else {
            return Ok(if is_foreign() { Finding::Foreign } else { Finding::Gone });
        };
        let Some(target) = &pair.target else { return Ok(Finding::Wanted) };
        match self.sameness(&pair.key, source, target).await? {
            Sameness::Equal(proof) => Ok(Finding::Equal(proof)),
            Sameness::Different if is_foreign() => Ok(self.in_the_way()),
            Sameness::Different => Ok(Finding::Wanted),
        }
    }

    /// An object of the target that differs and is not the migration's.
    fn in_the_way(&self) -> Finding {
        match self.settings.policy.existing {
            Existing::Fail => Finding::Conflict,
            Existing::Skip => Finding::Skipped,
            Existing::Overwrite => Finding::Wanted,
        }
    }

    /// Does what is to be done about a pair.
    async fn sync(&self, pair: &Pair, kept: &Kept) -> Result<Finding, CopyError> {
        let finding = match (self.look(pair, Some(kept)).await?, &pair.source) {
            (Finding::Wanted, Some(source)) => self.copy_again_at_most_once(&pair.key, source).await?,
            (Finding::Gone, _) => {
                let name = format!("{}{}", self.target.prefix, pair.key);
                let removed = self.retrying(|| self.target.store.delete(&name)).await;
                match self.one_object(&pair.key, removed)? {
                    Finding::Copied => Finding::Removed,
                    other => other,
                }
            }
            (Finding::Equal(proof), Some(source)) => {
                self.progress.object_verified();
                self.progress.add_bytes(source.size);
                Finding::Equal(proof)
            }
            (other, _) => other,
        };
        if matches!(finding, Finding::Equal(_) | Finding::Copied) {
            self.progress.object_done();
        }
        Ok(finding)
    }

    /// Copies a version; one that was copied twice already, and still differs, will not become right by a third time.
    async fn copy_again_at_most_once(&self, key: &str, source: &ObjectInfo) -> Result<Finding, CopyError> {
        let version = (&source.etag, &source.etag);
        let again = self.proofs.has(Fact::Copied, key, version);
        if again && self.proofs.has(Fact::CopiedAgain, key, version) {
            return Ok(Finding::Differs);
        }
        let finding = self.one_object(key, self.copy_current(key, source.clone()).await)?;
        if matches!(finding, Finding::Copied) {
            let fact = if again { Fact::CopiedAgain } else { Fact::Copied };
            self.proofs.remember(fact, key, version);
        }
        Ok(finding)
    }

    /// Tells what concerns one object from what concerns all.
    fn one_object(&self, key: &str, done: Result<(), CopyError>) -> Result<Finding, CopyError> {
        let error = match done {
            Ok(()) => {
                self.note_copied();
                return Ok(Finding::Copied);
            }
            Err(CopyError::SourceChanged { .. }) => return Ok(Finding::Unsettled),
            Err(CopyError::Storage(error)) if is_source_change(&error) => return Ok(Finding::Unsettled),
            Err(CopyError::Storage(error)) => error,
            Err(error) => return Err(error),
        };
        let Some(why) = Refusal::of(&error) else { return Err(error.into()) };
        tracing::warn!(%error, "an object is refused");
        match self.refused_in_vain(key, why, &error) {
            None => Ok(Finding::Refused(why, error)),
            Some(all) => Err(CopyError::Refused(all)),
        }
    }

    /// Whether anything is at the source.
    async fn has_any(&self) -> Result<bool, CopyError> {
        let mut cursor = PageCursor::Start;
        while cursor != PageCursor::End {
            let (store, prefix) = (&self.source.store, &self.source.prefix);
            let page = self.retrying(|| store.list_page(prefix, self.settings.page_size, &cursor)).await?;
            if !page.0.is_empty() {
                return Ok(true);
            }
            cursor = page.1;
        }
        Ok(false)
    }

    /// Whether the source has a key greater than `key`.
    fn has_beyond(&self, key: String) -> BoxFuture<'_, Result<bool, CopyError>> {
        async move {
            let cursor = PageCursor::AfterKey(format!("{}{key}", self.source.prefix));
            let (found, _) = self.retrying(|| self.source.store.list_page(&self.source.prefix, 1, &cursor)).await?;
            Ok(!found.is_empty())
        }
        .boxed()
    }
}

/// The first error stops everything else: what is cancelled by it is no cause.
fn first_cause(errors: Vec<CopyError>) -> CopyError {
    let cause = errors.into_iter().find(|error| !matches!(error, CopyError::Cancelled));
    cause.unwrap_or(CopyError::Cancelled)
}

fn note(tally: &mut Tally, cutter: &mut Cutter, (pair, finding): Found, pass: Pass<'_>) {
    let mut work = Work::default();
    match finding {
        Finding::Wanted => work.copy(pair.source.as_ref().map_or(0, |source| source.size)),
        Finding::Gone => work.removals = 1,
        Finding::Foreign | Finding::Skipped if matches!(pass, Pass::Begin) && tally.kept.len() <= MOST_KEPT => {
            tally.kept.push(pair.key.clone());
        }
        _ => {}
    }
    if !work.is_none() {
        cutter.add(&pair.key, &work);
    }
    tally.add(pair, finding);
}
