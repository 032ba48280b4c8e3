//! This program again as a child process: a store that serves until its parent is gone, or a mover that does one copy.

use std::process::Stdio;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};

use super::mover::{Moved, Order};
use super::store::{Keys, Served};
use crate::error::CliError;

/// A store in a process of its own, which ends with this one.
pub(super) struct Server {
    _child: Child,
    /// The store serves until this is closed.
    _stdin: ChildStdin,
    url: String,
}

impl Server {
    /// Starts one on a free port that takes these keys.
    pub(super) async fn start((access_key, secret_key): (&str, &str)) -> Result<Self, CliError> {
        let keys = Keys { access_key: access_key.to_owned(), secret_key: secret_key.to_owned() };
        let (mut child, stdin) = start("store", &keys).await?;
        let Served { url } = answer(&mut child, "store").await?;
        Ok(Self { _child: child, _stdin: stdin, url })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }
}

/// Copies in a process of its own.
pub(super) async fn move_objects(order: &Order) -> Result<Moved, CliError> {
    let (mut child, stdin) = start("mover", order).await?;
    drop(stdin);
    let moved = answer(&mut child, "mover").await;
    let ended = child.wait().await.map_err(|error| broken("mover").caused_by(&error))?;
    if ended.success() { moved } else { Err(broken("mover").because(format!("it ended with {ended}"))) }
}

/// Starts this program as `honk bench <role>` and tells it what to do, as one line of JSON.
async fn start(role: &str, told: &impl Serialize) -> Result<(Child, ChildStdin), CliError> {
    let failed = |error: std::io::Error| CliError::failed(format!("cannot start the {role}")).caused_by(&error);
    let mut command = Command::new(std::env::current_exe().map_err(failed)?);
    command.args(["bench", role]).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().map_err(failed)?;
    let mut stdin = child.stdin.take().ok_or_else(|| broken(role))?;
    let line = serde_json::to_string(told).map_err(|error| broken(role).caused_by(&error))?;
    stdin.write_all(format!("{line}\n").as_bytes()).await.map_err(failed)?;
    Ok((child, stdin))
}

async fn answer<T: DeserializeOwned>(child: &mut Child, role: &str) -> Result<T, CliError> {
    let stdout = child.stdout.take().ok_or_else(|| broken(role))?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line).await.map_err(|error| broken(role).caused_by(&error))?;
    // What went wrong is on standard error, which the child shares.
    serde_json::from_str(&line).map_err(|_unreadable| broken(role))
}

/// What the parent process says, as one line of JSON on standard input.
pub(super) fn told<T: DeserializeOwned>() -> Result<T, CliError> {
    let mut line = String::new();
    let read = std::io::stdin().read_line(&mut line);
    read.map_err(|error| CliError::failed("cannot read standard input").caused_by(&error))?;
    serde_json::from_str(&line)
        .map_err(|error| CliError::usage("this command is for `honk bench copy` alone").caused_by(&error))
}

fn broken(role: &str) -> CliError {
    CliError::failed(format!("the {role} broke off"))
}
