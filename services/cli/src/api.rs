//! The client of Honk's HTTP API. Requests and answers are the types of [`honk_api::wire`].

mod error;
mod follow;
mod stream;

use std::time::Duration;

use honk_api::wire::{DatasetPage, DatasetView, DeadLetterPage, DeadLetterView, MAX_LIMIT, RunPage, RunView};
use reqwest::multipart::Form;
use reqwest::{Client, Method, Response, StatusCode, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::CliError;

pub(crate) use self::error::{ApiError, Doing, UNREACHABLE_HINT, with_help};
pub(crate) use self::follow::{Absent, follow, follow_location, follow_log};

/// How long a connection may take to come up.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long an answer may take; a watch takes as long as its run.
const ANSWER_TIMEOUT: Duration = Duration::from_mins(1);

/// The API at one address; clones share their connections.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    http: Client,
    base: Url,
}

/// What is sent along with a request.
#[derive(Debug)]
pub(crate) struct Body {
    /// Its media type.
    pub(crate) content_type: &'static str,
    /// Its bytes.
    pub(crate) bytes: Vec<u8>,
}

impl Body {
    /// A value as JSON.
    pub(crate) fn json<T: Serialize>(value: &T) -> Result<Self, ApiError> {
        let bytes = serde_json::to_vec(value).map_err(|error| ApiError::Unsent(error.to_string()))?;
        Ok(Self { content_type: "application/json", bytes })
    }

    /// A text in YAML.
    pub(crate) fn yaml(text: impl Into<Vec<u8>>) -> Self {
        Self { content_type: "application/yaml", bytes: text.into() }
    }
}

/// What a list found.
#[derive(Debug)]
pub(crate) struct Listed<T> {
    /// The items.
    pub(crate) items: Vec<T>,
    /// Whether there are more than were asked for.
    pub(crate) more: bool,
}

/// A page of a list.
pub(crate) trait Page: DeserializeOwned {
    /// What it lists.
    type Item;
    /// Its items, and the cursor of the next page.
    fn parts(self) -> (Vec<Self::Item>, Option<String>);
}

impl Page for RunPage {
    type Item = RunView;
    fn parts(self) -> (Vec<RunView>, Option<String>) {
        (self.runs, self.next)
    }
}

impl Page for DatasetPage {
    type Item = DatasetView;
    fn parts(self) -> (Vec<DatasetView>, Option<String>) {
        (self.datasets, self.next)
    }
}

impl Page for DeadLetterPage {
    type Item = DeadLetterView;
    fn parts(self) -> (Vec<DeadLetterView>, Option<String>) {
        (self.dead_letters, self.next)
    }
}

impl Api {
    /// The API at `base`. Connects only when it is asked something.
    pub(crate) fn new(base: &Url) -> Result<Self, ApiError> {
        let mut http = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .user_agent(concat!("honk/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none());
        if is_loopback(base) {
            // A proxy, as HTTP_PROXY names it, cannot reach this machine's own loopback.
            http = http.no_proxy();
        }
        let http = http.build().map_err(|error| ApiError::Unsent(deepest(&error)))?;
        Ok(Self { http, base: base.clone() })
    }

    /// The address without what may be secret in it.
    pub(crate) fn shown(&self) -> String {
        shown(&self.base)
    }

    /// The address of a path, whose parts are escaped.
    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    fn url_with(&self, path: &[&str], query: &impl Serialize) -> Url {
        let mut url = self.url(path);
        add_query(&mut url, query);
        url
    }

    /// Asks for what is at `path`.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &[&str]) -> Result<T, ApiError> {
        self.read(self.request(Method::GET, self.url(path), None).await?).await
    }

    /// Asks for what is at `path` and is as `query` says.
    pub(crate) async fn query<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &impl Serialize,
    ) -> Result<T, ApiError> {
        self.read(self.request(Method::GET, self.url_with(path, query), None).await?).await
    }

