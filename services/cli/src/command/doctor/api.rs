//! What `honk doctor` asks the API: is it there, is it ready, what time it has, and whether it has something to do.

use honk_api::wire::{DatasetPage, DatasetQuery, DeadLetterPage, DeadLetterQuery, WorkflowPage};
use honk_service::Clock;
use jiff::{SignedDuration, Timestamp};
use reqwest::Response;
use serde::Deserialize;

use super::Check;
use crate::api::{Api, UNREACHABLE_HINT};

/// The most that two clocks may differ. An HTTP date is cut to seconds, and an answer takes time.
const MAX_SKEW: SignedDuration = SignedDuration::from_secs(5);

/// What `/readyz` answers.
#[derive(Debug, Deserialize)]
struct Readiness {
    ok: bool,
    #[serde(default)]
    checks: Vec<Component>,
}

/// A part of the API that must be ready.
#[derive(Debug, Deserialize)]
struct Component {
    name: String,
    ok: bool,
    #[serde(default)]
    detail: String,
}

/// The checks, and whether the API could be reached at all.
pub(super) async fn checks(api: &Api) -> (Vec<Check>, bool) {
    let response = match api.probe(&["healthz"]).await {
        Ok(response) => response,
        Err(error) => {
            return (vec![Check::fail("api", error.to_string(), UNREACHABLE_HINT)], false);
        }
    };
    let mut checks = vec![alive(api, &response), clock(&response)];
    checks.push(ready(api).await);
    checks.extend(contents(api).await);
    (checks, true)
}

fn alive(api: &Api, response: &Response) -> Check {
    let url = api.shown();
    match response.status().as_u16() {
        200..=299 => Check::ok("api", format!("{url} answers")),
        503 => Check::fail("api", format!("{url} says that it is stuck"), "look at its logs, and restart it"),
        status => Check::fail(
            "api",
            format!("{url} answered {status}, but not as Honk's API does"),
            "look at --api-url or HONK_API_URL",
        ),
    }
}

/// Dates in records, and the validity of S3 signatures, need clocks that agree.
fn clock(response: &Response) -> Check {
    let date = response.headers().get("date").and_then(|date| date.to_str().ok());
    let date = date.and_then(|date| jiff::fmt::rfc2822::parse(date).ok()).map(|date| date.timestamp());
    match date {
        None => Check::warn("clock", "the API did not say what time it has", "compare the clocks by hand"),
        Some(date) => skew(date, Clock::system().now()),
    }
}

fn skew(theirs: Timestamp, ours: Timestamp) -> Check {
    let ahead = theirs.duration_since(ours);
    if ahead.abs() <= MAX_SKEW {
        return Check::ok("clock", "this machine's and the API's clock agree");
    }
    let direction = if ahead.is_positive() { "ahead of" } else { "behind" };
    let message = format!("the API's clock is {} s {direction} this machine's", ahead.abs().as_secs());
    Check::warn("clock", message, "synchronise both with NTP")
}

async fn ready(api: &Api) -> Check {
    let advice = "look at what it names; the API gets ready by itself once that is there";
    let response = match api.probe(&["readyz"]).await {
        Ok(response) => response.json::<Readiness>().await,
        Err(error) => return Check::fail("ready", error.to_string(), advice),
    };
    match response {
        Ok(Readiness { ok: true, .. }) => Check::ok("ready", "the API can do its work"),
        Ok(Readiness { checks, .. }) => {
            let missing = checks.iter().filter(|component| !component.ok);
            let named: Vec<_> = missing.map(|component| format!("{}: {}", component.name, component.detail)).collect();
            Check::fail("ready", format!("the API cannot do its work now ({})", named.join("; ")), advice)
        }
        Err(_) => Check::fail("ready", "the answer is not one of Honk's API", "look at --api-url or HONK_API_URL"),
    }
}

/// Whether there is something to do, and nothing left undone. What cannot be asked is left out: the checks before say why.
async fn contents(api: &Api) -> Vec<Check> {
    let mut checks = Vec::new();
    if let Ok(WorkflowPage { workflows }) = api.get(&["api", "workflows"]).await {
        checks.push(match workflows.len() {
            0 => Check::warn("workflows", "none is registered", "register one with `honk register FILE`"),
            _ => Check::ok("workflows", count(workflows.len(), false)),
        });
    }
    if let Ok(found) = api.list::<DatasetPage>(&["api", "datasets"], &DatasetQuery::default(), 1).await {
        checks.push(match found.items.len() {
            0 => Check::warn("datasets", "the catalog is empty", "import some with `honk catalog import FILE`"),
            _ => Check::ok("datasets", "the catalog has some"),
        });
    }
    let letters = api.list::<DeadLetterPage>(&["api", "dead-letters"], &DeadLetterQuery::default(), 100).await;
    if let Ok(found) = letters {
        checks.push(match found.items.len() {
            0 => Check::ok("dead letters", "none"),
            some => Check::warn(
                "dead letters",
                format!("{}, waiting for a decision", count(some, found.more)),
                "look at them with `honk dlq list`, then replay or discard them",
            ),
        });
    }
    checks
}

fn count(count: usize, more: bool) -> String {
    if more { format!("more than {count}") } else { count.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::doctor::Verdict;

    #[test]
    fn clocks_may_differ_by_seconds_but_not_by_minutes() {
        let ours: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let check = |seconds| skew(ours + SignedDuration::from_secs(seconds), ours);
        assert_eq!(check(-5).verdict, Verdict::Ok);
        assert_eq!(check(90).message, "the API's clock is 90 s ahead of this machine's");
        assert_eq!(check(-90).message, "the API's clock is 90 s behind this machine's");
        assert_eq!(check(90).verdict, Verdict::Warn);
    }
}
