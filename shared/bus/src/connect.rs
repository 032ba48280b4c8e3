//! One connection to NATS. It comes back by itself, for ever, with growing pauses; what the server complains about later
//! (a permission that is missing, say) is logged.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream;
use async_nats::{Client, Event};

use crate::BusError;
use crate::error::cause;

/// How long a request waits for the server's answer.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// How often a silent connection is probed; a dead one is noticed after two probes.
const PING_INTERVAL: Duration = Duration::from_secs(10);

/// The longest pause between two attempts to reconnect.
const MAX_RECONNECT_PAUSE: Duration = Duration::from_secs(4);

/// Where to connect to, and as whom.
#[derive(Debug, Clone, Default)]
pub struct ConnectOptions {
    /// One URL, or several separated by commas: `nats://host:4222`.
    pub url: String,
    /// User name, with `password`.
    pub user: Option<String>,
    /// Password of `user`.
    pub password: Option<String>,
    /// Token instead of a user.
    pub token: Option<String>,
    /// Credentials file instead of a user.
    pub credentials: Option<PathBuf>,
    /// PEM file of the authorities that may have signed the server's certificate, in place of the system's. With it, an unencrypted
    /// connection is an error.
    pub ca: Option<PathBuf>,
    /// PEM file of this client's own certificate, for a server that asks for one; with `key`.
    pub certificate: Option<PathBuf>,
    /// PEM file of the private key of `certificate`.
    pub key: Option<PathBuf>,
    /// First token of reply subjects, where permissions give each user its own; none means `_INBOX`.
    pub inbox_prefix: Option<String>,
    /// What the server shows for this connection.
    pub name: String,
}

/// A connection to NATS and its JetStream. Clones share it.
#[derive(Debug, Clone)]
pub struct Bus {
    pub(crate) client: Arc<Client>,
    pub(crate) context: Arc<jetstream::Context>,
}

impl Bus {
    /// Connects. The first attempt must succeed within a few seconds, so that a wrong address or password is an error and not
    /// a silence.
    pub async fn connect(options: ConnectOptions) -> Result<Self, BusError> {
        let failed = |problem| BusError::Connect { url: without_credentials(&options.url), problem };
        let client_options = async_nats::ConnectOptions::new()
            .name(&options.name)
            .ping_interval(PING_INTERVAL)
            .request_timeout(Some(REQUEST_TIMEOUT))
            .max_reconnects(None)
            .reconnect_delay_callback(reconnect_pause)
            .event_callback(|event| async move { log_event(&event) });
        let client_options = options.identified(client_options).await.map_err(failed)?;
        let client_options = options.secured(client_options).map_err(failed)?;
        let addresses: Vec<&str> = options.url.split(',').map(str::trim).collect();
        let client = client_options.connect(addresses).await.map_err(|error| failed(explained(cause(&error))))?;
        let mut context = jetstream::new(client.clone());
        context.set_timeout(REQUEST_TIMEOUT);
        Ok(Self { client: Arc::new(client), context: Arc::new(context) })
    }

    /// Whether the connection stands at this moment.
    pub fn is_connected(&self) -> bool {
        self.client.connection_state() == async_nats::connection::State::Connected
    }

    /// The server's version, such as `2.15.1`.
    pub fn server_version(&self) -> String {
        self.client.server_info().version
    }

    /// Waits until everything that was sent has left this process, at most a few seconds.
    pub async fn flush(&self) -> Result<(), BusError> {
        let flushed = tokio::time::timeout(REQUEST_TIMEOUT, self.client.flush()).await;
        match flushed {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(BusError::refused("flush", &error)),
            Err(_) => Err(BusError::Timeout { what: "flush".into() }),
        }
    }
}

impl ConnectOptions {
    /// As whom.
    async fn identified(&self, mut client: async_nats::ConnectOptions) -> Result<async_nats::ConnectOptions, String> {
        if let Some(prefix) = &self.inbox_prefix {
            client = client.custom_inbox_prefix(prefix);
        }
        if let (Some(user), Some(password)) = (&self.user, &self.password) {
            client = client.user_and_password(user.clone(), password.clone());
        }
        if let Some(token) = &self.token {
            client = client.token(token.clone());
        }
        if let Some(path) = &self.credentials {
            let text = tokio::fs::read_to_string(path).await;
            let text = text.map_err(|error| format!("credentials file {}: {error}", path.display()))?;
            client = client.credentials(&text).map_err(|error| error.to_string())?;
        }
        Ok(client)
    }

    /// With which certificates. The client does not say which file it could not read, so each is opened here first.
    fn secured(&self, mut client: async_nats::ConnectOptions) -> Result<async_nats::ConnectOptions, String> {
        for path in [&self.ca, &self.certificate, &self.key].into_iter().flatten() {
            std::fs::File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
        }
        if let Some(ca) = &self.ca {
            client = client.add_root_certificates(ca.clone()).require_tls(true);
        }
        match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => {
                client = client.add_client_certificate(certificate.clone(), key.clone()).require_tls(true);
            }
            (None, None) => {}
            _ => return Err("`certificate` and `key` belong together, and one of them is not set".to_owned()),
        }
        Ok(client)
    }
}

/// What the client says of a certificate is for those who know TLS.
fn explained(problem: String) -> String {
    let advice = if problem.contains("UnknownIssuer") {
        "nobody known has signed the server's certificate: `ca` names the file of the authority that has"
    } else if problem.contains("CertificateRequired") {
        "the server asks for a certificate of this client's own: `certificate` and `key` name its files"
    } else {
        return problem;
    };
    format!("{problem}; {advice}")
}

/// 10 ms, 20 ms, 40 ms, … up to the longest pause.
fn reconnect_pause(attempts: usize) -> Duration {
    let doublings = u32::try_from(attempts.saturating_sub(1)).unwrap_or(u32::MAX).min(16);
    Duration::from_millis(10 << doublings).min(MAX_RECONNECT_PAUSE)
}

fn log_event(event: &Event) {
    match event {
        Event::Connected => tracing::info!("connected to NATS"),
        Event::Disconnected => tracing::warn!("lost the connection to NATS; reconnecting"),
        Event::SlowConsumer(subscription) => {
            tracing::warn!(subscription, "messages were dropped: this process reads too slowly");
        }
        Event::ServerError(error) => tracing::error!(%error, "the NATS server refused something"),
        Event::ClientError(error) => tracing::warn!(%error, "the NATS client met an error"),
        Event::LameDuckMode | Event::Draining | Event::Closed => tracing::info!(%event, "NATS connection"),
    }
}

fn without_credentials(url: &str) -> String {
    let hide = |one: &str| match (one.split_once("://"), one.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}"),
        (None, Some((_, host))) => host.to_owned(),
        _ => one.to_owned(),
    };
    url.split(',').map(hide).collect::<Vec<String>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound() {
        assert_eq!(reconnect_pause(0), Duration::from_millis(10));
        assert_eq!(reconnect_pause(3), Duration::from_millis(40));
        assert_eq!(reconnect_pause(usize::MAX), MAX_RECONNECT_PAUSE);
    }

    #[test]
    fn an_error_shows_a_url_without_its_password() {
        assert_eq!(without_credentials("nats://u:p@a:1,nats://b:2"), "nats://a:1,nats://b:2");
        assert_eq!(without_credentials("u:p@a:1"), "a:1");
    }
}
