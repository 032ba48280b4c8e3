//! Configuration in layers: defaults, then the TOML file that `HONK_CONFIG` names, then `HONK_*` variables.
//!
//! `HONK_NATS__URL` is `url` in section `nats`; two underscores go one level down. A service's settings are a struct
//! with serde and `Default`; the serialised default is the schema, so it must show every key (no
//! `skip_serializing_if`, no `flatten`). Every value is tried on its own against the defaults, so one start reports
//! all faults. Sections of other services ([`SERVICE_SECTIONS`]) are passed over: one file can serve the whole fleet.

mod faults;
pub mod human_duration;
mod layers;
mod sections;
mod steps;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub use faults::{ConfigErrors, Fault};
pub use sections::{AdminConfig, Common, DEFAULT_LOG_FILTER, DrainConfig, LogFormat, NatsConfig, TelemetryConfig};
pub use steps::StepsConfig;

use crate::environment::{Environment, environment};

/// What a service's settings must be: readable, showable and complete without any input.
pub trait Settings: DeserializeOwned + Serialize + Default {}

impl<T: DeserializeOwned + Serialize + Default> Settings for T {}

/// The settings of a service that has none of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoSettings {}

/// Top-level sections that belong to single services; a service ignores those that its own settings do not have.
pub const SERVICE_SECTIONS: [&str; 11] =
    ["agent", "api", "cli", "dev", "fleet", "intake", "migrate", "notify", "runner", "storage", "validate"];

/// Variables that begin with `HONK_` but are no settings of a service: the file itself, what the `honk` command
/// reads, fail points of test builds.
pub const OTHER_VARIABLES: [&str; 4] = ["HONK_CONFIG", "HONK_API_URL", "HONK_FAIL_POINT", "HONK_BUILD_COMMIT"];

/// Reads the settings of `service` from this process's environment.
pub fn load<T: Settings>(service: &str) -> Result<T, ConfigErrors> {
    load_from(service, &environment()).map(|(settings, _)| settings)
}

/// Reads the settings of `service` and the sections that every service has from the given environment.
pub fn load_from<T: Settings>(service: &str, environment: &Environment) -> Result<(T, Common), ConfigErrors> {
    layers::load(service, environment)
}
