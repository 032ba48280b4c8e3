//! What the services stand on: a NATS server, provisioned, and a context that they share.

use std::path::{Path, PathBuf};

use honk_bus::{Bus, ConnectOptions};
use honk_local::nats::{Lookup, NatsOptions, NatsServer, find_or_fetch};
use honk_protocol::topology::{Settings, Topology};
use honk_service::config::{NoSettings, TelemetryConfig, load_from};
use honk_service::{Context, Environment, environment};

use crate::error::CliError;

/// A NATS server: one's own, or somebody else's.
pub(crate) enum Nats {
    /// A child process.
    Own(Box<NatsServer>),
    /// Given by its URL.
    Given(String),
}

impl Nats {
    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        match self {
            Self::Own(server) => server.url(),
            Self::Given(url) => url.clone(),
        }
    }

    /// Its process, if it is one's own.
    pub(crate) fn pid(&self) -> Option<u32> {
        match self {
            Self::Own(server) => server.pid(),
            Self::Given(_) => None,
        }
    }

    /// Stops it, if it is one's own.
    pub(crate) async fn stop(self) {
        if let Self::Own(mut server) = self
            && let Err(error) = server.stop().await
        {
            tracing::warn!(%error, "stopping nats-server");
        }
    }
}

/// Where things are kept that may be fetched again.
fn cache_dir(environment: &Environment) -> PathBuf {
    environment.cache_dir().unwrap_or_else(std::env::temp_dir).join("honk")
}

/// A `nats-server` to run: named, found or fetched.
async fn find_nats_server() -> Result<PathBuf, CliError> {
    let environment = environment();
    let lookup = Lookup {
        nats_server: environment.get("NATS_SERVER").map(PathBuf::from),
        path: environment.get("PATH").map(Into::into),
        cache_dir: cache_dir(&environment),
    };
    find_or_fetch(&lookup).await.map_err(|error| CliError::failed("cannot find a nats-server").caused_by(&error))
}

/// Connects to the given server, or starts one that keeps its files in `folder`.
pub(crate) async fn start_nats(given: Option<String>, folder: &Path) -> Result<Nats, CliError> {
    if let Some(url) = given {
        return Ok(Nats::Given(url));
    }
    let options = NatsOptions::new(find_nats_server().await?, folder);
    let server = NatsServer::start(options).await;
    let server = server.map_err(|error| CliError::failed("cannot start nats-server").caused_by(&error))?;
    Ok(Nats::Own(Box::new(server)))
}

/// Makes streams, consumers and buckets match the topology.
pub(crate) async fn provision(url: &str, settings: &Settings) -> Result<Bus, CliError> {
    let options = ConnectOptions { url: url.to_owned(), name: "honk".into(), ..ConnectOptions::default() };
    let bus = Bus::connect(options).await;
    let bus = bus.map_err(|error| CliError::unreachable("cannot reach NATS").caused_by(&error))?;
    let provisioned = bus.provision(&Topology::new(settings)).await;
    provisioned.map_err(|error| CliError::failed("cannot make the streams and consumers").caused_by(&error))?;
    Ok(bus)
}

/// What all services of this process share: settings of the environment, with `log_filter` where it sets none.
pub(crate) fn context(log_filter: &str) -> Result<Context<NoSettings>, CliError> {
    let environment = environment();
    let loaded = load_from::<NoSettings>("honk", &environment);
    let (settings, mut common) =
        loaded.map_err(|error| CliError::usage("the settings in the environment are not valid").caused_by(&error))?;
    if common.telemetry.log_filter == TelemetryConfig::default().log_filter {
        log_filter.clone_into(&mut common.telemetry.log_filter);
    }
    Ok(Context { environment, ..Context::new("honk", settings, common) })
}
