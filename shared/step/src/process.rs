//! What `/proc` says of processes. Every answer is of the past when it arrives, so whoever acts on one looks again afterwards. On
//! a system without `/proc` there are no answers, and a step is known only by its process group.

use std::fs;
use std::io::Read as _;

use rustix::process::Pid;

/// How far an environment is read, in bytes: a program can move it, but the system gives none more than this.
const MOST_ENVIRONMENT: u64 = 8 << 20;

/// One line of `/proc/<pid>/stat`, as far as it is of use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stat {
    /// Ended, but nobody has asked how.
    pub(crate) zombie: bool,
    /// About to be: it has no memory any more, and so no environment.
    pub(crate) dying: bool,
    /// Its parent; 0 if that is outside of this namespace.
    pub(crate) parent: i32,
    /// Its process group.
    pub(crate) group: i32,
    /// Its session.
    pub(crate) session: i32,
    /// Processor time that it and its waited-for children have used, in clock ticks.
    pub(crate) ticks: u64,
    /// When it started, in clock ticks after the machine did: with its number, this is who it is.
    pub(crate) started: u64,
}

/// Its state, if it is there.
pub(crate) fn stat(pid: Pid) -> Option<Stat> {
    parse_stat(&fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_pid())).ok()?)
}

/// The second field is the program's name in parentheses, and may itself contain spaces and parentheses.
fn parse_stat(line: &str) -> Option<Stat> {
    let mut fields = line.get(line.rfind(')')? + 1..)?.split_ascii_whitespace();
    let state = fields.next()?;
    let mut number = |skip: usize| fields.nth(skip)?.parse::<i64>().ok();
    let parent = i32::try_from(number(0)?).ok()?;
    let group = i32::try_from(number(0)?).ok()?;
    let session = i32::try_from(number(0)?).ok()?;
    // tty, its group, flags, four counts of faults; then utime, stime, cutime, cstime (man 5 proc).
    let mut ticks = number(7)?;
    for _ in 0..3 {
        ticks += number(0)?;
    }
    let ticks = u64::try_from(ticks).unwrap_or(0);
    // Priority, niceness, threads, a timer; then the start and the size of its memory.
    let started = u64::try_from(number(4)?).unwrap_or(0);
    let dead = matches!(state, "Z" | "X");
    let dying = !dead && number(0)? == 0;
    Some(Stat { zombie: dead, dying, parent, group, session, ticks, started })
}

/// The children of all its threads, dead ones that were not waited for included.
pub(crate) fn children(pid: Pid) -> Vec<Pid> {
    let mut found = Vec::new();
    let Ok(threads) = fs::read_dir(format!("/proc/{}/task", pid.as_raw_pid())) else { return found };
    for thread in threads.flatten() {
        let Ok(text) = fs::read_to_string(thread.path().join("children")) else { continue };
        found.extend(text.split_ascii_whitespace().filter_map(parse_pid));
    }
    found
}

/// Every process of the machine, or of this container.
pub(crate) fn all() -> Vec<Pid> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries.flatten().filter_map(|entry| parse_pid(entry.file_name().to_str()?)).collect()
}

/// Whether the environment that it was started with has `variable`, given as `NAME=value`.
pub(crate) fn carries(pid: Pid, variable: &str) -> bool {
    let mut environment = Vec::new();
    fs::File::open(format!("/proc/{}/environ", pid.as_raw_pid()))
        .and_then(|file| file.take(MOST_ENVIRONMENT).read_to_end(&mut environment))
        .is_ok_and(|_| environment.split(|byte| *byte == 0).any(|entry| entry == variable.as_bytes()))
}

/// Whether it has one of these pipes open, given as inodes.
pub(crate) fn holds(pid: Pid, pipes: &[u64]) -> bool {
    let Ok(files) = fs::read_dir(format!("/proc/{}/fd", pid.as_raw_pid())) else { return false };
    let names: Vec<_> = pipes.iter().map(|inode| format!("pipe:[{inode}]")).collect();
    files
        .flatten()
        .filter_map(|file| fs::read_link(file.path()).ok())
        .any(|to| names.iter().any(|name| to.as_os_str() == name.as_str()))
}

/// What is resident of its memory, in pages, pages of files and of shared memory left out.
pub(crate) fn resident_pages(pid: Pid) -> u64 {
    let text = fs::read_to_string(format!("/proc/{}/statm", pid.as_raw_pid())).unwrap_or_default();
    let mut fields = text.split_ascii_whitespace().map(|field| field.parse::<u64>().unwrap_or(0)).skip(1);
    let (resident, shared) = (fields.next().unwrap_or(0), fields.next().unwrap_or(0));
    resident.saturating_sub(shared)
}

/// What is resident of its own memory, in bytes, where pages that a fork left in common are divided by who has them. Much dearer than
/// [`resident_pages`], which counts such pages for each of them.
pub(crate) fn proportional_bytes(pid: Pid) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{}/smaps_rollup", pid.as_raw_pid())).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss_Anon:"))?;
    line.split_ascii_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
}

fn parse_pid(text: &str) -> Option<Pid> {
    text.parse().ok().and_then(Pid::from_raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_read_whatever_the_program_calls_itself() {
        let line = "42 (a) b (c)) Z 7 40 39 0 -1 4194304 1 2 3 4 10 20 30 40 20 0 1 0 55 8192 0";
        let stat = parse_stat(line).expect("a stat line");
        let expected = Stat { zombie: true, dying: false, parent: 7, group: 40, session: 39, ticks: 100, started: 55 };
        assert_eq!(stat, expected);
        let line = line.replace(" Z ", " S ").replace(" 8192 ", " 0 ");
        assert!(parse_stat(&line).expect("a stat line").dying);
    }

    #[test]
    fn this_process_is_found_with_its_parent() {
        let this = stat(rustix::process::getpid()).expect("stat");
        assert!(!this.zombie && !this.dying && this.started > 0);
        assert_eq!(Pid::from_raw(this.parent), rustix::process::getppid());
        assert!(all().contains(&rustix::process::getpid()));
    }
}
