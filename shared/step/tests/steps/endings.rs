//! How a program ends, and that nothing is left of it.

use std::time::{Duration, Instant};

use honk_protocol::log::LogStream;
use honk_step::Exit;

use crate::stage::{Stage, exists, gone, pids, texts};

/// What a stopped step may take.
const STOPPED: Duration = Duration::from_secs(5);

/// Prints `ready` with its process ids when everybody is there: a daemon of the usual kind, forked twice, with a session of its own and nothing of its
/// parents' open, which also ignores SIGTERM.
const DAEMON: &str = r"
import os, signal, sys, time
r, w = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.write(w, str(os.getpid()).encode())
        for fd in range(3): os.close(fd)
        os.close(w)
        os.chdir('/')
        time.sleep(3600)
    os._exit(0)
os.wait()
print(os.read(r, 20).decode(), flush=True)
";

#[tokio::test]
async fn exit_codes_and_signals_are_told() {
    let stage = Stage::new();
    assert_eq!(stage.shell("exit 0").await.0.exit, Exit::Code(0));
    assert_eq!(stage.shell("exit 75").await.0.exit, Exit::Code(75));
    assert_eq!(stage.shell("kill -KILL $$").await.0.exit, Exit::Signal(9));
    let exit = stage.shell("kill -SEGV $$").await.0.exit;
    assert_eq!(exit.to_string(), "signal 11 (SIGSEGV)");
}

#[tokio::test]
async fn what_a_program_leaves_running_is_gone_when_it_has_ended() {
    let stage = Stage::new();
    let (ended, lines) = stage.shell("sleep 3600 & echo $!; sleep 3600 >/dev/null 2>&1 & echo $!").await;
    assert_eq!(ended.exit, Exit::Code(0));
    assert!(!ended.stopped);
    let left = pids(&texts(&lines, LogStream::Stdout).join(" "));
    assert_eq!(left.len(), 2);
    assert!(left.into_iter().all(|pid| !exists(pid)));
}

#[tokio::test]
async fn a_daemon_is_gone_when_the_program_has_ended() {
    let (ended, lines) = Stage::new().python(DAEMON).await;
    assert_eq!(ended.exit, Exit::Code(0));
    assert!(!exists(pids(&lines[0].text)[0]));
}

#[tokio::test]
async fn an_orphan_that_has_ended_by_itself_leaves_no_zombie() {
    let script = "setsid sh -c 'echo $$; exec >/dev/null 2>&1' & sh -c 'echo $$' & wait; sh -c 'sleep 0.01 & echo $!'";
    let (_, lines) = Stage::new().shell(script).await;
    for pid in pids(&texts(&lines, LogStream::Stdout).join(" ")) {
        gone(pid).await;
    }
}

#[tokio::test]
async fn the_last_words_of_a_substituted_process_are_heard() {
    let stage = Stage::new();
    let (_, lines) = stage.run(&["bash", "-c", "exec > >(sleep 0.05; cat); echo late"]).await.expect("bash starts");
    assert_eq!(texts(&lines, LogStream::Stdout), ["late"]);
}

#[tokio::test]
async fn a_program_that_is_asked_to_stop_may_end_by_itself() {
    let stage = Stage::new();
    let mut step = stage.start(&["sh", "-c", "trap 'echo bye; exit 9' TERM; echo ready; sleep 3600 & wait"]);
    assert_eq!(step.line().await, "ready");
    step.stop.cancel();
    let (ended, lines) = step.finish().await.expect("starts");
    assert_eq!((ended.exit, ended.stopped), (Exit::Code(9), true));
    assert_eq!(lines[0].text, "bye");
}

#[tokio::test]
async fn a_program_that_ignores_sigterm_is_killed() {
    let script = "trap '' TERM; (trap '' TERM; sleep 3600) & echo $$ $!; while :; do sleep 1; done";
    let stage = Stage::new();
    let mut step = stage.start(&["sh", "-c", script]);
    let pids = step.pids().await;
    let begun = Instant::now();
    step.stop.cancel();
    let (ended, _) = step.finish().await.expect("starts");
    assert!(begun.elapsed() < STOPPED, "{:?}", begun.elapsed());
    assert_eq!((ended.exit, ended.stopped), (Exit::Signal(9), true));
    assert!(pids.into_iter().all(|pid| !exists(pid)));
}

