//! The record that readers follow: which place is active, under which epoch, and what may still change it.
//!
//! Every move is one pure function here and one compare-and-set of the record elsewhere. The *epoch* numbers the answers to "where does the
//! dataset lie?": it never falls, and whenever readers have to go to another place it is higher than before, so that a reader, a cache or a
//! consumer can say with one number what it has seen. A *hold* asks writers to wait; it ends by itself, because whoever took it may be dead.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{LocationSpec, Place, Side};
use crate::name::RunId;

/// How long an answer about a location may be kept while nobody holds it. Whoever asks writers to wait must wait at least as long itself.
pub const LOCATION_MAX_AGE: Duration = Duration::from_secs(5);

/// How many former answers a record remembers.
pub const KEEP_FORMER: usize = 16;

/// A dataset's location, as it is kept. Only a migration that has verified every object moves `active` to the target, and only a roll-back
/// moves it away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Location {
    /// The two places.
    #[serde(flatten)]
    pub spec: LocationSpec,
    /// The place that readers should use.
    pub active: Side,
    /// Which answer this is, from 1: one more whenever readers have to go to another place. Records of before there were epochs are the first.
    #[serde(default = "first_epoch")]
    pub epoch: u64,
    /// Since when `active` is as it is.
    pub since: Timestamp,
    /// The run that made it so; none if a person did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// While a run is about to cut over: writers should wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
    /// Until when the source is kept after a cut-over, so that it can be rolled back; none before one, and where nobody has set an end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retain_until: Option<Timestamp>,
    /// What became of the source after its retention; none as long as it is just kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retired: Option<Retired>,
    /// The answers before this one, newest first, at most [`KEEP_FORMER`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub former: Vec<Former>,
}

/// A run's request that writers wait. It counts until its time has come, whatever became of the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Hold {
    /// Who holds.
    pub run: RunId,
    /// From when on it does not count any more.
    pub until: Timestamp,
}

/// An answer that held before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Former {
    /// Its number.
    pub epoch: u64,
    /// Where readers were sent.
    pub place: Place,
    /// Which side of the location that was then.
    pub side: Side,
    /// Since when.
    pub since: Timestamp,
    /// The run that had made it so; none if a person had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// Whether it was taken back, so that its run may not make it so again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rolled_back: bool,
}

/// What became of a source that readers have left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Retired {
    /// How far it is.
    pub state: RetiredState,
    /// Since when.
    pub since: Timestamp,
    /// The run that did it; none if a person did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// The name of the list of what is removed (`RemovalList`); none before anything is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list: Option<String>,
}

/// How far a source's retirement is. It only goes forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum RetiredState {
    /// Nobody should read it any more; all of it is still there.
    Deprecated,
    /// Its objects are being removed: it is not whole any more.
    Removing,
    /// Its objects are gone.
    Removed,
}

/// Why a dataset cannot be rolled back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotRollable {
    /// The source is active.
    #[error("nothing was cut over: the source is the active place")]
    NothingCutOver,
    /// A run is in the middle of something.
    #[error("run {} holds the dataset until {}", .0.run, .0.until)]
    Held(Hold),
    /// Its objects are gone, or some of them.
    #[error("the source is not whole any more: it was retired and its objects were removed from {0} on")]
    Removed(Timestamp),
    /// Its retention is over. Whoever knows that it is whole can insist.
    #[error("the source was kept until {0}; since then it may not be whole")]
    NotRetained(Timestamp),
}

/// Why a source cannot be retired now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotRetirable {
    /// Readers use it.
    #[error("the source is the active place")]
    Active,
    /// A run is in the middle of something.
    #[error("run {} holds the dataset until {}", .0.run, .0.until)]
    Held(Hold),
    /// Its retention is not over.
    #[error("the source is kept until {0}")]
    Retained(Timestamp),
}

impl Retired {
    /// A source that is in `state` since `now`, made so by `run`.
    pub fn new(state: RetiredState, run: Option<&RunId>, now: Timestamp) -> Self {
        Self { state, since: now, run: run.cloned(), list: None }
    }
}

impl Hold {
    /// Whether it counts at `now`.
    pub fn is_live(&self, now: Timestamp) -> bool {
        now < self.until
    }
}

impl Location {
    /// A location as a person registers it first: the source is active, under epoch 1.
    pub fn registered(spec: LocationSpec, now: Timestamp) -> Self {
        Self {
            spec,
            active: Side::Source,
            epoch: first_epoch(),
            since: now,
            run: None,
            hold: None,
            retain_until: None,
            retired: None,
            former: Vec::new(),
        }
    }

