//! The sections that every service has: the bus, telemetry, the admin listener, the drain.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use tracing_subscriber::EnvFilter;

use super::steps::StepsConfig;
use crate::secret::Secret;

/// The sections that every service has.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Common {
    /// How to reach NATS.
    pub nats: NatsConfig,
    /// Logs and traces.
    pub telemetry: TelemetryConfig,
    /// The listener for probes and metrics.
    pub admin: AdminConfig,
    /// How long a stop may take.
    pub drain: DrainConfig,
    /// How agents run programs.
    pub steps: StepsConfig,
}

/// How to reach NATS (`HONK_NATS__URL`, …).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NatsConfig {
    /// Server URLs, separated by commas.
    pub url: String,
    /// User name, with `password`.
    pub user: Option<String>,
    /// Password of `user`.
    pub password: Option<Secret>,
    /// Token, instead of user and password.
    pub token: Option<Secret>,
    /// Path of a `.creds` file, instead of the above.
    pub credentials: Option<PathBuf>,
    /// Path of a PEM file of the authorities that may have signed the server's certificate, in place of the system's. With it, an
    /// unencrypted connection is an error.
    pub ca: Option<PathBuf>,
    /// Path of a PEM file of this client's own certificate, for a server that asks for one; with `key`.
    pub certificate: Option<PathBuf>,
    /// Path of a PEM file of the private key of `certificate`.
    pub key: Option<PathBuf>,
    /// Prefix of this client's reply subjects, where permissions require one of its own.
    pub inbox_prefix: Option<String>,
}

impl Default for NatsConfig {
    fn default() -> Self {
        Self {
            url: "nats://127.0.0.1:4222".to_owned(),
            user: None,
            password: None,
            token: None,
            credentials: None,
            ca: None,
            certificate: None,
            key: None,
            inbox_prefix: None,
        }
    }
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", try_from = "String")]
pub enum LogFormat {
    /// One readable line an event, coloured on a terminal.
    #[default]
    Human,
    /// One JSON object an event, with the fields of the spans around it.
    Json,
}

impl TryFrom<String> for LogFormat {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "human" => Ok(Self::Human),
            "json" => Ok(Self::Json),
            _ => Err(format!("`{text}`, expected human or json")),
        }
    }
}

/// What is logged unless a setting says otherwise. What the NATS client says of its connection, `honk_bus` says too.
pub const DEFAULT_LOG_FILTER: &str = "info,async_nats=warn";

/// Logs and traces (`HONK_TELEMETRY__LOG_FORMAT`, …).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TelemetryConfig {
    /// Form of the log on stderr.
    pub log_format: LogFormat,
    /// What is logged, in the syntax of tracing's `EnvFilter`: `info`, `info,honk_agent=debug`.
    #[serde(deserialize_with = "log_filter")]
    pub log_filter: String,
    /// Base URL of an OTLP/HTTP collector, e.g. `http://127.0.0.1:4318` (also `OTEL_EXPORTER_OTLP_ENDPOINT`).
    /// Without it no spans are exported.
    #[serde(deserialize_with = "endpoint")]
    pub otlp_endpoint: Option<String>,
    /// Exports nothing even with an endpoint (also `OTEL_SDK_DISABLED`).
    pub otlp_disabled: bool,
    /// `service.name` of exported spans, if not the service's own (also `OTEL_SERVICE_NAME`).
    pub service_name: Option<String>,
    /// Share of new traces that are recorded, 0 to 1 (also `OTEL_TRACES_SAMPLER_ARG`); a trace that has begun
    /// elsewhere keeps its own decision.
    #[serde(deserialize_with = "ratio")]
    pub sample_ratio: f64,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self {
            log_format: LogFormat::Human,
            log_filter: DEFAULT_LOG_FILTER.to_owned(),
            otlp_endpoint: None,
            otlp_disabled: false,
            service_name: None,
            // Migrations are rare and each matters: all are recorded.
            sample_ratio: 1.0,
        }
    }
}

/// The listener for probes and metrics (`HONK_ADMIN__LISTEN`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AdminConfig {
    /// Address of `/healthz`, `/readyz` and `/metrics`, e.g. `127.0.0.1:9464`; none without it.
    pub listen: Option<SocketAddr>,
}

/// How long a stop may take (`HONK_DRAIN__SECONDS`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DrainConfig {
    /// Seconds from the soft stop to the hard one.
    pub seconds: u64,
}

impl DrainConfig {
    /// The limit as a duration.
    pub fn limit(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

impl Default for DrainConfig {
    fn default() -> Self {
        // The time that Kubernetes grants by default (terminationGracePeriodSeconds).
        Self { seconds: 30 }
    }
}

fn log_filter<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    match EnvFilter::try_new(&text) {
        Ok(_) => Ok(text),
        Err(error) => {
            Err(D::Error::custom(format!("`{text}` ({error}), expected a filter like info or info,honk_agent=debug")))
        }
    }
}

fn endpoint<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let url = Option::<String>::deserialize(deserializer)?;
    let web = |url: &String| {
        reqwest::Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
    };
    match url {
        Some(text) if !web(&text) => {
            Err(D::Error::custom(format!("`{text}`, expected a URL like http://127.0.0.1:4318")))
        }
        url => Ok(url),
    }
}

fn ratio<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let ratio = f64::deserialize(deserializer)?;
    if (0.0..=1.0).contains(&ratio) {
        Ok(ratio)
    } else {
        Err(D::Error::custom(format!("`{ratio}`, expected a number from 0 to 1")))
    }
}
