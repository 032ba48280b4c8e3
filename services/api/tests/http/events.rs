//! `POST /events`.

use honk_api::wire::EventAccepted;
use honk_protocol::event::{BARE_SOURCE, MAX_EVENT_BYTES, OnboardEvent};
use honk_protocol::name::RunId;
use honk_protocol::subject::EVENT_ONBOARD;
use honk_protocol::topology::EVENTS;

use crate::harness::{World, problem, read};

const BARE: &str = r#"{"type":"dataset_onboard","payload":{"dataset_name":"my-dataset"}}"#;
const WITH_ID: &str = r#"{"id":"7","type":"dataset_onboard","payload":{"dataset_name":"my-dataset"}}"#;

async fn last_sequence(world: &World) -> u64 {
    world.bus.last(EVENTS, EVENT_ONBOARD).await.unwrap().map_or(0, |message| message.sequence)
}

#[tokio::test]
async fn an_event_is_stored_before_it_is_accepted_and_a_repeat_is_the_same_run() {
    let world = World::start().await;
    world.import("my-dataset").await;
    let first = world.post("/events", WITH_ID).await;
    let location = first.headers()["location"].to_str().unwrap().to_owned();
    let first: EventAccepted = read(first, 202).await;
    assert_eq!(first.run, RunId::of_event(BARE_SOURCE, "7"));
    assert_eq!((first.url.as_str(), first.url.clone()), (format!("/api/runs/{}", first.run).as_str(), location));
    let stored = world.bus.last(EVENTS, EVENT_ONBOARD).await.unwrap().expect("it is stored");
    let event = OnboardEvent::decode(&stored.payload, |name| stored.headers.get(name), "none").unwrap();
    assert_eq!((event.run_id(), event.dataset.as_str()), (first.run.clone(), "my-dataset"));
    assert!(stored.headers.get("traceparent").is_some());

    for _ in 0..3 {
        assert_eq!(read::<EventAccepted>(world.post("/events", WITH_ID).await, 202).await, first);
    }
    assert_eq!(last_sequence(&world).await, stored.sequence);
}

#[tokio::test]
async fn events_without_an_id_are_new_ones_unless_a_key_names_them() {
    let world = World::start().await;
    world.import("my-dataset").await;
    let run = async |key: Option<&str>| {
        let mut request = world.client.post(format!("{}/events", world.url)).body(BARE);
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        read::<EventAccepted>(request.send().await.unwrap(), 202).await.run
    };
    assert_ne!(run(None).await, run(None).await);
    assert_eq!(run(Some("k")).await, run(Some("k")).await);
    assert_ne!(run(Some("k")).await, run(Some("l")).await);
}

#[tokio::test]
async fn the_content_type_says_nothing_and_a_callers_trace_goes_on() {
    let world = World::start().await;
    world.import("my-dataset").await;
    for content_type in
        ["text/plain;charset=UTF-8", "application/x-www-form-urlencoded", "application/cloudevents+json"]
    {
        let request =
            world.client.post(format!("{}/events", world.url)).header("content-type", content_type).body(BARE);
        assert_eq!(request.send().await.unwrap().status(), 202, "{content_type}");
    }
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let binary = world
        .client
        .post(format!("{}/events", world.url))
        .header("ce-specversion", "1.0")
        .header("ce-id", "9")
        .header("ce-source", "/s")
        .header("ce-type", "dataset_onboard")
        .header("traceparent", trace)
        .body(r#"{"dataset_name":"my-dataset"}"#);
    let accepted: EventAccepted = read(binary.send().await.unwrap(), 202).await;
    assert_eq!(accepted.run, RunId::of_event("/s", "9"));
    let stored = world.bus.last(EVENTS, EVENT_ONBOARD).await.unwrap().expect("it is stored");
    assert!(stored.headers.get("traceparent").unwrap().contains("4bf92f3577b34da6a3ce929d0e0e4736"));
}

#[tokio::test]
async fn what_cannot_become_a_run_is_refused_at_once_and_nothing_is_stored() {
    let world = World::start().await;
    let name = |name: &str| format!(r#"{{"type":"dataset_onboard","payload":{{"dataset_name":"{name}"}}}}"#);
    for (body, status, code) in [
        ("nonsense".to_owned(), 400, "event-malformed"),
        ("[".repeat(10_000), 400, "event-malformed"),
        (r#"{"dataset_name": "we"ird"}"#.to_owned(), 400, "event-malformed"),
        ("{}".to_owned(), 422, "event-malformed"),
        (name(""), 422, "event-malformed"),
        (name("a/b"), 422, "event-malformed"),
        (
            r#"{"specversion":"0.3","id":"1","source":"s","type":"dataset_onboard","data":{}}"#.to_owned(),
            422,
            "event-version",
        ),
        (" ".repeat(MAX_EVENT_BYTES + 1), 413, "body-too-large"),
        (name("nobody-has-it"), 404, "dataset-unknown"),
    ] {
        let shown = body.chars().take(60).collect::<String>();
        let problem = problem(world.post("/events", body).await, status, code).await;
        assert!(problem.help.is_some(), "{shown}: {problem:?}");
    }
    assert_eq!(last_sequence(&world).await, 0);
}

#[tokio::test]
async fn a_page_of_another_site_cannot_ask_for_a_migration() {
    let world = World::start().await;
    world.import("my-dataset").await;
    let request =
        world.client.post(format!("{}/events", world.url)).header("origin", "https://evil.example").body(BARE);
    problem(request.send().await.unwrap(), 403, "cross-site").await;
    assert_eq!(last_sequence(&world).await, 0);
}

#[tokio::test]
async fn without_jetstream_the_answer_is_a_503_that_says_when_to_try_again() {
    let mut world = World::start().await;
    world.import("my-dataset").await;
    world.nats.stop().await.unwrap();
    let response = world.post("/events", WITH_ID).await;
    assert!(response.headers().contains_key("retry-after"));
    problem(response, 503, "bus-unavailable").await;
    let ready = world.send(reqwest::Method::GET, "/readyz", "").await;
    assert_eq!(ready.status(), 503);

    world.nats.restart().await.unwrap();
    world.eventually::<serde_json::Value>("/readyz", |report| report["ok"] == true).await;
    assert_eq!(world.post("/events", WITH_ID).await.status(), 202);
}
