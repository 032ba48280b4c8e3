//! One running `nats-server` process on a leash.
//!
//! The server must not outlive Honk, also when Honk is killed with SIGKILL, and must not hear the terminal's Ctrl-C, so
//! that Honk can drain first. The first needs either unsafe code between fork and exec (a parent-death signal, Linux
//! only) or a pipe: a shell of three lines puts a watcher on its standard input, whose other end is ours, and then
//! becomes `nats-server` under the same process id. When the pipe closes without a word, the watcher kills the server.

use std::fs::File;
use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, ChildStdin, Command};

/// `$$` in the watcher is the shell's process id, which `exec` hands to nats-server. The pipe is moved to descriptor 3
/// because a shell gives background commands /dev/null as standard input.
const LEASH: &str = "exec 3<&0 </dev/null; { read -r _ <&3 || kill -KILL $$; } & exec 3<&-; exec \"$@\"";

#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    leash: ChildStdin,
}

impl Process {
    /// Starts the server in a process group of its own; what it prints is appended to `log`.
    pub(super) fn spawn(binary: &Path, arguments: &[String], log: &File) -> io::Result<Self> {
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", LEASH, "sh"])
            .arg(binary)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log.try_clone()?)
            .process_group(0)
            .kill_on_drop(true);
        let mut child = command.spawn()?;
        // Taken out of the child, whose `wait` would close it.
        let leash = child.stdin.take().ok_or_else(|| io::Error::other("the child has no standard input"))?;
        Ok(Self { child, leash })
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    pub(super) fn exited(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// SIGTERM, and SIGKILL if that did not end it within `limit`.
    pub(super) async fn terminate(mut self, limit: Duration) -> io::Result<()> {
        self.signal(Signal::TERM)?;
        if tokio::time::timeout(limit, self.child.wait()).await.is_err() {
            tracing::warn!(seconds = limit.as_secs(), "nats-server did not stop in time and is killed");
            self.child.start_kill()?;
        }
        self.finish().await
    }

    /// SIGKILL, as a crash would end it.
    pub(super) async fn kill(mut self) -> io::Result<()> {
        self.child.start_kill()?;
        self.finish().await
    }

    async fn finish(mut self) -> io::Result<()> {
        self.child.wait().await?;
        // A line on the pipe lets the watcher end without a kill. It may be gone already.
        match self.leash.write_all(b"\n").await {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
            _ => Ok(()),
        }
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        let pid = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        match pid.map(|pid| kill_process(pid, signal)) {
            None | Some(Ok(()) | Err(rustix::io::Errno::SRCH)) => Ok(()),
            Some(Err(error)) => Err(error.into()),
        }
    }
}
