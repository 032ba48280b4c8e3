//! The whole system in one process beside a `nats-server`: what `honk dev`, `honk demo` and `honk bench` start. The services are the
//! very ones that run apart in production; only their settings are made here instead of being read.

mod keys;
mod logs;
mod parts;
mod whole;

use std::future::Future;
use std::pin::Pin;

use honk_service::{Context, Failure};
use tokio::task::JoinSet;

pub(crate) use self::logs::Logs;
pub(crate) use self::parts::{Nats, context, provision, start_nats};
pub(crate) use self::whole::{Addresses, System, SystemOptions, start_s3, storage_settings};

/// Services that run in this process until their lifecycle ends them.
pub(crate) struct Services {
    running: JoinSet<(String, Result<(), Failure>)>,
}

impl Services {
    /// None yet.
    pub(crate) fn new() -> Self {
        Self { running: JoinSet::new() }
    }

    /// Starts a service with settings of its own in the process that `context` describes.
    pub(crate) fn start<T, U, S, F>(&mut self, context: &Context<T>, name: &str, settings: U, serve: S)
    where
        S: FnOnce(Context<U>) -> F,
        F: Future<Output = Result<(), Failure>> + Send + 'static,
    {
        let served: Pin<Box<dyn Future<Output = Result<(), Failure>> + Send>> =
            Box::pin(serve(context.for_service(name, settings)));
        let name = name.to_owned();
        self.running.spawn(async move { (name, served.await) });
    }

    /// Waits until one of them ends before it should, and says why.
    pub(crate) async fn first_failure(&mut self) -> Failure {
        match self.running.join_next().await {
            Some(Ok((name, Ok(())))) => Failure::new(format!("{name} ended by itself")),
            Some(Ok((name, Err(failure)))) => {
                let hint = failure.hint().map(ToOwned::to_owned);
                let told = Failure::new(format!("{name}: {failure}"));
                match hint {
                    Some(hint) => told.with_hint(hint),
                    None => told,
                }
            }
            Some(Err(error)) => Failure::new(format!("a service broke off: {error}")),
            None => Failure::new("no service is running"),
        }
    }

    /// Waits until all of them have ended.
    pub(crate) async fn ended(mut self) {
        while let Some(ended) = self.running.join_next().await {
            if let Ok((name, Err(failure))) = ended {
                tracing::warn!(name, %failure, "a service ended with a failure");
            }
        }
    }
}
