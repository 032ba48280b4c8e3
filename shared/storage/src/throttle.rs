//! How many requests and bytes a second an endpoint may be asked for: its budget, or the share of it that this process was granted.
//!
//! What was sent is charged, and who comes after a debt waits until it is paid off at the granted rate. Bytes of an answer are known only when it
//! begins, and tries that the client repeats by itself only when they are made; a debt covers both. Over any stretch of time no more
//! is sent than the rate allows for it, one second of it in advance, and what one request exceeds that by.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex as Turn, Notify};
use tokio::time::Instant;

/// A budget, or a share of one.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Rates {
    /// Requests a second; none means any number.
    pub requests: Option<f64>,
    /// Bytes a second in both directions together, those of copies inside the endpoint not counted; none means any number.
    pub bytes: Option<f64>,
}

impl Rates {
    /// Whether there is anything to keep to.
    pub fn is_limited(&self) -> bool {
        self.requests.is_some() || self.bytes.is_some()
    }

    /// What each of `members` may use, so that all together use no more than this.
    #[must_use]
    pub fn shared(self, members: u32) -> Self {
        let share = |rate: f64| rate / f64::from(members.max(1));
        Self { requests: self.requests.map(share), bytes: self.bytes.map(share) }
    }
}

/// A rate that is kept to.
#[derive(Debug, Default)]
struct Bucket {
    rate: Option<f64>,
    /// What may be used at once; below zero it is a debt.
    left: f64,
}

impl Bucket {
    fn refill(&mut self, elapsed: Duration) {
        if let Some(rate) = self.rate {
            self.left = (self.left + rate * elapsed.as_secs_f64()).min(rate);
        }
    }

    /// From now on at this rate; a debt stays.
    fn set(&mut self, rate: Option<f64>) {
        self.rate = rate;
        self.left = self.left.min(rate.unwrap_or_default());
    }

    fn charge(&mut self, cost: f64) {
        if self.rate.is_some() {
            self.left -= cost;
        }
    }

    /// How long until there is no debt.
    fn wait(&self) -> Duration {
        match self.rate {
            Some(rate) if self.left < 0.0 => Duration::try_from_secs_f64(-self.left / rate).unwrap_or(LONGEST),
            _ => Duration::ZERO,
        }
    }
}

/// Waits are cut into pieces, because the rate may change meanwhile.
const LONGEST: Duration = Duration::from_secs(1);

#[derive(Debug)]
struct State {
    /// Nothing may be sent without a grant.
    granted: bool,
    requests: Bucket,
    bytes: Bucket,
    filled: Instant,
    /// When somebody last wanted to send something.
    wanted: Option<Instant>,
}

/// The budget of one endpoint in this process.
#[derive(Debug)]
pub(crate) struct Throttle {
    budget: Rates,
    state: Mutex<State>,
    turn: Turn<()>,
    changed: Notify,
}

impl Throttle {
    /// The whole budget is this process's, until it is told otherwise.
    pub(crate) fn new(budget: Rates) -> Self {
        let bucket = |rate: Option<f64>| Bucket { rate, left: rate.unwrap_or_default() };
        let state = State {
            granted: true,
            requests: bucket(budget.requests),
            bytes: bucket(budget.bytes),
            filled: Instant::now(),
            wanted: None,
        };
        Self { budget, state: Mutex::new(state), turn: Turn::new(()), changed: Notify::new() }
    }

    /// What all processes together may use.
    pub(crate) fn budget(&self) -> Rates {
        self.budget
    }

    /// From now on this may be used; `None`: nothing.
    pub(crate) fn grant(&self, share: Option<Rates>) {
        let mut state = self.state();
        state.refill();
        state.granted = share.is_some();
        let share = share.unwrap_or_default();
        state.requests.set(share.requests);
        state.bytes.set(share.bytes);
        drop(state);
        self.changed.notify_waiters();
    }

