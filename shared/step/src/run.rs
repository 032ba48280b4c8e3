//! One step from its start to the end of everything that it started.

use std::os::unix::process::ExitStatusExt as _;
use std::pin::{Pin, pin};
use std::process::ExitStatus;
use std::time::Duration;

use jiff::Timestamp;
use tokio::process::Child;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::command::{Command, Ended, Exit, LimitHit, Limits, StartError};
use crate::family::{Family, Search};
use crate::masks::Masks;
use crate::output::{Control, Listener, Output};
use crate::start::{Started, start};
use crate::watch::limit_reached;

/// How long a program may take to end after SIGTERM.
const POLITE: Duration = Duration::from_secs(2);

/// How long a killed program is awaited. Only one that the system cannot interrupt takes longer than an instant.
const KILLED: Duration = Duration::from_secs(1);

/// How long others of the group may go on writing after the program itself has ended: `exec > >(tee log)` is a habit of shell scripts.
const STRAGGLERS: Duration = Duration::from_millis(250);

/// How long the end of the output is awaited when nobody should be left to write any.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// SIGXCPU and SIGXFSZ on Linux, on every architecture but MIPS.
const SIGXCPU: i32 = 24;
const SIGXFSZ: i32 = 25;

/// Runs a program and returns when neither it nor anything that it started is left.
///
/// - `stop` asks it to end: SIGTERM to its process group, two seconds later SIGKILL to everything. It is over within five seconds.
/// - What the program leaves running when it ends is killed, after a quarter of a second if it still has the program's output open.
/// - Dropping the future kills everything at once.
/// - A program that prints faster than `listener` takes waits. One whose listener is gone does not: its output is thrown away.
///
/// Any number of steps may run in one process at the same time. The process becomes the parent of all its orphaned descendants, for good.
///
/// # Errors
/// The program did not start: [`StartError::is_the_jobs`] says whose fault that is.
pub async fn run<N: Fn() -> Timestamp>(
    command: &Command,
    limits: &Limits,
    masks: &Masks,
    listener: Listener<N>,
    stop: &CancellationToken,
) -> Result<Ended, StartError> {
    // If the future is dropped, the family goes first, while the program still leads it.
    let Started { mut child, mut family } = start(command, limits).await?;
    let control = Control::default();
    let output = Output::new(masks, limits.log_bytes, listener, &control);
    let mut pump = pin!(output.pump(child.stdout.take(), child.stderr.take()));
    let mut printed = false;
    let end = {
        let mut end = pin!(end_of_program(&mut child, &family, limits, stop));
        loop {
            tokio::select! {
                end = &mut end => break end,
                () = &mut pump, if !printed => printed = true,
            }
        }
    };
    if !printed && end.by_itself() {
        printed = timeout(STRAGGLERS, &mut pump).await.is_ok();
    }
    family.end(if end.by_itself() { Search::Descendants } else { Search::Everywhere }).await;
    family.release();
    if !printed {
        last_words(pump, &control, end.by_itself(), stop).await;
    }
    let exit = end.exit.map_err(|source| StartError::Machine { doing: "wait for the program".to_owned(), source })?;
    Ok(Ended {
        exit,
        stopped: end.stopped,
        limit: end.limit.or(limit_of(exit, limits)),
        truncated: control.truncated(),
    })
}

/// How the program itself ended.
struct End {
    exit: std::io::Result<Exit>,
    stopped: bool,
    limit: Option<LimitHit>,
}

impl End {
    fn by_itself(&self) -> bool {
        !self.stopped && self.limit.is_none()
    }
}

async fn end_of_program(child: &mut Child, family: &Family, limits: &Limits, stop: &CancellationToken) -> End {
    let limit = tokio::select! {
        biased;
        status = child.wait() => return End { exit: status.map(exit_of), stopped: false, limit: None },
        () = stop.cancelled() => None,
        hit = limit_reached(family, limits) => Some(hit),
    };
    let stopped = limit.is_none();
    if stopped {
        family.terminate();
        if let Ok(status) = timeout(POLITE, child.wait()).await {
            return End { exit: status.map(exit_of), stopped, limit };
        }
    }
    family.strike(Search::Everywhere);
    let exit = match timeout(KILLED, child.wait()).await {
        Ok(status) => status.map(exit_of),
        Err(_) => Ok(Exit::Signal(rustix::process::Signal::KILL.as_raw())),
    };
    End { exit, stopped, limit }
}

/// Takes what is still in the pipes. Everybody who could write is dead, unless somebody got away, who must not hold the step up.
async fn last_words(
    mut pump: Pin<&mut impl Future<Output = ()>>,
    control: &Control,
    by_itself: bool,
    stop: &CancellationToken,
) {
    if timeout(LAST_WORDS, &mut pump).await.is_ok() {
        return;
    }
    control.close();
    // A slow listener gets everything of a step that ended by itself, and of another what it takes in a moment.
    let enough = async {
        if by_itself {
            stop.cancelled().await;
        }
        tokio::time::sleep(LAST_WORDS).await;
    };
    tokio::select! {
        () = pump => {}
        () = enough => {}
    }
}

fn exit_of(status: ExitStatus) -> Exit {
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, Some(signal)) => Exit::Signal(signal),
        // Cannot be: what has ended has one of the two.
        (None, None) => Exit::Code(-1),
    }
}

/// The limit that the system ended the program for, told by the signal that it has for it.
fn limit_of(exit: Exit, limits: &Limits) -> Option<LimitHit> {
    match exit {
        Exit::Signal(SIGXCPU) if limits.cpu.is_some() => Some(LimitHit::Cpu),
        Exit::Signal(SIGXFSZ) if limits.file_bytes.is_some() => Some(LimitHit::FileSize),
        _ => None,
    }
}
