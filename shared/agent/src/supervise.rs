//! Keeping watch over the work on one attempt, from beside it: heartbeats so that the server does not take the job for lost,
//! progress for those who watch, a durable word that the attempt has begun, and the ends that the work does not choose
//! itself: its deadline, the agent's hard stop, a panic.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use honk_bus::Heartbeat;
use honk_protocol::live::Progress;
use honk_protocol::reason::Reason;
use honk_protocol::run::{Fault, Fence};
use honk_protocol::settle::{Again, Completion, Failed, Outcome};
use honk_protocol::subject::LiveSubject;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::action::ProgressCounters;
use crate::agent::Agent;

/// Before an attempt is this old, only a heartbeat shows it; after it, its record does.
const DURABLE_AFTER: Duration = Duration::from_secs(1);

/// How long cancelled work has to come to a clean end before it is dropped.
///
/// A program gets two seconds of it after its SIGTERM (`honk_step`), and what it printed last a moment to be stored.
const CANCEL_GRACE: Duration = Duration::from_secs(4);

/// What is watched.
pub(crate) struct Watched {
    pub(crate) heartbeat: Heartbeat,
    pub(crate) ack_wait: Duration,
    pub(crate) timeout: Duration,
    pub(crate) live: LiveSubject,
    pub(crate) fence: Fence,
    pub(crate) progress: Arc<ProgressCounters>,
    /// Cancels the work.
    pub(crate) cancelled: CancellationToken,
    pub(crate) hard_stop: CancellationToken,
}

/// What the watcher sees.
enum Sight {
    Ended(Result<Result<Completion, Failed>, JoinError>),
    Deadline,
    HardStop,
    Tick,
}

impl Agent {
    /// Runs `work` on a task of its own and keeps watch. `hold` is called when the attempt has grown old enough to be put on record, and
    /// with each heartbeat after that; once it says that the attempt was taken over, the work is stopped.
    pub(crate) async fn supervise<W, B>(&self, work: W, watched: Watched, hold: impl Fn() -> B) -> Outcome
    where
        W: Future<Output = Result<Completion, Failed>> + Send + 'static,
        B: Future<Output = bool>,
    {
        let mut task = JoinSet::new();
        task.spawn(work);
        let since = Instant::now();
        let mut durable = false;
        let (every, mut beaten) = ((watched.ack_wait / 3).min(DURABLE_AFTER), since);
        let deadline = since + watched.timeout;
        loop {
            let tick = Instant::now() + every;
            let sight = tokio::select! {
                biased;
                Some(ended) = task.join_next() => Sight::Ended(ended),
                () = watched.hard_stop.cancelled() => Sight::HardStop,
                () = tokio::time::sleep_until(tick.min(deadline)) => {
                    if Instant::now() >= deadline { Sight::Deadline } else { Sight::Tick }
                }
            };
            match sight {
                Sight::Ended(ended) => return outcome(ended),
                Sight::Deadline => return stop(task, &watched, Outcome::Failed(timed_out(watched.timeout))).await,
                Sight::HardStop => return stop(task, &watched, Outcome::HandedBack).await,
                Sight::Tick => {
                    let is_due = beaten.elapsed() + every > watched.ack_wait / 3;
                    if is_due {
                        beaten = Instant::now();
                        beat(&watched.heartbeat).await;
                    }
                    self.show(&watched).await;
                    let old_enough = since.elapsed() >= DURABLE_AFTER.min(every * 2);
                    if old_enough && (is_due || !durable) || self.wishes.is_over(&watched.live.run) {
                        durable = true;
                        if !hold().await {
                            // Settling it finds the later attempt on record, and leaves the delivery alone.
                            return stop(task, &watched, Outcome::HandedBack).await;
                        }
                    }
                }
            }
        }
    }

    async fn show(&self, watched: &Watched) {
        let counters = &watched.progress;
        let progress = Progress {
            attempt: watched.fence.attempt,
            agent: self.config.name.clone(),
            objects: counters.objects.load(Ordering::Relaxed),
            objects_total: counters.objects_total.load(Ordering::Relaxed),
            bytes: counters.bytes.load(Ordering::Relaxed),
            bytes_total: counters.bytes_total.load(Ordering::Relaxed),
        };
        let shown = match serde_json::to_vec(&progress) {
            Ok(payload) => {
                self.ledger.bus().signal(watched.live.to_string(), payload).await.map_err(|error| error.to_string())
            }
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = shown {
            tracing::debug!(error, "progress was not shown");
        }
    }
}

/// Asks the work to stop, waits a moment, and drops it. If it came to its end just now, that is what counts. A program that does not let
/// itself be ended must not look like a lost agent, so the delivery is kept alive.
async fn stop(mut task: JoinSet<Result<Completion, Failed>>, watched: &Watched, otherwise: Outcome) -> Outcome {
    watched.cancelled.cancel();
    let end = pin!(tokio::time::timeout(CANCEL_GRACE, task.join_next()));
    match kept_alive(&watched.heartbeat, watched.ack_wait, end).await {
        Ok(Some(Ok(Ok(completion)))) => Outcome::Done(completion),
        _ => otherwise,
    }
}

/// Waits for `end` under heartbeats, so that the delivery is not taken for lost meanwhile. It is pinned by the caller, because a future that is
/// given away and pinned lies in its new owner twice.
pub(crate) async fn kept_alive<F>(heartbeat: &Heartbeat, ack_wait: Duration, mut end: F) -> F::Output
where
    F: Future + Unpin,
{
    loop {
        match tokio::time::timeout(ack_wait / 3, &mut end).await {
            Ok(output) => return output,
            Err(_) => beat(heartbeat).await,
        }
    }
}

async fn beat(heartbeat: &Heartbeat) {
    if let Err(error) = heartbeat.beat().await {
        tracing::warn!(%error, "a heartbeat was not sent");
    }
}

fn outcome(ended: Result<Result<Completion, Failed>, JoinError>) -> Outcome {
    match ended {
        Ok(Ok(completion)) => Outcome::Done(completion),
        Ok(Err(failed)) => Outcome::Failed(failed),
        Err(error) => Outcome::Failed(Failed {
            reason: Reason::JobPanicked,
            fault: Fault::Failure,
            message: panic_message(error),
            again: Again::Later,
        }),
    }
}

fn panic_message(error: JoinError) -> String {
    match error.try_into_panic() {
        Ok(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            format!("the action panicked: {}", text.unwrap_or("without a message"))
        }
        Err(error) => error.to_string(),
    }
}

fn timed_out(timeout: Duration) -> Failed {
    Failed {
        reason: Reason::JobTimeout,
        fault: Fault::Timeout,
        message: format!("not done within {} s", timeout.as_secs_f64()),
        again: Again::Later,
    }
}
