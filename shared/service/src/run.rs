//! A process from start to end: configuration, telemetry, admin listener, work, drain, flush.
//!
//! A service's `main.rs` is `honk_service::main("honk-validate", honk_validate::serve)`, where `serve` takes a
//! [`Context`], works until its lifecycle's soft stop, hands back what is in flight, and returns.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use crate::admin::AdminServer;
use crate::clock::Clock;
use crate::config::{Common, Settings, load_from};
use crate::environment::{Environment, environment};
use crate::failure::{Failure, Hint};
use crate::health::Health;
use crate::lifecycle::{Lifecycle, Signals};
use crate::metrics::Metrics;
use crate::telemetry::{SHUTDOWN_LIMIT, Telemetry};

/// How long the work has to end after the hard stop before it is dropped where it stands.
const HARD_STOP_GRACE: Duration = Duration::from_secs(1);

/// What a service gets to work with; the shared parts are cheap to clone.
#[derive(Clone, Debug)]
pub struct Context<T> {
    /// The service's name, e.g. `honk-validate`.
    pub service: String,
    /// The service's own settings.
    pub config: T,
    /// The sections that every service has.
    pub common: Common,
    /// The environment as it was at the start.
    pub environment: Environment,
    /// When to stop.
    pub lifecycle: Lifecycle,
    /// What time it is.
    pub clock: Clock,
    /// Where to register metrics.
    pub metrics: Metrics,
    /// Where to report health.
    pub health: Health,
}

impl<T> Context<T> {
    /// A context with everything new, for tests and for programs that compose services.
    pub fn new(service: impl Into<String>, config: T, common: Common) -> Self {
        Self {
            service: service.into(),
            config,
            common,
            environment: Environment::default(),
            lifecycle: Lifecycle::new(),
            clock: Clock::system(),
            metrics: Metrics::new(),
            health: Health::default(),
        }
    }

    /// The same process for another service: lifecycle, clock, metrics and health are shared.
    pub fn for_service<U>(&self, service: impl Into<String>, config: U) -> Context<U> {
        Context {
            service: service.into(),
            config,
            common: self.common.clone(),
            environment: self.environment.clone(),
            lifecycle: self.lifecycle.clone(),
            clock: self.clock.clone(),
            metrics: self.metrics.clone(),
            health: self.health.clone(),
        }
    }
}

/// Runs a service from start to end and returns its exit code: 0 after it returned `Ok` (also after a drain), 1 with
/// the reason on stderr when it could not start, failed, or had to be stopped hard.
pub fn main<T, F, R, E>(service: &'static str, serve: F) -> ExitCode
where
    T: Settings,
    F: FnOnce(Context<T>) -> R,
    R: Future<Output = Result<(), E>>,
    E: Into<Failure>,
{
    let health = Health::default();
    let outcome = start(service, &health, serve);
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let doing = if health.was_ready() { "stopped" } else { "cannot start" };
            report(service, doing, &failure);
            ExitCode::FAILURE
        }
    }
}

fn start<T, F, R, E>(service: &'static str, health: &Health, serve: F) -> Result<(), Failure>
where
    T: Settings,
    F: FnOnce(Context<T>) -> R,
    R: Future<Output = Result<(), E>>,
    E: Into<Failure>,
{
    let environment = environment();
    let (config, common) = load_from::<T>(service, &environment)
        .or_hint("settings come from HONK_* variables and the TOML file that HONK_CONFIG names")?;
    let telemetry = Telemetry::start(service, &common.telemetry)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let context = Context { environment, health: health.clone(), ..Context::new(service, config, common) };
    let outcome = runtime.block_on(live(context, serve));
    runtime.shutdown_timeout(HARD_STOP_GRACE);
    // Last, from a thread without a runtime, so that the spans of the drain are in it too.
    telemetry.shutdown(SHUTDOWN_LIMIT);
    outcome
}

async fn live<T, F, R, E>(context: Context<T>, serve: F) -> Result<(), Failure>
where
    F: FnOnce(Context<T>) -> R,
    R: Future<Output = Result<(), E>>,
    E: Into<Failure>,
{
    let signals = Signals::listen()?;
    let (lifecycle, health) = (context.lifecycle.clone(), context.health.clone());
    let drain = context.common.drain.limit();
    let admin = serve_admin(&context).await?;
    let stopped = async {
        lifecycle.supervise_signals(signals, drain).await;
        tokio::time::sleep(HARD_STOP_GRACE).await;
    };
    let draining = async {
        lifecycle.soft_stop().cancelled().await;
        health.set_draining();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        outcome = serve(context) => outcome.map_err(Into::into),
        failure = admin => Err(failure),
        () = stopped => Err(Failure::new("the drain had not finished")),
        () = draining => Ok(()),
    }
}

/// Binds now, so that a taken port stops the start; the returned future ends only with a failure.
async fn serve_admin<T>(context: &Context<T>) -> Result<impl Future<Output = Failure> + use<T>, Failure> {
    let server = match context.common.admin.listen {
        None => None,
        Some(address) => {
            let bound = AdminServer::bind(address, context.health.clone(), context.metrics.clone()).await;
            let server = bound.or_hint(format!("admin.listen is {address}; choose another with HONK_ADMIN__LISTEN"))?;
            tracing::info!(address = %server.local_addr()?, "probes and metrics");
            Some(server)
        }
    };
    Ok(async {
        match server {
            None => std::future::pending().await,
            Some(server) => match server.serve().await {
                Ok(()) => Failure::new("the admin listener has ended"),
                Err(error) => Failure::from(error),
            },
        }
    })
}

fn report(service: &str, doing: &str, failure: &Failure) {
    let hint = failure.hint().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
    // With stderr gone there is nobody left to tell.
    drop(writeln!(std::io::stderr().lock(), "{service}: {doing}: {failure}{hint}"));
}