    /// How long ago somebody last wanted to send something; none: never.
    pub(crate) fn idle(&self) -> Option<Duration> {
        self.state().wanted.map(|wanted| wanted.elapsed())
    }

    /// Waits until a request may be sent, in the order of asking.
    pub(crate) async fn pass(&self) {
        if !self.budget.is_limited() {
            return;
        }
        let _turn = self.turn.lock().await;
        loop {
            // Before the look, so that no change is missed.
            let changed = self.changed.notified();
            let wait = {
                let mut state = self.state();
                state.wanted = Some(Instant::now());
                state.refill();
                state.wait()
            };
            if wait.is_zero() {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(wait.min(LONGEST)) => {}
                () = changed => {}
            }
        }
    }

    /// A request is sent.
    pub(crate) fn charge_request(&self) {
        if self.budget.is_limited() {
            self.state().requests.charge(1.0);
        }
    }

    /// So many bytes go to or come from the endpoint.
    #[expect(clippy::cast_precision_loss, reason = "exact up to 8 PiB")]
    pub(crate) fn charge_bytes(&self, bytes: u64) {
        if self.budget.is_limited() {
            self.state().bytes.charge(bytes as f64);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn refill(&mut self) {
        let elapsed = self.filled.elapsed();
        self.filled = Instant::now();
        self.requests.refill(elapsed);
        self.bytes.refill(elapsed);
    }

    fn wait(&self) -> Duration {
        if self.granted { self.requests.wait().max(self.bytes.wait()) } else { LONGEST }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;
    use proptest::prelude::*;

    fn throttle(requests: Option<f64>, bytes: Option<f64>) -> Throttle {
        Throttle::new(Rates { requests, bytes })
    }

    async fn send(throttle: &Throttle, bytes: u64) {
        throttle.pass().await;
        throttle.charge_request();
        throttle.charge_bytes(bytes);
    }

    #[tokio::test(start_paused = true)]
    async fn requests_are_sent_at_the_rate_after_a_second_in_advance() {
        let (throttle, begin) = (throttle(Some(100.0), None), Instant::now());
        for _ in 0..600 {
            send(&throttle, 0).await;
        }
        let took = begin.elapsed().as_secs_f64();
        assert!((4.9..5.1).contains(&took), "{took}");
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_that_were_moved_delay_what_comes_after() {
        let (throttle, begin) = (throttle(None, Some(1_000.0)), Instant::now());
        for _ in 0..5 {
            send(&throttle, 3_000).await;
        }
        let took = begin.elapsed().as_secs_f64();
        assert!((11.0..11.2).contains(&took), "the last waits for the four before it: {took}");
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_grant_nothing_is_sent_and_a_grant_is_seen_at_once() {
        let throttle = throttle(Some(1_000.0), None);
        throttle.grant(None);
        assert_eq!(throttle.idle(), None);
        let mut waiting = std::pin::pin!(throttle.pass());
        assert!(tokio::time::timeout(Duration::from_mins(1), waiting.as_mut()).await.is_err());
        assert!(throttle.idle().is_some_and(|idle| idle < Duration::from_secs(2)));
        throttle.grant(Some(Rates { requests: Some(1.0), bytes: None }));
        assert!(waiting.now_or_never().is_some());
    }

    #[tokio::test]
    async fn an_endpoint_without_a_budget_is_never_waited_for() {
        let throttle = throttle(None, None);
        for _ in 0..1_000 {
            assert!(send(&throttle, u64::MAX).now_or_never().is_some());
        }
    }

    proptest! {
        #[test]
        fn the_shares_of_all_members_are_at_most_the_budget(rate in 0.001_f64..1e12, members in 1_u32..10_000) {
            let share = Rates { requests: Some(rate), bytes: Some(rate) }.shared(members);
            prop_assert!(share.requests.unwrap() * f64::from(members) <= rate * (1.0 + 1e-9));
            prop_assert_eq!(share.requests, share.bytes);
        }
    }
}
