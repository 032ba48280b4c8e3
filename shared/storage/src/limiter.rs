//! How many requests an endpoint is sent at a time: half as many once it asks for fewer, and one more for every round of
//! requests that it then serves. One limiter is shared by all that a process does at an endpoint, because each copy alone
//! would go on too fast for all of them together.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_sdk_s3::config::interceptors::FinalizerInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// Requests that were on their way when the limit was halved are refused as well, and are no reason to halve it again.
const CUT_PERIOD: Duration = Duration::from_millis(500);

/// The limit of one endpoint.
#[derive(Debug)]
pub(crate) struct Limiter {
    room: Arc<Semaphore>,
    most: usize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    limit: usize,
    /// Requests under way beyond the limit; their permits are destroyed when they end.
    excess: usize,
    /// Requests served since the limit last changed.
    served: usize,
    cut: Option<Instant>,
}

/// A request under way.
#[derive(Debug)]
pub(crate) struct Entered {
    limiter: Arc<Limiter>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Limiter {
    /// At first, and at most, `most` requests at a time.
    pub(crate) fn new(most: usize) -> Arc<Self> {
        let most = most.clamp(1, Semaphore::MAX_PERMITS);
        let state = Mutex::new(State { limit: most, excess: 0, served: 0, cut: None });
        Arc::new(Self { room: Arc::new(Semaphore::new(most)), most, state })
    }

    /// Waits for room. The semaphore is never closed.
    pub(crate) async fn enter(self: Arc<Self>) -> Entered {
        let permit = Arc::clone(&self.room).acquire_owned().await.ok();
        Entered { limiter: self, permit }
    }

    /// A request was served.
    pub(crate) fn served(&self) {
        let mut state = self.state();
        state.served += 1;
        if state.limit < self.most && state.served >= state.limit {
            state.limit += 1;
            state.served = 0;
            if state.excess > 0 {
                state.excess -= 1;
            } else {
                self.room.add_permits(1);
            }
        }
    }

    /// The endpoint asked for fewer requests.
    pub(crate) fn throttled(&self) {
        let mut state = self.state();
        let now = Instant::now();
        if state.cut.is_some_and(|cut| now < cut + CUT_PERIOD) {
            return;
        }
        let under_way = (state.limit + state.excess).saturating_sub(self.room.available_permits());
        let limit = (under_way.min(state.limit) / 2).max(1);
        let surplus = state.limit - limit;
        state.excess += surplus - self.room.forget_permits(surplus);
        (state.limit, state.served, state.cut) = (limit, 0, Some(now));
        tracing::debug!(limit, "the endpoint asks for fewer requests");
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

/// Tells the limiter of refusals that the client's own retries would hide.
#[derive(Debug)]
pub(crate) struct Refusals(pub(crate) Arc<Limiter>);

impl Intercept for Refusals {
    fn name(&self) -> &'static str {
        "Refusals"
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if context.response().is_some_and(|answer| matches!(answer.status().as_u16(), 429 | 503)) {
            self.0.throttled();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    fn enter(limiter: &Arc<Limiter>) -> Option<Entered> {
        Arc::clone(limiter).enter().now_or_never()
    }

    fn fill(limiter: &Arc<Limiter>) -> Vec<Entered> {
        std::iter::from_fn(|| enter(limiter)).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_halves_what_is_under_way_once_a_period() {
        let limiter = Limiter::new(100);
        let mut under_way = fill(&limiter);
        assert_eq!(under_way.len(), 100);
        under_way.truncate(16);
        limiter.throttled();
        limiter.throttled();
        assert!(enter(&limiter).is_none(), "8 of 16 may go on");
        under_way.truncate(8);
        assert!(enter(&limiter).is_none());
        under_way.truncate(7);
        assert!(enter(&limiter).is_some());
        tokio::time::advance(CUT_PERIOD).await;
        limiter.throttled();
        drop(under_way);
        assert_eq!(fill(&limiter).len(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn the_limit_grows_by_one_a_round_and_never_beyond_the_most() {
        let limiter = Limiter::new(4);
        let under_way = fill(&limiter);
        limiter.throttled();
        drop(under_way);
        assert_eq!(fill(&limiter).len(), 2);
        limiter.served();
        limiter.served();
        assert_eq!(fill(&limiter).len(), 3);
        for _ in 0..100 {
            limiter.served();
        }
        assert_eq!(fill(&limiter).len(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn one_request_at_a_time_always_remains() {
        let limiter = Limiter::new(2);
        for _ in 0..5 {
            limiter.throttled();
            tokio::time::advance(CUT_PERIOD).await;
        }
        assert_eq!(fill(&limiter).len(), 1);
    }
}
