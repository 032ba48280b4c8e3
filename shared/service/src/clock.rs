//! The only reader of the wall clock, so that a test can decide what time it is.
//!
//! For dates that are stored or shown. Waiting and measuring durations use tokio's clock, which tests can pause.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

/// Tells the time; cheap to clone, and clones of a settable clock share their time.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    set: Option<Arc<Mutex<Timestamp>>>,
}

impl Clock {
    /// The machine's wall clock.
    pub fn system() -> Self {
        Self { set: None }
    }

    /// A clock that stands at `time` until [`Clock::set`] or [`Clock::advance`] moves it.
    pub fn fixed(time: Timestamp) -> Self {
        Self { set: Some(Arc::new(Mutex::new(time))) }
    }

    /// The present time.
    #[expect(clippy::disallowed_methods, reason = "this is the clock that everything else must ask")]
    pub fn now(&self) -> Timestamp {
        match &self.set {
            Some(time) => *time.lock().unwrap_or_else(PoisonError::into_inner),
            None => Timestamp::now(),
        }
    }

    /// Sets a fixed clock and all its clones; the system clock stays as it is.
    pub fn set(&self, time: Timestamp) {
        if let Some(fixed) = &self.set {
            *fixed.lock().unwrap_or_else(PoisonError::into_inner) = time;
        }
    }

    /// Moves a fixed clock and all its clones; the system clock stays as it is.
    pub fn advance(&self, by: SignedDuration) {
        if let Some(fixed) = &self.set {
            let mut time = fixed.lock().unwrap_or_else(PoisonError::into_inner);
            *time = time.saturating_add(by).unwrap_or(*time);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fixed_clock_moves_only_when_told_and_its_clones_move_with_it() {
        let start: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let clock = Clock::fixed(start);
        let clone = clock.clone();
        assert_eq!(clone.now(), start);
        clock.advance(SignedDuration::from_secs(60));
        assert_eq!(clone.now().to_string(), "2026-01-02T03:05:05Z");
        clone.set(start);
        assert_eq!(clock.now(), start);
    }

    #[test]
    fn the_system_clock_cannot_be_moved() {
        let clock = Clock::system();
        clock.set(Timestamp::UNIX_EPOCH);
        assert!(clock.now() > Timestamp::UNIX_EPOCH);
    }
}
