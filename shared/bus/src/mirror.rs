//! An in-memory copy of a bucket, for what is read often and changes seldom. Fed by a watch; a value that cannot be read is
//! left out and logged, so that one bad entry does not blind everyone.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};

use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::{Bucket, BusError, Message, Watch, WatchEvent};

type Values<V> = BTreeMap<String, Arc<V>>;

/// A copy of a bucket whose values are JSON of a `V`. Clones share it.
#[derive(Debug)]
pub struct Mirror<V> {
    values: Arc<RwLock<Values<V>>>,
    revision: watch::Receiver<u64>,
}

impl<V> Clone for Mirror<V> {
    fn clone(&self) -> Self {
        Self { values: Arc::clone(&self.values), revision: self.revision.clone() }
    }
}

impl<V: DeserializeOwned + Send + Sync + 'static> Mirror<V> {
    /// Copies the bucket and keeps the copy up to date on `tasks` until `stop`. Returns once everything is there.
    pub async fn start(bucket: &Bucket, tasks: &TaskTracker, stop: CancellationToken) -> Result<Self, BusError> {
        Self::start_part(bucket, ">", tasks, stop).await
    }

    /// The same with only those keys of the bucket that `filter` matches.
    pub async fn start_part(
        bucket: &Bucket,
        filter: &str,
        tasks: &TaskTracker,
        stop: CancellationToken,
    ) -> Result<Self, BusError> {
        let mut feed = Feed {
            bucket: bucket.clone(),
            watch: bucket.watch(filter).await?,
            values: Arc::default(),
            revision: watch::channel(0).0,
            unseen: None,
        };
        while !feed.step().await {}
        let mirror = Self { values: Arc::clone(&feed.values), revision: feed.revision.subscribe() };
        tasks.spawn(async move {
            loop {
                tokio::select! {
                    () = stop.cancelled() => break,
                    _ = feed.step() => {}
                }
            }
        });
        Ok(mirror)
    }

    /// Whether the bucket has no value at all.
    pub fn is_empty(&self) -> bool {
        self.read(Values::is_empty)
    }

    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<Arc<V>> {
        self.read(|values| values.get(key).cloned())
    }

    /// Keys that begin with `prefix`, and their values, in the order of the keys.
    pub fn find(&self, prefix: &str) -> Vec<(String, Arc<V>)> {
        let copy = |(key, value): (&String, &Arc<V>)| (key.clone(), Arc::clone(value));
        self.read(|values| {
            let from = values.range::<str, _>((std::ops::Bound::Included(prefix), std::ops::Bound::Unbounded));
            from.take_while(|(key, _)| key.starts_with(prefix)).map(copy).collect()
        })
    }

    /// The newest revision it has seen.
    pub fn revision(&self) -> u64 {
        *self.revision.borrow()
    }

    /// Waits until it has seen `revision`, so that one's own write can be read. Ends at once when the mirror has stopped.
    pub async fn reached(&self, revision: u64) {
        let mut seen = self.revision.clone();
        if seen.wait_for(|seen| *seen >= revision).await.is_err() {
            tracing::debug!("a mirror has stopped");
        }
    }

    fn read<T>(&self, look: impl FnOnce(&Values<V>) -> T) -> T {
        look(&self.values.read().unwrap_or_else(PoisonError::into_inner))
    }
}

struct Feed<V> {
    bucket: Bucket,
    watch: Watch,
    values: Arc<RwLock<Values<V>>>,
    revision: watch::Sender<u64>,
    /// While a watch that began again catches up: the keys that it has not shown.
    unseen: Option<HashSet<String>>,
}

impl<V: DeserializeOwned> Feed<V> {
    /// Takes in one event; says whether everything that was there has been seen.
    async fn step(&mut self) -> bool {
        match self.watch.next().await {
            WatchEvent::Changed(message) => self.change(&message),
            WatchEvent::Removed { subject, sequence } => {
                if let Some(key) = self.bucket.key(&subject) {
                    self.write(|values| values.remove(key));
                }
                self.revision.send_replace(sequence);
            }
            WatchEvent::Restarted => self.unseen = Some(self.write(|values| values.keys().cloned().collect())),
            WatchEvent::CaughtUp => {
                let gone = self.unseen.take().unwrap_or_default();
                self.write(|values| values.retain(|key, _| !gone.contains(key)));
                return true;
            }
        }
        false
    }

    fn change(&mut self, message: &Message) {
        let Some(key) = self.bucket.key(&message.subject).map(ToOwned::to_owned) else { return };
        if let Some(unseen) = &mut self.unseen {
            unseen.remove(&key);
        }
        match serde_json::from_slice::<V>(&message.payload) {
            Ok(value) => drop(self.write(|values| values.insert(key, Arc::new(value)))),
            Err(error) => tracing::warn!(key, %error, "left out of the mirror: the value cannot be read"),
        }
        self.revision.send_replace(message.sequence);
    }

    fn write<T>(&self, change: impl FnOnce(&mut Values<V>) -> T) -> T {
        change(&mut self.values.write().unwrap_or_else(PoisonError::into_inner))
    }
}
