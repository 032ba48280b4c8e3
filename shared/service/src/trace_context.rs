//! The W3C `traceparent` as a value, and the bridge between it and tracing's spans.
//!
//! Messages carry it as text; whether a span is exported or not never changes what is carried: without an exporter
//! [`current`] is `None` and the caller passes on what it received.
//! Format: <https://www.w3.org/TR/trace-context/#traceparent-header>.

use std::fmt;
use std::str::FromStr;

use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use uuid::Uuid;

/// The flags that version 00 and its successor draft define: sampled, and random trace id.
const KNOWN_FLAGS: u8 = 0x03;
const SAMPLED: u8 = 0x01;

/// A valid `traceparent`: which trace, which span of it, and whether it is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceParent {
    trace_id: u128,
    span_id: u64,
    flags: u8,
}

/// A text is no valid `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a W3C traceparent (expected like 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01)")]
pub struct InvalidTraceParent;

impl TraceParent {
    /// The start of a new, recorded trace.
    pub fn random() -> Self {
        Self { trace_id: Uuid::new_v4().as_u128(), span_id: random_span_id(), flags: SAMPLED }
    }

    /// The same trace with a new span id: what is sent on by somebody who makes no spans of his own.
    #[must_use]
    pub fn child(&self) -> Self {
        Self { span_id: random_span_id(), ..*self }
    }

    /// Parses strictly: lower case, no zero ids, no version ff; of a later version the fields known today.
    pub fn parse(text: &str) -> Result<Self, InvalidTraceParent> {
        let bytes = text.as_bytes();
        let version = hex(text.get(0..2), 2)?;
        let length_fits =
            if version == 0 { bytes.len() == 55 } else { bytes.len() == 55 || bytes.get(55) == Some(&b'-') };
        let dashes = [2, 35, 52].iter().all(|at| bytes.get(*at) == Some(&b'-'));
        if version == 0xff || !length_fits || !dashes {
            return Err(InvalidTraceParent);
        }
        let trace_id = hex(text.get(3..35), 32)?;
        let span_id = u64::try_from(hex(text.get(36..52), 16)?).map_err(|_| InvalidTraceParent)?;
        let flags = u8::try_from(hex(text.get(53..55), 2)?).map_err(|_| InvalidTraceParent)?;
        if trace_id == 0 || span_id == 0 {
            return Err(InvalidTraceParent);
        }
        Ok(Self { trace_id, span_id, flags: flags & KNOWN_FLAGS })
    }

    /// The trace id as 32 lower-case hexadecimal digits.
    pub fn trace_id(&self) -> String {
        format!("{:032x}", self.trace_id)
    }

    /// The span id as 16 lower-case hexadecimal digits.
    pub fn span_id(&self) -> String {
        format!("{:016x}", self.span_id)
    }

    /// Whether the sender recorded its span.
    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    fn to_span_context(self) -> SpanContext {
        let (trace, span) = (TraceId::from(self.trace_id), SpanId::from(self.span_id));
        SpanContext::new(trace, span, TraceFlags::new(self.flags), true, TraceState::default())
    }
}

fn random_span_id() -> u64 {
    // The lower half of a version 4 UUID has its two variant bits set, so it is never the forbidden zero.
    Uuid::new_v4().as_u64_pair().1
}

/// Exactly `digits` lower-case hexadecimal digits.
fn hex(text: Option<&str>, digits: usize) -> Result<u128, InvalidTraceParent> {
    let text = text.filter(|text| text.len() == digits).ok_or(InvalidTraceParent)?;
    if !text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return Err(InvalidTraceParent);
    }
    u128::from_str_radix(text, 16).map_err(|_| InvalidTraceParent)
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, self.flags)
    }
}

