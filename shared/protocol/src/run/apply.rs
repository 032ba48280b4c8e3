//! The one function that moves a run record. Every edge that is allowed is an arm of a `match`; everything else is refused.

use jiff::Timestamp;

use super::{Failure, Fence, Job, JobState, Outputs, Run, RunState};
use crate::name::{JobName, PoolName, RunId};

/// A fact about a run.
#[derive(Debug, Clone, PartialEq)]
pub enum RunEvent {
    /// The run it waited for came to its end: its turn.
    Promoted,
    /// While it waited, `by` took its place.
    Superseded {
        /// The newer run.
        by: RunId,
    },
    /// `successor` waits for this live run.
    Parked {
        /// The waiting run.
        successor: RunId,
    },
    /// An agent works on an attempt.
    Started {
        /// The job.
        job: JobName,
        /// Which attempt.
        fence: Fence,
        /// The agent's name.
        agent: String,
    },
    /// An agent that shuts down gives an attempt back.
    HandedBack {
        /// The job.
        job: JobName,
        /// Which attempt.
        fence: Fence,
    },
    /// An attempt failed and will be tried again.
    Retrying {
        /// The job.
        job: JobName,
        /// Which attempt.
        fence: Fence,
        /// Why.
        failure: Failure,
    },
    /// An attempt succeeded.
    Completed {
        /// The job.
        job: JobName,
        /// Which attempt.
        fence: Fence,
        /// What it left.
        outputs: Outputs,
    },
    /// The job is dead-lettered.
    Died {
        /// The job.
        job: JobName,
        /// Which attempt.
        fence: Fence,
        /// Why.
        failure: Failure,
    },
    /// A person wants the dead job done again.
    Replayed {
        /// The job.
        job: JobName,
    },
    /// A person gives the dead job up.
    Discarded {
        /// The job.
        job: JobName,
    },
    /// No message carries the due job any more: it is dispatched again.
    Lost {
        /// The job.
        job: JobName,
        /// The dispatch that was lost.
        generation: u32,
    },
}

/// What must be done after the record is written. Doing it twice is harmless.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Publish the job's message.
    Dispatch {
        /// The job.
        job: JobName,
        /// Its pool.
        pool: PoolName,
        /// Which dispatch.
        generation: u32,
    },
    /// It is the turn of the run that waited.
    Promote(RunId),
    /// Tell who watches that the run came to its end.
    Finished,
}

/// Why an event does not move a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The record already says so: only the effects remain to be repeated.
    #[error("the record already says so")]
    Already,
    /// A later attempt is on record: this one was taken over.
    #[error("a later attempt is on record (dispatch {}, attempt {})", .0.generation, .0.attempt)]
    Fenced(Fence),
    /// There is no such edge.
    #[error("a run that is {run}, or its job that is {}, does not allow it", .job.map_or("unknown", JobState::word))]
    NotAllowed {
        /// Where the run stands.
        run: RunState,
        /// Where the job stands, if there is one.
        job: Option<JobState>,
    },
}

impl Run {
    /// The record after `event`, and what follows from it; or why it does not move.
    pub fn apply(&self, event: &RunEvent, now: Timestamp) -> Result<(Self, Vec<Effect>), Refusal> {
        let mut run = self.clone();
        run.advance(event, now)?;
        run.updated_at = now;
        let before = self.due();
        let effects = run.due().into_iter().filter(|effect| !before.contains(effect)).collect();
        Ok((run, effects))
    }

    fn advance(&mut self, event: &RunEvent, now: Timestamp) -> Result<(), Refusal> {
        match event {
            RunEvent::Promoted => self.promote(now),
            RunEvent::Superseded { by } => self.supersede(by, now),
            RunEvent::Parked { successor } => self.park(successor),
            RunEvent::Started { job, fence, agent } => self.start(job, *fence, agent, now),
            RunEvent::HandedBack { job, fence } => {
                let job = self.attempted(job, *fence)?;
                job.handed_back += 1;
                Ok(())
            }
            RunEvent::Retrying { job, fence, failure } => {
                let job = self.attempted(job, *fence)?;
                job.failure = Some(failure.clone());
                Ok(())
            }
            RunEvent::Completed { job, fence, outputs } => {
                let job = self.attempted(job, *fence)?;
                job.end(JobState::Success, now);
                job.outputs.clone_from(outputs);
                self.settle_graph(now);
                Ok(())
            }
            RunEvent::Died { job, fence, failure } => {
                let job = self.attempted(job, *fence)?;
                job.end(JobState::Dead, now);
                job.failure = Some(failure.clone());
                self.settle_graph(now);
                Ok(())
            }
            RunEvent::Replayed { job } => self.replay(job, now),
            RunEvent::Discarded { job } => self.discard(job),
            RunEvent::Lost { job, generation } => self.lose(job, *generation),
        }
    }

