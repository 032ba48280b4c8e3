//! How often and after what delay a failed attempt is tried again. The policy is the workflow's; the delay is a pure
//! function of the attempt and a random number that the caller brings.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A job's retry policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetryPolicy {
    /// Attempts after the first one.
    pub retry_count: u32,
    /// Delay before the second attempt, in milliseconds.
    pub initial_ms: u64,
    /// What each further delay is multiplied by; at least 1.
    pub factor: f64,
    /// No delay is longer than this, in milliseconds.
    pub max_ms: u64,
}

impl RetryPolicy {
    /// The most attempts a workflow may ask for. The consumers' own `max_deliver` lies above it ([`crate::topology`]).
    pub const MAX_RETRY_COUNT: u32 = 100;

    /// Attempts in all.
    pub const fn attempts(&self) -> u32 {
        self.retry_count.saturating_add(1)
    }

    /// The delay after the failed attempt number `attempt` (from 1): `initial · factor^(attempt-1)`, at most `max`, times a
    /// jitter between one half and one ("equal jitter", AWS Architecture Blog, "Exponential Backoff and Jitter").
    /// `random` is uniform in `0.0..1.0`.
    pub fn delay(&self, attempt: u32, random: f64) -> Duration {
        let exponent = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
        let initial = Duration::from_millis(self.initial_ms).as_secs_f64();
        let max = Duration::from_millis(self.max_ms).as_secs_f64();
        let grown = initial * self.factor.max(1.0).powi(exponent);
        let bounded = if grown.is_finite() { grown.min(max) } else { max };
        Duration::from_secs_f64(bounded * (0.5 + random.clamp(0.0, 1.0) / 2.0))
    }
}

impl Default for RetryPolicy {
    /// Three more attempts after about 1, 2 and 4 seconds.
    fn default() -> Self {
        Self { retry_count: 3, initial_ms: 1_000, factor: 2.0, max_ms: 300_000 }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn delays_double_up_to_the_maximum() {
        let policy = RetryPolicy { retry_count: 9, initial_ms: 1_000, factor: 2.0, max_ms: 5_000 };
        let delays: Vec<u128> = (1..=5).map(|attempt| policy.delay(attempt, 1.0).as_millis()).collect();
        assert_eq!(delays, [1_000, 2_000, 4_000, 5_000, 5_000]);
        assert_eq!(policy.delay(1, 0.0).as_millis(), 500);
    }

    proptest! {
        #[test]
        fn a_delay_is_never_longer_than_the_maximum(
            attempt in 0u32.., initial_ms in 0u64..10_000_000, factor in 0.0f64..1e9, max_ms in 0u64..10_000_000, random in 0.0f64..1.0,
        ) {
            let policy = RetryPolicy { retry_count: 3, initial_ms, factor, max_ms };
            prop_assert!(policy.delay(attempt, random) <= Duration::from_millis(max_ms) + Duration::from_micros(1));
        }
    }
}