    /// Sends a form, and reads its answer.
    pub(crate) async fn send_form<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &impl Serialize,
        form: Form,
    ) -> Result<T, ApiError> {
        let request = self.http.post(self.url_with(path, query)).timeout(ANSWER_TIMEOUT).multipart(form);
        self.read(request.send().await.map_err(|error| self.unreachable(&error))?).await
    }

    /// Sends a request, and reads its answer.
    pub(crate) async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &[&str],
        body: Option<Body>,
    ) -> Result<T, ApiError> {
        self.send_as(method, path, &(), body).await
    }

    /// The same, in the way that `query` says.
    pub(crate) async fn send_as<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &[&str],
        query: &impl Serialize,
        body: Option<Body>,
    ) -> Result<T, ApiError> {
        self.read(self.request(method, self.url_with(path, query), body).await?).await
    }

    /// Removes what is at `path`.
    pub(crate) async fn delete(&self, path: &[&str]) -> Result<(), ApiError> {
        self.delete_as(path, &()).await
    }

    /// Removes what is at `path`, in the way that `query` says.
    pub(crate) async fn delete_as(&self, path: &[&str], query: &impl Serialize) -> Result<(), ApiError> {
        self.accepted(self.request(Method::DELETE, self.url_with(path, query), None).await?).await.map(drop)
    }

    /// The answer to a `GET`, whatever its status.
    pub(crate) async fn probe(&self, path: &[&str]) -> Result<Response, ApiError> {
        self.request(Method::GET, self.url(path), None).await
    }

    /// Reads pages until there are `limit` items, or no more. `query` is what the first page is asked with.
    pub(crate) async fn list<P: Page>(
        &self,
        path: &[&str],
        query: &impl Serialize,
        limit: usize,
    ) -> Result<Listed<P::Item>, ApiError> {
        let mut items = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let mut url = self.url_with(path, query);
            url.query_pairs_mut().append_pair("limit", &(limit - items.len()).clamp(1, MAX_LIMIT).to_string());
            if let Some(cursor) = &cursor {
                url.query_pairs_mut().append_pair("cursor", cursor);
            }
            let page: P = self.read(self.request(Method::GET, url, None).await?).await?;
            let (found, next) = page.parts();
            let progress = !found.is_empty();
            items.extend(found);
            let more = next.is_some() || items.len() > limit;
            if items.len() >= limit || next.is_none() || !progress {
                items.truncate(limit);
                return Ok(Listed { items, more });
            }
            cursor = next;
        }
    }

    /// Reads the lines at `path` as they come.
    pub(crate) async fn lines(
        &self,
        path: &[&str],
        mut on_line: impl FnMut(&str) -> Result<(), CliError>,
    ) -> Result<(), CliError> {
        let doing = "read the list";
        let request = self.http.get(self.url(path)).send().await;
        let response = request.map_err(|error| self.unreachable(&error)).doing(doing)?;
        let mut response = self.accepted(response).await.doing(doing)?;
        let mut rest = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(|error| self.unreachable(&error)).doing(doing)? {
            rest.extend_from_slice(&piece);
            while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = rest.drain(..=end).collect();
                on_line(String::from_utf8_lossy(&line).trim_end())?;
            }
        }
        Ok(())
    }

    /// Opens a stream of server-sent events.
    async fn open(&self, path: &[&str], query: &impl Serialize) -> Result<Response, ApiError> {
        let request = self.http.get(self.url_with(path, query)).header("accept", "text/event-stream");
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        let response = self.accepted(response).await?;
        let content_type = response.headers().get("content-type").and_then(|value| value.to_str().ok());
        match content_type {
            Some(kind) if kind.starts_with("text/event-stream") => Ok(response),
            _ => Err(self.strange(response.status(), "a stream of events was expected".to_owned())),
        }
    }

    async fn request(&self, method: Method, url: Url, body: Option<Body>) -> Result<Response, ApiError> {
        let mut request = self.http.request(method, url).timeout(ANSWER_TIMEOUT);
        if let Some(body) = body {
            request = request.header("content-type", body.content_type).body(body.bytes);
        }
        request.send().await.map_err(|error| self.unreachable(&error))
    }

    async fn read<T: DeserializeOwned>(&self, response: Response) -> Result<T, ApiError> {
        let response = self.accepted(response).await?;
        let status = response.status();
        let bytes = response.bytes().await.map_err(|error| self.unreachable(&error))?;
        serde_json::from_slice(&bytes).map_err(|error| self.strange(status, error.to_string()))
    }

    /// The response if it is a success, else what it says is wrong.
    async fn accepted(&self, response: Response) -> Result<Response, ApiError> {
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let bytes = response.bytes().await.map_err(|error| self.unreachable(&error))?;
        match serde_json::from_slice(&bytes) {
            Ok(problem) => Err(ApiError::Refused { problem: Box::new(problem), body: bytes.into() }),
            Err(_) => Err(self.strange(status, status.to_string())),
        }
    }

    fn strange(&self, status: StatusCode, cause: String) -> ApiError {
        ApiError::Strange { url: self.shown(), status: status.as_u16(), cause }
    }

    fn unreachable(&self, error: &reqwest::Error) -> ApiError {
        let cause = if error.is_timeout() { "no answer in time".to_owned() } else { deepest(error) };
        ApiError::Unreachable { url: self.shown(), cause }
    }
}

/// Adds the fields of a query that have a value.
fn add_query(url: &mut Url, query: &impl Serialize) {
    let Ok(Value::Object(fields)) = serde_json::to_value(query) else { return };
    for (name, value) in fields {
        let text = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
        url.query_pairs_mut().append_pair(&name, &text);
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// An address without user, password, query and the `/` at its end.
fn shown(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let host = url.host_str().unwrap_or_default();
    format!("{}://{host}{port}{}", url.scheme(), url.path().trim_end_matches('/'))
}

/// The innermost error: the layers of an HTTP client around it only say that there was one.
fn deepest(error: &(dyn std::error::Error + 'static)) -> String {
    let chain = std::iter::successors(Some(error), |error| (*error).source());
    chain.last().map(ToString::to_string).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use honk_api::wire::RunQuery;

    use super::*;

    fn api(base: &str) -> Api {
        Api::new(&Url::parse(base).unwrap()).unwrap()
    }

    #[test]
    fn paths_are_escaped_and_go_below_the_base() {
        let url = api("https://host/honk/").url(&["api", "dead-letters", "../a b?c#d"]);
        assert_eq!(url.as_str(), "https://host/honk/api/dead-letters/..%2Fa%20b%3Fc%23d");
        assert_eq!(api("http://host:1").url(&["events"]).as_str(), "http://host:1/events");
    }

    #[test]
    fn only_the_fields_with_a_value_are_asked_for() {
        let mut url = Url::parse("http://host/api/runs").unwrap();
        add_query(&mut url, &RunQuery { dataset: Some("a.b".parse().unwrap()), ..RunQuery::default() });
        assert_eq!(url.query(), Some("dataset=a.b"));
    }

    #[test]
    fn an_address_is_shown_without_its_password() {
        assert_eq!(api("https://ann:secret@host:8443/honk/?token=x").shown(), "https://host:8443/honk");
    }

    #[test]
    fn loopback_is_known_by_name_and_by_number() {
        let is = |url: &str| is_loopback(&Url::parse(url).unwrap());
        assert!(is("http://localhost:1") && is("http://127.0.0.2") && is("http://[::1]:8080"));
        assert!(!is("http://localhost.example.org") && !is("http://10.0.0.1"));
    }
}
