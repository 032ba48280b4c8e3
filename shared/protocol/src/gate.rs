//! What decides whether a run may begin that more than its dataset decides about: a paused workflow, a group of which one run at a time is
//! done, a rate. All pure; the values are kept in the bucket of wishes ([`crate::control`]) and moved by compare-and-set.
//!
//! A run with a [`Gate`] is created waiting, and a [`Ticket`] asks intake to begin it. Agents never begin such a run: they only ask again when
//! its dataset is free.

use std::collections::VecDeque;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::name::{DatasetName, RunId, WorkflowName};
use crate::run::Run;

/// What must be asked before a run may begin. An empty one only says that intake begins the run, because its workflow was paused.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Gate {
    /// The group of which one run at a time is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<Group>,
    /// How many runs of the workflow may begin in how long a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
}

/// The group that a run belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Group {
    /// Its key in the bucket of wishes ([`crate::control::group_key`]).
    pub key: String,
    /// Whether the run ends the live one of the group, instead of waiting for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cancel_in_progress: bool,
}

/// At most so many runs begin in so long a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Rate {
    /// How many runs: at least one.
    pub starts: u32,
    /// In how long, in milliseconds: a second, a minute or an hour.
    pub per_ms: u64,
}

/// Asks intake to begin a waiting run as soon as it may. There as long as the run waits for more than its dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// The run.
    pub run: RunId,
    /// Its dataset.
    pub dataset: DatasetName,
    /// Its workflow.
    pub workflow: WorkflowName,
    /// When it was created: runs of a workflow begin in this order.
    pub created_at: Timestamp,
    /// The key of its group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

impl Run {
    /// The group that it belongs to, if one run at a time of that is done.
    pub fn group(&self) -> Option<&Group> {
        self.gate.as_ref()?.group.as_ref()
    }
}

impl Ticket {
    /// The ticket of this run.
    pub fn of(run: &Run) -> Self {
        Self {
            run: run.id.clone(),
            dataset: run.dataset.clone(),
            workflow: run.workflow.name.clone(),
            created_at: run.created_at,
            group: run.group().map(|group| group.key.clone()),
        }
    }
}

/// The runs of a group that have not ended, as far as is known: their records tell.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Members {
    /// The one that may begin or has begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<Member>,
    /// The one that waits for its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiter: Option<Member>,
}

/// A run of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its dataset.
    pub dataset: DatasetName,
    /// The run.
    pub run: RunId,
    /// Until when it counts as live although its record says that it ended: it is about to be begun again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

impl Member {
    /// This run.
    pub fn of(run: &Run) -> Self {
        Self { dataset: run.dataset.clone(), run: run.id.clone(), until: None }
    }
}

