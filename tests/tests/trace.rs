//! One migration is one trace, from the event's publisher to the notice; and a collector that is gone costs nothing but its
//! spans.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, also in its helpers")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use honk_bus::Publication;
use honk_protocol::dead::HEADER_TRACEPARENT;
use honk_protocol::subject::EVENT_ONBOARD;
use honk_testkit::{Harness, PATIENCE, Process, Service, eventually};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use prost::Message as _;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const ORIGIN: &str = "00f067aa0ba902b7";

/// A span, as far as the test looks at it.
#[derive(Debug, Clone)]
struct Span {
    service: String,
    name: String,
    trace: String,
    id: String,
    parent: String,
}

/// An OTLP/HTTP collector that keeps what it gets.
struct Collector {
    url: String,
    spans: Arc<Mutex<Vec<Span>>>,
    _serving: JoinSet<()>,
}

impl Collector {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let spans: Arc<Mutex<Vec<Span>>> = Arc::default();
        let kept = Arc::clone(&spans);
        let take = move |body: Bytes| {
            let kept = Arc::clone(&kept);
            async move { kept.lock().unwrap().extend(read(&body)) }
        };
        let router = Router::new().route("/v1/traces", axum::routing::post(take));
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, spans, _serving: serving }
    }

    fn spans(&self) -> Vec<Span> {
        self.spans.lock().unwrap().clone()
    }
}

fn read(body: &[u8]) -> Vec<Span> {
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    let mut spans = Vec::new();
    for resource in request.resource_spans {
        let attributes = resource.resource.unwrap().attributes;
        let name = attributes.into_iter().find(|attribute| attribute.key == "service.name");
        let Some(Value::StringValue(service)) = name.unwrap().value.unwrap().value else { panic!("no service.name") };
        for span in resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            spans.push(Span {
                service: service.clone(),
                name: span.name,
                trace: hex::encode(span.trace_id),
                id: hex::encode(span.span_id),
                parent: hex::encode(span.parent_span_id),
            });
        }
    }
    spans
}

fn spawn(harness: &Harness, collector: &str) -> Vec<Process> {
    let export = [("OTEL_EXPORTER_OTLP_ENDPOINT", collector)];
    Service::ALL.map(|service| harness.spawn(service, &export)).into()
}

#[tokio::test]
async fn a_migration_is_one_trace_from_the_events_publish_to_the_notice() {
    let harness = Harness::start().await;
    let collector = Collector::start().await;
    let mut services = spawn(&harness, &collector.url);
    let dataset = harness.dataset("sales", 2).await;
    let event = harness.event(&dataset, "traced");
    let publication = Publication::new(EVENT_ONBOARD, event.to_structured());
    let origin = format!("00-{TRACE}-{ORIGIN}-01");
    harness.publish_once(publication.header(HEADER_TRACEPARENT, origin)).await.unwrap();
    let record = harness.finished(&event.run_id()).await;
    assert_eq!(record.trace_id(), TRACE);
    harness.nothing_is_pending().await;
    // Their end brings the last spans out.
    for service in &mut services {
        service.sigterm();
        assert!(service.ended(PATIENCE).await.success());
    }

    let spans = eventually("all services report", PATIENCE, || async {
        let spans = collector.spans();
        let services: BTreeSet<&str> = spans.iter().map(|span| span.service.as_str()).collect();
        if services.len() == Service::ALL.len() { Ok(spans.clone()) } else { Err(format!("{spans:#?}")) }
    })
    .await;
    let ours: Vec<&Span> = spans.iter().filter(|span| span.trace == TRACE).collect();
    let strangers: Vec<&Span> =
        spans.iter().filter(|span| span.trace != TRACE && span.name.starts_with("process")).collect();
    assert!(strangers.is_empty(), "spans of the migration outside its trace: {strangers:#?}");
    let by_id: BTreeMap<&str, &Span> = ours.iter().map(|span| (span.id.as_str(), *span)).collect();
    for span in &ours {
        assert!(span.parent == ORIGIN || by_id.contains_key(span.parent.as_str()), "no parent: {span:?} in {ours:#?}");
    }
    for (service, name) in [
        ("honk-intake", "process honk.event.dataset_onboard"),
        ("honk-intake", "publish honk.job.validate"),
        ("honk-validate", "process honk.job.validate"),
        ("honk-validate", "publish honk.job.migrate"),
        ("honk-migrate", "process honk.job.migrate"),
        ("honk-migrate", "publish honk.job.notify"),
        ("honk-notify", "process honk.job.notify"),
    ] {
        let found = ours.iter().filter(|span| span.service == service && span.name == name).count();
        assert_eq!(found, 1, "{service}: {name} in {ours:#?}");
    }
    assert!(ours.iter().all(|span| !span.name.contains("sales")), "no span is named after a dataset");
    harness.finish().await;
}

#[tokio::test]
async fn a_collector_that_is_gone_changes_nothing() {
    let harness = Harness::start().await;
    // A port that was free a moment ago, and a listener that never answers.
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    for (name, collector) in [("gone", gone), ("silent", silent.local_addr().unwrap())] {
        let mut services = spawn(&harness, &format!("http://{collector}"));
        let dataset = harness.dataset(name, 2).await;
        let run = harness.migrate(&dataset).await;
        harness.succeed(std::slice::from_ref(&run), PATIENCE).await;
        harness.assert_migrated(&dataset, &run).await;
        harness.nothing_is_pending().await;
        for service in &mut services {
            service.sigterm();
        }
        for service in &mut services {
            assert!(service.ended(PATIENCE / 4).await.success(), "{name}: it ends in order and soon");
        }
    }
    harness.finish().await;
}
