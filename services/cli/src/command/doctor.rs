//! `honk doctor`: looks at everything that can be looked at from here, and says what to do about what it does not like.

mod api;
mod nats;

use reqwest::Url;
use serde::Serialize;

use crate::api::Api;
use crate::arguments::DoctorArguments;
use crate::error::{CliError, Exit};
use crate::output::{Output, inline};

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Ok,
    Warn,
    Fail,
}

/// A check, and what to do.
#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    verdict: Verdict,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
}

impl Check {
    fn ok(name: &'static str, message: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Ok, message: message.into(), advice: None }
    }

    fn warn(name: &'static str, message: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Warn, message: message.into(), advice: Some(advice.into()) }
    }

    fn fail(name: &'static str, message: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Fail, message: message.into(), advice: Some(advice.into()) }
    }
}

pub(super) async fn run(arguments: &DoctorArguments, api: &Api, output: &Output) -> Result<Exit, CliError> {
    let (mut checks, reachable) = api::checks(api).await;
    if let Some(nats) = &arguments.nats {
        checks.extend(nats::checks(nats).await);
    }
    output.data(&checks, |checks| checks.iter().map(line).collect())?;
    let failed = checks.iter().any(|check| check.verdict == Verdict::Fail);
    Ok(match (failed, reachable) {
        (_, false) => Exit::Unreachable,
        (true, true) => Exit::Failed,
        (false, true) => Exit::Done,
    })
}

fn line(check: &Check) -> String {
    let verdict = match check.verdict {
        Verdict::Ok => "ok",
        Verdict::Warn => "warn",
        Verdict::Fail => "FAIL",
    };
    let mut line = format!("{verdict:<4}  {:<12}  {}\n", check.name, inline(&check.message));
    if let Some(advice) = &check.advice {
        line.extend([format!("{:<20}hint: {}\n", "", inline(advice))]);
    }
    line
}

/// Where a URL points to, without what may be secret in it.
fn host_and_port(url: &Url, default_port: u16) -> String {
    format!("{}:{}", url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or(default_port))
}
