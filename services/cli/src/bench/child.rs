//! This program again as a child process: a store or an agent that serves until its parent is gone, or a mover that does one copy.

use std::process::Stdio;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::error::CliError;

/// A child process in one of its roles, which ends with this one.
pub(super) struct Process {
    role: &'static str,
    child: Child,
    /// What serves does so until this is closed.
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Process {
    /// Starts this program as `honk bench <role>` and tells it what to do, as one line of JSON.
    pub(super) async fn start(role: &'static str, told: &impl Serialize) -> Result<Self, CliError> {
        let failed = |error: std::io::Error| CliError::failed(format!("cannot start the {role}")).caused_by(&error);
        let mut command = Command::new(std::env::current_exe().map_err(failed)?);
        command.args(["bench", role]).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().map_err(failed)?;
        let mut stdin = child.stdin.take().ok_or_else(|| broken(role))?;
        let stdout = BufReader::new(child.stdout.take().ok_or_else(|| broken(role))?);
        let line = serde_json::to_string(told).map_err(|error| broken(role).caused_by(&error))?;
        stdin.write_all(format!("{line}\n").as_bytes()).await.map_err(failed)?;
        Ok(Self { role, child, stdin: Some(stdin), stdout })
    }

    /// What it says, as one line of JSON.
    pub(super) async fn answer<T: DeserializeOwned>(&mut self) -> Result<T, CliError> {
        let mut line = String::new();
        self.stdout.read_line(&mut line).await.map_err(|error| broken(self.role).caused_by(&error))?;
        // What went wrong is on standard error, which the child shares.
        serde_json::from_str(&line).map_err(|_unreadable| broken(self.role))
    }

    /// Lets it come to its end, and takes what it says then.
    pub(super) async fn end<T: DeserializeOwned>(mut self) -> Result<T, CliError> {
        drop(self.stdin.take());
        let said = self.answer().await;
        let ended = self.child.wait().await.map_err(|error| broken(self.role).caused_by(&error))?;
        if ended.success() { said } else { Err(broken(self.role).because(format!("it ended with {ended}"))) }
    }
}

/// What the parent process says, as one line of JSON on standard input.
pub(super) fn told<T: DeserializeOwned>() -> Result<T, CliError> {
    let mut line = String::new();
    let read = std::io::stdin().read_line(&mut line);
    read.map_err(|error| CliError::failed("cannot read standard input").caused_by(&error))?;
    serde_json::from_str(&line)
        .map_err(|error| CliError::usage("this command is for other commands of `honk bench`").caused_by(&error))
}

/// Waits until the parent process closes standard input, or is gone. Whatever else arrives, or an error: only the end counts.
pub(super) async fn closed() -> Result<(), CliError> {
    let ended = tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink()));
    ended.await.map(drop).map_err(|error| CliError::failed("standard input broke off").caused_by(&error))
}

fn broken(role: &str) -> CliError {
    CliError::failed(format!("the {role} broke off"))
}
