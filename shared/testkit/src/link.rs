//! A network link before a server that fails on request: it falls silent, loses answers, or breaks. It knows nothing of what it carries.
//!
//! What it holds back is not lost as long as its connections live, as TCP repeats what a network did not deliver; it is lost when they are cut.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// What passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Passage {
    Everything,
    OnlyToServer,
    Nothing,
}

#[derive(Debug, Clone, Copy)]
enum Direction {
    ToServer,
    FromServer,
}

impl Passage {
    fn lets(self, direction: Direction) -> bool {
        match direction {
            Direction::ToServer => self != Self::Nothing,
            Direction::FromServer => self == Self::Everything,
        }
    }
}

/// The link; ends when dropped.
#[derive(Debug)]
pub struct Link {
    address: SocketAddr,
    passage: watch::Sender<Passage>,
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Ends the connections of this moment.
    scissors: Mutex<CancellationToken>,
    cuts: AtomicU32,
}

impl Link {
    /// A link to the server at `url` (`nats://HOST:PORT`).
    pub async fn before(url: &str) -> Self {
        let upstream = url.trim_start_matches("nats://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (passage, passing) = watch::channel(Passage::Everything);
        let shared = Arc::<Shared>::default();
        let serving = Arc::clone(&shared);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _peer)) = listener.accept().await {
                connections.spawn(carry(client, upstream.clone(), passing.clone(), Arc::clone(&serving)));
            }
        });
        Self { address, passage, shared, _tasks: tasks }
    }

    /// `nats://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("nats://{}", self.address)
    }

    /// From now on nothing passes, and nobody is told.
    pub fn silence(&self) {
        self.passage.send_replace(Passage::Nothing);
    }

    /// From now on the server hears, and is not heard.
    pub fn hold_answers(&self) {
        self.passage.send_replace(Passage::OnlyToServer);
    }

    /// Everything passes again, and first what was held back.
    pub fn mend(&self) {
        self.passage.send_replace(Passage::Everything);
    }

    /// Breaks every connection; what was held back is lost. New ones are carried.
    pub fn cut(&self) {
        let scissors = std::mem::take(&mut *self.shared.scissors());
        scissors.cancel();
    }

    /// Connections that were really broken.
    pub fn cuts(&self) -> u32 {
        self.shared.cuts.load(Ordering::Relaxed)
    }
}

impl Shared {
    fn scissors(&self) -> std::sync::MutexGuard<'_, CancellationToken> {
        self.scissors.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn carry(client: TcpStream, upstream: String, passing: watch::Receiver<Passage>, shared: Arc<Shared>) {
    let cut = shared.scissors().clone();
    // A server that is not there looks like a connection that ends at once.
    let Ok(server) = TcpStream::connect(upstream).await else { return };
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    tokio::select! {
        // First, so that nothing slips through when it is cut and mended at once.
        biased;
        () = cut.cancelled() => drop(shared.cuts.fetch_add(1, Ordering::Relaxed)),
        () = pass(from_client, to_server, passing.clone(), Direction::ToServer) => {}
        () = pass(from_server, to_client, passing, Direction::FromServer) => {}
    }
}

/// Carries bytes until either end is gone.
async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut passing: watch::Receiver<Passage>,
    direction: Direction,
) {
    let mut bytes = vec![0; 64 * 1024];
    loop {
        let Ok(count @ 1..) = from.read(&mut bytes).await else { return };
        let may_pass = passing.wait_for(|passage| passage.lets(direction)).await.is_ok();
        if !may_pass || to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}
