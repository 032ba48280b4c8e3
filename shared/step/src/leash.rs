//! Steps must not outlive the agent, also when it is killed with SIGKILL: their jobs are then delivered to another agent, and two programs
//! would do the same work side by side.
//!
//! A parent-death signal would take unsafe code between fork and exec, and would not reach what a program has started. So one small shell
//! per agent waits on a pipe whose other end only the agent holds. When it closes, however that comes, the shell kills whatever
//! carries the agent's mark in its environment: every step's [`crate::COOKIE`] begins with it. Linux only, by `/proc`.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::OnceLock;

/// Waits, then looks three times: a program may start another while the first look goes on.
const WATCH: &str = r#"
read -r _
for look in 1 2 3; do
  for process in /proc/[0-9]*; do
    if grep -qsz "^$1" "$process/environ" 2>/dev/null; then kill -KILL "${process#/proc/}" 2>/dev/null; fi
  done
done
"#;

/// The pipe, for as long as this process lives.
static LEASH: OnceLock<(String, Option<ChildStdin>)> = OnceLock::new();

/// What the cookies of all steps of this process begin with. The first call puts them on the leash.
pub(crate) fn mark() -> &'static str {
    let (mark, _) = LEASH.get_or_init(|| {
        let mark = uuid::Uuid::new_v4().simple().to_string();
        let leash = if cfg!(target_os = "linux") { watch(&mark) } else { Ok(None) };
        let leash = leash.unwrap_or_else(|error| {
            tracing::warn!(%error, "steps are not on a leash: they go on if this agent is killed");
            None
        });
        (mark, leash)
    });
    mark
}

fn watch(mark: &str) -> io::Result<Option<ChildStdin>> {
    // In a process group of its own, so that neither a terminal's Ctrl-C nor the end of a step's group reaches it.
    let mut command = Command::new("/bin/sh");
    command.args(["-c", WATCH, "honk-leash"]).arg(format!("{}={mark}", crate::COOKIE));
    command.env_clear().env("PATH", "/usr/bin:/bin").current_dir("/").process_group(0);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    Ok(child.stdin.take())
}
