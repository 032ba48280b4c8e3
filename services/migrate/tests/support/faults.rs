//! An HTTP proxy before an S3 server that misbehaves on request. A test says, per request, what goes wrong; everything else
//! passes. Each request has a connection of its own, so that a fault harms one request only.
#![allow(dead_code, unreachable_pub, reason = "each test file has it as a module and uses its share")]

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What happens to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing: the server answers.
    None,
    /// An S3 error with this status and code, without asking the server.
    Answer(u16, &'static str),
    /// The connection ends without an answer.
    Reset,
    /// The answer ends in the middle of its body.
    Truncate,
    /// One byte of the answer's body differs.
    WrongByte,
    /// The server answers and the connection then stays silent after half of the body.
    Hang,
    /// The request never reaches the server, and status 200 comes back with nothing in it.
    EmptyOk,
    /// The server does what it was asked, and the answer is lost.
    LoseAnswer,
}

/// A request as the rules see it.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    pub method: &'a str,
    /// Path and query.
    pub path: &'a str,
    pub head: &'a str,
}

type Rule = Arc<dyn Fn(Seen<'_>) -> Fault + Send + Sync>;

/// The proxy; ends when dropped.
pub struct Faults {
    address: SocketAddr,
    requests: Arc<AtomicU64>,
    _tasks: JoinSet<()>,
}

impl Faults {
    /// Stands before the server at `upstream` (an `http://` URL) and treats each request as `rule` says.
    pub async fn before(upstream: &str, rule: impl Fn(Seen<'_>) -> Fault + Send + Sync + 'static) -> Self {
        let upstream = upstream.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (rule, requests): (Rule, _) = (Arc::new(rule), Arc::new(AtomicU64::new(0)));
        let counter = Arc::clone(&requests);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _peer)) = listener.accept().await {
                let (rule, upstream, counter) = (Arc::clone(&rule), upstream.clone(), Arc::clone(&counter));
                connections.spawn(async move {
                    // A connection that the client gave up is no concern of the test.
                    serve(client, &upstream, &rule, &counter).await.ok();
                });
            }
        });
        Self { address, requests, _tasks: tasks }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
}

async fn serve(mut client: TcpStream, upstream: &str, rule: &Rule, counter: &AtomicU64) -> io::Result<()> {
    let Some((head, body)) = request(&mut client).await? else { return Ok(()) };
    counter.fetch_add(1, Ordering::Relaxed);
    let mut words = head.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let fault = rule(Seen { method, path, head: &head });
    match fault {
        Fault::Reset => return Ok(()),
        Fault::Answer(status, code) => {
            let text =
                format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>on request</Message></Error>");
            let head = format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", text.len());
            client.write_all(head.as_bytes()).await?;
            return client.write_all(if method == "HEAD" { b"" } else { text.as_bytes() }).await;
        }
        Fault::EmptyOk => {
            return client.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n").await;
        }
        _ => {}
    }
    let mut answer = forward(upstream, &head, &body).await?;
    let body_at = find(&answer, b"\r\n\r\n").map_or(answer.len(), |at| at + 4);
    let middle = body_at + (answer.len() - body_at) / 2;
    match fault {
        Fault::LoseAnswer => return Ok(()),
        Fault::Truncate => answer.truncate(middle),
        Fault::WrongByte if middle < answer.len() => answer[middle] ^= 1,
        Fault::Hang => {
            client.write_all(&answer[..middle]).await?;
            std::future::pending::<()>().await;
        }
        _ => {}
    }
    client.write_all(&answer).await?;
    client.shutdown().await
}

/// Reads one request whose body has a length.
async fn request(client: &mut TcpStream) -> io::Result<Option<(String, Vec<u8>)>> {
    let mut bytes = Vec::new();
    let body_at = loop {
        if let Some(at) = find(&bytes, b"\r\n\r\n") {
            break at + 4;
        }
        if client.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    };
    let head = String::from_utf8_lossy(&bytes[..body_at]).into_owned();
    let length = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse().ok())
        .unwrap_or(0);
    if head.to_ascii_lowercase().contains("expect: 100-continue") {
        client.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
    }
    let mut body = bytes.split_off(body_at);
    while body.len() < length {
        if client.read_buf(&mut body).await? == 0 {
            return Ok(None);
        }
    }
    Ok(Some((head, body)))
}

async fn forward(upstream: &str, head: &str, body: &[u8]) -> io::Result<Vec<u8>> {
    let mut server = TcpStream::connect(upstream).await?;
    let kept = head.trim_end().lines().filter(|line| {
        let name = line.split(':').next().unwrap_or_default().to_ascii_lowercase();
        name != "connection" && name != "expect"
    });
    let head = kept.collect::<Vec<_>>().join("\r\n") + "\r\nconnection: close\r\n\r\n";
    server.write_all(head.as_bytes()).await?;
    server.write_all(body).await?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer).await?;
    Ok(answer)
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}
