//! The one function that moves a run record. Every edge that is allowed is an arm of a `match`; everything else is refused.

use jiff::Timestamp;

use super::{Failure, Fan, Fence, Job, JobState, Outputs, Run, RunState};
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
        /// Whether the attempt is one of those that the workflow grants; not if the job itself asked to be tried again.
        counts: bool,
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
    /// The job's own condition does not hold: it is not done.
    Skipped {
        /// The job.
        job: JobName,
        /// Which attempt.
        fence: Fence,
    },
    /// The job's matrix was read: its items are what is to be done.
    FannedOut {
        /// The job.
        job: JobName,
        /// Which attempt.
        fence: Fence,
        /// How many items, and how.
        fan: Fan,
    },
    /// The attempt found its work too large for one agent: the parts are what is to be done, and then the job once more.
    Split {
        /// The job.
        job: JobName,
        /// Which attempt.
        fence: Fence,
        /// How many parts, and how.
        fan: Fan,
        /// What the parts and the next dispatch must know.
        memo: Outputs,
    },
    /// The attempt has done what it may do before a person says so: the run is paused, and when it goes on the job is dispatched once more.
    Postponed {
        /// The job.
        job: JobName,
        /// Which attempt.
        fence: Fence,
        /// What the next dispatch must know.
        memo: Outputs,
    },
    /// The run is paused, and this attempt was not begun.
    Shelved {
        /// The job.
        job: JobName,
        /// Which attempt.
        fence: Fence,
    },
    /// The job is dead-lettered; one whose failure is tolerated has failed.
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
    /// A person gives the run up, or a newer one of its group takes its place.
    Cancelled,
    /// The run took longer than it may.
    Expired,
    /// A person wants nothing new to start in the run.
    Paused,
    /// A person wants it to go on.
    Resumed,
    /// A person wants the finished run done again.
    Retried {
        /// Only what did not succeed, and what depends on it.
        failed_only: bool,
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

impl Effect {
    pub(super) fn dispatch(job: &Job) -> Self {
        Self::Dispatch { job: job.name.clone(), pool: job.pool.clone(), generation: job.generation }
    }
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
        let effects = run.due_since(self);
        Ok((run, effects))
    }

    /// What is due by now and was not by the record `before`, which has the same jobs in the same order.
    fn due_since(&self, before: &Self) -> Vec<Effect> {
        let is_new = |job: &Job, was: Option<&Job>| {
            job.is_due() && !was.is_some_and(|was| was.is_due() && was.generation == job.generation)
        };
        let mut due = Vec::new();
        for (job, was) in self.jobs.iter().zip(&before.jobs) {
            if is_new(job, Some(was)) {
                due.push(Effect::dispatch(job));
            }
            let items = job.items.iter().enumerate();
            due.extend(
                items.filter(|(i, item)| is_new(item, was.items.get(*i))).map(|(_, item)| Effect::dispatch(item)),
            );
        }
        let ended = before.ending();
        due.extend(self.ending().into_iter().filter(|effect| !ended.contains(effect)));
        due
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
            RunEvent::Retrying { job, fence, failure, counts } => {
                let job = self.attempted(job, *fence)?;
                job.handed_back += u32::from(!counts);
                job.failure = Some(failure.clone());
                Ok(())
            }
            RunEvent::Completed { job, fence, outputs } => {
                let job = self.attempted(job, *fence)?;
                job.end(JobState::Success, now);
                job.outputs.clone_from(outputs);
                if job.name.item_number().is_some() {
                    job.shorten();
                }
                self.settle_graph(now);
                Ok(())
            }
            RunEvent::Skipped { job, fence } => self.skip(job, *fence, now),
            RunEvent::FannedOut { job, fence, fan } => self.fan_out(job, *fence, *fan, now),
            RunEvent::Split { job, fence, fan, memo } => {
                self.attempted(job, *fence)?.memo.clone_from(memo);
                self.fan_out(job, *fence, Fan { rejoins: true, ..*fan }, now)
            }
            RunEvent::Postponed { job, fence, memo } => {
                self.attempted(job, *fence)?.memo.clone_from(memo);
                self.paused = true;
                self.shelve(job, *fence, now)
            }
            RunEvent::Shelved { job, fence } => self.shelve(job, *fence, now),
            RunEvent::Died { job, fence, failure } => {
                let job = self.attempted(job, *fence)?;
                job.end(if job.tolerated { JobState::Failed } else { JobState::Dead }, now);
                job.failure = Some(failure.clone());
                self.settle_graph(now);
                Ok(())
            }
            RunEvent::Replayed { job } => self.replay(job, now),
            RunEvent::Discarded { job } => self.discard(job),
            RunEvent::Lost { job, generation } => self.lose(job, *generation),
            RunEvent::Cancelled => self.give_up(RunState::Cancelled, now),
            RunEvent::Expired => self.give_up(RunState::Timeout, now),
            RunEvent::Paused => self.pause(),
            RunEvent::Resumed => self.resume(now),
            RunEvent::Retried { failed_only } => self.retry(*failed_only, now),
        }
    }

    fn promote(&mut self, now: Timestamp) -> Result<(), Refusal> {
        match self.state {
            RunState::Waiting => {
                self.begun_at = Some(now);
                self.go_on(now);
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
                self.revive(name)?;
                // Of a run that was given up, replaying one job takes up the others too.
                self.jobs.iter_mut().filter(|job| job.state == JobState::Cancelled).for_each(|job| job.reopen(true));
                self.reopen_dependents(&name.parent().unwrap_or_else(|| name.clone()));
                self.go_on(now);
                Ok(())
            }
            JobState::Ready | JobState::Running if job.generation > 1 => Err(Refusal::Already),
            JobState::Fanned => Err(Refusal::Already),
            state => Err(Refusal::NotAllowed { run, job: Some(state) }),
        }
    }

    fn skip(&mut self, name: &JobName, fence: Fence, now: Timestamp) -> Result<(), Refusal> {
        if self.job_mut(name)?.state == JobState::Skipped {
            return Err(Refusal::Already);
        }
        self.attempted(name, fence)?.end(JobState::Skipped, now);
        self.settle_graph(now);
        Ok(())
    }

    fn discard(&mut self, name: &JobName) -> Result<(), Refusal> {
        let run = self.state;
        let job = self.job_mut(name)?;
        match job.state {
            JobState::Dead => {
                job.state = JobState::Failed;
                job.items
                    .iter_mut()
                    .filter(|item| item.state == JobState::Dead)
                    .for_each(|item| item.state = JobState::Failed);
                self.recount(name);
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
    pub(super) fn attempted(&mut self, name: &JobName, fence: Fence) -> Result<&mut Job, Refusal> {
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
            JobState::Fanned | JobState::Success | JobState::Dead | JobState::Failed => Err(Refusal::Already),
            state => Err(Refusal::NotAllowed { run, job: Some(state) }),
        }
    }

    pub(super) fn job_mut(&mut self, name: &JobName) -> Result<&mut Job, Refusal> {
        let refusal = self.not_allowed(None);
        let parent = name.parent();
        let job = self.jobs.iter_mut().find(|job| job.name == *parent.as_ref().unwrap_or(name)).ok_or(refusal)?;
        match parent {
            None => Ok(job),
            Some(_) => job.items.iter_mut().find(|item| item.name == *name).ok_or(refusal),
        }
    }

    pub(super) fn not_allowed(&self, job: Option<JobState>) -> Refusal {
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

    pub(super) fn end(&mut self, state: JobState, now: Timestamp) {
        self.state = state;
        self.finished_at = Some(now);
    }
}
