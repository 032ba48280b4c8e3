//! An HTTP proxy before an S3 server that misbehaves on request. A rule says, per request, what goes wrong; everything else passes.
//! Each request has a connection of its own, so that a fault harms one request only. It counts what it really did: a test
//! whose faults never happened proves nothing.

mod http;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{PATIENCE, eventually};

/// What happens to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Nothing.
    None,
    /// An S3 error with this status, without asking the server.
    Answer(u16),
    /// The connection ends in the middle of the answer's body.
    Reset,
    /// The server does what it was asked, and the answer is lost.
    LoseAnswer,
    /// The answer says a length that fits its body, and the body is half of what it should be.
    Truncate,
    /// One byte of the answer's body differs.
    WrongByte,
    /// Half of the body comes, and then nothing more.
    Hang,
    /// The request waits until [`FaultProxy::release`], and then passes.
    Hold,
}

/// A request as a rule sees it.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Its number, from 0.
    pub number: u64,
    /// `GET`, `PUT`, ….
    pub method: &'a str,
    /// Path and query.
    pub path: &'a str,
}

impl Request<'_> {
    /// Whether it reads an object's bytes.
    pub fn reads_object(&self) -> bool {
        self.method == "GET"
            && self.names_object()
            && !self.path.contains("?list-type")
            && !self.path.contains("&list-type")
    }

    /// The same, of any but the first object of a dataset of [`crate::datasets`]: that one a validation reads as well.
    pub fn copies_object(&self) -> bool {
        self.reads_object() && !self.path.contains("part-0000")
    }

    /// Whether it writes an object's bytes.
    pub fn writes_object(&self) -> bool {
        self.method == "PUT" && self.names_object()
    }

    fn names_object(&self) -> bool {
        let path = self.path.split('?').next().unwrap_or_default();
        path.trim_matches('/').contains('/')
    }
}

type Rule = Box<dyn Fn(&Request<'_>) -> Fault + Send + Sync>;

struct Shared {
    upstream: String,
    rule: Rule,
    released: CancellationToken,
    counts: Mutex<Counts>,
}

#[derive(Debug, Clone, Default)]
struct Counts {
    requests: u64,
    waiting: u64,
    done: BTreeMap<Fault, u64>,
}

/// The proxy; ends when dropped.
pub struct FaultProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

impl fmt::Debug for FaultProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FaultProxy({} -> {}: {:?})", self.address, self.shared.upstream, self.counts())
    }
}

impl FaultProxy {
    /// Stands before the server at `upstream` (an `http://` URL) and treats each request as `rule` says.
    pub async fn before(upstream: &str, rule: impl Fn(&Request<'_>) -> Fault + Send + Sync + 'static) -> Self {
        let upstream = upstream.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (released, counts) = (CancellationToken::new(), Mutex::default());
        let shared = Arc::new(Shared { upstream, rule: Box::new(rule), released, counts });
        let serving = Arc::clone(&shared);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _peer)) = listener.accept().await {
                let shared = Arc::clone(&serving);
                // A connection that the client gave up is no concern of the test.
                connections.spawn(async move { drop(serve(client, &shared).await) });
            }
        });
        Self { address, shared, _tasks: tasks }
    }

    /// Stands before the server and holds what a copy reads of objects.
    pub async fn holding_copies(upstream: &str) -> Self {
        Self::before(upstream, |request| if request.copies_object() { Fault::Hold } else { Fault::None }).await
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Lets the requests pass that it holds, and holds none from now on.
    pub fn release(&self) {
        self.shared.released.cancel();
    }

    /// Requests so far.
    pub fn requests(&self) -> u64 {
        self.shared.counts().requests
    }

    /// Requests that it holds at this moment.
    pub fn holding(&self) -> u64 {
        self.shared.counts().waiting
    }

    /// Waits until it holds a request.
    pub async fn until_holding(&self) {
        eventually("a request is held", PATIENCE, || async {
            (self.holding() > 0).then_some(()).ok_or(format!("none of {}", self.requests()))
        })
        .await;
    }

    /// Faults that really happened.
    pub fn counts(&self) -> BTreeMap<Fault, u64> {
        self.shared.counts().done.clone()
    }

    /// How often this fault really happened.
    pub fn done(&self, fault: Fault) -> u64 {
        self.shared.counts().done.get(&fault).copied().unwrap_or_default()
    }
}

