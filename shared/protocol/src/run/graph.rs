//! How one job's end moves the others, and the run. Only [`super::apply`] calls this.

use jiff::Timestamp;

use super::{Fault, Job, JobState, Run, RunState};
use crate::name::JobName;

impl Run {
    /// Starts the run: the jobs that need nothing become ready.
    pub(super) fn begin(&mut self, now: Timestamp) {
        self.state = RunState::Running;
        self.settle_graph(now);
    }

    /// Moves every job whose needs decide it, until none moves any more; then the run itself.
    pub(super) fn settle_graph(&mut self, now: Timestamp) {
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

    /// Takes back what followed from `dead`'s end, so that it can be decided anew.
    pub(super) fn reopen_dependents(&mut self) {
        for job in &mut self.jobs {
            if job.state == JobState::Skipped {
                job.state = JobState::Pending;
                job.finished_at = None;
            }
        }
        self.state = RunState::Running;
        self.finished_at = None;
    }

    fn next_decided(&self) -> Option<(usize, JobState)> {
        let decided = |job: &Job| {
            let states: Vec<JobState> = job.needs.iter().filter_map(|need| self.state_of(need)).collect();
            if states.iter().any(|state| matches!(state, JobState::Dead | JobState::Failed | JobState::Skipped)) {
                Some(JobState::Skipped)
            } else if states.iter().all(|state| *state == JobState::Success) {
                Some(JobState::Ready)
            } else {
                None
            }
        };
        let mut pending = self.jobs.iter().enumerate().filter(|(_, job)| job.state == JobState::Pending);
        pending.find_map(|(index, job)| decided(job).map(|state| (index, state)))
    }

    fn state_of(&self, name: &JobName) -> Option<JobState> {
        self.job(name).map(|job| job.state)
    }

    /// The run ends when no job can move any more; its result is the gravest of its jobs' faults.
    fn finish_if_settled(&mut self, now: Timestamp) {
        if self.jobs.iter().any(|job| matches!(job.state, JobState::Pending | JobState::Ready | JobState::Running)) {
            return;
        }
        let lost = self.jobs.iter().filter(|job| matches!(job.state, JobState::Dead | JobState::Failed));
        let fault = lost.map(|job| job.failure.as_ref().map_or(Fault::Failure, |failure| failure.fault)).max();
        self.state = fault.map_or(RunState::Success, RunState::from);
        self.finished_at = Some(now);
    }
}

impl Job {
    /// A new dispatch, of which no attempt is known yet.
    pub(super) fn dispatch_again(&mut self) {
        self.state = JobState::Ready;
        self.generation += 1;
        self.earlier_attempts += self.attempt;
        self.attempt = 0;
        self.handed_back = 0;
        self.agent = None;
        self.started_at = None;
        self.finished_at = None;
    }
}
