//! A webhook receiver, as an owner of a dataset would run one: it accepts a notice only if its signature is right.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use standardwebhooks::Webhook;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::error::CliError;

/// How long to wait for notices after the last run has ended.
const LATEST: Duration = Duration::from_secs(30);

#[derive(Clone)]
struct Seen {
    verifier: Arc<Webhook>,
    ids: Arc<RwLock<HashSet<String>>>,
    count: watch::Sender<usize>,
}

/// A receiver on a free port.
pub(super) struct Receiver {
    url: String,
    count: watch::Receiver<usize>,
    _server: JoinSet<()>,
}

impl Receiver {
    /// Starts to listen.
    pub(super) async fn start(secret: &str) -> Result<Self, CliError> {
        let failed = |error: &(dyn std::error::Error + 'static)| {
            CliError::failed("cannot start the receiver of notices").caused_by(error)
        };
        let verifier = Webhook::new(secret).map_err(|error| failed(&error))?;
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(|error| failed(&error))?;
        let url = format!("http://{}/notices", listener.local_addr().map_err(|error| failed(&error))?);
        let (sender, count) = watch::channel(0);
        let seen = Seen { verifier: Arc::new(verifier), ids: Arc::default(), count: sender };
        let router = Router::new().route("/notices", post(receive)).with_state(seen);
        let mut server = JoinSet::new();
        server.spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::warn!(%error, "the receiver of notices ended");
            }
        });
        Ok(Self { url, count, _server: server })
    }

    /// Where it listens.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// How many different notices with a right signature have come, once they are `expected` or it has taken too long.
    pub(super) async fn verified(&self, expected: usize) -> usize {
        let mut count = self.count.clone();
        let waited = tokio::time::timeout(LATEST, count.wait_for(|count| *count >= expected)).await;
        tracing::debug!(complete = waited.is_ok(), "notices");
        *self.count.borrow()
    }
}

async fn receive(State(seen): State<Seen>, headers: HeaderMap, body: Bytes) -> StatusCode {
    if seen.verifier.verify(&body, &headers).is_err() {
        return StatusCode::UNAUTHORIZED;
    }
    let id = headers.get("webhook-id").and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let mut ids = seen.ids.write().unwrap_or_else(PoisonError::into_inner);
    ids.insert(id);
    seen.count.send_replace(ids.len());
    StatusCode::NO_CONTENT
}