    fn promote(&mut self, now: Timestamp) -> Result<(), Refusal> {
        match self.state {
            RunState::Waiting => {
                self.begin(now);
                Ok(())
            }
            RunState::Cancelled => Err(self.not_allowed(None)),
            _ => Err(Refusal::Already),
        }
    }

    fn supersede(&mut self, by: &RunId, now: Timestamp) -> Result<(), Refusal> {
        match self.state {
            RunState::Waiting => {
                self.state = RunState::Cancelled;
                self.superseded_by = Some(by.clone());
                self.finished_at = Some(now);
                self.jobs.iter_mut().for_each(|job| job.state = JobState::Cancelled);
                Ok(())
            }
            RunState::Cancelled if self.superseded_by.as_ref() == Some(by) => Err(Refusal::Already),
            _ => Err(self.not_allowed(None)),
        }
    }

    fn park(&mut self, successor: &RunId) -> Result<(), Refusal> {
        match self.state {
            RunState::Running if self.successor.as_ref() == Some(successor) => Err(Refusal::Already),
            RunState::Running => {
                self.successor = Some(successor.clone());
                Ok(())
            }
            _ => Err(self.not_allowed(None)),
        }
    }

    fn start(&mut self, name: &JobName, fence: Fence, agent: &str, now: Timestamp) -> Result<(), Refusal> {
        let known = self.job_mut(name)?.fence();
        let job = self.attempted(name, fence)?;
        if fence == known && job.state == JobState::Running {
            return Err(Refusal::Already);
        }
        job.state = JobState::Running;
        job.agent = Some(agent.to_owned());
        job.started_at = Some(now);
        Ok(())
    }

    fn replay(&mut self, name: &JobName, now: Timestamp) -> Result<(), Refusal> {
        let run = self.state;
        let job = self.job_mut(name)?;
        match job.state {
            JobState::Dead => {
                job.dispatch_again();
                self.reopen_dependents();
                self.settle_graph(now);
                Ok(())
            }
            JobState::Ready | JobState::Running if job.generation > 1 => Err(Refusal::Already),
            state => Err(Refusal::NotAllowed { run, job: Some(state) }),
        }
    }

    fn discard(&mut self, name: &JobName) -> Result<(), Refusal> {
        let run = self.state;
        let job = self.job_mut(name)?;
        match job.state {
            JobState::Dead => {
                job.state = JobState::Failed;
                Ok(())
            }
            JobState::Failed => Err(Refusal::Already),
            state => Err(Refusal::NotAllowed { run, job: Some(state) }),
        }
    }

    fn lose(&mut self, name: &JobName, generation: u32) -> Result<(), Refusal> {
        let job = self.open(name)?;
        if job.generation != generation {
            return Err(Refusal::Already);
        }
        job.dispatch_again();
        Ok(())
    }

    /// The job, if `fence` is not older than what is on record; the attempt is recorded.
    fn attempted(&mut self, name: &JobName, fence: Fence) -> Result<&mut Job, Refusal> {
        let known = self.job_mut(name)?.fence();
        if fence < known {
            return Err(Refusal::Fenced(known));
        }
        let job = self.open(name)?;
        job.record_attempt(fence)?;
        Ok(job)
    }

    /// The job, if it is still to be done.
    fn open(&mut self, name: &JobName) -> Result<&mut Job, Refusal> {
        let run = self.state;
        let job = self.job_mut(name)?;
        match job.state {
            JobState::Ready | JobState::Running if run == RunState::Running => Ok(job),
            JobState::Success | JobState::Dead | JobState::Failed | JobState::Cancelled => Err(Refusal::Already),
            state => Err(Refusal::NotAllowed { run, job: Some(state) }),
        }
    }

    fn job_mut(&mut self, name: &JobName) -> Result<&mut Job, Refusal> {
        let refusal = self.not_allowed(None);
        self.jobs.iter_mut().find(|job| job.name == *name).ok_or(refusal)
    }

    fn not_allowed(&self, job: Option<JobState>) -> Refusal {
        Refusal::NotAllowed { run: self.state, job }
    }
}

impl Job {
    /// A dispatch that the record never made cannot have an attempt.
    fn record_attempt(&mut self, fence: Fence) -> Result<(), Refusal> {
        if fence.generation != self.generation {
            return Err(Refusal::NotAllowed { run: RunState::Running, job: Some(self.state) });
        }
        self.attempt = fence.attempt;
        Ok(())
    }

    fn end(&mut self, state: JobState, now: Timestamp) {
        self.state = state;
        self.finished_at = Some(now);
    }
}
