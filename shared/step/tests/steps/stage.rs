//! What the tests have in common: a work directory, and a step that runs in it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use honk_protocol::log::{LogLine, LogStream};
use honk_step::{Command, Ended, Limits, Listener, Masks, StartError, run};
use rustix::process::{Pid, test_kill_process};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// What nothing here takes unless something hangs.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) struct Stage {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) limits: Limits,
    pub(crate) masks: Masks,
}

impl Stage {
    pub(crate) fn new() -> Self {
        let env = [("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned())].into();
        let folder = tempfile::tempdir().expect("a folder");
        Self { folder, env, limits: Limits::default(), masks: Masks::default() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn write(&self, name: &str, text: &str, mode: u32) {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.path().join(name);
        std::fs::write(&path, text).expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("mode set");
    }

    pub(crate) fn command(&self, argv: &[&str]) -> Command {
        let argv = argv.iter().map(|word| (*word).to_owned()).collect();
        Command { argv, env: self.env.clone(), folder: self.path().to_owned() }
    }

    /// Starts the step on a task of its own.
    pub(crate) fn start(&self, argv: &[&str]) -> Step {
        let (sender, lines) = mpsc::channel(64);
        let (command, limits, masks) = (self.command(argv), self.limits.clone(), self.masks.clone());
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        #[expect(clippy::disallowed_methods, reason = "a test ends its task by awaiting or aborting it")]
        let task = tokio::spawn(async move {
            let listener = Listener { lines: sender, now: || jiff::Timestamp::UNIX_EPOCH };
            run(&command, &limits, &masks, listener, &stopped).await
        });
        Step { task, lines, stop }
    }

    pub(crate) async fn run(&self, argv: &[&str]) -> Result<(Ended, Vec<LogLine>), StartError> {
        self.start(argv).finish().await
    }

    pub(crate) async fn shell(&self, script: &str) -> (Ended, Vec<LogLine>) {
        self.run(&["sh", "-c", script]).await.expect("sh starts")
    }

    pub(crate) async fn python(&self, script: &str) -> (Ended, Vec<LogLine>) {
        self.run(&["python3", "-c", script]).await.expect("python3 starts")
    }
}

/// A step under way.
pub(crate) struct Step {
    pub(crate) task: JoinHandle<Result<Ended, StartError>>,
    pub(crate) lines: mpsc::Receiver<LogLine>,
    pub(crate) stop: CancellationToken,
}

impl Step {
    /// The next line that it prints.
    pub(crate) async fn line(&mut self) -> String {
        tokio::time::timeout(PATIENCE, self.lines.recv()).await.expect("a line in time").expect("a line").text
    }

    /// The process ids in the next line.
    pub(crate) async fn pids(&mut self) -> Vec<Pid> {
        pids(&self.line().await)
    }

    /// Its end, and the lines that were not taken.
    pub(crate) async fn finish(mut self) -> Result<(Ended, Vec<LogLine>), StartError> {
        let mut lines = Vec::new();
        let all = async {
            while let Some(line) = self.lines.recv().await {
                lines.push(line);
            }
            self.task.await.expect("no panic")
        };
        let ended = tokio::time::timeout(PATIENCE, all).await.expect("the step ends")?;
        Ok((ended, lines))
    }
}

pub(crate) fn pids(line: &str) -> Vec<Pid> {
    line.split_whitespace().map(|pid| pid.parse().ok().and_then(Pid::from_raw).expect("a process id")).collect()
}

/// Whether it has an entry in the process table, be it alive or a zombie.
pub(crate) fn exists(pid: Pid) -> bool {
    test_kill_process(pid).is_ok()
}

/// Waits until it has none.
pub(crate) async fn gone(pid: Pid) {
    let wait = async {
        while exists(pid) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("process {pid:?} is still there"));
}

/// The texts of one stream.
pub(crate) fn texts(lines: &[LogLine], stream: LogStream) -> Vec<&str> {
    lines.iter().filter(|line| line.stream == stream).map(|line| line.text.as_str()).collect()
}