/// A rule that picks one of `faults` for about `percent` of the requests that `of` chooses; the same for the same seed and order.
pub fn seeded(
    seed: u64,
    percent: u8,
    faults: Vec<Fault>,
    of: impl Fn(&Request<'_>) -> bool + Send + Sync + 'static,
) -> impl Fn(&Request<'_>) -> Fault + Send + Sync + 'static {
    let random = Mutex::new(fastrand::Rng::with_seed(seed));
    move |request| {
        let mut random = random.lock().unwrap_or_else(PoisonError::into_inner);
        if !of(request) || random.u8(0..100) >= percent {
            return Fault::None;
        }
        random.choice(&faults).copied().unwrap_or(Fault::None)
    }
}

impl Shared {
    fn counts(&self) -> std::sync::MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn number(&self) -> u64 {
        let mut counts = self.counts();
        counts.requests += 1;
        counts.requests - 1
    }

    fn did(&self, fault: Fault) {
        *self.counts().done.entry(fault).or_default() += 1;
    }

    async fn hold(&self) {
        self.counts().waiting += 1;
        self.released.cancelled().await;
        self.counts().waiting -= 1;
    }
}

async fn serve(mut client: TcpStream, shared: &Shared) -> io::Result<()> {
    let Some(request) = http::read_request(&mut client).await? else { return Ok(()) };
    let (method, path) = request.line();
    let fault = (shared.rule)(&Request { number: shared.number(), method, path });
    match fault {
        Fault::Answer(status) => {
            shared.did(fault);
            return http::answer(&mut client, status, method != "HEAD").await;
        }
        Fault::Hold if !shared.released.is_cancelled() => {
            shared.did(fault);
            shared.hold().await;
        }
        _ => {}
    }
    let mut answer = http::forward(&shared.upstream, &request).await?;
    if fault == Fault::LoseAnswer {
        shared.did(fault);
        return Ok(());
    }
    let has_body = answer.body.len() > 1;
    match fault {
        Fault::Truncate if has_body => answer.truncate(),
        Fault::WrongByte if has_body => answer.flip(),
        Fault::Reset | Fault::Hang if has_body => {
            shared.did(fault);
            answer.write_half(&mut client).await?;
            if fault == Fault::Hang {
                std::future::pending::<()>().await;
            }
            return Ok(());
        }
        _ => return answer.write(&mut client).await,
    }
    shared.did(fault);
    answer.write(&mut client).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(number: u64, method: &'static str, path: &'static str) -> Request<'static> {
        Request { number, method, path }
    }

    #[test]
    fn a_rule_can_tell_objects_from_listings() {
        assert!(request(0, "GET", "/old/a/b.csv").reads_object());
        assert!(!request(0, "GET", "/old/?list-type=2&prefix=a%2F").reads_object());
        assert!(!request(0, "GET", "/old?list-type=2").reads_object());
        assert!(request(0, "PUT", "/new/a?partNumber=1&uploadId=x").writes_object());
        assert!(!request(0, "PUT", "/new/").writes_object());
    }

    #[test]
    fn the_same_seed_makes_the_same_faults() {
        let faults = || vec![Fault::Answer(503), Fault::Reset];
        let (one, other) = (seeded(7, 30, faults(), |_| true), seeded(7, 30, faults(), |_| true));
        let rule = |rule: &dyn Fn(&Request<'_>) -> Fault| -> Vec<Fault> {
            (0..100).map(|number| rule(&request(number, "GET", "/b/k"))).collect()
        };
        let drawn = rule(&one);
        assert_eq!(drawn, rule(&other));
        let hit = drawn.iter().filter(|fault| **fault != Fault::None).count();
        assert!((10..60).contains(&hit), "{hit} of 100");
        let none = seeded(7, 100, faults(), |_| false);
        assert!(rule(&none).iter().all(|fault| *fault == Fault::None));
    }
}
