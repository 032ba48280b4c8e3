//! What a workflow says to `honk/migrate` in `with:`.

use std::time::Duration;

use honk_agent::JobContext;
use honk_protocol::dataset::LOCATION_MAX_AGE;
use honk_protocol::reason::Reason;
use honk_protocol::settle::Failed;
use honk_protocol::transform::{Expect, TransformSpec};
use honk_service::config::human_duration;
use honk_storage::Keep;
use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::de::Error;
use serde::{Deserialize, Deserializer};

use crate::copy::{ChunkSize, Existing, Policy, Verify};
use crate::inventory::InventoryPlace;

/// `with:` of `honk/migrate`; every field may be left out.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct With {
    /// What becomes of other objects under the same names at the target: `fail`, `overwrite` or `skip`.
    pub existing: Existing,
    /// How much is proved of each object: `sample`, `full` or `none`.
    pub verify: Verify,
    /// How much one agent copies at a time: `{ objects, bytes }`.
    pub chunk: ChunkSize,
    /// What of each object is kept beside bytes, headers and user metadata: `{ tags, acl, storage_class }`.
    pub keep: Keep,
    /// The manifest of an inventory of the source, to cut the work by; none: both sides are listed.
    pub inventory: Option<InventoryPlace>,
    /// When and how readers are sent to the target.
    pub cut_over: CutOver,
    /// How long the source is kept after that, so that it can be rolled back; none: until somebody retires it.
    #[serde(deserialize_with = "some_duration")]
    pub retain: Option<Duration>,
    /// How the dataset is to look at its target; left out: as it is.
    pub transform: Option<TransformSpec>,
    /// What must hold of the rows of a transformation.
    pub expect: Option<Expect>,
}

/// When and how readers are sent to the target.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CutOver {
    /// Whether the run is paused before it, until a person says `honk run resume`.
    pub postpone: bool,
    /// Only at this time of the day, like `22:00-06:00 Europe/Berlin`; the zone is UTC if none is named.
    pub window: Option<Window>,
    /// How long writers may be asked to wait.
    #[serde(with = "human_duration")]
    pub max_hold: Duration,
    /// How long to wait after they were asked, for those that did not hear it at once: at least as long as answers about the location may
    /// be cached. Only where the source was seen to change.
    #[serde(with = "human_duration")]
    pub drain: Duration,
    /// After how many rounds of catching up a source that does not come to rest is given up.
    pub rounds: u32,
}

impl Default for CutOver {
    fn default() -> Self {
        Self { postpone: false, window: None, max_hold: Duration::from_mins(2), drain: LOCATION_MAX_AGE, rounds: 10 }
    }
}

impl With {
    /// Reads it. What does not fit is the workflow's fault.
    pub fn of(job: &JobContext) -> Result<Self, Failed> {
        let with: Self = job.parameters()?;
        match with.problem() {
            Some(problem) => Err(Failed::reject(Reason::InputInvalid, format!("`with`: {problem}"))),
            None => Ok(with),
        }
    }

    /// What does not go together, whatever the dataset: `None` if all of it does.
    fn problem(&self) -> Option<String> {
        let Some(transform) = &self.transform else {
            let needless = "`expect` is checked while rows are read: it needs `transform`, if only `transform: {}`";
            return self.expect.as_ref().map(|_| needless.to_owned());
        };
        let only_of_copies = [
            (
                self.existing == Existing::Skip,
                "existing: skip",
                "its files are one table, and no part of them can be left out",
            ),
            (self.verify != Verify::default(), "verify", "what it wrote is always compared with what the target lists"),
            (self.chunk != ChunkSize::default(), "chunk", "one program reads all of the source, as one table"),
            (self.keep != Keep::default(), "keep", "its files are other objects than the source's"),
            (self.inventory.is_some(), "inventory", "its work is not cut up"),
        ];
        let refused = only_of_copies.into_iter().find(|(is_given, ..)| *is_given);
        let refused =
            refused.map(|(_, name, why)| format!("`{name}` is for copies and not for a transformation: {why}"));
        refused.or_else(|| transform.problem()).or_else(|| self.expect.as_ref()?.problem())
    }

    /// The part of it that the engine obeys.
    pub fn policy(&self) -> Policy {
        Policy { existing: self.existing, verify: self.verify, chunk: self.chunk }
    }
}

fn some_duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    human_duration::deserialize(deserializer).map(Some)
}

/// A time of the day, every day.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    from: Time,
    to: Time,
    zone: TimeZone,
}

