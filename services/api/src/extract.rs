//! What handlers read from a request. Whatever does not fit is a problem, never a plain-text answer of the framework.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use crate::problem::ApiError;
use crate::wire::{DEFAULT_LIMIT, MAX_LIMIT};

/// The body, whatever the content type says; at most as long as the route allows.
pub(crate) struct Body(pub(crate) Bytes);

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        Bytes::from_request(request, state).await.map(Self).map_err(|rejection| {
            if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                let title = "The body is longer than allowed here";
                ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", title).help("Send it in parts.")
            } else {
                let title = "The body could not be read";
                ApiError::new(StatusCode::BAD_REQUEST, "body-unreadable", title).detail(rejection.body_text())
            }
        })
    }
}

impl Body {
    /// The body as text, without a byte order mark.
    pub(crate) fn text(&self) -> Result<&str, ApiError> {
        let text = std::str::from_utf8(&self.0).map_err(|error| {
            let title = "The body is not UTF-8 text";
            ApiError::new(StatusCode::BAD_REQUEST, "body-malformed", title).detail(error.to_string())
        })?;
        Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
    }

    /// The body as JSON of a `T`.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        serde_json::from_slice(&self.0).map_err(|error| {
            let (status, code, title) = if error.is_data() {
                (StatusCode::UNPROCESSABLE_ENTITY, "body-invalid", "The body's JSON is not of the expected form")
            } else {
                (StatusCode::BAD_REQUEST, "body-malformed", "The body is not JSON")
            };
            ApiError::new(status, code, title).detail(error.to_string())
        })
    }
}

/// The query. A parameter that is not known is a fault: a misspelt filter must not show everything.
pub(crate) struct Parameters<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Parameters<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let query = Query::<T>::from_request_parts(parts, state).await;
        query.map(|Query(parameters)| Self(parameters)).map_err(|rejection| {
            let title = "The query is not of the expected form";
            ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "query-invalid", title).detail(rejection.body_text())
        })
    }
}

/// The size of a page.
pub(crate) fn page_size(limit: Option<usize>) -> Result<usize, ApiError> {
    size_within(limit, DEFAULT_LIMIT, MAX_LIMIT)
}

/// The size of a page that has its own bounds.
pub(crate) fn size_within(limit: Option<usize>, default: usize, max: usize) -> Result<usize, ApiError> {
    match limit.unwrap_or(default) {
        limit if (1..=max).contains(&limit) => Ok(limit),
        other => Err(bad_query(format!("`limit` is {other}; it must be 1 to {max}"))),
    }
}

/// A cursor that this API did not make.
pub(crate) fn bad_cursor() -> ApiError {
    bad_query("`cursor` is not the `next` of a page")
}

/// A parameter that cannot be meant.
pub(crate) fn bad_query(detail: impl Into<String>) -> ApiError {
    let title = "The query is not of the expected form";
    ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "query-invalid", title).detail(detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_a_bounded_size() {
        assert_eq!(page_size(None).unwrap(), DEFAULT_LIMIT);
        assert_eq!(page_size(Some(MAX_LIMIT)).unwrap(), MAX_LIMIT);
        for bad in [0, MAX_LIMIT + 1] {
            assert_eq!(page_size(Some(bad)).unwrap_err().into_problem().status, 422);
        }
    }

    #[test]
    fn json_of_another_form_is_told_from_no_json() {
        let status = |body: &'static str| {
            Body(Bytes::from_static(body.as_bytes())).json::<u8>().unwrap_err().into_problem().status
        };
        assert_eq!((status("{}"), status("nonsense"), status("")), (422, 400, 400));
    }
}