impl Members {
    /// Without this run; whether it was among them.
    pub fn remove(&mut self, run: &RunId) -> bool {
        let is_it = |member: &Option<Member>| member.as_ref().is_some_and(|member| member.run == *run);
        let (held, waited) = (is_it(&self.holder), is_it(&self.waiter));
        self.holder.take_if(|_| held);
        self.waiter.take_if(|_| waited);
        held || waited
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The latest tick of a schedule that was handled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tick {
    /// The pattern that it is a tick of: another one begins anew.
    pub cron: String,
    /// Its time zone.
    pub timezone: String,
    /// When it was.
    pub at: Timestamp,
}

/// Which runs of a workflow have begun of late. They are counted in slices of a sixtieth of the rate's time, so that a value stays small
/// however high the rate is; a start counts until its whole slice is old enough, so that there are never more than the rate allows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Starts {
    /// The oldest first.
    slices: VecDeque<Slice>,
    /// The latest claims, the oldest first: whoever claimed and was killed before the run began does not claim twice.
    claims: VecDeque<Claim>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Slice {
    /// Its end, in milliseconds since 1970.
    end: i64,
    starts: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Claim {
    run: RunId,
    /// In milliseconds since 1970.
    at: i64,
}

/// Whether a run may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claimed {
    /// Now; that it does is counted.
    Now,
    /// Now; that it does was counted before.
    Before,
    /// Not before this time.
    NotBefore(Timestamp),
}

impl Starts {
    /// In how many slices the time of a rate is counted.
    const SLICES: i64 = 60;
    /// How many claims are remembered.
    const MAX_CLAIMS: usize = 64;
    /// How long a claim stands, in milliseconds: a run that begins later than that must be counted later.
    const CLAIM_STANDS_MS: i64 = 10_000;

    /// Counts the run, if it may begin `now`.
    pub fn claim(&mut self, run: &RunId, rate: Rate, now: Timestamp) -> Claimed {
        let (now, per) = (now.as_millisecond(), i64::try_from(rate.per_ms).unwrap_or(i64::MAX / 4).max(1));
        self.slices.retain(|slice| slice.end.saturating_add(per) > now);
        self.claims.retain(|claim| claim.at.saturating_add(Self::CLAIM_STANDS_MS) > now);
        if self.claims.iter().any(|claim| claim.run == *run) {
            return Claimed::Before;
        }
        let mut counted: u64 = self.slices.iter().map(|slice| u64::from(slice.starts)).sum();
        let allowed = u64::from(rate.starts.max(1));
        if counted < allowed {
            self.count(now, (per / Self::SLICES).max(1));
            self.claims.push_back(Claim { run: run.clone(), at: now });
            let old = self.claims.len().saturating_sub(Self::MAX_CLAIMS);
            self.claims.drain(..old);
            return Claimed::Now;
        }
        let free = self.slices.iter().find(|slice| {
            counted -= u64::from(slice.starts);
            counted < allowed
        });
        let free = free.map_or(now, |slice| slice.end.saturating_add(per));
        Claimed::NotBefore(Timestamp::from_millisecond(free).unwrap_or(Timestamp::MAX))
    }

    fn count(&mut self, now: i64, width: i64) {
        let end = (now.div_euclid(width) + 1) * width;
        // Clocks of several machines differ a little, so it need not be the last one.
        let place = self.slices.partition_point(|slice| slice.end < end);
        match self.slices.get_mut(place) {
            Some(slice) if slice.end == end => slice.starts += 1,
            _ => self.slices.insert(place, Slice { end, starts: 1 }),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn run(number: usize) -> RunId {
        RunId::of_event("test", &number.to_string())
    }

    fn at(milliseconds: i64) -> Timestamp {
        Timestamp::from_millisecond(milliseconds).expect("a time")
    }

    #[test]
    fn a_start_is_counted_once_for_each_run_and_refused_until_an_old_one_counts_no_more() {
        let (mut starts, rate) = (Starts::default(), Rate { starts: 2, per_ms: 60_000 });
        assert_eq!(starts.claim(&run(1), rate, at(500)), Claimed::Now);
        assert_eq!(starts.claim(&run(1), rate, at(600)), Claimed::Before);
        assert_eq!(starts.claim(&run(2), rate, at(2_000)), Claimed::Now);
        assert_eq!(starts.claim(&run(3), rate, at(2_001)), Claimed::NotBefore(at(61_000)));
        assert_eq!(starts.claim(&run(3), rate, at(61_000)), Claimed::Now);
        assert_eq!(starts.claim(&run(4), rate, at(61_000)), Claimed::NotBefore(at(63_000)));
        // A claim that nothing came of for so long is none any more.
        assert_eq!(starts.claim(&run(3), rate, at(72_000)), Claimed::Now);
    }

    #[test]
    fn the_value_stays_small_however_high_the_rate_is() {
        let (mut starts, rate) = (Starts::default(), Rate { starts: 1_000_000, per_ms: 60_000 });
        for number in 0..20_000 {
            let now = at(i64::try_from(number).expect("small") * 10);
            assert_eq!(starts.claim(&run(number), rate, now), Claimed::Now);
        }
        assert!(serde_json::to_vec(&starts).expect("JSON").len() < 8_192);
    }

    #[test]
    fn a_run_that_leaves_its_group_leaves_both_places() {
        let member = |number| Some(Member { dataset: "d".parse().expect("name"), run: run(number), until: None });
        let mut members = Members { holder: member(1), waiter: member(2) };
        assert!(!members.remove(&run(3)) && members.remove(&run(1)) && !members.is_empty());
        assert!(members.remove(&run(2)) && members.is_empty());
    }

    proptest! {
        #[test]
        fn never_do_more_runs_begin_in_any_time_of_that_length_than_the_rate_allows(
            pauses in prop::collection::vec(0i64..30_000, 1..200), allowed in 1u32..6, per_ms in prop::sample::select(vec![1_000u64, 60_000]),
        ) {
            let (mut starts, rate) = (Starts::default(), Rate { starts: allowed, per_ms });
            let (mut now, mut begun) = (1_700_000_000_000i64, Vec::new());
            for (number, pause) in pauses.into_iter().enumerate() {
                now += pause;
                loop {
                    match starts.claim(&run(number), rate, at(now)) {
                        Claimed::Now => break begun.push(now),
                        Claimed::Before => prop_assert!(false, "each run claims once"),
                        Claimed::NotBefore(free) => {
                            prop_assert!(free > at(now), "waiting until {free} brings nothing");
                            now = free.as_millisecond();
                        }
                    }
                }
            }
            let per = i64::try_from(per_ms).expect("small");
            for window in begun.windows(allowed as usize + 1) {
                prop_assert!(window[allowed as usize] - window[0] >= per, "{window:?}");
            }
        }
    }
}
