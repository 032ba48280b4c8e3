//! What every request passes: pages of other sites may not change anything, no request takes for ever, and every error is
//! a problem that names its path.

use std::time::Duration;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_TYPE, HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use honk_service::Metrics;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

use crate::problem::{ApiError, MEDIA_TYPE};
use crate::wire::Problem;

/// Longer than any write to the server that is still going to succeed.
const LIMIT: Duration = Duration::from_secs(30);

/// How often each method was answered with which status.
#[derive(Clone, Debug)]
pub(crate) struct Requests(Family<Labels, Counter>);

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    method: String,
    status: u16,
}

impl Requests {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        Self(metrics.register("http_requests", "Requests that the API answered", Family::default()))
    }
}

/// The middleware around all routes.
pub(crate) async fn watch_over(State(requests): State<Requests>, request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let method = request.method().clone();
    let response = if is_foreign(&method, request.headers()) {
        let title = "Another site's page asked for it";
        ApiError::new(StatusCode::FORBIDDEN, "cross-site", title).into_response()
    } else {
        let answered = tokio::time::timeout(LIMIT, next.run(request)).await;
        answered.unwrap_or_else(|_| ApiError::unavailable("the request took too long").into_response())
    };
    requests.0.get_or_create(&Labels { method: word(&method), status: response.status().as_u16() }).inc();
    with_problem(response, path)
}

/// Any site's page can post to a server on the loopback interface, and a browser lets it do so without asking.
fn is_foreign(method: &Method, headers: &HeaderMap) -> bool {
    if method.is_safe() {
        return false;
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let site = text("sec-fetch-site").is_some_and(|site| !matches!(site, "same-origin" | "none"));
    let own = |origin: &str| origin.split_once("://").map(|(_, authority)| authority) == text(HOST.as_str());
    site || text(ORIGIN.as_str()).is_some_and(|origin| !own(origin))
}

fn with_problem(mut response: Response, path: String) -> Response {
    let Some(mut problem) = response.extensions_mut().remove::<Problem>() else { return response };
    problem.instance = Some(path);
    let (mut parts, _) = response.into_parts();
    let mut body = Json(problem).into_response();
    body.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    parts.headers.extend(body.headers_mut().drain().filter_map(|(name, value)| Some((name?, value))));
    parts.headers.remove("content-length");
    Response::from_parts(parts, body.into_body())
}

/// A client may invent methods, and a metric must not have a label for each.
fn word(method: &Method) -> String {
    let known = [Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::HEAD, Method::OPTIONS];
    if known.contains(method) { method.to_string() } else { "other".to_owned() }
}

/// The answer where there is no route.
pub(crate) async fn no_route() -> ApiError {
    let help = "The routes are /events, /api/catalog/import, /api/datasets, /api/workflows, /api/runs, /api/lists and /api/dead-letters.";
    ApiError::new(StatusCode::NOT_FOUND, "route-unknown", "There is nothing at this path").help(help)
}

/// The answer where the route has other methods.
pub(crate) async fn no_method() -> ApiError {
    let help = "The `Allow` header has the methods of this path.";
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "The path does not have this method").help(help)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| ((*name).parse().unwrap(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn only_pages_of_other_sites_are_foreign_and_only_when_they_change_something() {
        for (pairs, foreign) in [
            (vec![], false),
            (vec![("host", "127.0.0.1:8080"), ("origin", "http://127.0.0.1:8080")], false),
            (vec![("sec-fetch-site", "same-origin")], false),
            (vec![("host", "127.0.0.1:8080"), ("origin", "https://evil.example")], true),
            (vec![("host", "127.0.0.1:8080"), ("origin", "null")], true),
            (vec![("sec-fetch-site", "cross-site")], true),
        ] {
            let headers = headers(&pairs);
            assert_eq!(is_foreign(&Method::POST, &headers), foreign, "{pairs:?}");
            assert!(!is_foreign(&Method::GET, &headers), "{pairs:?}");
        }
    }
}
