//! How long to keep trying: bounded in tries and in time, with pauses that grow and differ between workers. A store that asks
//! for patience gets it for as long as there is time, because how often it was asked says nothing about its health.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::Duration;

use honk_storage::{ErrorKind, StorageError};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::error::CopyError;
use super::settings::CopySettings;

/// The tries of one thing.
pub(super) struct Patience {
    attempts_left: u32,
    until: Instant,
    pause: Duration,
    longest: Duration,
}

impl Patience {
    pub(super) fn new(settings: &CopySettings) -> Self {
        Self {
            attempts_left: settings.attempts.saturating_sub(1),
            until: Instant::now() + Duration::from_millis(settings.retry_budget_ms),
            pause: Duration::from_millis(settings.backoff_ms),
            longest: Duration::from_millis(settings.backoff_max_ms),
        }
    }

    /// Waits before the next try, or gives the error back when there is none.
    pub(super) async fn wait(&mut self, error: StorageError, cancel: &CancellationToken) -> Result<(), CopyError> {
        let pause = jittered(self.pause, random_fraction());
        let throttled = error.kind() == ErrorKind::Throttled;
        let used_up = self.attempts_left == 0 && !throttled;
        if !error.is_retryable() || used_up || Instant::now() + pause >= self.until {
            return Err(error.into());
        }
        tracing::debug!(%error, ?pause, attempts_left = self.attempts_left, "trying again");
        if !throttled {
            self.attempts_left -= 1;
        }
        self.pause = (self.pause * 2).min(self.longest);
        cancel.run_until_cancelled(tokio::time::sleep(pause)).await.ok_or(CopyError::Cancelled)
    }
}

/// Between half of the pause and all of it, so that workers that failed together do not return together.
fn jittered(pause: Duration, fraction: f64) -> Duration {
    pause.mul_f64(0.5 + fraction.clamp(0.0, 1.0) / 2.0)
}

/// In `[0, 1)`. The standard library's hash seeds are random per process and differ per call, which is enough here.
fn random_fraction() -> f64 {
    let bits = RandomState::new().build_hasher().finish() >> 32;
    f64::from(u32::try_from(bits).unwrap_or_default()) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_vary_within_half_of_themselves() {
        let pause = Duration::from_millis(100);
        assert_eq!(jittered(pause, 0.0), Duration::from_millis(50));
        assert_eq!(jittered(pause, 1.0), pause);
        for _ in 0..100 {
            assert!((0.0..1.0).contains(&random_fraction()));
        }
        assert_ne!(random_fraction().to_bits(), random_fraction().to_bits());
    }
}
