//! Jobs with a matrix: one delivery reads the matrix, and then every item is a job of its own, with its own deliveries, retries and
//! dead letter. The items stand in the record below their job, so that the compare-and-set that ends the last of them is the one that
//! ends the job: the join needs no counter that could be counted twice.
//!
//! The parts that an attempt has split its work into are items as well. When they have all succeeded the job is not done but dispatched
//! once more, with what they left in its memo.

use jiff::Timestamp;
use serde_json::Value;

use super::{Fan, Fence, Job, JobState, NewJob, Outputs, PARTS, Refusal, Run};
use crate::name::JobName;

impl Run {
    pub(super) fn fan_out(&mut self, name: &JobName, fence: Fence, fan: Fan, now: Timestamp) -> Result<(), Refusal> {
        let job = self.attempted(name, fence)?;
        if fan.items == 0 {
            job.end(JobState::Skipped, now);
        } else {
            job.state = JobState::Fanned;
            job.fan = Some(fan);
            job.items = (0..fan.items).map(|number| job.item(number)).collect();
        }
        self.settle_graph(now);
        Ok(())
    }

    /// Starts as many items as may be under way, and ends the jobs whose items have all ended.
    pub(super) fn settle_items(&mut self, now: Timestamp) {
        let paused = self.paused;
        for job in self.jobs.iter_mut().filter(|job| job.state == JobState::Fanned) {
            job.drop_rest_after_death(now);
            if !paused {
                job.admit_items();
            }
            job.close_if_settled(now);
        }
    }

    /// Makes a dead job ready again: one item with those that were ended for its sake, or all items that did not succeed.
    pub(super) fn revive(&mut self, name: &JobName) -> Result<(), Refusal> {
        let Some(parent) = name.parent() else {
            let job = self.job_mut(name)?;
            if job.items.is_empty() {
                job.memo.clear();
                job.dispatch_again();
            } else {
                job.reopen_items(|item| item.state != JobState::Success);
            }
            return Ok(());
        };
        self.job_mut(&parent)?.reopen_items(|item| item.name == *name || item.state == JobState::Cancelled);
        Ok(())
    }

    /// The state of the job whose item `name` is, after the item was given up.
    pub(super) fn recount(&mut self, name: &JobName) {
        let Some(Ok(job)) = name.parent().map(|parent| self.job_mut(&parent)) else { return };
        if job.state == JobState::Dead {
            job.state = job.sum_of_items();
        }
    }
}

impl Job {
    /// An item that is yet to be dispatched, under the same generation as its job or a later one: no item of an earlier dispatch of the
    /// job had it.
    fn item(&self, number: u32) -> Self {
        let item = Self::new(NewJob {
            name: self.name.item(number),
            pool: self.pool.clone(),
            needs: Vec::new(),
            regardless: false,
            tolerated: self.tolerated,
        });
        Self { generation: self.generation.saturating_sub(1), ..item }
    }

    /// Reopens those items; they are started again as others are.
    pub(super) fn reopen_items(&mut self, which: impl Fn(&Self) -> bool) {
        self.items.iter_mut().filter(|item| item.state.is_ended() && which(item)).for_each(Self::wait_again);
        self.state = JobState::Fanned;
        self.finished_at = None;
    }

    fn drop_rest_after_death(&mut self, now: Timestamp) {
        let fail_fast = self.fan.is_some_and(|fan| fan.fail_fast);
        if fail_fast && self.items.iter().any(Self::is_lost) {
            self.items
                .iter_mut()
                .filter(|item| !item.state.is_ended())
                .for_each(|item| item.end(JobState::Cancelled, now));
        }
    }

    fn admit_items(&mut self) {
        let limit = self.fan.and_then(|fan| fan.max_parallel).map_or(usize::MAX, |limit| limit as usize);
        let under_way = self.items.iter().filter(|item| item.is_due()).count();
        let waiting = self.items.iter_mut().filter(|item| item.state == JobState::Pending);
        waiting.take(limit.saturating_sub(under_way)).for_each(Self::dispatch_again);
    }

    fn close_if_settled(&mut self, now: Timestamp) {
        if !self.items.iter().all(|item| item.state.is_ended()) {
            return;
        }
        self.end(self.sum_of_items(), now);
        self.failure = self.items.iter().find_map(|item| {
            let failure = item.failure.as_ref().filter(|_| item.state != JobState::Success)?;
            let mut failure = failure.clone();
            failure.message = format!("{}: {}", item.name, failure.message);
            Some(failure)
        });
        if self.state == JobState::Success {
            self.gather_outputs();
            if self.fan.is_some_and(|fan| fan.rejoins) {
                self.rejoin();
            }
        }
    }

    /// The parts are done: the job waits to be dispatched once more.
    fn rejoin(&mut self) {
        let left = std::mem::take(&mut self.outputs);
        self.memo.insert(PARTS.to_owned(), Value::Object(left));
        self.wait_again();
    }

    /// The gravest of the items' ends.
    fn sum_of_items(&self) -> JobState {
        let any = |state| self.items.iter().any(|item| item.state == state);
        let gravest = [JobState::Dead, JobState::Failed, JobState::Cancelled].into_iter().find(|state| any(*state));
        gravest.unwrap_or(JobState::Success)
    }

    /// Each output becomes the list of what the items left by that name, in their order; `null` where one left nothing.
    fn gather_outputs(&mut self) {
        let count = self.items.len();
        let mut gathered = Outputs::new();
        for (number, item) in self.items.iter_mut().enumerate() {
            for (name, value) in std::mem::take(&mut item.outputs) {
                let list = gathered.entry(name).or_insert_with(|| Value::Array(vec![Value::Null; count]));
                list[number] = value;
            }
        }
        self.outputs = gathered;
    }

    /// Forgets of an item that succeeded what nobody asks for any more: a record of a thousand items must stay small.
    pub(super) fn shorten(&mut self) {
        self.agent = None;
        self.started_at = None;
        self.finished_at = None;
    }
}
