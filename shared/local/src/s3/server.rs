//! The HTTP server around the store: listen, serve, stop in order.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use s3s::auth::SecretKey;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{Body, HttpError, HttpResponse};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::Dispatch;
use tracing::instrument::WithSubscriber as _;

use super::service::{OneKey, Service};
use super::store::Store;

/// Requests still running this long after `stop` are cut off.
const DRAIN: Duration = Duration::from_secs(5);

/// Where the objects are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Storage {
    /// In this process; gone with the server.
    Memory,
    /// In this folder, which is made when missing and belongs to one server at a time. What was acknowledged survives
    /// the end of the process, also by SIGKILL; it is not flushed to the device, so a power failure may lose it.
    Disk(PathBuf),
}

/// What to serve, and to whom.
#[derive(Debug, Clone)]
pub struct S3Options {
    /// The address; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where the objects are.
    pub storage: Storage,
    /// The access key id that requests must be signed with.
    pub access_key: String,
    /// The secret that belongs to it.
    pub secret_key: String,
}

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum S3ServerError {
    /// The address cannot be listened on.
    #[error("the S3 server cannot listen on {address}")]
    Listen {
        /// The address as asked for.
        address: SocketAddr,
        /// The system's answer.
        source: io::Error,
    },
    /// The folder cannot be opened: not writable, in use by another server, or damaged.
    #[error("the S3 server cannot open its folder {}", folder.display())]
    Open {
        /// The folder.
        folder: PathBuf,
        /// What is wrong with it.
        source: io::Error,
    },
}

/// A running S3 server. Dropping it ends it at once; [`S3Server::stop`] lets requests finish.
#[derive(Debug)]
pub struct S3Server {
    address: SocketAddr,
    access_key: String,
    secret_key: String,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl S3Server {
    /// Opens the storage and starts to listen. Buckets addressed by path; any region in a signature is accepted.
    pub async fn start(options: S3Options) -> Result<Self, S3ServerError> {
        Self::start_far_away(options, Duration::ZERO).await
    }

    /// The same, but every request waits for `latency` before it is looked at, as it would on its way to a server elsewhere.
    pub async fn start_far_away(options: S3Options, latency: Duration) -> Result<Self, S3ServerError> {
        let S3Options { listen, storage, access_key, secret_key } = options;
        let store = open(storage).await?;
        let unavailable = |source| S3ServerError::Listen { address: listen, source };
        let listener = TcpListener::bind(listen).await.map_err(unavailable)?;
        let address = listener.local_addr().map_err(unavailable)?;
        let mut builder = S3ServiceBuilder::new(Service(store));
        let secret = SecretKey::from(secret_key.as_str());
        builder.set_auth(OneKey { access_key: access_key.clone(), secret_key: secret });
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        let service = Delayed { service: builder.build(), latency };
        tasks.spawn(serve(listener, service, stop.clone()));
        Ok(Self { address, access_key, secret_key, stop, tasks })
    }

    /// `http://ADDRESS:PORT`, for path-style requests.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The access key id that requests must be signed with.
    pub fn access_key(&self) -> &str {
        &self.access_key
    }

    /// The secret that belongs to it.
    pub fn secret_key(&self) -> &str {
        &self.secret_key
    }

    /// Stops listening, lets running requests finish within a few seconds, and closes the storage.
    pub async fn stop(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

/// The service, behind a way of some length.
#[derive(Clone)]
struct Delayed {
    service: S3Service,
    latency: Duration,
}

async fn open(storage: Storage) -> Result<Store, S3ServerError> {
    let Storage::Disk(folder) = storage else { return Ok(Store::in_memory()) };
    let root = folder.clone();
    let opened = tokio::task::spawn_blocking(move || Store::on_disk(&root)).await;
    opened.map_err(io::Error::other).flatten().map_err(|source| S3ServerError::Open { folder, source })
}

async fn serve(listener: TcpListener, service: Delayed, stop: CancellationToken) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve_connection(stream, service.clone(), stop.clone()));
                }
                // Too many open files, most likely: closing connections will help, accepting at once will not.
                Err(error) => {
                    tracing::warn!(%error, "the S3 server cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
    drop(listener);
    let drained = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN, drained).await.is_err() {
        tracing::warn!(open = connections.len(), "the S3 server cuts off requests that did not finish");
        connections.shutdown().await;
    }
}

async fn serve_connection(stream: TcpStream, service: Delayed, stop: CancellationToken) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot switch Nagle's algorithm off");
    }
    let answer = service_fn(|request: hyper::Request<hyper::body::Incoming>| call(&service, request.map(Body::from)));
    let connection = http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), answer);
    let mut connection = pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "an S3 connection ended with an error");
    }
}

/// The protocol crate logs every 404 and 412 as an error. They are answers, so its log is switched off; what is this
/// server's own fault is told here.
async fn call(
    Delayed { service, latency }: &Delayed,
    request: hyper::Request<Body>,
) -> Result<HttpResponse, HttpError> {
    if !latency.is_zero() {
        tokio::time::sleep(*latency).await;
    }
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let response = service.call(request).with_subscriber(Dispatch::none()).await;
    match &response {
        Ok(response) if response.status().is_server_error() => {
            tracing::warn!(%method, path, status = response.status().as_u16(), "the S3 server failed at a request");
        }
        Ok(_) => {}
        Err(error) => tracing::warn!(%method, path, ?error, "the S3 server failed at a request"),
    }
    response
}
