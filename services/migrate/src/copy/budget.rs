//! The byte budget: who holds an object or a part in memory holds permits for its size.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Permits are handed out in this unit, because a semaphore counts in 32 bits.
const UNIT: u64 = 1 << 10;

/// Bytes that may be in memory at a time, by all copies that have a clone of it. Room is given in the order in which it is asked for.
#[derive(Clone, Debug)]
pub struct Budget {
    semaphore: Arc<Semaphore>,
    units: u32,
}

impl Budget {
    /// Room for so many bytes.
    pub fn new(bytes: u64) -> Self {
        let units = u32::try_from(bytes / UNIT).unwrap_or(u32::MAX >> 4).clamp(1, u32::MAX >> 4);
        Self { semaphore: Arc::new(Semaphore::new(units as usize)), units }
    }

    /// Waits for room for `bytes`; more than the whole budget counts as the whole budget. `None` never happens: the
    /// semaphore is not closed.
    pub(super) async fn take(&self, bytes: u64) -> Option<OwnedSemaphorePermit> {
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX).min(self.units);
        Arc::clone(&self.semaphore).acquire_many_owned(units).await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    #[tokio::test]
    async fn what_does_not_fit_waits() {
        let budget = Budget::new(10 * UNIT);
        let first = budget.take(8 * UNIT).await;
        assert!(budget.take(3 * UNIT).now_or_never().is_none());
        drop(first);
        assert!(budget.take(100 * UNIT).now_or_never().is_some(), "more than all is all");
    }
}
