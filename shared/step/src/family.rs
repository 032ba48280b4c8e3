//! A program and everything that it started, to be found and ended as a whole.
//!
//! A process group alone is not enough: whoever calls `setsid` leaves it, and whoever forks twice loses its parent. So this process
//! becomes the *reaper* of its descendants (Linux): an orphan among them becomes its child instead of init's, and every step carries a
//! variable of its own in its environment, [`COOKIE`], by which its orphans are told from the children of anybody else in this
//! process; an orphan of another session that has the step's output open is the step's too. Nothing else is ever touched, but what descends from these.
//!
//! What gets away: a program that clears its environment, closes its output *and* leaves its parents, its group and its session, before
//! anybody has looked. A container around the agent is the answer to a step that wants to.

use std::collections::{HashMap, HashSet};
use std::sync::{LazyLock, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, kill_process_group, waitpid};
use tokio::time::Instant;

use crate::process;

/// The variable that every process of a step has in its environment; its value is of no other use.
pub const COOKIE: &str = "HONK_STEP_ID";

/// How long the killed are awaited. Longer can only be a process that the system cannot interrupt, such as one that waits for a dead disk.
const BURIAL: Duration = Duration::from_secs(1);

/// The programs of all steps under way. Their exit status is awaited elsewhere, so they are never waited for here.
static LEADERS: LazyLock<Mutex<HashSet<Pid>>> = LazyLock::new(Mutex::default);

/// How hard to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Search {
    /// Among the descendants of this process: a few reads.
    Descendants,
    /// Among all processes of the machine too, which finds what another reaper has adopted, or where there is none.
    Everywhere,
}

/// The processes of one step. Dropped before it was [`Family::release`]d, it ends them.
#[derive(Debug)]
pub(crate) struct Family {
    /// The program itself, and its process group.
    leader: Pid,
    /// `HONK_STEP_ID=…`.
    cookie: String,
    /// The inodes of the pipes that its output goes to.
    pipes: Vec<u64>,
    /// The program itself has ended and was waited for, so that its number may be given to another.
    ended: bool,
    released: bool,
    /// Whom the last look has found, and when each started: who clears its environment and then loses its parent is still known.
    known: Mutex<HashMap<Pid, u64>>,
}

impl Family {
    /// The family of a program that was just started, with `id` as the value of its [`COOKIE`] and its output in `pipes`.
    pub(crate) fn of(leader: Pid, id: &str, pipes: Vec<u64>) -> Self {
        leaders(|all| all.insert(leader));
        let cookie = format!("{COOKIE}={id}");
        Self { leader, cookie, pipes, ended: false, released: false, known: Mutex::default() }
    }

    /// Asks all of the process group to end.
    pub(crate) fn terminate(&self) {
        // Whoever has left the group will be an orphan when the program is gone.
        self.members(Search::Descendants);
        signal_group(self.leader, Signal::TERM);
    }

    /// Everything that lives or awaits burial, the program itself included.
    pub(crate) fn members(&self, search: Search) -> Vec<Pid> {
        let mut found: Vec<Pid> = process::children(getpid()).into_iter().filter(|pid| self.is_root(*pid)).collect();
        if search == Search::Everywhere {
            found.extend(process::all().into_iter().filter(|pid| process::carries(*pid, &self.cookie)));
        }
        let mut seen = HashSet::new();
        let mut members = Vec::new();
        while let Some(pid) = found.pop() {
            if seen.insert(pid) {
                members.push(pid);
                found.extend(process::children(pid));
            }
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        // Who has gone is forgotten: its number may come back as somebody else's.
        *known = members.iter().filter_map(|pid| Some((*pid, process::stat(*pid)?.started))).collect();
        members
    }

    /// Whether a child of this process belongs here: the program, or an adopted orphan. Another step's program, by far the most
    /// frequent other child, is told without a look.
    fn is_root(&self, pid: Pid) -> bool {
        if pid == self.leader && !self.ended {
            return true;
        }
        if leaders(|all| all.contains(&pid)) {
            return false;
        }
        let Some(stat) = process::stat(pid) else { return false };
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&pid) == Some(&stat.started);
        // The dead have no environment. Of another session they can only be orphans: a child that this process started itself is in
        // its own, because the standard library has no way to begin another.
        let foreign = stat.session != own_session();
        stat.group == self.leader.as_raw_pid()
            || foreign && (stat.zombie || stat.dying)
            || known()
            || process::carries(pid, &self.cookie)
            || foreign && process::holds(pid, &self.pipes)
    }

