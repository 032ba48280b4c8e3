//! The whole system: NATS, the embedded S3 store, and all services, with their state in one folder. Started again on the same
//! folder it goes on where it was.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use honk_api::{ApiSettings, Server};
use honk_bus::Bus;
use honk_intake::config::IntakeConfig;
use honk_local::s3::{S3Options, S3Server, Storage};
use honk_migrate::config::MigrateConfig;
use honk_notify::config::NotifyConfig;
use honk_protocol::topology::Settings;
use honk_runner::config::RunnerConfig;
use honk_service::config::NoSettings;
use honk_service::{Context, Failure, Secret};
use honk_storage::StorageSettings;
use honk_validate::config::ValidateConfig;
use serde::Serialize;

use super::keys::Keys;
use super::{Nats, Services, provision, start_nats};
use crate::error::CliError;

/// Where the system keeps its state, and where it listens.
#[derive(Debug, Clone)]
pub(crate) struct SystemOptions {
    /// The folder.
    pub(crate) state: PathBuf,
    /// The API's address.
    pub(crate) listen: SocketAddr,
    /// The S3 store's address.
    pub(crate) s3_listen: SocketAddr,
    /// A NATS server to use instead of starting one.
    pub(crate) nats: Option<String>,
}

/// A running system.
pub(crate) struct System {
    /// Its services.
    pub(crate) services: Services,
    /// What they share.
    pub(crate) context: Context<NoSettings>,
    /// A connection of its own.
    pub(crate) bus: Bus,
    /// Where everything listens.
    pub(crate) addresses: Addresses,
    /// Keys of the store, and the secret that notices are signed with.
    pub(crate) keys: Keys,
    nats: Nats,
    s3: S3Server,
}

/// Where everything listens: what `honk dev` prints once it is ready.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Addresses {
    /// The HTTP API.
    pub(crate) api: String,
    /// The S3 store.
    pub(crate) s3: String,
    /// The NATS server.
    pub(crate) nats: String,
    /// Access key of the S3 store.
    pub(crate) s3_access_key: String,
    /// Secret key of the S3 store; of use on this machine only.
    pub(crate) s3_secret_key: String,
    /// The folder with the state.
    pub(crate) state: PathBuf,
}

impl SystemOptions {
    /// In `state`, on free ports of this machine.
    pub(crate) fn on_free_ports(state: PathBuf) -> Self {
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self { state, listen: free, s3_listen: free, nats: None }
    }
}

impl System {
    /// Starts everything. Returns once the API answers.
    pub(crate) async fn start(options: SystemOptions, context: Context<NoSettings>) -> Result<Self, CliError> {
        let folder = |name: &str| make_folder(&options.state.join(name));
        let keys = Keys::load_or_make(&make_folder(&options.state)?)?;
        let s3 = start_s3_as_before(&options, &folder("s3")?, &keys).await?;
        let nats = start_nats(options.nats.clone(), &folder("nats")?).await?;
        let bus = provision(&nats.url(), &Settings::default()).await?;
        let mut context = context;
        context.common.nats.url = nats.url();
        let mut services = Services::new();
        grant_to_steps(&mut context, &options, (&keys, &s3.url()));
        let address = start_services(&mut services, &context, &options, (&keys, &s3.url())).await?;
        let addresses = Addresses {
            api: format!("http://{address}"),
            s3: s3.url(),
            nats: nats.url(),
            s3_access_key: keys.s3_access_key.clone(),
            s3_secret_key: keys.s3_secret_key.clone(),
            state: options.state,
        };
        Ok(Self { services, context, bus, addresses, keys, nats, s3 })
    }

    /// Stops everything in the order of the data: what takes work first, what keeps it last.
    pub(crate) async fn stop(self) {
        self.context.lifecycle.stop();
        self.services.ended().await;
        // Else the connection would try to come back to a server that is gone for good.
        drop(self.bus);
        self.s3.stop().await;
        self.nats.stop().await;
    }
}

