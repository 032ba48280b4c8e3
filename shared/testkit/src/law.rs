//! What every action must keep to, because the runtime delivers at least once: done twice it changes nothing, broken off anywhere and
//! done again it comes to the same end, and when it is cancelled it stops soon and can be done again.

use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use honk_agent::{Action, JobContext};
use honk_protocol::run::Outputs;
use honk_protocol::settle::{Again, Failed};
use tokio_util::sync::CancellationToken;

/// How soon a cancelled action must have stopped.
const CANCEL_LIMIT: Duration = Duration::from_secs(5);

/// The most places at which one action is broken off.
const MOST_BREAKS: u32 = 500;

/// A world of its own in which an action can be tried.
#[async_trait]
pub trait Case: Send + Sync {
    /// The action.
    fn action(&self) -> Arc<dyn Action>;

    /// The job, as attempt number `attempt` (from 1) sees it.
    fn job(&self, attempt: u32) -> JobContext;

    /// Panics unless the world is as exactly one execution leaves it.
    async fn check(&self, outputs: &Outputs);
}

/// Done twice, the second time says the same and changes nothing. `forget` removes from the outputs what tells the two apart by
/// their nature, such as how much was there already.
pub async fn delivered_twice(case: &impl Case, forget: impl Fn(&mut Outputs)) {
    let mut first = run(case, 1).await;
    case.check(&first).await;
    let mut second = run(case, 2).await;
    case.check(&second).await;
    forget(&mut first);
    forget(&mut second);
    assert_eq!(first, second, "the second delivery left other outputs");
}

/// Dropped at its first, second, … point of waiting, each in a world of its own, and then done again. Returns how often it was
/// really broken off; it begins to step wider where there are many points.
pub async fn crashed_anywhere<C: Case>(make: impl AsyncFn() -> C) -> u32 {
    let (mut at, mut broken) = (0, 0);
    while broken < MOST_BREAKS {
        let case = make().await;
        let (action, job) = (case.action(), case.job(1));
        let ended = until_pending(action.run(&job), at).await;
        let outputs = run(&case, 2).await;
        case.check(&outputs).await;
        if ended.is_some() {
            break;
        }
        broken += 1;
        at += 1 + at / 8;
    }
    broken
}

/// Cancelled at its first, second, … point of waiting, it stops within seconds, says that trying again can help (or that it is done),
/// and done again comes to the same end. Returns how often it was really cancelled.
pub async fn cancelled_midway<C: Case>(make: impl AsyncFn() -> C) -> u32 {
    let (mut at, mut cancelled) = (0, 0);
    while cancelled < MOST_BREAKS {
        let case = make().await;
        let (action, mut job) = (case.action(), case.job(1));
        job.cancelled = CancellationToken::new();
        let token = job.cancelled.clone();
        let mut work = action.run(&job);
        let mut ended = until_pending(&mut work, at).await;
        let was_open = ended.is_none();
        if was_open {
            token.cancel();
            let stopped = tokio::time::timeout(CANCEL_LIMIT, work).await;
            ended =
                Some(stopped.unwrap_or_else(|_| panic!("cancelled at point {at}, it went on for {CANCEL_LIMIT:?}")));
        }
        if let Some(Err(Failed { again: Again::Never, message, .. })) = ended {
            panic!("cancelled at point {at}, it gave the job up: {message}");
        }
        let outputs = run(&case, 2).await;
        case.check(&outputs).await;
        if !was_open {
            break;
        }
        cancelled += 1;
        at += 1 + at / 8;
    }
    cancelled
}

async fn run(case: &impl Case, attempt: u32) -> Outputs {
    let outcome = case.action().run(&case.job(attempt)).await;
    outcome.unwrap_or_else(|failed| panic!("attempt {attempt} failed: {failed:?}"))
}

/// Lets `work` wait `points` times; its end, if it came to it before.
async fn until_pending<F: Future>(work: F, points: u32) -> Option<F::Output> {
    let mut work = std::pin::pin!(work);
    let mut left = points;
    poll_fn(|context| match work.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending if left == 0 => Poll::Ready(None),
        Poll::Pending => {
            left -= 1;
            Poll::Pending
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::panic::AssertUnwindSafe;
    use std::sync::Mutex;

    use futures_util::FutureExt as _;
    use honk_protocol::name::{PoolName, RunId, WorkflowHash};
    use honk_protocol::run::{EventRef, Fence, NewRun, Run, WorkflowRef};
    use honk_service::Clock;

    use super::*;

    /// Appends its line to a file that has two lines when it is done; a good one looks first what is there.
    #[derive(Clone)]
    struct Writer {
        lines: Arc<Mutex<Vec<u8>>>,
        looks_first: bool,
        heeds: bool,
    }

    #[async_trait]
    impl Action for Writer {
        fn name(&self) -> &'static str {
            "test/write"
        }

        async fn run(&self, job: &JobContext) -> Result<Outputs, Failed> {
            for line in 0..2 {
                tokio::task::yield_now().await;
                if job.cancelled.is_cancelled() && !self.heeds {
                    std::future::pending::<()>().await;
                }
                let mut lines = self.lines.lock().unwrap();
                if !self.looks_first || !lines.contains(&line) {
                    lines.push(line);
                }
            }
            tokio::task::yield_now().await;
            Ok(Outputs::new())
        }
    }

    #[async_trait]
    impl Case for Writer {
        fn action(&self) -> Arc<dyn Action> {
            Arc::new(self.clone())
        }

        fn job(&self, attempt: u32) -> JobContext {
            let new = NewRun {
                id: RunId::of_event("test", "1"),
                dataset: "d".parse().unwrap(),
                workflow: WorkflowRef { name: "w".parse().unwrap(), hash: WorkflowHash::of(b"w") },
                event: EventRef { source: "test".into(), id: "1".into() },
                trace: String::new(),
                input: serde_json::Map::new(),
                limit_ms: None,
                gate: None,
                jobs: vec![("a".parse().unwrap(), PoolName::default_pool(), vec![]).into()],
            };
            JobContext {
                run: Arc::new(Run::create(new, false, Clock::system().now()).0),
                job: "a".parse().unwrap(),
                fence: Fence { generation: 1, attempt },
                may_split: false,
                with: std::collections::BTreeMap::new(),
                cancelled: CancellationToken::new(),
                progress: Arc::default(),
            }
        }

        async fn check(&self, _outputs: &Outputs) {
            assert_eq!(*self.lines.lock().unwrap(), [0, 1]);
        }
    }

    fn writer(looks_first: bool, heeds: bool) -> Writer {
        Writer { lines: Arc::default(), looks_first, heeds }
    }

    #[tokio::test]
    async fn an_action_that_looks_first_keeps_the_laws() {
        delivered_twice(&writer(true, true), |_| {}).await;
        assert_eq!(crashed_anywhere(async || writer(true, true)).await, 3);
        assert_eq!(cancelled_midway(async || writer(true, true)).await, 3);
    }

    #[tokio::test(start_paused = true)]
    async fn an_action_that_does_not_is_caught() {
        let twice =
            AssertUnwindSafe(async { delivered_twice(&writer(false, true), |_| {}).await }).catch_unwind().await;
        assert!(twice.is_err(), "its effects were applied twice");
        let crashed = AssertUnwindSafe(crashed_anywhere(async || writer(false, true))).catch_unwind().await;
        assert!(crashed.is_err(), "its effects were applied twice");
        let deaf = AssertUnwindSafe(cancelled_midway(async || writer(true, false))).catch_unwind().await;
        assert!(deaf.is_err(), "it did not stop");
    }
}