#[tokio::test]
async fn a_stop_ends_daemons_too() {
    let script = format!("{DAEMON}\ntime.sleep(3600)");
    let stage = Stage::new();
    let mut step = stage.start(&["python3", "-c", &script]);
    let daemon = step.pids().await[0];
    assert!(exists(daemon));
    step.stop.cancel();
    let (ended, _) = step.finish().await.expect("starts");
    assert_eq!((ended.exit, ended.stopped), (Exit::Signal(15), true));
    assert!(!exists(daemon));
}

#[tokio::test]
async fn whoever_clears_its_environment_is_ended_as_a_descendant() {
    let stage = Stage::new();
    let mut step = stage.start(&["sh", "-c", "env -i /usr/bin/setsid /bin/sleep 3600 & echo $!; wait"]);
    let sleeper = step.pids().await[0];
    step.stop.cancel();
    step.finish().await.expect("starts");
    assert!(!exists(sleeper));
}

#[tokio::test]
async fn dropping_the_future_ends_everything() {
    let script = format!("{DAEMON}\nprint(os.getpid(), flush=True)\ntime.sleep(3600)");
    let stage = Stage::new();
    let mut step = stage.start(&["python3", "-c", &script]);
    let everybody = [step.pids().await[0], step.pids().await[0]];
    step.task.abort();
    for pid in everybody {
        gone(pid).await;
    }
}

#[tokio::test]
async fn a_step_that_ends_leaves_other_steps_and_children_alone() {
    let stage = Stage::new();
    let mut child = tokio::process::Command::new("sleep").arg("3600").kill_on_drop(true).spawn().expect("sleep");
    let mut other = stage.start(&["sh", "-c", "sleep 3600 & echo $!; read -r nothing; wait"]);
    let others = other.pids().await;
    stage.python(DAEMON).await;
    let mut stopped = stage.start(&["sh", "-c", "echo ready; sleep 3600"]);
    stopped.line().await;
    stopped.stop.cancel();
    stopped.finish().await.expect("starts");
    assert!(others.into_iter().all(exists));
    assert!(child.try_wait().expect("a child").is_none());
    other.stop.cancel();
    other.finish().await.expect("starts");
}

#[tokio::test]
async fn an_orphan_without_its_environment_is_told_by_the_output_that_it_has_open() {
    let script = r"
import os
r, w = os.pipe()
if os.fork() == 0:
    os.setsid()
    pid = os.fork()
    if pid == 0:
        os.execve('/bin/sleep', ['sleep', '3600'], {})
    print(pid, flush=True)
    os._exit(0)
os.wait()
os.close(w)
os.read(r, 1)
";
    let begun = Instant::now();
    let (ended, lines) = Stage::new().python(script).await;
    assert!(begun.elapsed() < STOPPED, "{:?}", begun.elapsed());
    assert_eq!(ended.exit, Exit::Code(0));
    assert!(!exists(pids(&lines[0].text)[0]));
}

#[tokio::test]
async fn a_pipe_that_somebody_else_holds_open_does_not_hold_the_step_up() {
    let stage = Stage::new();
    // This process itself takes the output of the step that ends.
    let mut step = stage.start(&["sh", "-c", "echo $$; while [ ! -e end ]; do :; done"]);
    let program = step.pids().await[0];
    let held = std::fs::OpenOptions::new().write(true).open(format!("/proc/{}/fd/1", program.as_raw_pid()));
    let held = held.expect("a pipe can be opened again");
    stage.write("end", "", 0o644);
    let begun = Instant::now();
    let (ended, _) = step.finish().await.expect("starts");
    assert!(begun.elapsed() < STOPPED, "{:?}", begun.elapsed());
    assert_eq!(ended.exit, Exit::Code(0));
    drop(held);
}
