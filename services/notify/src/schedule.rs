//! When a receiver that failed is tried again.

use std::time::Duration;

/// The delays that Standard Webhooks recommends after the first, second, … attempt, in seconds: 5 s, 5 min, 30 min, 2 h, 5 h, 10 h,
/// 14 h, 20 h, 24 h.
pub const STANDARD_SECONDS: [u64; 9] = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];

/// No receiver is waited for longer than this, whatever its `Retry-After` says.
const LONGEST: Duration = Duration::from_hours(24);

/// Delays between attempts at one receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    delays: Vec<Duration>,
}

impl Schedule {
    /// A schedule with these delays in seconds; one more attempt than there are delays.
    pub fn new(seconds: &[u64]) -> Self {
        Self { delays: seconds.iter().map(|seconds| Duration::from_secs(*seconds).min(LONGEST)).collect() }
    }

    /// How long to wait after failed attempt number `attempts` (from 1); nothing if that was the last. `spread` (any number) adds up
    /// to a tenth, the same for all receivers of a run, so that runs spread out and one retry reaches all receivers of a run.
    /// A receiver that asks for more time gets it.
    pub fn delay(&self, attempts: u32, spread: u8, asked: Option<Duration>) -> Option<Duration> {
        let index = usize::try_from(attempts.saturating_sub(1)).unwrap_or(usize::MAX);
        let base = *self.delays.get(index)?;
        let spread = base.mul_f64(f64::from(spread) / 255.0 / 10.0);
        Some((base + spread).max(asked.unwrap_or_default()).min(LONGEST + LONGEST / 10))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standard_schedule_takes_ten_attempts_and_about_three_days() {
        let schedule = Schedule::new(&STANDARD_SECONDS);
        let delays: Vec<Duration> = (1..=9).filter_map(|attempt| schedule.delay(attempt, 0, None)).collect();
        assert_eq!((delays[0].as_secs(), delays[8].as_secs(), delays.len()), (5, 86_400, 9));
        assert_eq!(schedule.delay(10, 0, None), None);
        assert_eq!(delays.iter().sum::<Duration>().as_secs() / 3_600, 75);
    }

    #[test]
    fn the_spread_is_at_most_a_tenth_and_a_receiver_may_ask_for_more_time_but_not_for_ever() {
        let schedule = Schedule::new(&[100]);
        assert_eq!(schedule.delay(1, 255, None), Some(Duration::from_secs(110)));
        assert_eq!(schedule.delay(1, 0, Some(Duration::from_secs(7))), Some(Duration::from_secs(100)));
        assert_eq!(schedule.delay(1, 0, Some(Duration::from_secs(700))), Some(Duration::from_secs(700)));
        assert!(schedule.delay(1, 0, Some(Duration::from_secs(u64::MAX / 2))).unwrap() <= LONGEST + LONGEST / 10);
    }
}
