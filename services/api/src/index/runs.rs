//! All runs by age, and by dataset, state and workflow, so that a page looks at little more than what it shows.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::Hash;
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock};

use honk_bus::Message;
use honk_protocol::name::{DatasetName, RunId, WorkflowHash, WorkflowName};
use honk_protocol::run::{Run, RunState};
use jiff::Timestamp;
use tokio::sync::broadcast;

use super::Page;
use super::feed::Index;
use crate::wire::RunQuery;

/// Changes that a slow watcher may be behind before it has to look the run up again.
const BACKLOG: usize = 1024;

/// Sorts by age; the id makes it unique.
type Key = (Timestamp, RunId);

/// All runs.
pub(crate) struct Runs {
    shelves: RwLock<Shelves>,
    changes: broadcast::Sender<RunId>,
}

#[derive(Default)]
struct Shelves {
    runs: HashMap<RunId, Arc<Run>>,
    ids: HashMap<String, RunId>,
    all: BTreeSet<Key>,
    by_dataset: HashMap<DatasetName, BTreeSet<Key>>,
    by_state: HashMap<RunState, BTreeSet<Key>>,
    by_workflow: HashMap<WorkflowName, BTreeSet<Key>>,
}

impl Default for Runs {
    fn default() -> Self {
        Self { shelves: RwLock::default(), changes: broadcast::channel(BACKLOG).0 }
    }
}

impl Runs {
    /// The run of this id.
    pub(crate) fn get(&self, id: &RunId) -> Option<Arc<Run>> {
        self.read(|shelves| shelves.runs.get(id).cloned())
    }

    /// The dataset's newest run.
    pub(crate) fn newest_of(&self, dataset: &DatasetName) -> Option<Arc<Run>> {
        self.read(|shelves| {
            let (_, id) = shelves.by_dataset.get(dataset)?.last()?;
            shelves.runs.get(id).cloned()
        })
    }

    /// The versions of a workflow that its runs may still need: those that are under way, and those that did not succeed and can be replayed.
    pub(crate) fn needed_versions(&self, workflow: &WorkflowName) -> HashSet<WorkflowHash> {
        self.read(|shelves| {
            let runs = shelves.by_workflow.get(workflow).into_iter().flatten();
            let runs = runs.filter_map(|(_, id)| shelves.runs.get(id));
            runs.filter(|run| run.state != RunState::Success).map(|run| run.workflow.hash.clone()).collect()
        })
    }

    /// The ids of runs as they change, from now on.
    pub(crate) fn changes(&self) -> broadcast::Receiver<RunId> {
        self.changes.subscribe()
    }

    /// At most `limit` runs that `query` selects, the newest first; none if its cursor is no cursor.
    pub(crate) fn page(&self, query: &RunQuery, limit: usize) -> Option<Page<Arc<Run>>> {
        let before = query.cursor.as_deref().map(parse_cursor);
        let before = match before {
            None => Bound::Unbounded,
            Some(key) => Bound::Excluded(key?),
        };
        let fits = |run: &Arc<Run>| {
            query.dataset.as_ref().is_none_or(|dataset| run.dataset == *dataset)
                && query.workflow.as_ref().is_none_or(|workflow| run.workflow.name == *workflow)
                && query.state.is_none_or(|state| run.state == state)
        };
        Some(self.read(|shelves| {
            let empty = BTreeSet::new();
            let candidates = shelves.smallest(query).unwrap_or(&empty);
            let newest_first = candidates.range((Bound::Unbounded, before)).rev();
            let runs = newest_first.filter_map(|(_, id)| shelves.runs.get(id)).filter(|run| fits(run)).cloned();
            Page::of(runs, limit, |run| cursor(run))
        }))
    }

    fn put(&self, subject: &str, run: Run) {
        let id = run.id.clone();
        self.write(|shelves| shelves.put(subject, run));
        // An error says that nobody watches.
        self.changes.send(id).unwrap_or_default();
    }

