//! How the agents of a fleet share the budget of an endpoint (`requests_per_second`, `bytes_per_second`) without a coordinator.
//!
//! An agent that wants something of the endpoint writes a lease into a bucket, counts the leases every half a second, and takes one share of as many. Two rules
//! make the shares add up to at most the budget, whatever the agents see and whenever they die. Who comes waits for `SETTLE` after its
//! lease is written, and who has not both renewed its lease and counted for `FRESH` uses nothing: so everybody that uses a share has
//! counted everybody else that does (`FRESH` < `SETTLE`), and the lease of an agent that uses a share is there to be counted
//! (`FRESH` < `LEASE`). An agent that dies frees its share when its lease expires. Only lengths of time are compared, no clocks.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::time::Duration;

use futures_util::future::join_all;
use honk_bus::{Bucket, Bus, BusError};
use honk_storage::{SharedBudget, Stores};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

/// How often leases are renewed and counted.
const PERIOD: Duration = Duration::from_millis(500);

/// For how long a count holds.
const FRESH: Duration = Duration::from_secs(2);

/// How long a newcomer waits: [`FRESH`], and time for a lease to be seen by whoever counts.
const SETTLE: Duration = Duration::from_secs(3);

/// How long a lease lives that is not renewed.
const LEASE: Duration = Duration::from_secs(6);

/// An agent that wants nothing for so long gives its share back.
const IDLE: Duration = Duration::from_secs(20);

/// Where one agent stands with one budget: a pure function of what it did and saw. Times are since any fixed moment.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Membership {
    /// When its lease was first written.
    joined: Option<Duration>,
    /// When it last renewed its lease and then counted, and how many leases there were.
    counted: Option<(Duration, u32)>,
}

impl Membership {
    /// What may be used at `now`: one share of as many, or nothing.
    fn share(&self, now: Duration) -> Option<u32> {
        let (at, members) = self.counted?;
        (now >= self.joined? + SETTLE && now < at + FRESH).then_some(members.max(1))
    }

    /// The lease was renewed from `begun` on, was there at `written` at the latest, and was then counted among `members`.
    fn counted(&mut self, begun: Duration, written: Duration, members: u32) {
        // Without a fresh count the lease may have expired meanwhile: then it is a new one.
        if self.counted.is_none_or(|(at, _)| begun >= at + FRESH) {
            self.joined = None;
        }
        self.joined.get_or_insert(written);
        self.counted = Some((begun, members));
    }
}

/// Keeps this agent's shares.
#[derive(Debug)]
pub struct Keeper {
    bus: Bus,
    bucket: Bucket,
    budgets: Vec<SharedBudget>,
    name: String,
}

impl Keeper {
    /// For the budgets of `stores`, with leases in `bucket`, which must let a value carry its own time to live. From now on this process
    /// uses nothing of these budgets that it was not granted.
    pub fn new(bus: &Bus, bucket: &str, stores: &Stores) -> Self {
        let budgets = stores.budgets();
        for budget in &budgets {
            budget.grant(None);
        }
        // Different for every process; the standard library's hash seeds are random.
        let name = format!("{:016x}", RandomState::new().build_hasher().finish());
        Self { bus: bus.clone(), bucket: bus.bucket(bucket), budgets, name }
    }

    /// Takes and gives back shares for as long as it is polled, and for ever if need be.
    pub async fn keep(&self) {
        join_all(self.budgets.iter().map(|budget| self.keep_one(budget))).await;
        std::future::pending::<()>().await;
    }

    async fn keep_one(&self, budget: &SharedBudget) {
        let begin = Instant::now();
        let folder = format!("budget.{}", hex::encode(&Sha256::digest(&budget.id)[..8]));
        let mut membership = Membership::default();
        let mut period = tokio::time::interval(PERIOD);
        loop {
            // A count that does not come in time must not keep the share in use.
            let until = membership.counted.map_or(begin.elapsed() + FRESH, |(at, _)| at + FRESH);
            let now = begin.elapsed();
            if budget.idle().is_some_and(|idle| idle < IDLE) {
                let limit = until.checked_sub(now).filter(|left| !left.is_zero()).unwrap_or(FRESH);
                match tokio::time::timeout(limit, self.renew(&folder, begin)).await {
                    Ok(Ok((written, members))) => membership.counted(now, written, members),
                    Ok(Err(error)) => tracing::warn!(%error, "cannot renew the lease on a budget"),
                    Err(_elapsed) => tracing::warn!("cannot renew the lease on a budget in time"),
                }
            } else if membership != Membership::default() {
                membership = Membership::default();
                budget.grant(None);
                // What is not erased expires.
                self.erase(&folder).await.ok();
            }
            let share = membership.share(begin.elapsed()).map(|members| budget.rates().shared(members));
            budget.grant(share);
            period.tick().await;
        }
    }

