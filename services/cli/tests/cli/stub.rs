//! An API of canned answers on a free port, and the real `honk` run against it.

use std::collections::{HashMap, VecDeque};
use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::Request;
use axum::http::{Response, StatusCode, header};
use axum::routing::any;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use super::terminal;

#[derive(Debug, Clone)]
struct Answer {
    status: u16,
    content_type: &'static str,
    body: String,
}

#[derive(Debug, Default)]
struct State {
    answers: HashMap<String, VecDeque<Answer>>,
    seen: Vec<(String, String)>,
}

/// The API. It answers 404 to what it was not told about.
pub(crate) struct Stub {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    _tasks: JoinSet<()>,
    _runtime: Runtime,
}

impl Stub {
    /// Listens on a free port.
    pub(crate) fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::<Mutex<State>>::default();
        let shared = Arc::clone(&state);
        let app = Router::new().fallback(any(move |request: Request| answer(Arc::clone(&shared), request)));
        let mut tasks = JoinSet::new();
        tasks.spawn_on(async move { axum::serve(listener, app).await.unwrap() }, runtime.handle());
        Self { address, state, _tasks: tasks, _runtime: runtime }
    }

    /// Answers `request`, such as `GET /api/runs?limit=50` with the query sorted, with JSON. Several answers come one
    /// after the other, and the last one again and again.
    pub(crate) fn on(self, request: &str, status: u16, body: &Value) -> Self {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.answer(request, Answer { status, content_type: "application/json", body })
    }

    /// Answers with this text.
    pub(crate) fn on_text(self, request: &str, content_type: &'static str, text: &str) -> Self {
        self.answer(request, Answer { status: 200, content_type, body: text.to_owned() })
    }

    /// Answers with these server-sent events, then closes the connection.
    pub(crate) fn on_watch(self, run: &str, events: &[(&str, &Value)]) -> Self {
        self.on_events(&format!("GET /api/runs/{run}/watch"), events)
    }

    /// The same for any request.
    pub(crate) fn on_events(self, request: &str, events: &[(&str, &Value)]) -> Self {
        let events = events.iter().map(|(name, data)| format!(": alive\n\nevent: {name}\ndata: {data}\n\n"));
        let body = events.collect();
        self.answer(request, Answer { status: 200, content_type: "text/event-stream", body })
    }

    fn answer(self, request: &str, answer: Answer) -> Self {
        self.state.lock().unwrap().answers.entry(request.to_owned()).or_default().push_back(answer);
        self
    }

    /// From now on answers `request` with this.
    pub(crate) fn replace(&self, request: &str, body: &Value) {
        let answer = Answer { status: 200, content_type: "application/json", body: body.to_string() };
        self.state.lock().unwrap().answers.insert(request.to_owned(), [answer].into());
    }

    /// The requests so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.state.lock().unwrap().seen.iter().map(|(request, _)| request.clone()).collect()
    }

    /// The bodies of the requests so far, as they are.
    pub(crate) fn raw_bodies(&self) -> Vec<String> {
        self.state.lock().unwrap().seen.iter().map(|(_, body)| body.clone()).collect()
    }

    /// The bodies of the requests so far, where they are JSON.
    pub(crate) fn bodies(&self) -> Vec<Value> {
        let state = self.state.lock().unwrap();
        state.seen.iter().filter_map(|(_, body)| serde_json::from_str(body).ok()).collect()
    }

    /// Runs `honk` with these words as its arguments, and shows what came of it.
    pub(crate) fn honk(&self, arguments: &str) -> String {
        self.honk_reading(arguments, "")
    }

    /// The same, with something on standard input.
    pub(crate) fn honk_reading(&self, arguments: &str, stdin: &str) -> String {
        let output = run(&mut self.command(arguments), stdin);
        show(&output).replace(&self.address.to_string(), "[api]")
    }

    /// Runs `honk` on a terminal of its own: everything that it writes there, movements of the cursor and all.
    pub(crate) fn honk_on_terminal(&self, arguments: &str) -> String {
        terminal::run(self.command(arguments))
    }

    /// `honk` with these words as its arguments, which asks this API.
    fn command(&self, arguments: &str) -> Command {
        let mut command = command(arguments);
        command.env("HONK_API_URL", format!("http://{}", self.address));
        command
    }

    /// What `honk` prints on standard output, as JSON.
    pub(crate) fn json(&self, arguments: &str) -> Value {
        let output = run(&mut self.command(arguments), "");
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", show(&output)))
    }
}

async fn answer(state: Arc<Mutex<State>>, request: Request) -> Response<String> {
    let mut query: Vec<_> =
        request.uri().query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()).collect();
    query.sort_unstable();
    let mark = if query.is_empty() { "" } else { "?" };
    let key = format!("{} {}{mark}{}", request.method(), request.uri().path(), query.join("&"));
    let body = axum::body::to_bytes(request.into_body(), usize::MAX).await.unwrap();
    let mut state = state.lock().unwrap();
    state.seen.push((key.clone(), String::from_utf8_lossy(&body).into_owned()));
    let answer = match state.answers.get_mut(&key) {
        Some(answers) if answers.len() > 1 => answers.pop_front(),
        Some(answers) => answers.front().cloned(),
        None => None,
    };
    let Answer { status, content_type, body } = answer.unwrap_or_else(|| {
        let detail = format!("there is nothing at `{key}`");
        let problem = json!({"type": "urn:honk:problem:not-found", "title": "Not found", "status": 404,
            "code": "not-found", "detail": detail});
        Answer { status: 404, content_type: "application/problem+json", body: problem.to_string() }
    });
    let response = Response::builder().status(StatusCode::from_u16(status).unwrap());
    response.header(header::CONTENT_TYPE, content_type).body(body).unwrap()
}

/// `honk` with these words as its arguments and nothing of this process's environment.
pub(crate) fn command(arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_honk"));
    command.env_clear().args(arguments.split_whitespace());
    command
}

/// Runs it to its end.
pub(crate) fn run(command: &mut Command, stdin: &str) -> Output {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A command that does not read its input closes it, which is no failure of the test.
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).ok();
    child.wait_with_output().unwrap()
}

/// Exit code, standard output and standard error, without spaces at the ends of lines.
pub(crate) fn show(output: &Output) -> String {
    let text = |bytes: &[u8]| -> String {
        let text = std::str::from_utf8(bytes).unwrap();
        let lines: Vec<_> = text.lines().map(|line| format!("{}\n", line.trim_end())).collect();
        lines.concat()
    };
    let code = output.status.code().map_or_else(|| output.status.to_string(), |code| code.to_string());
    format!("exit {code}\n--- stdout\n{}--- stderr\n{}", text(&output.stdout), text(&output.stderr))
}
