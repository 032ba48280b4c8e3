//! Whether an endpoint copies large objects faster in one request or in parts, as far as it was measured.
//!
//! Some stores copy a large object in one request by changing an entry, others by reading and writing all of it, where many parts at a time are
//! much faster. So one request is the default; only if it turns out slow, the next object is copied in parts, and what was faster stays.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Below this many bytes an object says little, and one request is good enough.
const MEASURED: u64 = 128 << 20;

/// One request that copies so many bytes a second is not worth a comparison.
const FAST: f64 = 1e9;

/// How an object is copied inside an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyWay {
    /// `CopyObject`.
    Whole,
    /// `UploadPartCopy` for each part.
    Parts,
}

/// What was measured at one endpoint, in bytes a second.
#[derive(Debug, Default)]
pub(crate) struct Ways(Mutex<Measured>);

#[derive(Debug, Default, Clone, Copy)]
struct Measured {
    whole: Option<f64>,
    parts: Option<f64>,
}

impl Ways {
    /// The way for an object of this size.
    pub(crate) fn choose(&self, size: u64) -> CopyWay {
        let measured = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match (measured.whole, measured.parts) {
            (Some(whole), None) if size >= MEASURED && whole < FAST => CopyWay::Parts,
            (Some(whole), Some(parts)) if size >= MEASURED && whole < FAST && parts > whole => CopyWay::Parts,
            _ => CopyWay::Whole,
        }
    }

    /// An object was copied. Only the first of each way counts, so that the choice does not waver.
    #[expect(clippy::cast_precision_loss, reason = "a rate of which a few digits matter")]
    pub(crate) fn took(&self, way: CopyWay, size: u64, time: Duration) {
        if size < MEASURED {
            return;
        }
        let rate = size as f64 / time.as_secs_f64().max(1e-6);
        let mut measured = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let figure = match way {
            CopyWay::Whole => &mut measured.whole,
            CopyWay::Parts => &mut measured.parts,
        };
        if figure.is_none() {
            *figure = Some(rate);
            tracing::debug!(?way, bytes_per_s = rate, "measured a copy inside the endpoint");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: u64 = 1 << 30;

    #[test]
    fn one_request_is_the_way_until_it_was_slow_and_parts_were_faster() {
        let ways = Ways::default();
        assert_eq!(ways.choose(SIZE), CopyWay::Whole);
        ways.took(CopyWay::Whole, SIZE, Duration::from_secs(10));
        assert_eq!((ways.choose(SIZE), ways.choose(MEASURED - 1)), (CopyWay::Parts, CopyWay::Whole));
        ways.took(CopyWay::Parts, SIZE, Duration::from_secs(20));
        assert_eq!(ways.choose(SIZE), CopyWay::Whole);
        ways.took(CopyWay::Parts, SIZE, Duration::from_secs(1));
        assert_eq!(ways.choose(SIZE), CopyWay::Whole, "the first answer is kept");
    }

    #[test]
    fn a_store_that_copies_at_once_is_never_asked_for_parts() {
        let ways = Ways::default();
        ways.took(CopyWay::Whole, SIZE, Duration::from_millis(3));
        assert_eq!(ways.choose(SIZE), CopyWay::Whole);
    }

    #[test]
    fn parts_are_kept_where_they_are_faster() {
        let ways = Ways::default();
        ways.took(CopyWay::Whole, SIZE, Duration::from_secs(10));
        ways.took(CopyWay::Parts, SIZE, Duration::from_secs(2));
        assert_eq!(ways.choose(SIZE), CopyWay::Parts);
    }
}