    /// The location after a person has registered other places for the same dataset: the new source is active. The epoch goes on, and is
    /// higher if readers have to go elsewhere.
    #[must_use]
    pub fn registered_anew(&self, spec: LocationSpec, now: Timestamp) -> Self {
        let is_elsewhere = self.active != Side::Source || *self.active_place() != spec.source;
        let fresh = Self::registered(spec, now);
        if is_elsewhere {
            Self { epoch: self.epoch.saturating_add(1), former: self.with_former(false), ..fresh }
        } else {
            Self { epoch: self.epoch, since: self.since, former: self.former.clone(), ..fresh }
        }
    }

    /// The location after `run` has verified the target, from then on active. The source is kept for `retain`; without, until it is retired
    /// on purpose. The run's hold ends.
    #[must_use]
    pub fn cut_over(&self, run: &RunId, now: Timestamp, retain: Option<Duration>) -> Self {
        let end = |retain| now.checked_add(retain).unwrap_or(Timestamp::MAX);
        Self { run: Some(run.clone()), retain_until: retain.map(end), ..self.flipped(Side::Target, now, false) }
    }

    /// The location while `run` asks writers to wait, until `until`. Taking it again moves its end.
    #[must_use]
    pub fn held(&self, run: &RunId, until: Timestamp) -> Self {
        Self { hold: Some(Hold { run: run.clone(), until }), ..self.clone() }
    }

    /// The location without the hold of `run`. Another's stays.
    #[must_use]
    pub fn released(&self, run: &RunId) -> Self {
        let hold = self.hold.clone().filter(|hold| hold.run != *run);
        Self { hold, ..self.clone() }
    }

    /// The location after a person has sent readers back to the source. `force` does so also after the retention, but never to a source of
    /// which something was removed.
    ///
    /// # Errors
    /// There is nothing to roll back to, or not now.
    pub fn rolled_back(&self, now: Timestamp, force: bool) -> Result<Self, NotRollable> {
        if self.active == Side::Source {
            return Err(NotRollable::NothingCutOver);
        }
        if let Some(hold) = self.live_hold(now) {
            return Err(NotRollable::Held(hold.clone()));
        }
        if let Some(retired) = self.retired.as_ref().filter(|retired| retired.state > RetiredState::Deprecated) {
            return Err(NotRollable::Removed(retired.since));
        }
        if let Some(until) = self.retain_until.filter(|until| *until <= now && !force) {
            return Err(NotRollable::NotRetained(until));
        }
        Ok(Self { run: None, retain_until: None, ..self.flipped(Side::Source, now, true) })
    }

    /// The location after its source went on to `next`. Going to where it is, or back, changes nothing.
    ///
    /// # Errors
    /// The source is in use, or is kept a while longer.
    pub fn retired(&self, next: Retired) -> Result<Self, NotRetirable> {
        self.retirable(next.since)?;
        if self.retired.as_ref().is_some_and(|retired| retired.state >= next.state) {
            return Ok(self.clone());
        }
        Ok(Self { retired: Some(next), ..self.clone() })
    }

    /// Whether the source may be retired at `now`, as far as the record knows: it does not know the consumers.
    ///
    /// # Errors
    /// Why not.
    pub fn retirable(&self, now: Timestamp) -> Result<(), NotRetirable> {
        if self.active == Side::Source {
            return Err(NotRetirable::Active);
        }
        if let Some(hold) = self.live_hold(now) {
            return Err(NotRetirable::Held(hold.clone()));
        }
        self.retain_until.filter(|until| now < *until).map_or(Ok(()), |until| Err(NotRetirable::Retained(until)))
    }

    /// The hold that counts at `now`.
    pub fn live_hold(&self, now: Timestamp) -> Option<&Hold> {
        self.hold.as_ref().filter(|hold| hold.is_live(now))
    }

    /// Whether what `run` had cut over was taken back: its late repeats must not cut over again.
    pub fn was_rolled_back(&self, run: &RunId) -> bool {
        self.former.iter().any(|former| former.rolled_back && former.run.as_ref() == Some(run))
    }

    /// The active place.
    pub fn active_place(&self) -> &Place {
        self.spec.place(self.active)
    }

    /// The same with another side active, if it is not already: a higher epoch, no hold, and nothing said about the other side.
    fn flipped(&self, active: Side, now: Timestamp, rolled_back: bool) -> Self {
        if self.active == active {
            return Self { since: now, hold: None, retired: None, ..self.clone() };
        }
        Self {
            active,
            epoch: self.epoch.saturating_add(1),
            since: now,
            hold: None,
            retired: None,
            former: self.with_former(rolled_back),
            ..self.clone()
        }
    }

    /// The former answers once this one is among them.
    fn with_former(&self, rolled_back: bool) -> Vec<Former> {
        let this = Former {
            epoch: self.epoch,
            place: self.active_place().clone(),
            side: self.active,
            since: self.since,
            run: self.run.clone(),
            rolled_back,
        };
        std::iter::once(this).chain(self.former.iter().cloned()).take(KEEP_FORMER).collect()
    }
}

const fn first_epoch() -> u64 {
    1
}

#[cfg(test)]
mod tests;
