//! A key space that several workers walk at once. It begins as one range or a few; a worker without work takes the upper half of what
//! another has still before it. So nothing needs to be known of the keys beforehand, and the slowest range is the one that is halved again
//! and again. A store lists a range one page after the other, about a thousand keys per round trip: more than one range at a time is what
//! makes a listing faster.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

/// A span is not halved before it has admitted so many keys: two pages, because a search for its middle costs requests too.
const RIPE: u64 = 2_000;

/// Probes in one search for a middle: each halves the range of one character.
const PROBES: usize = 96;

/// Keys greater than `after` and not greater than `until`, by their bytes; relative to the place's prefix.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRange {
    /// The last key before the range; none if it begins with the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// The last key that it may have; none if it ends with the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

/// A range that is being walked, whose upper part may be given away meanwhile.
#[derive(Debug)]
pub(super) struct Span {
    after: Option<String>,
    state: Mutex<State>,
    ripe: Arc<Notify>,
}

#[derive(Debug, Default)]
struct State {
    until: Option<String>,
    /// The last key that was admitted.
    at: Option<String>,
    /// Nothing was found beyond this when it was looked for; whatever is there nevertheless stays in the span.
    hint: Option<String>,
    admitted: u64,
    /// The walk has left it, or there is no middle to be found.
    closed: bool,
}

impl Span {
    fn new(range: KeyRange, ripe: &Arc<Notify>) -> Arc<Self> {
        let state = State { until: range.until, ..State::default() };
        Arc::new(Self { after: range.after, state: Mutex::new(state), ripe: Arc::clone(ripe) })
    }

    /// The last key before the span.
    pub(super) fn after(&self) -> Option<&str> {
        self.after.as_deref()
    }

    /// Whether the next key of the listing belongs here. If not, the walk of this span is over.
    pub(super) fn admits(&self, key: &str) -> bool {
        let mut state = self.state();
        if state.until.as_deref().is_some_and(|until| key > until) {
            state.closed = true;
            return false;
        }
        state.at = Some(key.to_owned());
        state.admitted += 1;
        if state.admitted == RIPE {
            self.ripe.notify_one();
        }
        true
    }

    /// The range as it ended up.
    pub(super) fn range(&self) -> KeyRange {
        KeyRange { after: self.after.clone(), until: self.state().until.clone() }
    }

    fn is_ripe(&self) -> bool {
        let state = self.state();
        !state.closed && state.admitted >= RIPE
    }

    /// A key between where the walk is and where keys are known to end.
    fn middle(&self) -> Option<String> {
        let state = self.state();
        let (at, end) = (state.at.as_deref()?, state.hint.as_deref().or(state.until.as_deref()));
        between(at, end)
    }

    /// Gives away what is beyond `middle`, unless the walk has come there already.
    fn cut(&self, middle: &str) -> Option<KeyRange> {
        let mut state = self.state();
        if state.closed || state.at.as_deref().is_none_or(|at| at >= middle) {
            return None;
        }
        state.hint = None;
        state.admitted = 0;
        let until = state.until.replace(middle.to_owned());
        Some(KeyRange { after: Some(middle.to_owned()), until })
    }

    fn nothing_beyond(&self, middle: String) {
        self.state().hint = Some(middle);
    }

