//! What holds for all routes: probes, metrics, problems, and the end of the process.

use honk_api::ApiSettings;
use honk_service::Context;
use honk_service::config::Common;
use reqwest::Method;

use crate::harness::{World, problem};

#[tokio::test]
async fn probes_and_metrics_are_on_the_same_listener() {
    let world = World::start().await;
    for path in ["/healthz", "/readyz"] {
        assert_eq!(world.get::<serde_json::Value>(path).await["ok"], true, "{path}");
    }
    let metrics = world.send(Method::GET, "/metrics", "").await.text().await.unwrap();
    assert!(metrics.contains("honk_http_requests_total{method=\"GET\",status=\"200\"}"), "{metrics}");
}

#[tokio::test]
async fn an_unknown_path_or_method_is_a_problem_too() {
    let world = World::start().await;
    problem(world.send(Method::GET, "/nowhere", "").await, 404, "route-unknown").await;
    problem(world.send(Method::POST, "/nowhere", "x").await, 404, "route-unknown").await;
    let refused = world.send(Method::DELETE, "/api/runs", "").await;
    assert_eq!(refused.headers()["allow"], "GET,HEAD");
    problem(refused, 405, "method-not-allowed").await;
    problem(world.send(Method::POST, "/healthz", "").await, 405, "method-not-allowed").await;
}

#[tokio::test]
async fn the_process_ends_when_it_is_asked_to() {
    let world = World::start().await;
    world.stop().await;
}

#[tokio::test]
async fn a_public_address_is_refused_before_anything_is_connected() {
    let mut settings = ApiSettings::default();
    settings.api.listen = "0.0.0.0:0".parse().unwrap();
    let failure = honk_api::serve(Context::new("honk-api", settings, Common::default())).await.unwrap_err();
    assert!(failure.to_string().contains("no authentication"), "{failure}");
}
