//! What is asked of this crate, and what it answers.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// A program with its arguments. No shell reads it: every argument arrives byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The program, then its arguments. A program without `/` is looked for in the `PATH` of [`Command::env`]; one with `/` is
    /// relative to [`Command::folder`] unless it is absolute.
    pub argv: Vec<String>,
    /// The whole environment: nothing is inherited. Only [`crate::COOKIE`] is added.
    pub env: BTreeMap<String, String>,
    /// The work directory: absolute, and there.
    pub folder: PathBuf,
}

/// What a step may use.
///
/// Processor time and memory bound every single process from the inside, by the system's own limits, and all processes of the step
/// together from the outside, by a look about once a second (Linux; elsewhere only [`Limits::log_bytes`] holds).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Processor time, user and system; counted in whole seconds, rounded up.
    pub cpu: Option<Duration>,
    /// Memory, in bytes: of one process its data segments, of all together what is resident.
    pub memory_bytes: Option<u64>,
    /// The size of any file that it writes, in bytes.
    pub file_bytes: Option<u64>,
    /// Processes at one time, itself included.
    pub processes: Option<u32>,
    /// What is kept of its output, both streams together, in bytes. Every line counts 32 bytes besides its text, so that a flood
    /// of empty lines ends too.
    pub log_bytes: u64,
}

impl Default for Limits {
    /// Generous to honest work: an hour of processor time, 4 GiB of memory, files of 64 GiB, 512 processes, 10 MiB of output.
    fn default() -> Self {
        Self {
            cpu: Some(Duration::from_hours(1)),
            memory_bytes: Some(4 << 30),
            file_bytes: Some(64 << 30),
            processes: Some(512),
            log_bytes: 10 << 20,
        }
    }
}

/// A limit that a step reached, for which it was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitHit {
    /// [`Limits::cpu`].
    Cpu,
    /// [`Limits::memory_bytes`].
    Memory,
    /// [`Limits::file_bytes`].
    FileSize,
    /// [`Limits::processes`].
    Processes,
}

impl fmt::Display for LimitHit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cpu => "processor time",
            Self::Memory => "memory",
            Self::FileSize => "file size",
            Self::Processes => "number of processes",
        })
    }
}

/// How a step ended. When it is there, nothing that the step started is left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// What its program said last.
    pub exit: Exit,
    /// Whether it was asked to stop before it ended by itself.
    pub stopped: bool,
    /// The limit that ended it.
    pub limit: Option<LimitHit>,
    /// Whether it printed more than [`Limits::log_bytes`].
    pub truncated: bool,
}

/// The end of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Its exit status.
    Code(i32),
    /// The signal that killed it.
    Signal(i32),
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit status {code}"),
            Self::Signal(signal) => match signal_name(*signal) {
                Some(name) => write!(f, "signal {signal} ({name})"),
                None => write!(f, "signal {signal}"),
            },
        }
    }
}

/// The names of the signals whose numbers are the same on every system, and of the two of the limits as Linux on x86 and ARM
/// numbers them.
fn signal_name(signal: i32) -> Option<&'static str> {
    Some(match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        5 => "SIGTRAP",
        6 => "SIGABRT",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        24 => "SIGXCPU",
        25 => "SIGXFSZ",
        _ => return None,
    })
}

/// Why a program did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// There is no argument at all, or the first is empty.
    #[error("the command is empty: name a program")]
    Empty,
    /// There is no such program.
    #[error(
        "there is no program `{program}` {place}: install it on the agent, correct the name, or take the script along with `include:`"
    )]
    Missing {
        /// The program as it was named.
        program: String,
        /// Where it was looked for, as words that follow the program.
        place: String,
    },
    /// It is a script, and what its first line names is not there.
    #[error(
        "`{program}` names the interpreter `{interpreter}`, which is not there: install it on the agent, or correct the first line of the script"
    )]
    InterpreterMissing {
        /// The script.
        program: String,
        /// What stands behind its `#!`.
        interpreter: String,
    },
    /// It is there but may not be executed, or is a directory.
    #[error("`{program}` may not be executed: {fix}")]
    NotExecutable {
        /// The program as it was named.
        program: String,
        /// What to do.
        fix: &'static str,
    },
    /// It may be executed but is neither a program of this machine nor a script that names its interpreter.
    #[error(
        "`{program}` is no program of this machine: begin a script with a line such as `#!/bin/sh`, or name its interpreter as the program"
    )]
    NotAProgram {
        /// The program as it was named.
        program: String,
    },
    /// An argument or variable cannot be handed over.
    #[error("{what}")]
    Unfit {
        /// Which, and what is wrong with it.
        what: String,
    },
    /// The machine refused: no memory, no process, no work directory.
    #[error("cannot {doing}")]
    Machine {
        /// What was being done, as words that follow "cannot".
        doing: String,
        /// The system's answer.
        source: io::Error,
    },
}

impl StartError {
    /// Whether the job itself is at fault, so that trying again on the same agent cannot help. Else the machine is.
    pub fn is_the_jobs(&self) -> bool {
        !matches!(self, Self::Machine { .. })
    }
}
