//! Finds the program and starts it under its limits.
//!
//! The program is found here and not by the system, for two reasons: a failure can say which of the many things behind
//! "no such file" it was, and a program with an absolute path is started with `posix_spawn`, which costs the same however large
//! the agent is.

use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::fs::fstat;
use rustix::io::Errno;
use rustix::process::Pid;
use tokio::process::Child;

use crate::command::{Command, Limits, StartError};
use crate::family::{COOKIE, Family, adopt_orphans};
use crate::leash;

/// Where programs are looked for if the environment has no `PATH`, as the C library does.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// How often a script is tried that is still open for writing: another thread that starts a program at this very moment holds a
/// copy of every open file until its program begins.
const BUSY_TRIES: u32 = 20;

/// A program that runs.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) child: Child,
    pub(crate) family: Family,
}

/// Starts the program in a group of its own, its standard input closed, its output piped.
pub(crate) async fn start(command: &Command, limits: &Limits) -> Result<Started, StartError> {
    let program = check(command)?;
    adopt_orphans();
    let id = format!("{}.{}", leash::mark(), uuid::Uuid::new_v4().simple());
    let mut prepared = prepare(command, &program, &id);
    let mut tries = 0;
    let child = loop {
        match prepared.spawn() {
            Ok(child) => break child,
            Err(error) if Errno::from_io_error(&error) == Some(Errno::TXTBSY) && tries < BUSY_TRIES => {
                tries += 1;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Err(error) => return Err(refused(command, &program, error)),
        }
    };
    let machine = |source| StartError::Machine { doing: format!("start `{}`", command.argv[0]), source };
    let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    let pid = pid.ok_or_else(|| machine(io::Error::other("it has no process id")))?;
    let family = Family::of(pid, &id, pipes(&child));
    limit(pid, limits).map_err(machine)?;
    Ok(Started { child, family })
}

fn pipes(child: &Child) -> Vec<u64> {
    let stdout = child.stdout.as_ref().map(AsFd::as_fd);
    let stderr = child.stderr.as_ref().map(AsFd::as_fd);
    [stdout, stderr].into_iter().flatten().filter_map(|pipe| Some(fstat(pipe).ok()?.st_ino)).collect()
}

/// The program's file, after everything that the system would refuse with a word that helps nobody.
fn check(command: &Command) -> Result<PathBuf, StartError> {
    let program = command.argv.first().filter(|program| !program.is_empty()).ok_or(StartError::Empty)?;
    if let Some(argument) = command.argv.iter().position(|argument| argument.contains('\0')) {
        return Err(StartError::Unfit {
            what: format!("argument {argument} has a NUL byte, which no program can be given"),
        });
    }
    for (name, value) in &command.env {
        let fault = if name.is_empty() || name.contains('=') {
            "is no name: it must not be empty nor contain `=`"
        } else if name.contains('\0') || value.contains('\0') {
            "has a NUL byte, which no program can be given"
        } else {
            continue;
        };
        return Err(StartError::Unfit { what: format!("the variable {name:?} {fault}") });
    }
    std::fs::read_dir(&command.folder).map_err(|source| StartError::Machine {
        doing: format!("use the work directory {}", command.folder.display()),
        source,
    })?;
    find(program, &command.env, &command.folder)
}

/// As `execvp` does it, with the given environment: the first that may be executed, else the first that is there.
fn find(program: &str, env: &BTreeMap<String, String>, folder: &Path) -> Result<PathBuf, StartError> {
    let missing = |place: String| StartError::Missing { program: program.to_owned(), place };
    if program.contains('/') {
        let path = folder.join(program);
        return match fitness(&path) {
            Fitness::Fit => Ok(path),
            Fitness::Unfit(fix) => Err(StartError::NotExecutable { program: program.to_owned(), fix }),
            Fitness::Missing if program.starts_with('/') => Err(missing("on this agent".to_owned())),
            Fitness::Missing => Err(missing("in the work directory".to_owned())),
        };
    }
    let path = env.get("PATH").map_or(DEFAULT_PATH, String::as_str);
    let mut unfit = None;
    for entry in path.split(':') {
        // An empty entry is the current directory, by old custom.
        let candidate = folder.join(entry).join(program);
        match fitness(&candidate) {
            Fitness::Fit => return Ok(candidate),
            Fitness::Unfit(fix) => unfit = unfit.or(Some(fix)),
            Fitness::Missing => {}
        }
    }
    match unfit {
        Some(fix) => Err(StartError::NotExecutable { program: program.to_owned(), fix }),
        None if folder.join(program).is_file() => Err(missing(format!(
            "on the agent's PATH ({path}); a file of this name lies in the work directory, which `./{program}` names"
        ))),
        None => Err(missing(format!("on the agent's PATH ({path})"))),
    }
}

enum Fitness {
    Fit,
    Unfit(&'static str),
    Missing,
}

fn fitness(path: &Path) -> Fitness {
    match std::fs::metadata(path) {
        Ok(data) if data.is_dir() => Fitness::Unfit("it is a directory"),
        Ok(data) if data.permissions().mode() & 0o111 == 0 => Fitness::Unfit(
            "make it executable (`chmod +x`) and register it again, or name its interpreter as the program",
        ),
        Ok(_) => Fitness::Fit,
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            Fitness::Unfit("the agent may not look into its directory")
        }
        Err(_) => Fitness::Missing,
    }
}

fn prepare(command: &Command, program: &Path, id: &str) -> tokio::process::Command {
    let mut prepared = tokio::process::Command::new(program);
    prepared
        .arg0(&command.argv[0])
        .args(&command.argv[1..])
        .env_clear()
        .envs(&command.env)
        .env(COOKIE, id)
        .current_dir(&command.folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    prepared
}

/// What the system's refusal to start a program that is there means.
fn refused(command: &Command, path: &Path, error: io::Error) -> StartError {
    let program = command.argv[0].clone();
    let errno = Errno::from_io_error(&error).filter(|_| command.folder.is_dir());
    match errno {
        Some(Errno::NOENT | Errno::NOTDIR | Errno::ACCESS | Errno::LOOP) => match missing_interpreter(path) {
            Some(interpreter) => StartError::InterpreterMissing { program, interpreter },
            None => StartError::NotExecutable {
                program,
                fix: "the agent's user may not, or the loader that it was linked for is not on this machine",
            },
        },
        Some(Errno::PERM) => {
            StartError::NotExecutable { program, fix: "the system forbids it; look at how its file system is mounted" }
        }
        Some(Errno::NOEXEC) => StartError::NotAProgram { program },
        Some(Errno::TOOBIG) => StartError::Unfit {
            what: format!(
                "the arguments and variables of `{program}` are too large for the system: hand large values over in a file"
            ),
        },
        _ => StartError::Machine { doing: format!("start `{program}`"), source: error },
    }
}

/// What stands in the first line of a script behind `#!`, if it is not there.
fn missing_interpreter(path: &Path) -> Option<String> {
    let mut head = Vec::new();
    std::fs::File::open(path).ok()?.take(256).read_to_end(&mut head).ok()?;
    let line = head.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let line = String::from_utf8_lossy(line);
    let name = line.trim_matches([' ', '\t']).split([' ', '\t']).next()?;
    // A script that was written on Windows asks for an interpreter whose name ends in a carriage return: shown as what it is.
    (!name.is_empty() && !Path::new(name).exists()).then(|| name.replace('\r', "\\r"))
}

/// Sets the system's limits on a process that runs already.
///
/// What it does in the moment before is not limited; to close that gap takes code between fork and exec, which is `unsafe`. A process
/// that it starts in that moment is limited by the first look from outside (`watch`).
#[cfg(target_os = "linux")]
pub(crate) fn limit(pid: Pid, limits: &Limits) -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, prlimit};

    let set = |resource, soft: Option<u64>, hard: Option<u64>| {
        // What this process itself may not exceed it cannot grant either.
        let most = getrlimit(resource).maximum;
        let within = |value: Option<u64>| value.map(|value| most.map_or(value, |most| value.min(most))).or(most);
        match prlimit(Some(pid), resource, Rlimit { current: within(soft), maximum: within(hard) }) {
            // It has ended already.
            Ok(_) | Err(Errno::SRCH) => Ok(()),
            Err(error) => Err(io::Error::from(error)),
        }
    };
    set(Resource::Core, Some(0), Some(0))?;
    if let Some(cpu) = limits.cpu {
        let seconds = cpu.as_secs() + u64::from(cpu.subsec_nanos() > 0);
        // Two seconds later than SIGXCPU comes SIGKILL, for a program that goes on.
        set(Resource::Cpu, Some(seconds.max(1)), Some(seconds.max(1) + 2))?;
    }
    if let Some(bytes) = limits.memory_bytes {
        set(Resource::Data, Some(bytes), Some(bytes))?;
    }
    if let Some(bytes) = limits.file_bytes {
        set(Resource::Fsize, Some(bytes), Some(bytes))?;
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn limit(_: Pid, _: &Limits) -> io::Result<()> {
    Ok(())
}
