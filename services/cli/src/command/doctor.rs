//! `honk doctor`: looks at everything that can be looked at from here, and says what to do about what it does not like.

mod api;
mod nats;
mod store;

use reqwest::Url;
use serde::Serialize;

use crate::api::Api;
use crate::arguments::DoctorArguments;
use crate::error::{CliError, Exit};
use crate::output::{Output, inline};

/// The names' column is as wide as this at least.
const MIN_WIDTH: usize = 12;

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
    if let Some(place) = arguments.place() {
        return told(&store::checks(place).await?, true, output);
    }
    let (mut checks, reachable) = api::checks(api).await;
    if let Some(nats) = &arguments.nats {
        checks.extend(nats::checks(nats).await);
    }
    told(&checks, reachable, output)
}

fn told(checks: &[Check], reachable: bool, output: &Output) -> Result<Exit, CliError> {
    let width = checks.iter().map(|check| check.name.len()).max().unwrap_or_default().max(MIN_WIDTH);
    output.data(checks, |checks| checks.iter().map(|check| line(check, width)).collect())?;
    let failed = checks.iter().any(|check| check.verdict == Verdict::Fail);
    Ok(match (failed, reachable) {
        (_, false) => Exit::Unreachable,
        (true, true) => Exit::Failed,
        (false, true) => Exit::Done,
    })
}

fn line(check: &Check, width: usize) -> String {
    let verdict = match check.verdict {
        Verdict::Ok => "ok",
        Verdict::Warn => "warn",
        Verdict::Fail => "FAIL",
    };
    let mut line = format!("{verdict:<4}  {:<width$}  {}\n", check.name, inline(&check.message));
    if let Some(advice) = &check.advice {
        line.extend([format!("{:<indent$}hint: {}\n", "", inline(advice), indent = width + 8)]);
    }
    line
}

/// Where a URL points to, without what may be secret in it.
fn host_and_port(url: &Url, default_port: u16) -> String {
    format!("{}:{}", url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or(default_port))
}