    /// Writes the lease and counts all. When it was written, since `begin`, and how many there are.
    async fn renew(&self, folder: &str, begin: Instant) -> Result<(Duration, u32), BusError> {
        let lease = self.bucket.publication(&format!("{folder}.{}", self.name), "").ttl(Some(LEASE));
        self.bus.publish(lease).await?;
        let written = begin.elapsed();
        let members = self.bucket.get_all(&format!("{folder}.*")).await?.len();
        Ok((written, u32::try_from(members).unwrap_or(u32::MAX)))
    }

    async fn erase(&self, folder: &str) -> Result<(), BusError> {
        let marker = self.bucket.publication(&format!("{folder}.{}", self.name), "");
        self.bus.publish(marker.header("KV-Operation", "DEL").ttl(Some(LEASE))).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What an agent does in a simulation, in order; it takes the time of the first number, in milliseconds.
    #[derive(Debug, Clone, Copy)]
    enum Doing {
        /// Renews, which takes as long as the first number says, and counts, which takes as long as the second.
        Renew(u64, u64),
        /// Does nothing, as if it were frozen or cut off.
        Nothing,
    }

    fn agent() -> impl Strategy<Value = Vec<(u64, Doing)>> {
        let doing = prop_oneof![4 => (0_u64..999, 0_u64..999).prop_map(|(write, count)| Doing::Renew(write, count)), 1 => Just(Doing::Nothing)];
        prop::collection::vec((100_u64..4_000, doing), 1..30)
    }

    /// When, which agent, and what it has from then on.
    type Event = (u64, usize, Option<(u64, u64)>);

    /// When each agent wrote its lease and when it counted: the order in which a server would see it.
    fn events(agents: &[Vec<(u64, Doing)>]) -> Vec<Event> {
        let mut events = Vec::new();
        for (index, steps) in agents.iter().enumerate() {
            let mut now = 0;
            for (pause, doing) in steps {
                now += pause;
                if let Doing::Renew(write, count) = doing {
                    let written = now + write;
                    events.push((written, index, None));
                    events.push((written + count, index, Some((now, written))));
                    now = written + count;
                }
            }
        }
        events.sort_unstable();
        events
    }

    proptest! {
        #[test]
        fn the_shares_in_use_never_add_up_to_more_than_the_budget(agents in prop::collection::vec(agent(), 1..6)) {
            let mut members = vec![Membership::default(); agents.len()];
            let mut leases: Vec<Option<u64>> = vec![None; agents.len()];
            let mut seen = vec![0_u32; agents.len()];
            let lease = u64::try_from(LEASE.as_millis()).unwrap();
            for (now, index, counts) in events(&agents) {
                match counts {
                    // The server may count as soon as the lease is written, however late its answer comes.
                    None => {
                        leases[index] = Some(now);
                        let alive = leases.iter().flatten().filter(|written| *written + lease > now).count();
                        seen[index] = u32::try_from(alive).unwrap();
                    }
                    Some((begun, written)) => {
                        let (begun, written) = (Duration::from_millis(begun), Duration::from_millis(written));
                        members[index].counted(begun, written, seen[index]);
                    }
                }
                let now = Duration::from_millis(now);
                let used: f64 = members.iter().filter_map(|member| member.share(now)).map(|n| 1.0 / f64::from(n)).sum();
                prop_assert!(used <= 1.0 + 1e-9, "{used} at {now:?}: {members:?}");
            }
        }
    }

    #[test]
    fn a_newcomer_waits_and_a_silent_agent_stops() {
        let at = Duration::from_millis;
        let mut member = Membership::default();
        for step in 0..6 {
            assert_eq!(member.share(at(step * 500)), None);
            member.counted(at(step * 500), at(step * 500), 2);
        }
        member.counted(at(3_000), at(3_000), 2);
        assert_eq!(member.share(at(3_000)), Some(2));
        assert_eq!(member.share(at(4_999)), Some(2));
        assert_eq!(member.share(at(5_000)), None, "nothing was counted for two seconds");
        member.counted(at(5_500), at(5_500), 1);
        assert_eq!(member.share(at(5_600)), None, "it comes anew");
    }
}