impl Window {
    /// Reads `22:00-06:00 Europe/Berlin`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        let (from, to) = words.next()?.split_once('-')?;
        let zone = words.next().map_or(Some(TimeZone::UTC), |name| TimeZone::get(name).ok())?;
        let time = |text: &str| Time::strptime("%H:%M", text).ok();
        let window = Self { from: time(from)?, to: time(to)?, zone };
        (words.next().is_none() && window.from != window.to).then_some(window)
    }

    /// How long it is until it opens; none if it is open. A wait that a change of the clocks makes wrong ends early or late by that hour.
    pub fn opens_in(&self, now: Timestamp) -> Option<Duration> {
        let here = now.to_zoned(self.zone.clone());
        let time = here.time();
        let open =
            if self.from < self.to { self.from <= time && time < self.to } else { self.from <= time || time < self.to };
        if open {
            return None;
        }
        let today = here.date().to_datetime(self.from).to_zoned(self.zone.clone()).ok();
        let next = today
            .filter(|opens| *opens > here)
            .or_else(|| here.date().tomorrow().ok()?.to_datetime(self.from).to_zoned(self.zone.clone()).ok());
        let wait = next.map_or(SignedDuration::from_hours(1), |opens| opens.timestamp().duration_since(now));
        Some(Duration::try_from(wait).unwrap_or_default())
    }
}

impl<'de> Deserialize<'de> for Window {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            D::Error::custom(format!("`{text}` is not a window like `22:00-06:00` or `22:00-06:00 Europe/Berlin`"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_field_may_be_left_out_and_none_may_be_misspelt() {
        let with: With = serde_json::from_value(json!({})).unwrap();
        assert_eq!(with, With::default());
        let with: With = serde_json::from_value(json!({
            "existing": "skip", "verify": "full", "chunk": { "objects": 10 }, "retain": "7d",
            "cut_over": { "postpone": true, "window": "22:00-06:00 Europe/Berlin", "max_hold": "30s" },
        }))
        .unwrap();
        assert_eq!((with.existing, with.verify, with.chunk.objects), (Existing::Skip, Verify::Full, 10));
        assert_eq!((with.retain, with.cut_over.max_hold), (Some(Duration::from_hours(168)), Duration::from_secs(30)));
        for wrong in [json!({ "exsting": "skip" }), json!({ "cut_over": { "window": "late" } }), json!({ "retain": 7 })]
        {
            assert!(serde_json::from_value::<With>(wrong.clone()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_does_not_go_together_with_a_transformation_is_refused_with_the_reason() {
        let problem = |with: serde_json::Value| serde_json::from_value::<With>(with).unwrap().problem();
        for (with, part) in [
            (json!({ "expect": {} }), "`transform: {}`"),
            (json!({ "transform": {}, "existing": "skip" }), "`existing: skip`"),
            (json!({ "transform": {}, "verify": "full" }), "`verify`"),
            (json!({ "transform": {}, "chunk": { "objects": 1 } }), "`chunk`"),
            (json!({ "transform": {}, "keep": { "acl": true } }), "`keep`"),
            (json!({ "transform": { "sql": "SELECT 1", "drop": ["a"] } }), "not both"),
            (json!({ "transform": {}, "expect": { "max_rejected": 2 } }), "`max_rejected`"),
        ] {
            let problem = problem(with.clone());
            assert!(problem.as_ref().is_some_and(|problem| problem.contains(part)), "{with}: {problem:?}");
        }
        let all = json!({
            "transform": { "format": "csv" }, "expect": { "not_null": ["a"] }, "existing": "overwrite", "verify": "sample",
            "retain": "7d", "cut_over": { "postpone": true },
        });
        assert_eq!(problem(all), None);
        assert!(serde_json::from_value::<With>(json!({ "transform": { "fromat": "csv" } })).is_err());
    }

    #[test]
    fn a_window_may_go_over_midnight() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let night = Window::parse("22:00-06:00").unwrap();
        assert_eq!(night.opens_in(at("2026-11-21T23:00:00Z")), None);
        assert_eq!(night.opens_in(at("2026-11-21T05:59:00Z")), None);
        assert_eq!(night.opens_in(at("2026-11-21T21:00:00Z")), Some(Duration::from_hours(1)));
        let lunch = Window::parse("12:00-13:00 Europe/Berlin").unwrap();
        assert_eq!(lunch.opens_in(at("2026-11-21T11:30:00Z")), None);
        assert_eq!(lunch.opens_in(at("2026-11-21T12:00:00Z")), Some(Duration::from_hours(23)));
        assert!(
            ["", "22:00", "22:00-22:00", "25:00-26:00", "22:00-06:00 Nowhere/Land"]
                .iter()
                .all(|text| Window::parse(text).is_none())
        );
    }
}