    fn close(&self) {
        self.state().closed = true;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a step of the walk came to.
enum Step<T, E> {
    Visited(Arc<Span>, Result<T, E>),
    Found(Result<KeyRange, E>),
}

/// Visits `ranges`, which have no key in common, and whatever they are cut into, with at most `workers` at a time. `visit` walks a span for
/// as long as it admits keys; `has_beyond` says whether there is a key greater than another. Returns what each visit found, in the order of
/// the keys. After an error no visit is begun any more, and all that are under way are awaited.
pub(super) async fn walk<'a, T: Send + 'a, E: Send + Debug + 'a>(
    ranges: Vec<KeyRange>,
    workers: usize,
    visit: impl Fn(Arc<Span>) -> BoxFuture<'a, Result<T, E>>,
    has_beyond: impl Fn(String) -> BoxFuture<'a, Result<bool, E>> + Copy + Send + Sync + 'a,
) -> Result<Vec<(KeyRange, T)>, Vec<E>> {
    let ripe = Arc::new(Notify::new());
    let mut waiting: VecDeque<Arc<Span>> = ranges.into_iter().map(|range| Span::new(range, &ripe)).collect();
    let live: Arc<Mutex<Vec<Arc<Span>>>> = Arc::default();
    let mut under_way: FuturesUnordered<BoxFuture<'a, Step<T, E>>> = FuturesUnordered::new();
    let (mut visits, mut searching) = (0, false);
    let (mut found, mut errors) = (Vec::new(), Vec::new());
    loop {
        while visits < workers.max(1) && errors.is_empty() {
            let Some(span) = waiting.pop_front() else { break };
            visits += 1;
            lock(&live).push(Arc::clone(&span));
            let visited = visit(Arc::clone(&span));
            under_way.push(Box::pin(async move {
                let left = visited.await;
                // Nothing is to be given away of what was visited.
                span.close();
                Step::Visited(span, left)
            }));
        }
        if visits == 0 {
            break;
        }
        if visits < workers && !searching && errors.is_empty() {
            searching = true;
            let (live, ripe) = (Arc::clone(&live), Arc::clone(&ripe));
            under_way.push(Box::pin(async move { Step::Found(search(&live, &ripe, has_beyond).await) }));
        }
        match under_way.next().await {
            Some(Step::Visited(span, left)) => {
                visits -= 1;
                lock(&live).retain(|other| !Arc::ptr_eq(other, &span));
                match left {
                    Ok(left) => found.push((span.range(), left)),
                    Err(error) => errors.push(error),
                }
            }
            Some(Step::Found(Ok(range))) => {
                searching = false;
                waiting.push_back(Span::new(range, &ripe));
            }
            Some(Step::Found(Err(error))) => errors.push(error),
            None => break,
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    found.sort_by(|(one, _), (other, _)| one.after.cmp(&other.after));
    Ok(found)
}

/// Waits until a span is worth halving, and halves it.
async fn search<'a, E>(
    live: &Mutex<Vec<Arc<Span>>>,
    ripe: &Notify,
    has_beyond: impl Fn(String) -> BoxFuture<'a, Result<bool, E>>,
) -> Result<KeyRange, E> {
    loop {
        let candidate = lock(live).iter().find(|span| span.is_ripe()).cloned();
        let Some(span) = candidate else {
            ripe.notified().await;
            continue;
        };
        for _ in 0..PROBES {
            let Some(middle) = span.middle() else { break };
            if !has_beyond(middle.clone()).await? {
                span.nothing_beyond(middle);
            } else if let Some(range) = span.cut(&middle) {
                return Ok(range);
            }
        }
        span.close();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Printable ASCII lies between these; keys rarely have anything else, and where they do, only the halves are less even.
const LOW: u32 = 0x20;
const HIGH: u32 = 0x7f;

/// A string greater than `low` and less than `high`, about in the middle of the keys that can be between them; none if there is no room.
fn between(low: &str, high: Option<&str>) -> Option<String> {
    if high.is_some_and(|high| high <= low) {
        return None;
    }
    let mut middle = String::new();
    let mut highs = high.map(str::chars);
    let mut lows = low.chars();
    loop {
        let from = lows.next();
        let to = match highs.as_mut() {
            None => HIGH,
            // What begins with all of `high` is beyond it.
            Some(highs) => u32::from(highs.next()?),
        };
        let (a, b) = (from.map_or(LOW, u32::from), to);
        if b > a + 1 {
            middle.push(char_near(u32::midpoint(a, b))?);
            return (middle.as_str() > low).then_some(middle);
        }
        // Of neighbours, whatever begins with the lower one is below the higher one.
        if b != a {
            highs = None;
        }
        middle.push(from.or(char::from_u32(LOW))?);
        if middle.len() > low.len() + 4 {
            return None;
        }
    }
}

/// The character with that number, or where numbers are none, the last one before.
fn char_near(number: u32) -> Option<char> {
    char::from_u32(number).or(Some('\u{d7ff}'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;
    use proptest::prelude::*;
    use std::collections::BTreeSet;
    use std::convert::Infallible;

    proptest! {
        #[test]
        fn a_middle_lies_between(low in "[ -~é]{0,6}", high in prop::option::of("[ -~é]{1,6}")) {
            if let Some(middle) = between(&low, high.as_deref()) {
                prop_assert!(middle > low);
                prop_assert!(high.is_none_or(|high| middle < high), "{middle:?}");
            }
        }

        #[test]
        fn every_key_is_visited_once_however_the_ranges_are_cut(
            keys in prop::collection::btree_set("(a|b/|part-0|é)[0-9]{1,5}", 1..60), workers in 1usize..6,
        ) {
            // Each key stands for many, so that spans are ripe at once.
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let visited = runtime.block_on(visit_all(&keys, workers));
            let order: Vec<String> = visited.iter().flat_map(|(_, seen)| seen.clone()).collect();
            prop_assert_eq!(order, keys.iter().cloned().collect::<Vec<_>>());
            for pair in visited.windows(2) {
                prop_assert_eq!(&pair[0].0.until, &pair[1].0.after, "ranges follow each other without a gap");
            }
        }
    }

    /// Walks the keys, with a pause after each so that others have their turn.
    async fn visit_all(keys: &BTreeSet<String>, workers: usize) -> Vec<(KeyRange, Vec<String>)> {
        let visit = |span: Arc<Span>| {
            async move {
                let mut seen = Vec::new();
                let start = span.after().map(str::to_owned);
                for key in keys.iter().filter(|key| start.as_ref().is_none_or(|start| *key > start)) {
                    if !span.admits(key) {
                        break;
                    }
                    span.state().admitted += RIPE;
                    span.ripe.notify_one();
                    seen.push(key.clone());
                    tokio::task::yield_now().await;
                }
                Ok::<_, Infallible>(seen)
            }
            .boxed()
        };
        let has_beyond = |key: String| async move { Ok(keys.iter().any(|other| *other > key)) }.boxed();
        walk(vec![KeyRange::default()], workers, visit, &has_beyond).await.unwrap()
    }

    #[test]
    fn a_flat_listing_is_shared_by_all_workers() {
        let keys: BTreeSet<String> = (0..3_000).map(|number| format!("part-{number:06}.csv")).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let visited = runtime.block_on(visit_all(&keys, 4));
        let sizes: Vec<usize> = visited.iter().map(|(_, seen)| seen.len()).filter(|size| *size > 0).collect();
        assert!(sizes.len() >= 4, "{sizes:?}");
        assert_eq!(sizes.iter().sum::<usize>(), keys.len());
    }
}
