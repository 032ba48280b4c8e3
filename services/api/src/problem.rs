//! A problem on its way out of a handler. The handler says what is wrong; [`crate::guard`] adds the request's path and
//! makes it the answer.

use std::fmt;
use std::time::Duration;

use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use honk_agent::ledger::{LedgerError, LetterError};
use honk_bus::BusError;
use honk_protocol::event::EventError;
use honk_protocol::name::NameError;
use honk_protocol::reason::Reason;

use crate::wire::{Fault, Problem};

/// The media type of problems (RFC 9457).
pub(crate) const MEDIA_TYPE: &str = "application/problem+json";

/// When a client may try again after the server could not be reached.
const RETRY_PAUSE: Duration = Duration::from_secs(2);

/// An error answer. Boxed, because it is large and rare.
#[derive(Debug, Clone)]
pub(crate) struct ApiError {
    problem: Box<Problem>,
    retry_after: Option<Duration>,
}

impl ApiError {
    /// A problem with a stable code and a title that is the same for every occurrence.
    pub(crate) fn new(status: StatusCode, code: &str, title: &str) -> Self {
        let problem = Problem {
            kind: format!("urn:honk:problem:{code}"),
            title: title.to_owned(),
            status: status.as_u16(),
            code: code.to_owned(),
            ..Problem::default()
        };
        Self { problem: Box::new(problem), retry_after: None }
    }

    /// A problem that has a reason code.
    pub(crate) fn of_reason(status: StatusCode, reason: Reason) -> Self {
        Self::new(status, reason.code(), reason.meaning()).help(reason.advice())
    }

    /// What is wrong this time.
    pub(crate) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.problem.detail = Some(detail.into());
        self
    }

    /// What the caller can do about it.
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.problem.help = Some(help.into());
        self
    }

    /// The single faults.
    pub(crate) fn errors(mut self, errors: Vec<Fault>) -> Self {
        self.problem.errors = errors;
        self
    }

    /// The caller may try again after this long.
    pub(crate) fn retry_after(mut self, pause: Duration) -> Self {
        self.retry_after = Some(pause);
        self
    }

    /// The status that it is answered with.
    pub(crate) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The problem, for answers that carry more than it.
    pub(crate) fn into_problem(self) -> Problem {
        *self.problem
    }

    /// Something that was asked for by name is not there.
    pub(crate) fn not_found(code: &str, what: impl fmt::Display) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, "There is no such thing").detail(format!("there is no {what}"))
    }

    /// The NATS server did not do what was asked, and may later.
    pub(crate) fn unavailable(detail: impl Into<String>) -> Self {
        Self::of_reason(StatusCode::SERVICE_UNAVAILABLE, Reason::BusUnavailable).detail(detail).retry_after(RETRY_PAUSE)
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.problem.fmt(f)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        if let Some(pause) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, pause.as_secs().into());
        }
        response.extensions_mut().insert(*self.problem);
        response
    }
}

impl From<NameError> for ApiError {
    fn from(error: NameError) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "name-invalid", "A name is ill-formed").detail(error.to_string())
    }
}

impl From<EventError> for ApiError {
    fn from(error: EventError) -> Self {
        let status = match error {
            EventError::NotJson(_) => StatusCode::BAD_REQUEST,
            EventError::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            EventError::Invalid(_) | EventError::Version(_) => StatusCode::UNPROCESSABLE_ENTITY,
        };
        let reason = error.reason();
        let help = match reason {
            Reason::EventVersion => "Publish CloudEvents 1.0, or the bare form with `type` and `payload`.",
            _ => r#"Send {"type":"dataset_onboard","payload":{"dataset_name":"my-dataset"}}, or a CloudEvent 1.0."#,
        };
        Self::of_reason(status, reason).detail(error.to_string()).help(help)
    }
}

impl From<BusError> for ApiError {
    fn from(error: BusError) -> Self {
        match error {
            BusError::TooLarge { .. } => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "It is too large to be stored")
                    .detail(error.to_string())
            }
            BusError::Conflict { .. } => conflict().detail(error.to_string()),
            _ => Self::unavailable(error.to_string()),
        }
    }
}

/// Somebody else changed the same thing at the same moment, again and again.
pub(crate) fn conflict() -> ApiError {
    ApiError::new(StatusCode::CONFLICT, "conflict", "Somebody else is changing it").help("Look at it, and try again.")
}

impl From<LedgerError> for ApiError {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::Bus(error) => error.into(),
            LedgerError::Refused(refusal) => {
                Self::new(StatusCode::CONFLICT, "not-allowed-now", "The run's state does not allow it")
                    .detail(refusal.to_string())
            }
            LedgerError::TooLarge(_) => {
                Self::new(StatusCode::CONFLICT, "record-too-large", "The run's record is too large")
                    .detail(error.to_string())
            }
            LedgerError::NoRun(_) => Self::not_found("run-unknown", "such run").detail(error.to_string()),
            LedgerError::Unreadable { .. } => {
                let title = "A run's record cannot be read";
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "record-unreadable", title).detail(error.to_string())
            }
        }
    }
}

impl From<LetterError> for ApiError {
    fn from(error: LetterError) -> Self {
        let detail = error.to_string();
        match error {
            LetterError::Gone => Self::not_found("dead-letter-unknown", "such dead letter").detail(detail),
            LetterError::LaneTaken(_) => {
                Self::new(StatusCode::CONFLICT, "dataset-busy", "Another run of the dataset is not finished")
                    .detail(detail)
            }
            LetterError::NotReplayable => {
                Self::new(StatusCode::CONFLICT, "not-replayable", "The message is no job").detail(detail)
            }
            LetterError::Ledger(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_does_not_answer_is_a_503_that_says_when_to_try_again() {
        let error = ApiError::from(BusError::Timeout { what: "publish".into() });
        let response = error.into_response();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(response.headers().contains_key(RETRY_AFTER));
        assert_eq!(response.extensions().get::<Problem>().unwrap().code, "bus-unavailable");
    }

    #[test]
    fn an_events_fault_decides_the_status() {
        for (error, status) in [
            (EventError::NotJson("x".into()), 400),
            (EventError::TooLarge(9), 413),
            (EventError::Invalid("x".into()), 422),
            (EventError::Version("0.3".into()), 422),
        ] {
            assert_eq!(ApiError::from(error).into_problem().status, status);
        }
    }
}
