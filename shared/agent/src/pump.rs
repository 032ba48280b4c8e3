//! The loop under every consumer: pulls as many messages as there are free slots and handles each on a task of its own. On a soft
//! stop it pulls no more, gives back what was not begun, and waits for what is in flight.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use honk_bus::{Delivery, Puller};
use honk_service::{Health, Lifecycle};
use tokio::task::{JoinError, JoinSet};

/// How often the loop says that it is alive.
const ALIVE_EVERY: Duration = Duration::from_secs(5);

/// A consumer's loop.
#[derive(Debug, Clone)]
pub struct Pump {
    /// What health reports call it.
    pub name: String,
    /// Messages handled at a time.
    pub slots: usize,
    /// Where it says how it is.
    pub health: Health,
}

impl Pump {
    /// Runs until the lifecycle's soft stop, then until everything begun has ended. `handle` settles what it is given.
    pub async fn run<H, F>(&self, mut puller: Puller, lifecycle: &Lifecycle, handle: H)
    where
        H: Fn(Delivery) -> F,
        F: Future<Output = ()> + Send + 'static,
    {
        self.health.set_ready(&self.name, true, "pulling");
        let bus = puller.bus().clone();
        let mut begun = JoinSet::new();
        let mut alive = tokio::time::interval(ALIVE_EVERY);
        let mut stop = pin!(lifecycle.soft_stop().cancelled());
        loop {
            let free = self.slots.saturating_sub(begun.len());
            tokio::select! {
                biased;
                () = &mut stop => break,
                _ = alive.tick() => self.health.beat(&self.name, ALIVE_EVERY * 4),
                Some(ended) = begun.join_next(), if !begun.is_empty() => note(ended),
                // Boxed, because a spawned future is moved several times.
                delivery = puller.next(free), if free > 0 => drop(begun.spawn(Box::pin(handle(delivery)))),
            }
        }
        puller.close().await;
        tracing::info!(name = self.name, in_flight = begun.len(), "pulling has stopped");
        while let Some(ended) = begun.join_next().await {
            note(ended);
        }
        if let Err(error) = bus.flush().await {
            tracing::warn!(%error, "the last acknowledgements may not have left");
        }
        self.health.ended(&self.name);
    }
}

/// A defect of the handler's own. The delivery gave itself back when it was dropped.
fn note(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "handling a message broke off");
    }
}
