//! One process under test: signalled, killed, awaited, asked for its metrics. What it logs goes to a file whose end is shown when
//! the test fails. It dies with the test.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use honk_protocol::run::Job;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use crate::{PATIENCE, eventually};

/// How many lines of a log are shown when a test fails.
const TAIL_LINES: usize = 40;

/// A process under test.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    pid: u32,
    log: PathBuf,
}

impl Process {
    /// Starts `binary` with exactly `environment`; its log goes to `log`.
    pub fn start(binary: &Path, environment: &[(String, String)], log: PathBuf) -> Self {
        Self::start_with(binary, &[], environment, log)
    }

    /// The same with arguments, for what needs an interpreter.
    pub fn start_with(binary: &Path, arguments: &[&Path], environment: &[(String, String)], log: PathBuf) -> Self {
        let file = File::create(&log).expect("a log file");
        let pairs = environment.iter().map(|(name, value)| (name, value));
        let mut command = Command::new(binary);
        command.args(arguments).env_clear().envs(pairs).stdin(Stdio::null()).kill_on_drop(true);
        command.stdout(file.try_clone().unwrap()).stderr(file);
        let child = command.spawn().unwrap_or_else(|error| panic!("{} does not start: {error}", binary.display()));
        let pid = child.id().expect("a new process has an id");
        let name = binary.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Self { name, child, pid, log }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether the attempt that is on record is its own.
    pub fn attempts(&self, job: &Job) -> bool {
        job.agent.as_ref().is_some_and(|agent| agent.ends_with(&format!(":{}", self.pid)))
    }

    /// Ends it as `kill -9` does, and waits until it has ended.
    pub async fn kill9(&mut self) {
        self.child.start_kill().expect("it can be killed");
        self.child.wait().await.expect("it can be waited for");
    }

    /// Freezes it.
    pub fn sigstop(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub fn sigcont(&self) {
        self.signal(Signal::CONT);
    }

    /// Asks it to end.
    pub fn sigterm(&self) {
        self.signal(Signal::TERM);
    }

    /// Whether it has not ended.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("it can be waited for").is_none()
    }

    /// Waits for its end.
    pub async fn wait(&mut self) -> ExitStatus {
        self.child.wait().await.expect("it can be waited for")
    }

    /// Waits for its end, at most for `limit`.
    pub async fn ended(&mut self, limit: Duration) -> ExitStatus {
        let ended = tokio::time::timeout(limit, self.child.wait()).await;
        ended.unwrap_or_else(|_| panic!("{} has not ended within {limit:?}", self.name)).expect("it can be waited for")
    }

    /// Everything it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until it says that it is ready.
    pub async fn ready(&self) {
        let awaited = format!("{} is ready", self.name);
        eventually(&awaited, PATIENCE, || self.get("/readyz")).await;
    }

    /// Its metrics, as it exposes them.
    pub async fn metrics(&self) -> String {
        eventually(&format!("metrics of {}", self.name), PATIENCE, || self.get("/metrics")).await
    }

    /// The value of one counter, named with its labels as the exposition has it; 0 if it is not there.
    pub async fn counter(&self, series: &str) -> u64 {
        let metrics = self.metrics().await;
        let value = metrics.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok());
        value.unwrap_or_default()
    }

    /// Waits until the counter is not 0 any more.
    pub async fn until_counted(&self, series: &str) {
        eventually(&format!("{} counts {series}", self.name), PATIENCE, || async {
            if self.counter(series).await > 0 { Ok(()) } else { Err(self.metrics().await) }
        })
        .await;
    }

    async fn get(&self, path: &str) -> Result<String, String> {
        let port = self.listening_port().ok_or("it does not listen yet")?;
        let response =
            reqwest::get(format!("http://127.0.0.1:{port}{path}")).await.map_err(|error| error.to_string())?;
        let (status, body) = (response.status(), response.text().await.map_err(|error| error.to_string())?);
        if status.is_success() { Ok(body) } else { Err(format!("{status} {body}")) }
    }

    /// The one port that it listens on, as the kernel has it: a free one that it chose itself.
    pub fn listening_port(&self) -> Option<u16> {
        let sockets: Vec<String> = fs::read_dir(format!("/proc/{}/fd", self.pid))
            .ok()?
            .filter_map(|fd| fs::read_link(fd.ok()?.path()).ok())
            .filter_map(|link| Some(link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
            .collect();
        let table = fs::read_to_string(format!("/proc/{}/net/tcp", self.pid)).ok()?;
        table.lines().skip(1).find_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let is_own =
                fields.get(3) == Some(&"0A") && sockets.iter().any(|inode| fields.get(9) == Some(&inode.as_str()));
            let port = fields.get(1)?.rsplit_once(':')?.1;
            is_own.then(|| u16::from_str_radix(port, 16).ok())?
        })
    }

    /// Resident memory and the highest it has been, in bytes.
    pub fn memory(&self) -> (u64, u64) {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).expect("it runs");
        let kilobytes = |name: &str| -> u64 {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("the kernel says so");
            line.trim().trim_end_matches(" kB").parse().expect("a number")
        };
        (kilobytes("VmRSS:") * 1024, kilobytes("VmHWM:") * 1024)
    }

    /// CPU time so far, of all its threads. The kernel counts in hundredths of a second.
    pub fn cpu(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid)).expect("it runs");
        let after_name = stat.rsplit_once(") ").expect("a name in parentheses").1;
        // utime and stime are fields 14 and 15 of proc(5); the name was field 2.
        let ticks: u64 = after_name.split(' ').skip(11).take(2).map(|field| field.parse::<u64>().expect("ticks")).sum();
        Duration::from_millis(ticks * 10)
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw).expect("a process id");
        kill_process(pid, signal).expect("it runs");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let tail = lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n");
            let mut stderr = std::io::stderr().lock();
            drop(writeln!(stderr, "--- end of the log of {} ({})\n{tail}", self.name, self.pid));
        }
    }
}
