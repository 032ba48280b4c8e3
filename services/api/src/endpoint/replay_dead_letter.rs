//! `POST /api/dead-letters/{id}/replay`: the dead job, or event, is done again, in a new trace that is linked to the old one.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use honk_protocol::dead::StoredDeadLetter;
use honk_protocol::event::OnboardEvent;
use honk_protocol::name::RunId;
use honk_protocol::subject::DeadSubject;
use honk_service::{TraceParent, trace_context};
use tracing::Instrument;

use super::show_dead_letter::find;
use crate::problem::ApiError;
use crate::state::Api;
use crate::wire::Replayed;

pub(super) async fn handle(
    State(api): State<Api>,
    Path(id): Path<String>,
) -> Result<(StatusCode, Json<Replayed>), ApiError> {
    let subject = find(&api, &id)?;
    let (stored, message) = api.ledger.letter(&subject).await?;
    let run = match &subject {
        DeadSubject::Job { run, .. } => Some(run.clone()),
        DeadSubject::Event { .. } => run_of_event(&message.payload, |name| message.headers.get(name)),
        DeadSubject::Message { .. } => None,
    };
    let (span, trace) = new_trace(&stored);
    api.ledger.replay(&subject, &trace).instrument(span).await?;
    api.letters.forget(&subject);
    let url = run.as_ref().map(|run| api.config.url(&format!("/api/runs/{run}")));
    Ok((StatusCode::ACCEPTED, Json(Replayed { id, run, url })))
}

fn new_trace(stored: &StoredDeadLetter) -> (tracing::Span, TraceParent) {
    let span = tracing::info_span!(
        parent: None,
        "replay",
        otel.name = "replay dead letter",
        otel.kind = "producer",
        dead_letter = stored.letter.subject.id(),
        trace_id = tracing::field::Empty,
    );
    if let Ok(old) = TraceParent::parse(&stored.letter.trace) {
        trace_context::add_link(&span, &old);
    }
    let trace = trace_context::current(&span).unwrap_or_else(TraceParent::random);
    span.record("trace_id", trace.trace_id());
    (span, trace)
}

/// The run that an event starts, if the event says its id itself.
fn run_of_event<'h>(payload: &[u8], header: impl Fn(&str) -> Option<&'h str>) -> Option<RunId> {
    const NO_ID: &str = "";
    // An id that is empty is refused, so a bare event without one is too.
    OnboardEvent::decode(payload, header, NO_ID).ok().map(|event| event.run_id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_run_of_an_event_is_known_if_the_event_says_its_id() {
        let run = |text: &str| run_of_event(text.as_bytes(), |_| None);
        let with_id = r#"{"id":"7","type":"dataset_onboard","payload":{"dataset_name":"d"}}"#;
        assert_eq!(run(with_id), Some(RunId::of_event(honk_protocol::event::BARE_SOURCE, "7")));
        assert_eq!(run(r#"{"type":"dataset_onboard","payload":{"dataset_name":"d"}}"#), None);
        assert_eq!(run("nonsense"), None);
    }
}