    fn read<T>(&self, look: impl FnOnce(&Shelves) -> T) -> T {
        look(&self.shelves.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write<T>(&self, change: impl FnOnce(&mut Shelves) -> T) -> T {
        change(&mut self.shelves.write().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Shelves {
    /// The shortest set that holds everything the query selects; none if nothing does.
    fn smallest(&self, query: &RunQuery) -> Option<&BTreeSet<Key>> {
        let mut smallest = &self.all;
        let dataset = query.dataset.as_ref().map(|dataset| self.by_dataset.get(dataset));
        let state = query.state.as_ref().map(|state| self.by_state.get(state));
        let workflow = query.workflow.as_ref().map(|workflow| self.by_workflow.get(workflow));
        for candidate in [dataset, state, workflow].into_iter().flatten() {
            let candidate = candidate?;
            if candidate.len() < smallest.len() {
                smallest = candidate;
            }
        }
        Some(smallest)
    }

    fn put(&mut self, subject: &str, run: Run) {
        self.remove(subject);
        let key = (run.created_at, run.id.clone());
        self.all.insert(key.clone());
        self.by_dataset.entry(run.dataset.clone()).or_default().insert(key.clone());
        self.by_state.entry(run.state).or_default().insert(key.clone());
        self.by_workflow.entry(run.workflow.name.clone()).or_default().insert(key);
        self.ids.insert(subject.to_owned(), run.id.clone());
        self.runs.insert(run.id.clone(), Arc::new(run));
    }

    fn remove(&mut self, subject: &str) {
        let Some(run) = self.ids.remove(subject).and_then(|id| self.runs.remove(&id)) else { return };
        let key = (run.created_at, run.id.clone());
        self.all.remove(&key);
        take(&mut self.by_dataset, &run.dataset, &key);
        take(&mut self.by_state, &run.state, &key);
        take(&mut self.by_workflow, &run.workflow.name, &key);
    }
}

fn take<K: Hash + Eq>(shelves: &mut HashMap<K, BTreeSet<Key>>, name: &K, key: &Key) {
    if let Some(shelf) = shelves.get_mut(name) {
        shelf.remove(key);
        if shelf.is_empty() {
            shelves.remove(name);
        }
    }
}

fn cursor(run: &Run) -> String {
    format!("{}.{}", run.created_at.as_nanosecond(), run.id)
}

fn parse_cursor(text: &str) -> Option<Key> {
    let (time, id) = text.split_once('.')?;
    Some((Timestamp::from_nanosecond(time.parse().ok()?).ok()?, RunId::new(id).ok()?))
}

impl Index for Runs {
    fn changed(&self, message: &Message) {
        match serde_json::from_slice::<Run>(&message.payload) {
            Ok(run) => self.put(&message.subject, run),
            Err(error) => tracing::warn!(message.subject, %error, "left out of the index: the record cannot be read"),
        }
    }

    fn removed(&self, subject: &str) {
        self.write(|shelves| shelves.remove(subject));
    }

    fn subjects(&self) -> HashSet<String> {
        self.read(|shelves| shelves.ids.keys().cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use honk_protocol::name::PoolName;
    use honk_protocol::run::{EventRef, NewRun, RunEvent, WorkflowRef};
    use honk_protocol::subject::run_key;

    use super::*;

    fn run(number: i64, dataset: &str) -> Run {
        let event = EventRef { source: "test".into(), id: number.to_string() };
        let new = NewRun {
            id: RunId::of_event(&event.source, &event.id),
            dataset: dataset.parse().unwrap(),
            workflow: WorkflowRef { name: "w".parse().unwrap(), hash: WorkflowHash::of(b"w") },
            event,
            trace: String::new(),
            input: serde_json::Map::new(),
            limit_ms: None,
            gate: None,
            jobs: vec![("a".parse().unwrap(), PoolName::default_pool(), vec![]).into()],
        };
        Run::create(new, true, Timestamp::from_second(number / 2).unwrap()).0
    }

    fn put(runs: &Runs, run: &Run) {
        runs.put(&run_key(&run.dataset, &run.id), run.clone());
    }

    fn all(runs: &Runs, query: &RunQuery, limit: usize) -> Vec<RunId> {
        let (mut ids, mut query) = (Vec::new(), query.clone());
        loop {
            let page = runs.page(&query, limit).unwrap();
            assert!(page.items.len() <= limit);
            ids.extend(page.items.iter().map(|run| run.id.clone()));
            query.cursor = page.next;
            if query.cursor.is_none() {
                return ids;
            }
        }
    }

    #[test]
    fn pages_of_any_size_show_every_run_once_the_newest_first() {
        let runs = Runs::default();
        let made: Vec<Run> = (0..25).map(|number| run(number, if number % 3 == 0 { "a" } else { "b" })).collect();
        for run in &made {
            put(&runs, run);
        }
        let mut expected: Vec<&Run> = made.iter().collect();
        expected.sort_by(|a, b| (b.created_at, &b.id).cmp(&(a.created_at, &a.id)));
        for limit in [1, 4, 25, 100] {
            let ids: Vec<RunId> = expected.iter().map(|run| run.id.clone()).collect();
            assert_eq!(all(&runs, &RunQuery::default(), limit), ids);
            let query = RunQuery { dataset: Some("a".parse().unwrap()), ..RunQuery::default() };
            let ids: Vec<RunId> =
                expected.iter().filter(|run| run.dataset.as_str() == "a").map(|run| run.id.clone()).collect();
            assert_eq!(all(&runs, &query, limit), ids);
        }
        assert_eq!(runs.newest_of(&"a".parse().unwrap()).map(|run| run.id.clone()), Some(made[24].id.clone()));
    }

    #[test]
    fn a_run_is_found_by_its_present_state_alone_and_not_after_it_is_gone() {
        let runs = Runs::default();
        let waiting = run(1, "a");
        put(&runs, &waiting);
        let (running, _) = waiting.apply(&RunEvent::Promoted, Timestamp::MAX).unwrap();
        let mut changes = runs.changes();
        put(&runs, &running);
        assert_eq!(changes.try_recv().unwrap(), waiting.id);
        let in_state = |state| RunQuery { state: Some(state), ..RunQuery::default() };
        assert_eq!(all(&runs, &in_state(RunState::Waiting), 9).len(), 0);
        assert_eq!(all(&runs, &in_state(RunState::Running), 9), std::slice::from_ref(&waiting.id));
        runs.removed(&run_key(&waiting.dataset, &waiting.id));
        assert!(runs.get(&waiting.id).is_none() && runs.subjects().is_empty());
        assert_eq!(all(&runs, &RunQuery::default(), 9).len(), 0);
    }

    #[test]
    fn what_is_no_cursor_is_refused() {
        for cursor in
            ["", "x", "1", "1.x", ".r0123456789abcdef0123", "99999999999999999999999999999999.r0123456789abcdef0123"]
        {
            let query = RunQuery { cursor: Some(cursor.into()), ..RunQuery::default() };
            assert!(Runs::default().page(&query, 1).is_none(), "{cursor}");
        }
    }
}
