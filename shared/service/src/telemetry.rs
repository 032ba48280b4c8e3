//! Logs on stderr always; spans to an OTLP/HTTP collector when an endpoint is configured.
//!
//! The exporter's thread has a blocking client of its own: an asynchronous one would need the runtime that is just
//! being stopped. A collector that is gone or never answers costs its spans, never time: spans beyond the queue are
//! dropped, and start does not connect, and stop waits for at most the given limit.

mod json;

use std::io::IsTerminal;
use std::sync::mpsc;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider};
use tracing::level_filters::LevelFilter;
use tracing::{Dispatch, Subscriber};
use tracing_subscriber::filter::{ParseError, Targets};
use tracing_subscriber::fmt::format::{JsonFields, debug_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{EnvFilter, Layer, Registry};

use crate::config::{LogFormat, TelemetryConfig};

/// The most that a stop should wait for the last spans.
pub const SHUTDOWN_LIMIT: Duration = Duration::from_secs(5);

const CONNECT_LIMIT: Duration = Duration::from_secs(2);
const EXPORT_LIMIT: Duration = Duration::from_secs(4);

/// Ended spans that wait for export. One migration ends some ten; this holds a burst of a thousand of them.
const SPAN_QUEUE: usize = 16_384;

/// Whose spans never go to the collector: the exporter's own client would report on its reports for ever.
const TRANSPORT: [&str; 6] = ["h2", "hyper", "opentelemetry", "reqwest", "rustls", "tower"];

/// Fields that only mean something to a trace viewer; a person reading the log is spared them.
const VIEWER_FIELDS: [&str; 3] = ["otel.", "messaging.", "cicd."];

/// The running telemetry of a process; keep it in `main` until the end.
#[derive(Debug)]
pub struct Telemetry {
    provider: Option<SdkTracerProvider>,
}

/// Telemetry cannot start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// `log_filter` is no filter.
    #[error("telemetry.log_filter is not valid")]
    Filter(#[source] ParseError),
    /// The HTTP client for the collector cannot be built.
    #[error("cannot build the HTTP client for telemetry.otlp_endpoint")]
    Client(#[source] reqwest::Error),
    /// The thread that builds the HTTP client cannot be started or has panicked.
    #[error("cannot start the exporter's thread: {0}")]
    Thread(String),
    /// The exporter does not take the endpoint.
    #[error("cannot export to telemetry.otlp_endpoint")]
    Exporter(#[source] opentelemetry_otlp::ExporterBuildError),
    /// Another subscriber is installed in this process.
    #[error("telemetry runs already in this process")]
    Running(#[source] TryInitError),
}

impl Telemetry {
    /// Starts logs and, if configured, export for the whole process. Connects to nothing yet.
    pub fn start(service: &str, config: &TelemetryConfig) -> Result<Self, TelemetryError> {
        let (telemetry, dispatch) = Self::build(service, config)?;
        dispatch.try_init().map_err(TelemetryError::Running)?;
        Ok(telemetry)
    }

    /// As [`Telemetry::start`], for a scope that the caller chooses (`tracing::dispatcher::with_default`).
    pub fn build(service: &str, config: &TelemetryConfig) -> Result<(Self, Dispatch), TelemetryError> {
        let filter = EnvFilter::try_new(&config.log_filter).map_err(TelemetryError::Filter)?;
        let endpoint = config.otlp_endpoint.as_deref().filter(|_| !config.otlp_disabled);
        let provider = match endpoint {
            Some(endpoint) => Some(provider(service, endpoint, config)?),
            None => None,
        };
        let spans = provider.as_ref().map(|provider| {
            tracing_opentelemetry::layer().with_tracer(provider.tracer("honk")).with_filter(exported())
        });
        let subscriber = Registry::default().with(log_layer(config.log_format).with_filter(filter)).with(spans);
        Ok((Self { provider }, Dispatch::new(subscriber)))
    }

    /// Whether spans are exported.
    pub fn otlp_enabled(&self) -> bool {
        self.provider.is_some()
    }

    /// Exports what is left, within `limit`, and ends. Blocks: call it after the runtime has ended, or from
    /// `spawn_blocking`. Returns whether everything was delivered or given up in time.
    pub fn shutdown(self, limit: Duration) -> bool {
        let Some(provider) = self.provider else { return true };
        // On a thread that may outlive us: nothing in the exporter's hands can then hold up the process's end.
        let (done, finished) = mpsc::sync_channel(1);
        let stop = move || {
            let delivered = provider.shutdown_with_timeout(limit).is_ok();
            // An error means that the waiting side has given up; then nobody needs the answer.
            done.send(delivered).unwrap_or_default();
        };
        match std::thread::Builder::new().name("telemetry-stop".to_owned()).spawn(stop) {
            Ok(_) => finished.recv_timeout(limit).unwrap_or(false),
            Err(_) => false,
        }
    }
}

/// Events as lines on stderr. Spans that carry `run` and `trace_id` put them on every line within them.
fn log_layer<S>(format: LogFormat) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    match format {
        LogFormat::Json => layer.fmt_fields(JsonFields::new()).event_format(json::FlatJson).boxed(),
        LogFormat::Human => {
            let fields = debug_fn(|writer, field, value| match field.name() {
                name if VIEWER_FIELDS.iter().any(|prefix| name.starts_with(prefix)) => Ok(()),
                "message" => write!(writer, "{value:?}"),
                name => write!(writer, " {name}={value:?}"),
            });
            layer.with_ansi(std::io::stderr().is_terminal()).fmt_fields(fields).boxed()
        }
    }
}

/// What goes to the collector, whatever the log shows.
fn exported() -> Targets {
    Targets::new().with_default(LevelFilter::INFO).with_targets(TRANSPORT.map(|target| (target, LevelFilter::OFF)))
}

fn provider(service: &str, endpoint: &str, config: &TelemetryConfig) -> Result<SdkTracerProvider, TelemetryError> {
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(blocking_client()?)
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(traces_url(endpoint))
        .with_timeout(EXPORT_LIMIT)
        .build()
        .map_err(TelemetryError::Exporter)?;
    let batches = BatchConfigBuilder::default().with_max_queue_size(SPAN_QUEUE).build();
    let resource = Resource::builder()
        .with_service_name(config.service_name.clone().unwrap_or_else(|| service.to_owned()))
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_attribute(KeyValue::new("service.instance.id", uuid::Uuid::new_v4().to_string()))
        .build();
    let root = Sampler::TraceIdRatioBased(config.sample_ratio);
    Ok(SdkTracerProvider::builder()
        .with_span_processor(BatchSpanProcessor::builder(exporter).with_batch_config(batches).build())
        .with_sampler(Sampler::ParentBased(Box::new(root)))
        .with_resource(resource)
        .build())
}

/// The signal's path below the base URL, as the OTLP specification has it for `OTEL_EXPORTER_OTLP_ENDPOINT`.
fn traces_url(base: &str) -> String {
    format!("{}/v1/traces", base.trim_end_matches('/'))
}

/// Built on a thread of its own, as building a blocking client panics on a thread of a runtime.
fn blocking_client() -> Result<reqwest::blocking::Client, TelemetryError> {
    let build = || reqwest::blocking::Client::builder().connect_timeout(CONNECT_LIMIT).timeout(EXPORT_LIMIT).build();
    let thread = std::thread::Builder::new().name("telemetry-start".to_owned()).spawn(build);
    let client = thread.map_err(|error| TelemetryError::Thread(error.to_string()))?.join();
    client.map_err(|_| TelemetryError::Thread("it panicked".to_owned()))?.map_err(TelemetryError::Client)
}
