//! The whole system in one process beside a `nats-server`: what `honk dev`, `honk demo` and `honk bench` start. The services are the
//! very ones that run apart in production; only their settings are made here instead of being read.

mod keys;
mod logs;
mod parts;
mod whole;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use honk_service::{Context, Failure};
use tokio::task::JoinSet;

pub(crate) use self::logs::Logs;
pub(crate) use self::parts::{Nats, context, provision, start_nats};
pub(crate) use self::whole::{Addresses, System, SystemOptions, start_s3, storage_settings};
use crate::error::CliError;

type Serving = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send>>;

/// The pauses before a service that failed is started again.
const STARTS: [Duration; 3] = [Duration::from_millis(500), Duration::from_secs(2), Duration::from_secs(5)];

/// Services that run in this process until their lifecycle ends them.
pub(crate) struct Services {
    running: JoinSet<(String, Result<(), Failure>)>,
}

impl Services {
    /// None yet.
    pub(crate) fn new() -> Self {
        Self { running: JoinSet::new() }
    }

    /// Starts a service with settings of its own in the process that `context` describes. One that fails is started again a few times, as
    /// whatever keeps services running in production would do: at a cold start of a slow machine the NATS server may answer late.
    pub(crate) fn start<T, U, S, F>(&mut self, context: &Context<T>, name: &str, settings: U, serve: S)
    where
        U: Clone + Send + Sync + 'static,
        S: Fn(Context<U>) -> F + Send + 'static,
        F: Future<Output = Result<(), Failure>> + Send + 'static,
    {
        let stop = context.lifecycle.soft_stop().clone();
        let (context, name) = (context.for_service(name, ()), name.to_owned());
        let start = move |name: &str| -> Serving { Box::pin(serve(context.for_service(name, settings.clone()))) };
        self.running.spawn(async move {
            for pause in STARTS {
                let Err(failure) = start(&name).await else { return (name, Ok(())) };
                tracing::warn!(service = name, %failure, "failed, and is started again");
                if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                    return (name, Err(failure));
                }
            }
            let ended = start(&name).await;
            (name, ended)
        });
    }

    /// Runs what has been started already, once.
    pub(crate) fn run(&mut self, name: &str, served: impl Future<Output = Result<(), Failure>> + Send + 'static) {
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

    /// Does `work` while they run, unless one of them fails meanwhile, and then stops them.
    pub(crate) async fn during<C, T>(
        mut self,
        context: &Context<C>,
        work: impl Future<Output = Result<T, CliError>>,
    ) -> Result<T, CliError> {
        let done = tokio::select! {
            failure = self.first_failure() => Err(failure.into()),
            done = work => done,
        };
        context.lifecycle.stop();
        self.ended().await;
        done
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
