//! Logs and traces of the commands that run services. The exporter's client blocks, so it starts and stops on threads of its own.

use honk_service::config::TelemetryConfig;
use honk_service::telemetry::SHUTDOWN_LIMIT;
use honk_service::{Failure, Telemetry};

use crate::error::CliError;

/// Logs and traces, until they are flushed.
pub(crate) struct Logs(Telemetry);

impl Logs {
    /// Starts them.
    pub(crate) async fn start(config: &TelemetryConfig) -> Result<Self, CliError> {
        let config = config.clone();
        let started = tokio::task::spawn_blocking(move || Telemetry::start("honk", &config)).await;
        let telemetry = started.map_err(Failure::from)?.map_err(Failure::from)?;
        Ok(Self(telemetry))
    }

    /// Sends what is left, for a few seconds at most.
    pub(crate) async fn flush(self) {
        let flushed = tokio::task::spawn_blocking(move || self.0.shutdown(SHUTDOWN_LIMIT)).await;
        if !matches!(flushed, Ok(true)) {
            tracing::debug!("not all spans were exported");
        }
    }
}
