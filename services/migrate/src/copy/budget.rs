//! The byte budget: who holds an object or a part in memory holds permits for its size. And turns for objects that are copied in parts.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Permits are handed out in this unit, because a semaphore counts in 32 bits.
const UNIT: u64 = 1 << 10;

/// Bytes that may be in memory at a time.
#[derive(Debug)]
pub(super) struct Budget {
    semaphore: Arc<Semaphore>,
    units: u32,
    large: Arc<Semaphore>,
}

impl Budget {
    /// Room for so many bytes, and for the parts of so many objects.
    pub(super) fn new(bytes: u64, large: usize) -> Self {
        let units = u32::try_from(bytes / UNIT).unwrap_or(u32::MAX >> 4).clamp(1, u32::MAX >> 4);
        Self { semaphore: Arc::new(Semaphore::new(units as usize)), units, large: Arc::new(Semaphore::new(large)) }
    }

    /// Waits for the turn of an object that is copied in parts, which it has until this is dropped.
    pub(super) async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.large).acquire_owned().await.ok()
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
        let budget = Budget::new(10 * UNIT, 1);
        let first = budget.take(8 * UNIT).await;
        assert!(budget.take(3 * UNIT).now_or_never().is_none());
        drop(first);
        assert!(budget.take(100 * UNIT).now_or_never().is_some(), "more than all is all");
    }
}
