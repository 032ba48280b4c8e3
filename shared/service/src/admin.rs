//! `/healthz`, `/readyz` and `/metrics`: on a listener of their own in agents, mounted on the public one in the API.

use std::future::IntoFuture;
use std::io;
use std::net::SocketAddr;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use tokio::net::TcpListener;

use crate::health::{Health, Report};
use crate::metrics::{self, Metrics};

/// The three routes, for any router to merge.
pub fn router(health: Health, metrics: Metrics) -> Router {
    Router::new()
        .route("/healthz", get(async |State(health): State<Health>| answer(health.live())))
        .route("/readyz", get(async |State(health): State<Health>| answer(health.ready())))
        .with_state(health)
        .merge(Router::new().route("/metrics", get(encode)).with_state(metrics))
}

/// A bound admin listener.
#[derive(Debug)]
pub struct AdminServer {
    listener: TcpListener,
    router: Router,
}

impl AdminServer {
    /// Binds; port 0 takes a free one.
    pub async fn bind(address: SocketAddr, health: Health, metrics: Metrics) -> io::Result<Self> {
        Ok(Self { listener: TcpListener::bind(address).await?, router: router(health, metrics) })
    }

    /// The address in fact bound.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until it is dropped: probes are answered to the very end of a drain.
    pub async fn serve(self) -> io::Result<()> {
        axum::serve(self.listener, self.router).into_future().await
    }
}

fn answer(report: Report) -> Response {
    let status = if report.ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(report)).into_response()
}

async fn encode(State(metrics): State<Metrics>) -> Response {
    match metrics.encode() {
        Ok(text) => ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;

    async fn get_path(router: &Router, path: &str) -> (StatusCode, String, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let media_type = headers.get(CONTENT_TYPE).unwrap().to_str().unwrap().to_owned();
        (status, media_type, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn readiness_says_which_check_fails_and_why() {
        let health = Health::default();
        let router = router(health.clone(), Metrics::new());
        assert_eq!(get_path(&router, "/readyz").await.0, StatusCode::SERVICE_UNAVAILABLE);
        health.set_ready("nats", false, "reconnecting");
        let (status, _, body) = get_path(&router, "/readyz").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(body, r#"{"ok":false,"checks":[{"name":"nats","ok":false,"detail":"reconnecting"}]}"#);
        health.set_ready("nats", true, "");
        assert_eq!(get_path(&router, "/readyz").await.0, StatusCode::OK);
    }

    #[tokio::test(start_paused = true)]
    async fn liveness_fails_for_a_stuck_loop_but_not_for_one_that_is_not_ready() {
        let health = Health::default();
        let router = router(health.clone(), Metrics::new());
        assert_eq!(get_path(&router, "/healthz").await.0, StatusCode::OK);
        health.beat("pull", std::time::Duration::from_secs(1));
        tokio::time::advance(std::time::Duration::from_secs(2)).await;
        assert_eq!(get_path(&router, "/healthz").await.0, StatusCode::SERVICE_UNAVAILABLE);
    }

    #[tokio::test]
    async fn metrics_are_openmetrics_text() {
        let (status, media_type, body) = get_path(&router(Health::default(), Metrics::new()), "/metrics").await;
        assert_eq!(status, StatusCode::OK);
        assert!(media_type.starts_with("application/openmetrics-text"), "{media_type}");
        assert!(body.contains("honk_build_info") && body.ends_with("# EOF\n"), "{body}");
    }

    #[tokio::test]
    async fn the_server_answers_on_the_port_it_bound() {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let server = AdminServer::bind(loopback, Health::default(), Metrics::new()).await.unwrap();
        let url = format!("http://{}/healthz", server.local_addr().unwrap());
        tokio::select! {
            ended = server.serve() => panic!("the server ended: {ended:?}"),
            answer = reqwest::get(url) => assert_eq!(answer.unwrap().status(), 200),
        }
    }
}