impl FromStr for TraceParent {
    type Err = InvalidTraceParent;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl Serialize for TraceParent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TraceParent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Makes `parent` the parent of `span` and, with `link`, also links to it, as the messaging conventions ask of a span
/// that processes a message. Call it before the span is first entered or asked for its context; later it is too late
/// and only logged. Does nothing when spans are not exported.
pub fn set_parent(span: &Span, parent: Option<&TraceParent>, link: bool) {
    let Some(remote) = parent.map(|parent| parent.to_span_context()) else { return };
    let context = opentelemetry::Context::new().with_remote_span_context(remote.clone());
    if let Err(tracing_opentelemetry::SetParentError::AlreadyStarted) = span.set_parent(context) {
        tracing::debug!("a span's parent was set after its start and is lost");
    }
    if link {
        span.add_link(remote);
    }
}

/// Links `span` to another trace or span without making it the parent: a replay links to what it replays.
pub fn add_link(span: &Span, to: &TraceParent) {
    span.add_link(to.to_span_context());
}

/// The span's own context to send on, or `None` when spans are not exported: then send on what was received.
pub fn current(span: &Span) -> Option<TraceParent> {
    let context = span.context();
    let own = context.span().span_context().clone();
    own.is_valid().then(|| TraceParent {
        trace_id: u128::from_be_bytes(own.trace_id().to_bytes()),
        span_id: u64::from_be_bytes(own.span_id().to_bytes()),
        flags: own.trace_flags().to_u8() & KNOWN_FLAGS,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    proptest! {
        #[test]
        fn what_is_printed_parses_to_the_same(trace_id in 1u128.., span_id in 1u64.., flags in 0u8..=KNOWN_FLAGS) {
            let parent = TraceParent { trace_id, span_id, flags };
            prop_assert_eq!(TraceParent::parse(&parent.to_string()), Ok(parent));
        }

        #[test]
        fn what_parses_as_version_00_prints_as_it_was(text in "00-[0-9a-f]{32}-[0-9a-f]{16}-0[0-3]") {
            if let Ok(parent) = TraceParent::parse(&text) {
                prop_assert_eq!(parent.to_string(), text);
            }
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC{0,60}") {
            prop_assert!(TraceParent::parse(&text).is_err());
        }
    }

    #[test]
    fn the_example_of_the_standard_parses() {
        let parent = TraceParent::parse(EXAMPLE).unwrap();
        assert_eq!(parent.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(parent.span_id(), "00f067aa0ba902b7");
        assert!(parent.is_sampled());
    }

    #[test]
    fn ill_formed_texts_are_refused() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        let refused = [
            String::new(),
            EXAMPLE.to_uppercase(),
            format!(" {EXAMPLE}"),
            format!("{EXAMPLE}-00"),
            format!("ff{}", &EXAMPLE[2..]),
            format!("01{}x", &EXAMPLE[2..]),
            format!("00-{:032}-00f067aa0ba902b7-01", 0),
            format!("00-{trace}-{:016}-01", 0),
            format!("00-{trace}-00f067aa0ba902b7-1"),
            format!("00-+{}-00f067aa0ba902b7-01", &trace[1..]),
        ];
        for text in refused {
            assert_eq!(TraceParent::parse(&text), Err(InvalidTraceParent), "{text}");
        }
    }

    #[test]
    fn a_later_version_is_read_as_far_as_it_is_known() {
        let parent = TraceParent::parse(&format!("01{}-future", &EXAMPLE[2..])).unwrap();
        assert_eq!(parent.to_string(), EXAMPLE);
    }

    #[test]
    fn a_child_stays_in_the_trace_under_a_new_span() {
        let parent = TraceParent::random();
        let child = parent.child();
        assert_eq!(child.trace_id(), parent.trace_id());
        assert_ne!(child.span_id(), parent.span_id());
        assert_ne!(TraceParent::random().trace_id(), parent.trace_id());
    }

    #[test]
    fn without_an_exporter_a_span_has_no_context_of_its_own() {
        let span = tracing::info_span!("process");
        set_parent(&span, Some(&TraceParent::random()), true);
        assert_eq!(current(&span), None);
    }
}
