//! An HTTP server that answers as it is told and remembers what it was asked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// A request that came in.
#[derive(Clone, Debug)]
pub struct Request {
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// As text.
    pub body: String,
}

/// An answer; `None` keeps the caller waiting for ever.
pub type Answer = Option<String>;

#[derive(Debug, Default)]
struct State {
    answers: VecDeque<Answer>,
    requests: Vec<Request>,
}

/// The server; ends when dropped.
#[derive(Debug)]
pub struct Stub {
    /// Where it listens.
    pub url: String,
    state: Arc<Mutex<State>>,
    _tasks: JoinSet<()>,
}

/// An answer without a body; `headers` are whole lines.
pub fn status(code: u16, headers: &str) -> Answer {
    Some(format!("HTTP/1.1 {code} Told\r\n{headers}content-length: 0\r\nconnection: close\r\n\r\n"))
}

/// An S3 error.
pub fn s3_error(code: u16, name: &str) -> Answer {
    let body = format!("<?xml version=\"1.0\"?><Error><Code>{name}</Code><Message>told to</Message></Error>");
    let length = body.len();
    Some(format!(
        "HTTP/1.1 {code} Told\r\ncontent-type: application/xml\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    ))
}

impl Stub {
    /// Gives these answers in turn, and the last one for ever.
    pub async fn start(answers: impl IntoIterator<Item = Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State { answers: answers.into_iter().collect(), requests: Vec::new() }));
        let shared = Arc::clone(&state);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Self { url, state, _tasks: tasks }
    }

    /// What it was asked so far.
    pub fn requests(&self) -> Vec<Request> {
        self.state.lock().unwrap().requests.clone()
    }

    /// Answers differently from now on.
    pub fn answer(&self, answer: Answer) {
        self.state.lock().unwrap().answers = VecDeque::from([answer]);
    }
}

impl Request {
    /// A header's value; nothing if it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }
}

async fn serve(mut stream: TcpStream, state: Arc<Mutex<State>>) {
    let Some(request) = read(&mut stream).await else { return };
    let answer = {
        let mut state = state.lock().unwrap();
        state.requests.push(request);
        if state.answers.len() > 1 {
            state.answers.pop_front().flatten()
        } else {
            state.answers.front().cloned().flatten()
        }
    };
    match answer {
        Some(answer) => drop(stream.write_all(answer.as_bytes()).await),
        None => std::future::pending().await,
    }
}

async fn read(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let split =
                |line: &str| line.split_once(": ").map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()));
            let request = Request { headers: head.lines().filter_map(split).collect(), body: body.to_owned() };
            if body.len() >= request.header("content-length").parse().unwrap_or(0) {
                return Some(request);
            }
        }
        let mut chunk = [0; 4096];
        match stream.read(&mut chunk).await {
            Ok(read) if read > 0 => bytes.extend_from_slice(&chunk[..read]),
            _ => return None,
        }
    }
}
