//! How many requests an endpoint should have under way: as many as it still serves faster for, and half of that once it refuses some.
//!
//! Stores differ by two orders of magnitude: one answers in half a millisecond and is busy with eight requests, another takes forty and is idle
//! with a hundred, a third allows 750 a second. So no number is configured: the level doubles while that gains, is then held, and
//! from time to time a higher and a lower level are tried, the lower one being kept if it is as good. A pure function of what it is told, so that it
//! can be tested against simulated stores.

use std::time::Duration;

/// The level that it begins with.
const FIRST: usize = 16;

/// A window is judged after this long at the least; shorter ones show noise.
const WINDOW: Duration = Duration::from_millis(100);

/// Requests that were on their way when the level was halved are refused as well, and are no reason to halve it again.
const CUT_PERIOD: Duration = Duration::from_millis(500);

/// A level that is twice as high must serve this much faster to be kept.
const GAIN_OF_DOUBLING: f64 = 1.10;

/// A level that is a quarter higher must serve this much faster.
const GAIN_OF_STEP: f64 = 1.04;

/// A level that is a quarter lower may serve this much slower.
const LOSS_OF_STEP: f64 = 0.99;

/// Windows for which a level is held before others are tried; doubles up to [`MAX_HOLD`] while nothing better is found.
const MIN_HOLD: u32 = 4;
const MAX_HOLD: u32 = 64;

/// Windows without a gain after which climbing back from a refusal ends.
const STALE: u32 = 8;

/// What the level is being changed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Doubling as long as it gains.
    Climb,
    /// Nothing, for this many more windows.
    Hold(u32),
    /// A higher level is tried.
    Up,
    /// A lower level is tried.
    Down,
    /// Climbing one by one after a refusal; windows without a gain.
    Recover(u32),
}

/// The level of one endpoint and direction. Times are since any fixed moment.
#[derive(Debug, Clone)]
pub(crate) struct Pace {
    most: usize,
    level: usize,
    phase: Phase,
    hold: u32,
    /// The level that is known to be good, and how many requests a second it served.
    good: (usize, f64),
    cut: Option<Duration>,
    window: Window,
}

/// What was seen since a level is in force.
#[derive(Debug, Clone, Copy)]
struct Window {
    begin: Option<Duration>,
    served: usize,
    /// Whether a request had to wait for room: else the level was not what limited.
    full: bool,
}

impl Window {
    const NEW: Self = Self { begin: None, served: 0, full: false };
}

impl Pace {
    /// At most `most` requests at a time.
    pub(crate) fn new(most: usize) -> Self {
        let most = most.max(1);
        let (level, good) = (FIRST.min(most), (FIRST.min(most), 0.0));
        Self { most, level, phase: Phase::Climb, hold: MIN_HOLD, good, cut: None, window: Window::NEW }
    }

    /// How many requests may be under way.
    pub(crate) fn level(&self) -> usize {
        self.level
    }

    /// A request found no room.
    pub(crate) fn waited(&mut self) {
        self.window.full = true;
    }

    /// A request was served.
    pub(crate) fn served(&mut self, now: Duration) {
        let begin = *self.window.begin.get_or_insert(now);
        self.window.served += 1;
        let took = now.saturating_sub(begin);
        if took < WINDOW || self.window.served <= self.level {
            return;
        }
        // The first one began the window.
        let served = u32::try_from(self.window.served - 1).unwrap_or(u32::MAX);
        let full = self.window.full;
        self.window = Window::NEW;
        if full {
            self.judge(f64::from(served) / took.as_secs_f64());
        }
    }

    /// The endpoint asked for fewer requests, or did not answer in time. `under_way` requests were on their way.
    pub(crate) fn refused(&mut self, now: Duration, under_way: usize) {
        if self.cut.is_some_and(|cut| now < cut + CUT_PERIOD) {
            return;
        }
        self.cut = Some(now);
        self.hold = MIN_HOLD;
        self.good = (1, 0.0);
        self.go((under_way.min(self.level) / 2).max(1), Phase::Recover(0));
    }

    fn go(&mut self, level: usize, phase: Phase) {
        self.level = level.clamp(1, self.most);
        self.phase = phase;
        self.window = Window::NEW;
    }

