//! Keeps a reader of text from holding a row without end: it counts what is taken since the row began, and stops at a limit.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Says that a row is longer than allowed.
#[derive(Debug, thiserror::Error)]
#[error("the row is longer than {0} bytes")]
pub struct RowTooLong(u64);

/// Passes on what it reads, up to `limit` bytes since the last [`Mark::begin`].
#[derive(Debug)]
pub struct Limited<R> {
    inner: R,
    since: Mark,
    limit: u64,
}

/// Where the present row began.
#[derive(Debug, Clone, Default)]
pub struct Mark(Arc<AtomicU64>);

impl Mark {
    /// A row begins here.
    pub fn begin(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

impl<R> Limited<R> {
    /// `inner`, with rows of at most `limit` bytes, and the mark for its reader to set.
    pub fn new(inner: R, limit: u64) -> (Self, Mark) {
        let since = Mark::default();
        (Self { inner, since: since.clone(), limit }, since)
    }
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.since.0.load(Ordering::Relaxed) > self.limit {
            return Err(std::io::Error::other(RowTooLong(self.limit)));
        }
        let read = self.inner.read(buffer)?;
        self.since.0.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// Whether reading ended for this reason.
pub fn is_too_long(error: &std::io::Error) -> bool {
    error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<RowTooLong>)
}
