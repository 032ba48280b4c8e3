//! Trying again while the server does not answer.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

use crate::ledger::LedgerError;

/// How long an end is tried to be put on record while the server does not answer. After that the delivery is given up, and the
/// work is done again by whoever gets it next.
const PERSIST_FOR: Duration = Duration::from_mins(1);

/// The first and the longest pause between two tries.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Repeats `action` while the server does not answer, with growing pauses, for a bounded time.
pub async fn persist<T, F: Future<Output = Result<T, LedgerError>>>(action: impl Fn() -> F) -> Result<T, LedgerError> {
    let (begin, mut pause) = (Instant::now(), FIRST_PAUSE);
    loop {
        match action().await {
            Err(LedgerError::Bus(error))
                if (error.is_transient() || error.is_conflict()) && begin.elapsed() < PERSIST_FOR =>
            {
                tracing::warn!(%error, "trying again");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            result => return result,
        }
    }
}
