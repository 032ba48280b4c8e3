//! The two spans of a message, named as OpenTelemetry's messaging conventions ask: `publish` by whom it is sent, `process` by whom it
//! is worked on. No span waits for the other side: a `publish` ends when the server has stored the message, and every
//! `process` is a child of the `publish` that caused it, and linked to it.
//!
//! A destination is a subject without the tokens that differ from message to message, such as `honk.job.migrate`.

use std::fmt;

use tracing::Span;
use tracing::field::Empty;

use crate::TraceParent;
use crate::trace_context::set_parent;

/// For the time that it takes to publish a message. Without a `parent` the current span is it.
///
/// `run` and `trace_id` are for the caller to record, if no span around it says them.
pub fn publish_span(destination: impl fmt::Display, parent: Option<&TraceParent>) -> Span {
    let span = tracing::info_span!(
        "publish",
        otel.name = format!("publish {destination}"),
        otel.kind = "producer",
        messaging.system = "nats",
        messaging.operation.name = "publish",
        messaging.operation.type = "send",
        messaging.destination.template = %destination,
        run = Empty,
        trace_id = Empty,
    );
    set_parent(&span, parent, false);
    span
}

/// For the time that it takes to work on the `delivered`-th delivery of a message whose publisher sent `parent` along.
///
/// `run`, `dataset`, `job` and `trace_id` are for the caller to record once they are known.
pub fn process_span(destination: impl fmt::Display, delivered: u32, parent: Option<&TraceParent>) -> Span {
    let span = tracing::info_span!(
        "process",
        otel.name = format!("process {destination}"),
        otel.kind = "consumer",
        messaging.system = "nats",
        messaging.operation.name = "process",
        messaging.operation.type = "process",
        messaging.destination.template = %destination,
        messaging.nats.delivery_count = delivered,
        run = Empty,
        dataset = Empty,
        job = Empty,
        trace_id = Empty,
    );
    set_parent(&span, parent, true);
    span
}
