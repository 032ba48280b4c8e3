//! Export against a real collector socket: one that records, one that is gone, one that never answers.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use honk_service::config::TelemetryConfig;
use honk_service::trace_context::{add_link, current, set_parent};
use honk_service::{Telemetry, TraceParent};

const LIMIT: Duration = Duration::from_secs(5);

/// How much later than its limit a stop may return on a loaded machine.
const SLACK: Duration = Duration::from_secs(1);

fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (listener, url)
}

/// Answers every POST with 200 and passes on its request line and body.
fn recording_collector() -> (String, mpsc::Receiver<(String, Vec<u8>)>) {
    let (listener, url) = listener();
    let (sender, posts) = mpsc::channel();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let sender = sender.clone();
            std::thread::spawn(move || while record(connection.as_ref().unwrap(), &sender).is_some() {});
        }
    });
    (url, posts)
}

fn record(connection: &TcpStream, posts: &mpsc::Sender<(String, Vec<u8>)>) -> Option<()> {
    let mut reader = BufReader::new(connection);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        reader.read_line(&mut head).ok().filter(|read| *read > 0)?;
    }
    let length = head.to_lowercase().split_once("content-length: ")?.1.split_once('\r')?.0.parse().ok()?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    posts.send((head.lines().next()?.to_owned(), body)).ok()?;
    let mut connection = connection;
    connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").ok()
}

fn config(endpoint: &str) -> TelemetryConfig {
    TelemetryConfig { otlp_endpoint: Some(endpoint.to_owned()), log_filter: "off".to_owned(), ..Default::default() }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

fn id_bytes(id: &str) -> Vec<u8> {
    (0..id.len()).step_by(2).map(|at| u8::from_str_radix(&id[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn the_spans_of_one_trace_reach_the_collector_with_parent_and_link() {
    let (url, posts) = recording_collector();
    let (telemetry, dispatch) = Telemetry::build("honk-test", &config(&url)).unwrap();
    assert!(telemetry.otlp_enabled());
    let (received, replayed) = (TraceParent::random(), TraceParent::random());
    let sent = tracing::dispatcher::with_default(&dispatch, || {
        let span = tracing::info_span!("process", otel.kind = "consumer");
        set_parent(&span, Some(&received), true);
        add_link(&span, &replayed);
        span.in_scope(|| {
            tracing::info_span!(target: "hyper::client", "transport noise").in_scope(|| {});
            let publish = tracing::info_span!("publish", otel.kind = "producer");
            current(&publish).unwrap()
        })
    });
    assert_eq!(sent.trace_id(), received.trace_id());
    assert_ne!(sent.span_id(), received.span_id());
    assert!(telemetry.shutdown(LIMIT));

    let (request, body) = posts.recv_timeout(LIMIT).unwrap();
    assert_eq!(request, "POST /v1/traces HTTP/1.1");
    for text in ["honk-test", "process", "publish"] {
        assert!(contains(&body, text.as_bytes()), "{text} is missing");
    }
    for id in [sent.trace_id(), sent.span_id(), received.span_id(), replayed.trace_id(), replayed.span_id()] {
        assert!(contains(&body, &id_bytes(&id)), "{id} is missing");
    }
    assert!(!contains(&body, b"transport noise"));
}

#[test]
fn a_trace_that_is_not_sampled_elsewhere_is_carried_on_but_not_exported() {
    let (url, posts) = recording_collector();
    let (telemetry, dispatch) = Telemetry::build("honk-test", &config(&url)).unwrap();
    let received: TraceParent = TraceParent::random().to_string().replace("-01", "-00").parse().unwrap();
    let sent = tracing::dispatcher::with_default(&dispatch, || {
        let span = tracing::info_span!("process");
        set_parent(&span, Some(&received), false);
        current(&span)
    });
    assert_eq!(sent.map(|sent| (sent.trace_id(), sent.is_sampled())), Some((received.trace_id(), false)));
    assert!(telemetry.shutdown(LIMIT));
    assert!(posts.try_recv().is_err());
}

#[test]
fn a_parent_that_comes_too_late_is_ignored() {
    let (url, _posts) = recording_collector();
    let (telemetry, dispatch) = Telemetry::build("honk-test", &config(&url)).unwrap();
    tracing::dispatcher::with_default(&dispatch, || {
        let span = tracing::info_span!("process");
        let own = current(&span);
        set_parent(&span, Some(&TraceParent::random()), true);
        assert_eq!(current(&span), own);
    });
    assert!(telemetry.shutdown(LIMIT));
}

#[test]
fn without_an_endpoint_or_when_disabled_nothing_is_exported() {
    let none = TelemetryConfig::default();
    let disabled = TelemetryConfig { otlp_disabled: true, ..config("http://127.0.0.1:4318") };
    for config in [none, disabled] {
        let (telemetry, _) = Telemetry::build("honk-test", &config).unwrap();
        assert!(!telemetry.otlp_enabled());
        assert!(telemetry.shutdown(Duration::ZERO));
    }
}

/// Starts, makes more spans than the queue holds, stops; returns the time that the spans and the stop took.
fn time_with(endpoint: &str) -> (Duration, Duration) {
    let begin = Instant::now();
    let (telemetry, dispatch) = Telemetry::build("honk-test", &config(endpoint)).unwrap();
    tracing::dispatcher::with_default(&dispatch, || {
        for number in 0..40_000 {
            tracing::info_span!("process", number).in_scope(|| {});
        }
    });
    let work = begin.elapsed();
    let begin = Instant::now();
    telemetry.shutdown(LIMIT);
    (work, begin.elapsed())
}

#[test]
fn a_dead_collector_delays_neither_work_nor_stop() {
    let (listener, url) = listener();
    drop(listener);
    let (work, stop) = time_with(&url);
    assert!(work < LIMIT && stop < LIMIT + SLACK, "{work:?} {stop:?}");
}

#[test]
fn a_collector_that_never_answers_delays_neither_work_nor_stop() {
    let (listener, url) = listener();
    std::thread::spawn(move || listener.incoming().collect::<Vec<_>>());
    let (work, stop) = time_with(&url);
    assert!(work < LIMIT && stop < LIMIT + SLACK, "{work:?} {stop:?}");
}