    fn judge(&mut self, rate: f64) {
        let (good, best) = self.good;
        let level = self.level;
        match self.phase {
            Phase::Climb if rate > best * GAIN_OF_DOUBLING => {
                self.good = (level, rate);
                let phase = if level == self.most { Phase::Hold(self.hold) } else { Phase::Climb };
                self.go(level * 2, phase);
            }
            Phase::Hold(left) => {
                // What the level serves changes with whatever else the store does.
                self.good = (level, if best > 0.0 { f64::midpoint(best, rate) } else { rate });
                match left.checked_sub(1) {
                    Some(left) => self.phase = Phase::Hold(left),
                    None if level == self.most => self.go(lower(level), Phase::Down),
                    None => self.go(level + (level / 4).max(1), Phase::Up),
                }
            }
            Phase::Up if rate > best * GAIN_OF_STEP => {
                (self.good, self.hold) = ((level, rate), MIN_HOLD);
                self.go(level + (level / 4).max(1), Phase::Up);
            }
            Phase::Up => self.go(lower(good), Phase::Down),
            Phase::Down if rate >= best * LOSS_OF_STEP => {
                self.good = (level, rate);
                self.go(level, Phase::Hold(self.hold));
            }
            Phase::Down => {
                self.hold = (self.hold * 2).min(MAX_HOLD);
                self.go(good, Phase::Hold(self.hold));
            }
            Phase::Recover(_) if rate > best => {
                self.good = (level, rate);
                self.go(level + 1, Phase::Recover(0));
            }
            Phase::Climb | Phase::Recover(STALE..) => self.go(good, Phase::Hold(self.hold)),
            Phase::Recover(stale) => self.go(level + 1, Phase::Recover(stale + 1)),
        }
    }
}

fn lower(level: usize) -> usize {
    (level - level.div_ceil(4)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A store that answers after `latency` as long as it has at most `capacity` requests, and shares itself among more.
    struct Simulated {
        latency: f64,
        capacity: usize,
        /// Refuses whatever is above.
        allowed: usize,
    }

    /// What a run of a simulation showed.
    struct Run {
        served: f64,
        refused: f64,
        seconds: f64,
        highest: usize,
        last: usize,
    }

    impl Simulated {
        /// Always with more to do than is let through; `noise` makes every answer up to a tenth slower.
        fn run(&self, pace: &mut Pace, seconds: f64, mut noise: fastrand::Rng) -> Run {
            let mut run = Run { served: 0.0, refused: 0.0, seconds, highest: 0, last: 0 };
            let mut now = 0.0;
            while now < seconds {
                let level = pace.level();
                run.highest = run.highest.max(level);
                let slots = f64::from(u32::try_from(level.min(self.capacity)).unwrap());
                now += self.latency * (1.0 + noise.f64() / 10.0) / slots;
                pace.waited();
                let clock = Duration::from_secs_f64(now);
                if level > self.allowed && noise.usize(..level) >= self.allowed {
                    run.refused += 1.0;
                    pace.refused(clock, level);
                } else {
                    run.served += 1.0;
                    pace.served(clock);
                }
            }
            run.last = pace.level();
            run
        }

        fn best(&self) -> f64 {
            f64::from(u32::try_from(self.capacity.min(self.allowed)).unwrap()) / (self.latency * 1.05)
        }
    }

    #[test]
    fn a_slow_store_that_can_do_much_at_once_gets_much() {
        let store = Simulated { latency: 0.044, capacity: 200, allowed: usize::MAX };
        let run = store.run(&mut Pace::new(256), 60.0, fastrand::Rng::with_seed(1));
        assert!(run.served / run.seconds > 0.85 * store.best(), "{} a second", run.served / run.seconds);
    }

    #[test]
    fn a_store_that_is_busy_with_few_requests_is_not_sent_many() {
        let store = Simulated { latency: 0.001, capacity: 8, allowed: usize::MAX };
        let run = store.run(&mut Pace::new(256), 60.0, fastrand::Rng::with_seed(1));
        assert!(run.highest <= 64 && run.last <= 24, "at most {}, in the end {}", run.highest, run.last);
        assert!(run.served / run.seconds > 0.9 * store.best());
    }

    #[test]
    fn a_level_that_nobody_needs_is_not_raised() {
        let mut pace = Pace::new(256);
        for step in 0..100_000_u64 {
            pace.served(Duration::from_millis(step));
        }
        assert_eq!(pace.level(), FIRST);
    }

    #[test]
    fn a_refusal_halves_what_is_under_way_once_a_period() {
        let mut pace = Pace::new(100);
        pace.refused(Duration::from_secs(1), 12);
        pace.refused(Duration::from_secs(1) + CUT_PERIOD / 2, 12);
        assert_eq!(pace.level(), 6);
        pace.refused(Duration::from_secs(1) + CUT_PERIOD, 6);
        assert_eq!(pace.level(), 3);
    }

    proptest! {
        // Two minutes of a busy store are up to a million requests.
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn any_store_is_used_well_and_seldom_overrun(
            latency_ms in 1_u32..50,
            capacity in 1_usize..300,
            allowed in 8_usize..300,
            seed in any::<u64>(),
        ) {
            let store = Simulated { latency: f64::from(latency_ms) / 1e3, capacity, allowed };
            let mut pace = Pace::new(256);
            let run = store.run(&mut pace, 120.0, fastrand::Rng::with_seed(seed));
            prop_assert!(run.refused <= 0.05 * run.served + 50.0, "{} of {} refused", run.refused, run.served);
            prop_assert!(run.served / run.seconds > 0.5 * store.best().min(256.0 / store.latency), "{}", run.served / run.seconds);
            prop_assert!((1..=256).contains(&pace.level()));
        }
    }
}
