//! From a watch of the server into an index.

use std::collections::HashSet;
use std::sync::Arc;

use honk_bus::{Message, Watch, WatchEvent};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What is fed by subject.
pub(crate) trait Index: Send + Sync + 'static {
    /// A subject's newest message.
    fn changed(&self, message: &Message);
    /// A subject has no message any more.
    fn removed(&self, subject: &str);
    /// All subjects it holds something of.
    fn subjects(&self) -> HashSet<String>;
}

/// Fills `index`, returns, and keeps it up to date on `tasks` until `stop`.
pub(crate) async fn follow<I: Index>(index: Arc<I>, watch: Watch, tasks: &TaskTracker, stop: CancellationToken) {
    let mut feed = Feed { index, watch, unseen: None };
    while !feed.step().await {}
    tasks.spawn(async move {
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = feed.step() => {}
            }
        }
    });
}

struct Feed<I> {
    index: Arc<I>,
    watch: Watch,
    /// While a watch that began again catches up: the subjects that it has not shown.
    unseen: Option<HashSet<String>>,
}

impl<I: Index> Feed<I> {
    /// Takes in one event; says whether everything that was there has been seen.
    async fn step(&mut self) -> bool {
        match self.watch.next().await {
            WatchEvent::Changed(message) => {
                if let Some(unseen) = &mut self.unseen {
                    unseen.remove(&message.subject);
                }
                self.index.changed(&message);
            }
            WatchEvent::Removed { subject, .. } => self.index.removed(&subject),
            WatchEvent::Restarted => self.unseen = Some(self.index.subjects()),
            WatchEvent::CaughtUp => {
                self.unseen.take().unwrap_or_default().iter().for_each(|subject| self.index.removed(subject));
                return true;
            }
        }
        false
    }
}