    /// Kills everybody once, and buries the dead. Returns how many were alive.
    pub(crate) fn strike(&self, search: Search) -> usize {
        signal_group(self.leader, Signal::KILL);
        self.strike_members(search)
    }

    /// Some of the group may have forked before they died, which one signal to the group ends; its number cannot have passed to
    /// anybody else while one of them is there.
    fn strike_members(&self, search: Search) -> usize {
        let mut alive = 0;
        for pid in self.members(search) {
            let Some(stat) = process::stat(pid) else { continue };
            if stat.zombie {
                self.bury(pid, stat.parent);
                continue;
            }
            alive += 1;
            if stat.group == self.leader.as_raw_pid() {
                signal_group(self.leader, Signal::KILL);
            } else if let Err(error) = kill_process(pid, Signal::KILL) {
                tracing::debug!(%error, pid = pid.as_raw_pid(), "a process of a step could not be killed");
            }
        }
        alive
    }

    /// Takes note of the death of an adopted orphan, so that its entry in the process table goes.
    fn bury(&self, pid: Pid, parent: i32) {
        if pid == self.leader || parent != getpid().as_raw_pid() {
            return;
        }
        if let Err(error) = waitpid(Some(pid), WaitOptions::NOHANG) {
            tracing::debug!(%error, pid = pid.as_raw_pid(), "a process of a step was buried by somebody else");
        }
    }

    /// Kills and buries until nobody is left, after the program itself has ended.
    pub(crate) async fn end(&mut self, search: Search) {
        self.ended = true;
        leaders(|all| all.remove(&self.leader));
        let start = Instant::now();
        let mut pause = Duration::from_millis(1);
        // The first blow falls even if the program left nobody: the group's number is still its own at this moment.
        let mut alive = self.strike(search);
        while alive > 0 && start.elapsed() < BURIAL {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(50));
            alive = self.strike_members(search);
        }
        if alive > 0 {
            tracing::warn!(alive, "processes of a step cannot be killed: they wait for the system, perhaps for a disk");
        }
    }

    /// After [`Family::end`]: there is nothing left to end.
    pub(crate) fn release(mut self) {
        self.released = true;
    }
}

impl Drop for Family {
    /// Whoever awaited the step has lost interest: kills at once, and buries on a thread, because there may be no runtime any more.
    fn drop(&mut self) {
        if self.released {
            return;
        }
        self.strike(Search::Everywhere);
        if !self.ended {
            leaders(|all| all.remove(&self.leader));
        }
        let cookie = std::mem::take(&mut self.cookie);
        let (known, pipes) = (std::mem::take(&mut self.known), std::mem::take(&mut self.pipes));
        let rest = Self { leader: self.leader, cookie, pipes, ended: self.ended, released: true, known };
        let burial = thread::Builder::new().name("step-burial".to_owned()).spawn(move || {
            for _ in 0..30 {
                if rest.strike_members(Search::Descendants) == 0 {
                    break;
                }
                thread::sleep(BURIAL / 30);
            }
        });
        if let Err(error) = burial {
            tracing::warn!(%error, "no thread to bury the processes of a step");
        }
    }
}

/// Makes this process the parent of its orphaned descendants. Once is enough, and for good.
pub(crate) fn adopt_orphans() {
    static DONE: OnceLock<()> = OnceLock::new();
    DONE.get_or_init(|| {
        #[cfg(target_os = "linux")]
        if let Err(error) = rustix::process::set_child_subreaper(Some(getpid())) {
            tracing::warn!(%error, "orphans of steps are not adopted: what a step leaves running is looked for in the whole machine");
        }
    });
}

/// As `/proc` tells it: in a container it is often 0, that of a leader outside, which is no valid [`Pid`].
fn own_session() -> i32 {
    process::stat(getpid()).map_or(0, |stat| stat.session)
}

fn signal_group(group: Pid, signal: Signal) {
    // Usually there is nobody left in it, which is what is wanted.
    if let Err(error) = kill_process_group(group, signal)
        && error != rustix::io::Errno::SRCH
    {
        tracing::debug!(%error, group = group.as_raw_pid(), "a process group could not be signalled");
    }
}

fn leaders<T>(what: impl FnOnce(&mut HashSet<Pid>) -> T) -> T {
    what(&mut LEADERS.lock().unwrap_or_else(PoisonError::into_inner))
}
