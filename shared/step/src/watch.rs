//! A look from outside at what a step uses: the system limits single processes, this limits all of a step together.
//!
//! The limit on processes that the system itself has (`RLIMIT_NPROC`) counts all processes of a user, and root's not at all: it
//! cannot be used for one step among many. A look costs a few reads of `/proc` for each process of the step. The first looks come
//! early, because a fork bomb goes off at once; a step of less than a tenth of a second is never looked at.

use std::mem;
use std::time::Duration;

use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::Pid;

use crate::command::{LimitHit, Limits};
use crate::family::{Family, Search};
use crate::process;
use crate::start::limit;

const FIRST_LOOK: Duration = Duration::from_millis(100);
const USUAL_PAUSE: Duration = Duration::from_secs(1);

/// A step with at least this share of the processes that it may have is looked at as often as in the beginning.
const CROWDED: usize = 4;

/// Ends with the limit that was reached; never, if none is.
pub(crate) async fn limit_reached(family: &Family, limits: &Limits) -> LimitHit {
    let mut pause = FIRST_LOOK;
    let mut first = true;
    loop {
        tokio::time::sleep(pause).await;
        let members = family.members(Search::Descendants);
        if mem::take(&mut first) {
            limit_all(&members, limits);
        }
        if let Some(hit) = look(&members, limits) {
            return hit;
        }
        let crowded = limits.processes.is_some_and(|most| members.len() * CROWDED >= most as usize);
        pause = if crowded { FIRST_LOOK } else { (pause * 2).min(USUAL_PAUSE) };
    }
}

/// Some may have been started before their parent was limited, and so have inherited nothing.
fn limit_all(members: &[Pid], limits: &Limits) {
    for pid in members {
        if let Err(error) = limit(*pid, limits) {
            tracing::debug!(%error, pid = pid.as_raw_pid(), "a process of a step could not be limited");
        }
    }
}

fn look(members: &[Pid], limits: &Limits) -> Option<LimitHit> {
    if limits.processes.is_some_and(|most| members.len() > most as usize) {
        return Some(LimitHit::Processes);
    }
    if limits.memory_bytes.is_some_and(|most| memory_exceeds(members, most)) {
        return Some(LimitHit::Memory);
    }
    // What the dead used counts for whoever waited for them.
    let ticks: u64 = members.iter().filter_map(|pid| process::stat(*pid)).map(|stat| stat.ticks).sum();
    let used = Duration::from_millis(ticks * 1000 / clock_ticks_per_second().max(1));
    limits.cpu.filter(|most| used > *most).map(|_| LimitHit::Cpu)
}

/// The cheap figure counts what processes share since a fork once for each; only if that is too much, the exact one is asked.
fn memory_exceeds(members: &[Pid], most: u64) -> bool {
    let bytes = |pid: &Pid| process::resident_pages(*pid) * page_size() as u64;
    members.iter().map(bytes).sum::<u64>() > most
        && members.iter().map(|pid| process::proportional_bytes(*pid).unwrap_or_else(|| bytes(pid))).sum::<u64>() > most
}
