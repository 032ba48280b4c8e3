//! What `honk doctor` asks NATS. A server introduces itself to whoever connects, before any log-in, with its version and
//! whether it has `JetStream` (NATS client protocol, `INFO`); so this needs neither credentials nor a client.

use std::time::Duration;

use reqwest::Url;
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::TcpStream;

use super::{Check, host_and_port};

/// The port that `nats-server` listens on by default.
const DEFAULT_PORT: u16 = 4222;

/// The oldest server that has what Honk uses: expiry of single messages, and their counters.
const MIN_VERSION: (u32, u32) = (2, 12);

/// How long the server may take to introduce itself.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The most bytes of an introduction; a cluster lists its members in it.
const MAX_INFO_BYTES: u64 = 256 * 1024;

/// The part of the introduction that matters here.
#[derive(Debug, Default, Deserialize)]
struct Info {
    #[serde(default)]
    version: String,
    #[serde(default)]
    jetstream: bool,
    #[serde(default)]
    max_payload: u64,
}

pub(super) async fn checks(url: &Url) -> Vec<Check> {
    let address = host_and_port(url, DEFAULT_PORT);
    match tokio::time::timeout(TIMEOUT, introduction(&address)).await {
        Ok(Ok(info)) => judge(&address, &info),
        Ok(Err(error)) => vec![unreachable(&address, &error.to_string())],
        Err(_) => vec![unreachable(&address, "it says nothing")],
    }
}

fn unreachable(address: &str, cause: &str) -> Check {
    let message = format!("no NATS server at {address}: {cause}");
    Check::fail("nats", message, "start nats-server, or correct --nats")
}

async fn introduction(address: &str) -> std::io::Result<Info> {
    let stream = TcpStream::connect(address).await?;
    let mut line = String::new();
    BufReader::new(stream.take(MAX_INFO_BYTES)).read_line(&mut line).await?;
    let strange = || std::io::Error::other("what answers there is not NATS");
    let json = line.strip_prefix("INFO ").ok_or_else(strange)?;
    serde_json::from_str(json).map_err(|_| strange())
}

fn judge(address: &str, info: &Info) -> Vec<Check> {
    let Info { version, jetstream, max_payload } = info;
    let (major, minor) = MIN_VERSION;
    let mut checks = vec![match number(version) {
        Some(number) if number >= MIN_VERSION => Check::ok("nats", format!("{address} runs version {version}")),
        _ => Check::fail(
            "nats",
            format!("{address} runs version {version}, and Honk needs {major}.{minor} or later"),
            "upgrade nats-server",
        ),
    }];
    checks.push(if *jetstream {
        Check::ok("jetstream", "it is on")
    } else {
        Check::fail(
            "jetstream",
            "it is off",
            "start nats-server with `-js`, or with `jetstream {}` in its configuration",
        )
    });
    if *max_payload < 1024 * 1024 {
        let message = format!("messages may have {max_payload} bytes, and a run record up to 1 MiB");
        checks.push(Check::warn("payload", message, "set `max_payload: 1MB` or more in its configuration"));
    }
    checks
}

/// Major and minor version of `2.12.1-beta`.
fn number(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn an_old_server_and_one_without_jetstream_fail() {
        let verdicts = |version: &str, jetstream| {
            let info = Info { version: version.into(), jetstream, max_payload: 1 << 20 };
            judge("h:1", &info).iter().map(|check| check.verdict).collect::<Vec<_>>()
        };
        assert_eq!(verdicts("2.15.1", true), [Verdict::Ok, Verdict::Ok]);
        assert_eq!(verdicts("2.12.0-preview.1", true), [Verdict::Ok, Verdict::Ok]);
        assert_eq!(verdicts("2.9.25", false), [Verdict::Fail, Verdict::Fail]);
        assert_eq!(verdicts("latest", true), [Verdict::Fail, Verdict::Ok]);
    }
}
