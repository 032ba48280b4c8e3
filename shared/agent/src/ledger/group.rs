//! Groups of which one run at a time is done, with GitHub's meaning: one run is live, one waits, and a newer one takes the waiting one's
//! place; with `cancel-in-progress` it takes the live one's too.
//!
//! A group is one key that names its holder and who waits. It is moved by compare-and-set, and what it says is checked against the run records
//! each time: a holder whose record has ended, or is gone, holds nothing. So whoever is killed leaves nothing behind that would block.
//!
//! Two runs of a group are never live at once: a run begins only after it was made the holder, and it is replaced as the holder only after
//! its record has ended, be it by being superseded while it waited.

use honk_protocol::control::GROUP_PREFIX;
use honk_protocol::gate::{Group, Member, Members};
use honk_protocol::run::{Run, RunState};
use jiff::SignedDuration;

use super::letters::KEEP_MARKER;
use super::{ControlError, Ledger, LedgerError, Recorded};

/// How long a run that is about to be begun again holds its group before its record says that it is live.
const REOPENING: SignedDuration = SignedDuration::from_secs(10);

/// A run's place in its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// It may begin.
    Holder,
    /// It waits for the holder's end.
    Waiter,
    /// Something has changed; perhaps a newer run took its place.
    Moved,
}

/// The other runs of a group that have not ended.
#[derive(Debug, Default)]
struct Others {
    /// The holder, if it has begun or is about to begin again.
    live: Option<Member>,
    /// Those that wait, be it as the holder.
    waiting: Vec<Recorded>,
}

impl Ledger {
    /// Takes a waiting run's place in its group, or finds it there.
    pub(super) async fn join(&self, group: &Group, run: &Run) -> Result<Place, LedgerError> {
        loop {
            let (members, expect) = self.kept::<Members>(&group.key).await?;
            let known = members.unwrap_or_default();
            let others = self.others(&known, run).await?;
            if let Some(newer) = others.waiting.iter().find(|other| other.run.seniority() > run.seniority()) {
                let own = self.get(&run.dataset, &run.id).await?;
                self.supersede(&own, &newer.run).await?;
                return Ok(Place::Moved);
            }
            for older in &others.waiting {
                if !self.supersede(older, run).await? {
                    return Ok(Place::Moved);
                }
            }
            let (wanted, place) = match others.live {
                Some(live) if group.cancel_in_progress && live.until.is_none() => {
                    self.cancel_for(&live, run).await?;
                    continue;
                }
                Some(live) => (Members { holder: Some(live), waiter: Some(Member::of(run)) }, Place::Waiter),
                None => (Members { holder: Some(Member::of(run)), waiter: None }, Place::Holder),
            };
            if wanted == known || self.keep(&group.key, &wanted, expect, None).await? {
                return Ok(place);
            }
        }
    }

    /// Makes a finished run the holder of its group again, if no other run of it is live or waits.
    pub(super) async fn join_again(&self, group: &Group, run: &Run) -> Result<(), ControlError> {
        loop {
            let (members, expect) = self.kept::<Members>(&group.key).await?;
            let others = self.others(&members.unwrap_or_default(), run).await?;
            let waiting = others.waiting.first().map(|other| other.run.id.clone());
            if let Some(other) = others.live.map(|live| live.run).or(waiting) {
                return Err(ControlError::LaneTaken(other));
            }
            let until = self.clock.now().checked_add(REOPENING).ok();
            let wanted = Members { holder: Some(Member { until, ..Member::of(run) }), waiter: None };
            if self.keep(&group.key, &wanted, expect, None).await? {
                return Ok(());
            }
        }
    }

    /// Takes a run that has ended out of its group, so that intake sees that the next one may begin.
    pub async fn leave_group(&self, run: &Run) -> Result<(), LedgerError> {
        let Some(group) = run.group().filter(|group| group.key.starts_with(GROUP_PREFIX)) else { return Ok(()) };
        loop {
            let (members, expect) = self.kept::<Members>(&group.key).await?;
            let Some(mut members) = members else { return Ok(()) };
            if !members.remove(&run.id) {
                return Ok(());
            }
            let left = if members.is_empty() {
                let subject = self.bus.control().subject(&group.key);
                match self.bus.erase_if(&subject, expect, KEEP_MARKER).await {
                    Ok(_) => true,
                    Err(error) if error.leaves_open() => false,
                    Err(error) => return Err(error.into()),
                }
            } else {
                self.keep(&group.key, &members, expect, None).await?
            };
            if left {
                return Ok(());
            }
        }
    }

    async fn others(&self, members: &Members, run: &Run) -> Result<Others, LedgerError> {
        let mut others = Others::default();
        for (member, holds) in [(&members.holder, true), (&members.waiter, false)] {
            let Some(member) = member.as_ref().filter(|member| member.run != run.id) else { continue };
            let record = match self.get(&member.dataset, &member.run).await {
                Ok(record) => record,
                Err(LedgerError::NoRun(_)) => continue,
                Err(error) => return Err(error),
            };
            let is_reopening = member.until.is_some_and(|until| until > self.clock.now());
            match record.run.state {
                RunState::Waiting => others.waiting.push(record),
                RunState::Running if holds => others.live = Some(Member { until: None, ..member.clone() }),
                _ if holds && is_reopening => others.live = Some(member.clone()),
                _ => {}
            }
        }
        Ok(others)
    }

    /// Gives the live run of a group up, because a newer one takes its place.
    async fn cancel_for(&self, live: &Member, newer: &Run) -> Result<(), LedgerError> {
        tracing::info!(run = %live.run, by = %newer.id, "given up for a newer run of its group");
        match self.cancel(&live.run).await {
            // It came to its end by itself meanwhile, or is forgotten.
            Ok(_) | Err(ControlError::Ledger(LedgerError::Refused(_) | LedgerError::NoRun(_))) => Ok(()),
            Err(ControlError::Ledger(error)) => Err(error),
            Err(error @ ControlError::LaneTaken(_)) => {
                tracing::warn!(%error, run = %live.run, "not given up");
                Ok(())
            }
        }
    }
}