/// An S3 store that takes the system's keys.
pub(crate) async fn start_s3(listen: SocketAddr, storage: Storage, keys: &Keys) -> Result<S3Server, CliError> {
    let options =
        S3Options { listen, storage, access_key: keys.s3_access_key.clone(), secret_key: keys.s3_secret_key.clone() };
    let started = S3Server::start(options).await;
    started.map_err(|error| CliError::failed("cannot start the S3 store").caused_by(&error))
}

/// How the services of this process reach S3 stores: with the system's keys, and at `endpoint` if a place names none.
pub(crate) fn storage_settings(keys: &Keys, endpoint: &str) -> StorageSettings {
    StorageSettings {
        endpoint: Some(endpoint.to_owned()),
        access_key: Some(keys.s3_access_key.clone()),
        secret_key: Some(keys.s3_secret_key.clone().into()),
        ..StorageSettings::default()
    }
}

/// Registered locations name the store by its address: where none is asked for, it listens where it did before.
async fn start_s3_as_before(options: &SystemOptions, folder: &Path, keys: &Keys) -> Result<S3Server, CliError> {
    let (path, mut listen) = (options.state.join("s3-port"), options.s3_listen);
    let before = std::fs::read_to_string(&path).ok().and_then(|text| text.trim().parse().ok());
    if let (0, Some(port)) = (listen.port(), before) {
        listen.set_port(port);
    }
    let server = start_s3(listen, Storage::Disk(folder.to_owned()), keys).await?;
    let written = std::fs::write(&path, format!("{}\n", server.address().port()));
    written.map_err(|error| CliError::failed(format!("cannot write {}", path.display())).caused_by(&error))?;
    Ok(server)
}

/// What the programs of workflows see here: the embedded store, as any S3 library finds it, where the environment does not say otherwise.
/// Their files are kept with the rest of the state.
fn grant_to_steps(context: &mut Context<NoSettings>, options: &SystemOptions, (keys, s3): (&Keys, &str)) {
    let store = [
        ("AWS_ACCESS_KEY_ID", keys.s3_access_key.as_str()),
        ("AWS_SECRET_ACCESS_KEY", keys.s3_secret_key.as_str()),
        ("AWS_ENDPOINT_URL", s3),
        ("AWS_REGION", "us-east-1"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
    ];
    let steps = &mut context.common.steps;
    steps.work_dir.get_or_insert_with(|| options.state.join("steps"));
    for (name, value) in store {
        if !steps.pass_env.iter().any(|known| known == name) {
            steps.pass_env.push(name.to_owned());
            context.environment.set(name, value);
        }
    }
}

async fn start_services(
    services: &mut Services,
    context: &Context<NoSettings>,
    options: &SystemOptions,
    (keys, s3): (&Keys, &str),
) -> Result<SocketAddr, CliError> {
    let mut api = ApiSettings::default();
    api.api.listen = options.listen;
    let bus = honk_agent::start::connect(&context.for_service("honk-api", ())).await.map_err(Failure::from)?;
    let server = Server::start(context.for_service("honk-api", api), bus).await?;
    let address = server.local_addr().map_err(Failure::from)?;
    services.run("honk-api", server.run());
    let mut intake = IntakeConfig::default();
    intake.intake.provision = true;
    services.start(context, "honk-intake", intake, honk_intake::serve);
    let storage = storage_settings(keys, s3);
    let validate = ValidateConfig { storage: storage.clone(), ..ValidateConfig::default() };
    services.start(context, "honk-validate", validate, honk_validate::serve);
    let migrate = MigrateConfig { storage, ..MigrateConfig::default() };
    services.start(context, "honk-migrate", migrate, honk_migrate::serve);
    let mut notify = NotifyConfig::default();
    notify.notify.secrets = vec![Secret::new(keys.webhook_secret.clone())];
    // Receivers of a development system are on this machine.
    notify.notify.allow_private = true;
    services.start(context, "honk-notify", notify, honk_notify::serve);
    services.start(context, "honk-runner", RunnerConfig::default(), honk_runner::serve);
    Ok(address)
}

fn make_folder(path: &Path) -> Result<PathBuf, CliError> {
    let made = std::fs::create_dir_all(path);
    made.map_err(|error| CliError::failed(format!("cannot make the folder {}", path.display())).caused_by(&error))?;
    Ok(path.to_owned())
}
