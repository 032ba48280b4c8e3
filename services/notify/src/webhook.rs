//! One attempt at one receiver. Only the status of the answer counts; its body is not read, so that it can neither fill the memory
//! nor tell anybody what an address inside the network answers.

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use honk_protocol::reason::Reason;
use jiff::Timestamp;
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode, Url, redirect};

use crate::address::{Forbidden, Guard};
use crate::signature::Signer;

/// The media type of a `CloudEvent` in structured mode.
pub const CLOUD_EVENT: &str = "application/cloudevents+json; charset=utf-8";

/// How long a connection may take; the rest of the time-out is the receiver's.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// What a receiver is sent.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// The same for every attempt.
    pub id: String,
    /// The notice.
    pub body: Bytes,
    /// W3C `traceparent`; empty if there is none.
    pub trace: String,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The receiver has it.
    Delivered,
    /// Trying again can help.
    Failed {
        /// What happened.
        error: String,
        /// How long the receiver asks to be left alone.
        retry_after: Option<Duration>,
    },
    /// Trying again cannot help.
    Refused {
        /// [`Reason::ReceiverGone`] or [`Reason::ReceiverInvalid`].
        reason: Reason,
        /// What happened.
        error: String,
    },
}

/// Sends webhooks.
#[derive(Debug, Clone)]
pub struct Sender {
    client: Client,
    guard: Guard,
    signer: Signer,
}

impl Sender {
    /// A sender that gives every receiver `timeout`.
    pub fn new(guard: Guard, signer: Signer, timeout: Duration) -> Result<Self, reqwest::Error> {
        let client = Client::builder()
            .user_agent(concat!("honk-notify/", env!("CARGO_PKG_VERSION")))
            .timeout(timeout)
            .connect_timeout(CONNECT_TIMEOUT.min(timeout))
            .redirect(redirect::Policy::none())
            .no_proxy()
            .dns_resolver(guard)
            .build()?;
        Ok(Self { client, guard, signer })
    }

    /// Sends `webhook` to `url` once; `now` is what the signature is dated.
    pub async fn send(&self, url: &str, webhook: &Webhook, now: Timestamp) -> Answer {
        let url = match self.guard.check(url) {
            Ok(url) => url,
            Err(forbidden) => return refused(Reason::ReceiverInvalid, forbidden.to_string()),
        };
        let shown = shown(&url);
        let timestamp = now.as_second();
        let mut request = self
            .client
            .post(url)
            .header(CONTENT_TYPE, CLOUD_EVENT)
            .header("webhook-id", &webhook.id)
            .header("webhook-timestamp", timestamp.to_string());
        if let Some(signature) = self.signer.sign(&webhook.id, timestamp, &webhook.body) {
            request = request.header("webhook-signature", signature);
        }
        if !webhook.trace.is_empty() {
            request = request.header("traceparent", &webhook.trace);
        }
        match request.body(webhook.body.clone()).send().await {
            Ok(response) => judge(&shown, &response, now),
            Err(error) => unreachable(&shown, error),
        }
    }
}

/// A receiver as it is shown: path and query of a webhook's URL are often its secret.
pub fn shown(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}", url.scheme(), url.host_str().unwrap_or_default())
}

fn refused(reason: Reason, error: String) -> Answer {
    Answer::Refused { reason, error }
}

fn judge(shown: &str, response: &Response, now: Timestamp) -> Answer {
    let status = response.status();
    let error = format!("{shown} answered {status}");
    match status {
        _ if status.is_success() => Answer::Delivered,
        StatusCode::GONE => refused(Reason::ReceiverGone, error),
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Answer::Failed { error, retry_after: retry_after(response.headers(), now) },
        _ => Answer::Failed { error, retry_after: None },
    }
}

/// `Retry-After` in either of its forms (RFC 9110, 10.2.3).
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse::<u32>() {
        return Some(Duration::from_secs(seconds.into()));
    }
    let date = jiff::fmt::rfc2822::parse(value).ok()?.timestamp();
    Duration::try_from(date.duration_since(now)).ok()
}

fn unreachable(shown: &str, error: reqwest::Error) -> Answer {
    let timed_out = error.is_timeout();
    let error = error.without_url();
    let mut causes = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(forbidden) = error.downcast_ref::<Forbidden>() {
            return refused(Reason::ReceiverInvalid, forbidden.to_string());
        }
        causes.push(error.to_string());
        cause = error.source();
    }
    let why = if timed_out { "did not answer in time".to_owned() } else { causes.join(": ") };
    Answer::Failed { error: format!("{shown}: {why}"), retry_after: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_read_in_seconds_and_as_a_date() {
        let now: Timestamp = "1994-11-06T08:49:07Z".parse().unwrap();
        let read = |value: &str| retry_after(&HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())]), now);
        assert_eq!(read("120"), Some(Duration::from_mins(2)));
        assert_eq!(read("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::from_secs(30)));
        assert_eq!(read("Sun, 06 Nov 1994 08:49:00 GMT"), None);
        assert!(["soon", "-1", ""].iter().all(|value| read(value).is_none()));
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }

    #[test]
    fn what_is_shown_of_a_receiver_is_not_its_secret() {
        let url: Url = "https://hooks.example.org:8443/services/T0/B0/secret?token=secret".parse().unwrap();
        assert_eq!(shown(&url), "https://hooks.example.org:8443");
    }
}
