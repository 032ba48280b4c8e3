//! Soft stop, hard stop: stop taking work, then stop.
//!
//! The first SIGTERM or SIGINT asks for a drain; a second one, or a drain that exceeds its limit, ends it. What asks
//! is a channel, so that tests need no signals; a signal is only one of its senders.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// The two stops of a process; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Lifecycle {
    soft: CancellationToken,
    hard: CancellationToken,
}

impl Lifecycle {
    /// A process that runs until [`Lifecycle::stop`].
    pub fn new() -> Self {
        Self::default()
    }

    /// Cancelled when no more work is to be taken and what is in flight is to be finished or handed back.
    pub fn soft_stop(&self) -> &CancellationToken {
        &self.soft
    }

    /// Cancelled when all work must end now; always after the soft stop.
    pub fn hard_stop(&self) -> &CancellationToken {
        &self.hard
    }

    /// Whether the soft stop has come.
    pub fn is_stopping(&self) -> bool {
        self.soft.is_cancelled()
    }

    /// Asks for the soft stop.
    pub fn stop(&self) {
        self.soft.cancel();
    }

    /// Stops both ways at once.
    pub fn stop_hard(&self) {
        self.soft.cancel();
        self.hard.cancel();
    }

    /// Turns stop requests into stops: the first is soft; a second one, or `drain` passing after the soft stop, is
    /// hard. Returns after the hard stop, so run it beside the work and drop it when the work has ended.
    pub async fn supervise(&self, mut requests: mpsc::Receiver<StopRequest>, drain: Duration) {
        tokio::select! {
            () = self.soft.cancelled() => {}
            request = next(&mut requests) => tracing::info!(%request, "draining, at most {} s", drain.as_secs()),
        }
        self.soft.cancel();
        tokio::select! {
            () = self.hard.cancelled() => {}
            () = tokio::time::sleep(drain) => tracing::warn!("the drain took longer than {} s", drain.as_secs()),
            request = next(&mut requests) => tracing::warn!(%request, "second request to stop: stopping at once"),
        }
        self.hard.cancel();
    }

    /// [`Lifecycle::supervise`] with SIGTERM and SIGINT as the requests.
    pub async fn supervise_signals(&self, signals: Signals, drain: Duration) {
        let (sender, requests) = mpsc::channel(2);
        tokio::select! {
            () = signals.forward(sender) => {}
            () = self.supervise(requests, drain) => {}
        }
    }
}

/// Who asks the process to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopRequest {
    /// A supervisor, by SIGTERM.
    Terminate,
    /// A person at the terminal, by SIGINT.
    Interrupt,
}

impl std::fmt::Display for StopRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Terminate => "SIGTERM",
            Self::Interrupt => "SIGINT",
        })
    }
}

/// The process's SIGTERM and SIGINT; from its creation on, neither kills the process.
#[derive(Debug)]
pub struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    /// Starts to listen; must be called on a tokio runtime.
    pub fn listen() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Sends each signal on, for ever, also when nobody listens any more.
    async fn forward(mut self, sender: mpsc::Sender<StopRequest>) {
        loop {
            let request = tokio::select! {
                _ = self.terminate.recv() => StopRequest::Terminate,
                _ = self.interrupt.recv() => StopRequest::Interrupt,
            };
            if sender.send(request).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

/// The next request; a closed channel means that nobody will ask any more, not that somebody did.
async fn next(requests: &mut mpsc::Receiver<StopRequest>) -> StopRequest {
    match requests.recv().await {
        Some(request) => request,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    const DRAIN: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn the_first_request_is_soft_and_the_second_hard_without_waiting() {
        let lifecycle = Lifecycle::new();
        let (sender, requests) = mpsc::channel(2);
        let begin = Instant::now();
        let script = async {
            sender.send(StopRequest::Terminate).await.unwrap();
            lifecycle.soft_stop().cancelled().await;
            assert!(!lifecycle.hard_stop().is_cancelled());
            sender.send(StopRequest::Interrupt).await.unwrap();
            lifecycle.hard_stop().cancelled().await;
        };
        tokio::join!(lifecycle.supervise(requests, DRAIN), script);
        assert_eq!(begin.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_drain_that_exceeds_its_limit_becomes_a_hard_stop() {
        let lifecycle = Lifecycle::new();
        let (sender, requests) = mpsc::channel(2);
        let begin = Instant::now();
        sender.send(StopRequest::Terminate).await.unwrap();
        lifecycle.supervise(requests, DRAIN).await;
        assert!(lifecycle.hard_stop().is_cancelled());
        assert!(begin.elapsed() >= DRAIN && begin.elapsed() < DRAIN + Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_from_within_is_bounded_like_one_from_outside() {
        let lifecycle = Lifecycle::new();
        let (sender, requests) = mpsc::channel(2);
        drop(sender);
        lifecycle.stop();
        assert!(lifecycle.is_stopping() && !lifecycle.hard_stop().is_cancelled());
        lifecycle.supervise(requests, DRAIN).await;
        assert!(lifecycle.hard_stop().is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_left_to_ask_is_not_a_request() {
        let lifecycle = Lifecycle::new();
        let (sender, requests) = mpsc::channel(2);
        drop(sender);
        let supervised = tokio::time::timeout(Duration::from_hours(1), lifecycle.supervise(requests, DRAIN)).await;
        assert!(supervised.is_err() && !lifecycle.is_stopping());
    }
}
