//! What people do to a run as a whole: give it up, hold it, let it go on, do it again. Only [`super::apply`] calls this.

use jiff::Timestamp;

use super::{Fence, Job, JobState, Refusal, Run, RunState};
use crate::name::JobName;

impl Run {
    /// Ends the run in `state`, and with it every job that has not ended.
    pub(super) fn give_up(&mut self, state: RunState, now: Timestamp) -> Result<(), Refusal> {
        match self.state {
            RunState::Waiting | RunState::Running => {
                self.state = state;
                self.finished_at = Some(now);
                for job in &mut self.jobs {
                    job.items.iter_mut().for_each(|item| item.give_up(now));
                    job.give_up(now);
                }
                Ok(())
            }
            known if known == state => Err(Refusal::Already),
            _ => Err(self.not_allowed(None)),
        }
    }

    pub(super) fn pause(&mut self) -> Result<(), Refusal> {
        if self.state.is_finished() {
            return Err(self.not_allowed(None));
        }
        if std::mem::replace(&mut self.paused, true) { Err(Refusal::Already) } else { Ok(()) }
    }

    pub(super) fn resume(&mut self, now: Timestamp) -> Result<(), Refusal> {
        if self.state.is_finished() {
            return Err(self.not_allowed(None));
        }
        if !std::mem::replace(&mut self.paused, false) {
            return Err(Refusal::Already);
        }
        if self.state == RunState::Running {
            self.settle_graph(now);
        }
        Ok(())
    }

    /// A job of a paused run that no agent has begun waits like one that was never dispatched. If the run goes on again already, the
    /// job is dispatched anew at once, because this delivery of it is about to end.
    pub(super) fn shelve(&mut self, name: &JobName, fence: Fence, now: Timestamp) -> Result<(), Refusal> {
        self.attempted(name, fence)?.state = JobState::Pending;
        self.settle_graph(now);
        Ok(())
    }

    /// Begins the finished run again.
    pub(super) fn retry(&mut self, failed_only: bool, now: Timestamp) -> Result<(), Refusal> {
        if !self.state.is_finished() {
            return Err(self.not_allowed(None));
        }
        let again: Vec<JobName> =
            self.jobs.iter().filter(|job| !failed_only || job.is_undone()).map(|job| job.name.clone()).collect();
        if again.is_empty() {
            return Err(Refusal::Already);
        }
        for name in &again {
            self.reopen_dependents(name);
        }
        for job in self.jobs.iter_mut().filter(|job| again.contains(&job.name)) {
            job.reopen(failed_only);
        }
        self.superseded_by = None;
        self.paused = false;
        self.go_on(now);
        Ok(())
    }
}

impl Job {
    fn give_up(&mut self, now: Timestamp) {
        if !self.state.is_ended() {
            self.end(JobState::Cancelled, now);
        }
    }

    fn is_undone(&self) -> bool {
        matches!(self.state, JobState::Dead | JobState::Failed | JobState::Skipped | JobState::Cancelled)
    }

    /// Back to where it waits for its needs; if only what failed is done again, its items that succeeded stay done.
    pub(super) fn reopen(&mut self, failed_only: bool) {
        if failed_only && !self.items.is_empty() {
            self.reopen_items(|item| item.state != JobState::Success);
        } else {
            self.memo.clear();
            self.wait_again();
        }
    }
}
