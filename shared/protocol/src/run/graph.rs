//! How one job's end moves the others, and the run. Only [`super::apply`] calls this.

use jiff::{SignedDuration, Timestamp};

use super::{Fault, Job, JobState, Run, RunState};
use crate::name::JobName;

/// What became of the jobs that a job needs, or of the steps before a step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Status {
    /// Whether one of them failed, and nobody said that this may be.
    pub failure: bool,
    /// Whether one of them was cancelled.
    pub cancelled: bool,
}

impl Status {
    /// Whether nothing speaks against going on.
    pub fn is_success(self) -> bool {
        !self.failure && !self.cancelled
    }
}

impl Run {
    /// Makes the run live, for the first time or again, with its whole time before it.
    pub(super) fn go_on(&mut self, now: Timestamp) {
        self.state = RunState::Running;
        self.finished_at = None;
        let limit = self.limit_ms.and_then(|limit| i64::try_from(limit).ok());
        self.deadline = limit.and_then(|limit| now.checked_add(SignedDuration::from_millis(limit)).ok());
        self.settle_graph(now);
    }

    /// Moves every job whose needs or items decide it, until none moves any more; then the run itself.
    pub(super) fn settle_graph(&mut self, now: Timestamp) {
        self.settle_items(now);
        while let Some((index, state)) = self.next_decided() {
            let job = &mut self.jobs[index];
            job.state = state;
            match state {
                JobState::Ready => job.dispatch_again(),
                _ => job.finished_at = Some(now),
            }
        }
        self.finish_if_settled(now);
    }

    /// Takes back what followed from the end of the job `name`, so that it can be decided anew.
    pub(super) fn reopen_dependents(&mut self, name: &JobName) {
        let mut reopened = vec![name.clone()];
        // Needs may stand in any order, so one pass may miss what a later one finds.
        while let Some(job) = self
            .jobs
            .iter_mut()
            .find(|job| !reopened.contains(&job.name) && job.needs.iter().any(|need| reopened.contains(need)))
        {
            reopened.push(job.name.clone());
            if job.state.is_ended() {
                job.wait_again();
            }
        }
    }

    /// How the jobs ended that `name` needs, directly or not.
    pub fn status_before(&self, name: &JobName) -> Status {
        let mut status = Status::default();
        let mut found: Vec<&Job> = self.job(name).into_iter().collect();
        let mut next = 0;
        while let Some(job) = found.get(next) {
            for need in job.needs.iter().filter_map(|need| self.job(need)) {
                if !found.iter().any(|known| known.name == need.name) {
                    status.failure |= need.is_lost();
                    status.cancelled |= need.state == JobState::Cancelled;
                    found.push(need);
                }
            }
            next += 1;
        }
        status
    }

    fn next_decided(&self) -> Option<(usize, JobState)> {
        let decided = |job: &Job| {
            let needs: Vec<&Job> = job.needs.iter().filter_map(|need| self.job(need)).collect();
            let is_bad = |need: &&Job| need.is_lost() || matches!(need.state, JobState::Skipped | JobState::Cancelled);
            if !job.regardless && needs.iter().any(is_bad) {
                Some(JobState::Skipped)
            } else if !self.paused && needs.iter().all(|need| need.state.is_ended()) {
                Some(JobState::Ready)
            } else {
                None
            }
        };
        let mut pending = self.jobs.iter().enumerate().filter(|(_, job)| job.state == JobState::Pending);
        pending.find_map(|(index, job)| decided(job).map(|state| (index, state)))
    }

    /// The run ends when no job can move any more; its result is the gravest of its jobs' faults.
    fn finish_if_settled(&mut self, now: Timestamp) {
        if self.jobs.iter().any(|job| !job.state.is_ended()) {
            return;
        }
        let lost = self.jobs.iter().filter(|job| job.is_lost());
        let fault = lost.map(|job| job.failure.as_ref().map_or(Fault::Failure, |failure| failure.fault)).max();
        self.state = fault.map_or(RunState::Success, RunState::from);
        self.finished_at = Some(now);
    }
}

impl Job {
    /// Whether it failed, and nobody said that this may be.
    pub(super) fn is_lost(&self) -> bool {
        matches!(self.state, JobState::Dead | JobState::Failed) && !self.tolerated
    }

    /// Back to where it waits for its turn.
    pub(super) fn wait_again(&mut self) {
        self.state = JobState::Pending;
        self.finished_at = None;
    }

    /// A new dispatch, of which no attempt is known yet. It counts on from its items as well, which it forgets: should it be fanned out
    /// again, their subjects are new ones, because under one that was used nothing would be stored.
    pub(super) fn dispatch_again(&mut self) {
        self.state = JobState::Ready;
        let last = self.items.iter().map(|item| item.generation).fold(self.generation, u32::max);
        self.generation = last + 1;
        self.earlier_attempts += self.attempt;
        self.attempt = 0;
        self.handed_back = 0;
        self.agent = None;
        self.started_at = None;
        self.finished_at = None;
        self.outputs.clear();
        self.fan = None;
        self.items.clear();
    }
}
