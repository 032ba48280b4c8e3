//! What a step may use.

use std::time::Duration;

use honk_protocol::log::LogStream;
use honk_step::{Exit, LimitHit};

use crate::stage::{Stage, exists, pids, texts};

#[tokio::test]
async fn a_file_grows_to_the_limit_and_no_further() {
    let mut stage = Stage::new();
    stage.limits.file_bytes = Some(1 << 20);
    // The limit is set a moment after the start.
    let script = "while [ $(ulimit -f) = unlimited ]; do :; done; exec dd if=/dev/zero of=large bs=65536 count=1000";
    let (ended, _) = stage.shell(script).await;
    assert_eq!((ended.exit, ended.limit), (Exit::Signal(25), Some(LimitHit::FileSize)));
    assert_eq!(std::fs::metadata(stage.path().join("large")).expect("a file").len(), 1 << 20);
}

#[tokio::test]
async fn a_busy_program_is_ended_at_its_processor_time() {
    let mut stage = Stage::new();
    stage.limits.cpu = Some(Duration::from_secs(1));
    let (ended, _) = stage.shell("while :; do :; done").await;
    assert_eq!(ended.limit, Some(LimitHit::Cpu));
}

#[tokio::test]
async fn the_processor_time_of_children_counts_too() {
    let mut stage = Stage::new();
    stage.limits.cpu = Some(Duration::from_secs(1));
    let (ended, _) = stage.shell("for i in 1 2 3; do (while :; do :; done) & done; wait").await;
    assert_eq!((ended.exit, ended.limit), (Exit::Signal(9), Some(LimitHit::Cpu)));
}

#[tokio::test]
async fn one_process_gets_no_more_memory_than_the_limit() {
    let mut stage = Stage::new();
    stage.limits.memory_bytes = Some(256 << 20);
    let script = "try:\n x = bytearray(1 << 30)\nexcept MemoryError:\n print('refused')";
    let (_, lines) = stage.python(script).await;
    assert_eq!(texts(&lines, LogStream::Stdout), ["refused"]);
}

#[tokio::test]
async fn several_processes_together_get_no_more_memory_than_the_limit() {
    let mut stage = Stage::new();
    stage.limits.memory_bytes = Some(128 << 20);
    let script =
        "import os, time\nfor i in range(4):\n if os.fork() == 0: break\nx = b'x' * (60 << 20)\ntime.sleep(3600)";
    let (ended, _) = stage.python(script).await;
    assert_eq!((ended.exit, ended.limit), (Exit::Signal(9), Some(LimitHit::Memory)));
}

#[tokio::test]
async fn memory_that_a_fork_left_in_common_counts_once() {
    let mut stage = Stage::new();
    stage.limits.memory_bytes = Some(128 << 20);
    let script = "import os, time\nx = b'x' * (60 << 20)\npids = []\nfor i in range(4):\n pid = os.fork()\n if pid == 0:\n  time.sleep(0.5); os._exit(0)\n pids.append(pid)\nfor pid in pids: os.waitpid(pid, 0)";
    let (ended, _) = stage.python(script).await;
    assert_eq!((ended.exit, ended.limit), (Exit::Code(0), None));
}

#[tokio::test]
async fn a_bomb_of_processes_is_ended_also_if_each_leaves_the_group() {
    let mut stage = Stage::new();
    stage.limits.processes = Some(50);
    // It stops by itself well before it harms the machine.
    let script = "import os, time\nfor i in range(500):\n pid = os.fork()\n if pid == 0:\n  os.setsid(); print(os.getpid(), flush=True); time.sleep(3600)\n time.sleep(0.001)\ntime.sleep(3600)";
    let (ended, lines) = stage.python(script).await;
    assert_eq!((ended.exit, ended.limit), (Exit::Signal(9), Some(LimitHit::Processes)));
    let bomb = pids(&texts(&lines, LogStream::Stdout).join(" "));
    assert!(bomb.len() >= 49 && bomb.len() < 500, "{}", bomb.len());
    assert!(bomb.into_iter().all(|pid| !exists(pid)));
}
