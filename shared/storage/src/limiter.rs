//! Room for requests at an endpoint: as much as its [`Pace`] says. One limiter for each direction is shared by all that a process does at
//! an endpoint, because each copy alone would go on too fast for all of them together.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_sdk_s3::config::interceptors::{BeforeTransmitInterceptorContextRef, FinalizerInterceptorContextRef};
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::pace::Pace;
use crate::throttle::Throttle;

/// The limit of one endpoint and direction.
#[derive(Debug)]
pub(crate) struct Limiter {
    room: Arc<Semaphore>,
    state: Mutex<State>,
    epoch: Instant,
}

#[derive(Debug)]
struct State {
    pace: Pace,
    limit: usize,
    /// Requests under way beyond the limit; their permits are destroyed when they end.
    excess: usize,
}

/// A request under way.
#[derive(Debug)]
pub(crate) struct Entered {
    limiter: Arc<Limiter>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Limiter {
    /// At most `most` requests at a time, fewer at first.
    pub(crate) fn new(most: usize) -> Arc<Self> {
        let pace = Pace::new(most.min(Semaphore::MAX_PERMITS));
        let limit = pace.level();
        let state = Mutex::new(State { pace, limit, excess: 0 });
        Arc::new(Self { room: Arc::new(Semaphore::new(limit)), state, epoch: Instant::now() })
    }

    /// Waits for room. The semaphore is never closed.
    pub(crate) async fn enter(self: Arc<Self>) -> Entered {
        let room = Arc::clone(&self.room);
        let permit = if let Ok(permit) = Arc::clone(&room).try_acquire_owned() {
            Some(permit)
        } else {
            self.state().pace.waited();
            room.acquire_owned().await.ok()
        };
        Entered { limiter: self, permit }
    }

    /// A request was served.
    pub(crate) fn served(&self) {
        let now = self.now();
        let mut state = self.state();
        state.pace.served(now);
        self.adjust(&mut state);
    }

    /// The endpoint asked for fewer requests, or did not answer.
    pub(crate) fn refused(&self) {
        let now = self.now();
        let mut state = self.state();
        let under_way = (state.limit + state.excess).saturating_sub(self.room.available_permits());
        state.pace.refused(now, under_way);
        self.adjust(&mut state);
    }

    /// Gives or takes room until there is as much as the pace says.
    fn adjust(&self, state: &mut State) {
        let (limit, level) = (state.limit, state.pace.level());
        if level == limit {
            return;
        }
        tracing::debug!(from = limit, to = level, "requests under way at the endpoint");
        if level > limit {
            let kept = state.excess.min(level - limit);
            state.excess -= kept;
            self.room.add_permits(level - limit - kept);
        } else {
            state.excess += limit - level - self.room.forget_permits(limit - level);
        }
        state.limit = level;
    }

    fn now(&self) -> Duration {
        self.epoch.elapsed()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let mut state = self.limiter.state();
        if state.excess > 0
            && let Some(permit) = self.permit.take()
        {
            state.excess -= 1;
            permit.forget();
        }
    }
}

/// Which way the bytes of a request go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// From the store.
    Read,
    /// To the store, or within it.
    Write,
}

/// What is common to all requests at an endpoint.
#[derive(Debug, Clone)]
pub(crate) struct Gate {
    read: Arc<Limiter>,
    write: Arc<Limiter>,
    pub(crate) throttle: Arc<Throttle>,
}

impl Gate {
    /// At most `most` requests at a time in each direction, and no more than `throttle` lets through.
    pub(crate) fn new(most: usize, throttle: Arc<Throttle>) -> Self {
        Self { read: Limiter::new(most), write: Limiter::new(most), throttle }
    }

    pub(crate) fn limiter(&self, direction: Direction) -> &Arc<Limiter> {
        match direction {
            Direction::Read => &self.read,
            Direction::Write => &self.write,
        }
    }
}

/// Sees every try of a request, also those that the client's own retries would hide: counts it, and tells of refusals.
#[derive(Debug)]
pub(crate) struct Tries(pub(crate) Gate);

impl Intercept for Tries {
    fn name(&self) -> &'static str {
        "Tries"
    }

    fn read_before_transmit(
        &self,
        _context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.0.throttle.charge_request();
        Ok(())
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let reads = context.request().is_none_or(|request| matches!(request.method(), "GET" | "HEAD"));
        if context.response().is_some_and(|answer| matches!(answer.status().as_u16(), 429 | 503)) {
            self.0.limiter(if reads { Direction::Read } else { Direction::Write }).refused();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    const BETWEEN_CUTS: Duration = Duration::from_secs(1);

    fn enter(limiter: &Arc<Limiter>) -> Option<Entered> {
        Arc::clone(limiter).enter().now_or_never()
    }

    fn fill(limiter: &Arc<Limiter>) -> Vec<Entered> {
        std::iter::from_fn(|| enter(limiter)).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_halves_the_room_of_those_under_way_too() {
        let limiter = Limiter::new(100);
        let mut under_way = fill(&limiter);
        assert_eq!(under_way.len(), 16);
        limiter.refused();
        limiter.refused();
        assert!(enter(&limiter).is_none(), "8 of 16 may go on");
        under_way.truncate(8);
        assert!(enter(&limiter).is_none());
        under_way.truncate(7);
        assert!(enter(&limiter).is_some());
        tokio::time::advance(BETWEEN_CUTS).await;
        limiter.refused();
        assert_eq!(limiter.state().limit, 3);
        under_way.clear();
        assert_eq!(fill(&limiter).len(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn the_room_grows_while_that_serves_more() {
        let limiter = Limiter::new(64);
        for _ in 0..200 {
            let under_way = fill(&limiter);
            let count = under_way.len();
            tokio::time::advance(Duration::from_millis(20)).await;
            drop(under_way);
            for _ in 0..count {
                limiter.served();
            }
        }
        let count = fill(&limiter).len();
        assert!((48..=64).contains(&count), "{count}");
    }

    #[tokio::test(start_paused = true)]
    async fn room_that_was_taken_comes_back_once() {
        let limiter = Limiter::new(64);
        let under_way = fill(&limiter);
        limiter.refused();
        tokio::time::advance(BETWEEN_CUTS).await;
        limiter.refused();
        drop(under_way);
        assert_eq!(fill(&limiter).len(), limiter.state().limit);
    }
}
