//! `GET /api/dead-letters/{id}`: a dead letter with the bytes that it is about.

use axum::Json;
use axum::extract::{Path, State};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use honk_protocol::dead::StoredDeadLetter;
use honk_protocol::subject::DeadSubject;

use crate::problem::ApiError;
use crate::state::Api;
use crate::wire::{DeadLetterView, Payload};

pub(super) async fn handle(State(api): State<Api>, Path(id): Path<String>) -> Result<Json<DeadLetterView>, ApiError> {
    let subject = find(&api, &id)?;
    let (stored, message) = api.ledger.letter(&subject).await?;
    Ok(Json(DeadLetterView { payload: Some(payload(&message.payload)), ..view(&stored) }))
}

/// The subject of the letter with this short id.
pub(super) fn find(api: &Api, id: &str) -> Result<DeadSubject, ApiError> {
    let help = "`GET /api/dead-letters` has them all; it may have been replayed or discarded already.";
    api.letters
        .subject(id)
        .ok_or_else(|| ApiError::not_found("dead-letter-unknown", "dead letter of this id").help(help))
}

/// The letter without its bytes.
pub(super) fn view(stored: &StoredDeadLetter) -> DeadLetterView {
    let letter = &stored.letter;
    let (pool, run, job) = match letter.subject.clone() {
        DeadSubject::Job { pool, run, job } => (Some(pool), Some(run), Some(job)),
        DeadSubject::Event { .. } | DeadSubject::Message { .. } => (None, None, None),
    };
    let trace_id = letter.trace.split('-').nth(1).map(ToOwned::to_owned);
    DeadLetterView {
        id: letter.subject.id(),
        subject: letter.original_subject.clone(),
        reason: letter.reason,
        meaning: letter.reason.meaning().to_owned(),
        advice: letter.reason.advice().to_owned(),
        fault: letter.fault,
        error: letter.error.clone(),
        attempts: letter.attempts,
        dataset: letter.dataset.clone(),
        run,
        job,
        pool,
        trace_id,
        time: stored.time,
        payload: None,
    }
}

fn payload(bytes: &[u8]) -> Payload {
    match std::str::from_utf8(bytes) {
        Ok(text) => Payload::Text(text.to_owned()),
        Err(_) => Payload::Base64(STANDARD.encode(bytes)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_shown_as_text_where_they_are_text() {
        assert_eq!(payload(b"{}"), Payload::Text("{}".into()));
        assert_eq!(payload(&[0xff, 0]), Payload::Base64("/wA=".into()));
        assert_eq!(serde_json::to_string(&payload(b"x")).unwrap(), r#"{"text":"x"}"#);
    }
}
