//! `POST /events`: a producer asks for a migration. The event is stored before it is accepted; intake makes it a run.
//!
//! Whatever sends it: `curl`, Backstage (whose proxy sends `text/plain` and drops headers), a `CloudEvents` library in
//! structured or binary mode. It is published as a structured `CloudEvent`, under its run's id as the message id, so that
//! sending it again changes nothing.

use axum::Json;
use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use honk_bus::Publication;
use honk_protocol::dead::HEADER_TRACEPARENT;
use honk_protocol::event::OnboardEvent;
use honk_protocol::subject::EVENT_ONBOARD;
use honk_service::messaging::publish_span;
use honk_service::{TraceParent, trace_context};
use tracing::Instrument;
use uuid::Uuid;

use crate::extract::Body;
use crate::problem::ApiError;
use crate::state::Api;
use crate::wire::EventAccepted;

/// Names the event where its body brings no id (draft-ietf-httpapi-idempotency-key-header).
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The longest such key, in bytes.
const MAX_KEY: usize = 255;

pub(super) async fn handle(State(api): State<Api>, headers: HeaderMap, body: Body) -> Result<Response, ApiError> {
    let event = read(&body.0, &headers)?;
    api.dataset(&event.dataset).await?;
    publish(&api, &event, &headers).await?;
    let run = event.run_id();
    let url = api.config.url(&format!("/api/runs/{run}"));
    Ok((StatusCode::ACCEPTED, [(LOCATION, url.clone())], Json(EventAccepted { run, url })).into_response())
}

fn read(body: &[u8], headers: &HeaderMap) -> Result<OnboardEvent, ApiError> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let id = match headers.get(IDEMPOTENCY_KEY).map(|value| value.to_str()) {
        None => Uuid::new_v4().to_string(),
        Some(Ok(key)) if !key.is_empty() && key.len() <= MAX_KEY => key.to_owned(),
        Some(_) => {
            let title = "The header `Idempotency-Key` is not 1 to 255 visible ASCII characters";
            return Err(ApiError::new(StatusCode::BAD_REQUEST, "idempotency-key-invalid", title));
        }
    };
    Ok(OnboardEvent::decode(body, header, &id)?)
}

/// One trace from here through every stage: the caller's, or a new one.
pub(super) async fn publish(api: &Api, event: &OnboardEvent, headers: &HeaderMap) -> Result<(), ApiError> {
    let run = event.run_id();
    let sent = headers.get(HEADER_TRACEPARENT).and_then(|value| value.to_str().ok());
    let sent = sent.and_then(|text| TraceParent::parse(text).ok());
    let span = publish_span(EVENT_ONBOARD, sent.as_ref());
    span.record("run", run.as_str());
    let trace = trace_context::current(&span).or(sent).unwrap_or_else(TraceParent::random);
    span.record("trace_id", trace.trace_id());
    let message = Publication::new(EVENT_ONBOARD, event.to_structured())
        .message_id(run.to_string())
        .header(HEADER_TRACEPARENT, trace.to_string());
    let published = api.bus.publish(message).instrument(span.clone()).await?;
    tracing::info!(parent: &span, dataset = %event.dataset, duplicate = published.duplicate, "event accepted");
    Ok(())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn with_key(key: &str) -> HeaderMap {
        HeaderMap::from_iter([("idempotency-key".parse().unwrap(), HeaderValue::from_str(key).unwrap())])
    }

    const BARE: &[u8] = br#"{"type":"dataset_onboard","payload":{"dataset_name":"d"}}"#;
    const WITH_ID: &[u8] = br#"{"id":"7","type":"dataset_onboard","payload":{"dataset_name":"d"}}"#;

    #[test]
    fn an_event_without_an_id_is_a_new_one_each_time_unless_a_key_says_which() {
        let run = |body, headers: &HeaderMap| read(body, headers).unwrap().run_id();
        let none = HeaderMap::new();
        assert_ne!(run(BARE, &none), run(BARE, &none));
        assert_eq!(run(BARE, &with_key("k")), run(BARE, &with_key("k")));
        assert_ne!(run(BARE, &with_key("k")), run(BARE, &with_key("l")));
        assert_eq!(run(WITH_ID, &none), run(WITH_ID, &with_key("k")));
        assert_eq!(run(WITH_ID, &none), run(BARE, &with_key("7")));
    }

    #[test]
    fn a_key_that_is_none_is_refused() {
        for key in ["", &"x".repeat(256)] {
            assert_eq!(read(BARE, &with_key(key)).unwrap_err().into_problem().status, 400);
        }
    }

    #[test]
    fn a_binary_cloud_event_is_read_from_its_headers() {
        let pairs = [("ce-specversion", "1.0"), ("ce-id", "7"), ("ce-source", "/s"), ("ce-type", "dataset_onboard")];
        let headers = pairs.map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)));
        let event = read(br#"{"dataset_name":"d"}"#, &HeaderMap::from_iter(headers)).unwrap();
        assert_eq!((event.id.as_str(), event.source.as_str()), ("7", "/s"));
    }
}
