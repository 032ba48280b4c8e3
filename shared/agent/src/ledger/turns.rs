//! Writers of one process that move the same record take turns. Between processes the compare-and-set decides, and whoever loses reads
//! again; inside of one, hundreds of items that end together would otherwise read the record in vain again and again.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use honk_protocol::name::RunId;
use tokio::sync::{Mutex, OwnedMutexGuard};

/// Locks, of which each run has one, and several runs may have the same.
const STRIPES: usize = 64;

/// The turns of all runs. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct Turns(Arc<[Arc<Mutex<()>>]>);

impl Default for Turns {
    fn default() -> Self {
        Self((0..STRIPES).map(|_| Arc::default()).collect())
    }
}

impl Turns {
    /// Waits for the turn of a writer of this run; dropping the guard ends it.
    pub(super) async fn take(&self, run: &RunId) -> OwnedMutexGuard<()> {
        let mut hasher = DefaultHasher::new();
        run.hash(&mut hasher);
        let stripe = usize::try_from(hasher.finish() % STRIPES as u64).unwrap_or_default();
        Arc::clone(&self.0[stripe]).lock_owned().await
    }
}
