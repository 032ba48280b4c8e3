//! `on.schedule`: when a tick comes, an ordinary onboarding event is published for every dataset that the schedule selects. The event's id says
//! which tick it is of, so that any number of copies may do this at once: the same tick is the same run.
//!
//! The latest tick that was handled is kept, and written only after its events are stored: whoever is killed between leaves it to be done
//! again, which changes nothing. If no intake ran when a tick came, the latest one that was missed within the last 24 hours is made up once;
//! older ones are not. A schedule begins when its workflow is registered. Datasets that must not be migrated are left out.
//!
//! When a tick is follows from the clock that everything here asks; the pauses between are tokio's.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use honk_agent::Ledger;
use honk_agent::workflows::{WorkflowError, Workflows};
use honk_bus::{BusError, Mirror, Publication};
use honk_protocol::control::tick_key;
use honk_protocol::entity::Entity;
use honk_protocol::event::OnboardEvent;
use honk_protocol::gate::Tick;
use honk_protocol::name::{DatasetName, WorkflowName};
use honk_protocol::selector::{Selector, SelectorError};
use honk_protocol::subject::EVENT_ONBOARD;
use honk_protocol::workflow::WorkflowPointer;
use honk_workflow::{Schedule, ScheduleError};
use jiff::{SignedDuration, Timestamp};
use serde_json::Map;
use tokio_util::sync::CancellationToken;

use crate::handler::Copies;

/// `CloudEvents` `source` of the events that schedules make.
pub const SOURCE: &str = "/honk/schedule";

/// How old the latest missed tick may be to be made up.
const MADE_UP: SignedDuration = SignedDuration::from_hours(24);

/// The longest sleep: a machine's clock may be set, or the machine may sleep.
const LONGEST_SLEEP: Duration = Duration::from_mins(1);

/// The pause after something that did not work.
const PAUSE: Duration = Duration::from_secs(2);

/// Events that are on their way to the server at once.
const AT_ONCE: usize = 64;

/// Publishes events when ticks come.
#[derive(Debug)]
pub struct Scheduler {
    ledger: Ledger,
    versions: Workflows,
    catalog: Mirror<Entity>,
    workflows: Mirror<WorkflowPointer>,
}

/// A schedule of a workflow.
struct Entry<'w> {
    workflow: &'w WorkflowName,
    /// Its place in the list.
    place: usize,
    schedule: &'w Schedule,
    /// Since when there is this version of the workflow.
    since: Timestamp,
}

/// Why a tick could not be handled.
#[derive(Debug, thiserror::Error)]
enum TickError {
    #[error(transparent)]
    Bus(#[from] BusError),
    #[error(transparent)]
    Workflow(#[from] WorkflowError),
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    #[error(transparent)]
    Selector(#[from] SelectorError),
}

impl Scheduler {
    /// A scheduler of all workflows that are current.
    pub fn new(ledger: Ledger, copies: Copies) -> Self {
        let versions = Workflows::new(ledger.bus().clone());
        Self { ledger, versions, catalog: copies.catalog, workflows: copies.workflows }
    }

    /// Publishes events until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        loop {
            let seen = self.workflows.revision();
            let sleep = self.round().await;
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = self.workflows.reached(seen + 1) => {}
                () = tokio::time::sleep(sleep) => {}
            }
        }
    }

    /// Handles every tick that has come; how long nothing more will.
    async fn round(&self) -> Duration {
        let mut sleep = LONGEST_SLEEP;
        for (_, pointer) in self.workflows.find("name.") {
            match self.look_at(&pointer).await {
                Ok(None) => {}
                Ok(Some(next)) => {
                    let wait = next.duration_since(self.ledger.clock().now());
                    sleep = sleep.min(Duration::try_from(wait).unwrap_or_default());
                }
                Err(error) => {
                    tracing::warn!(%error, workflow = %pointer.name, "its schedule cannot be kept now");
                    sleep = sleep.min(PAUSE);
                }
            }
        }
        sleep
    }

    /// The workflow's next tick, after all that have come are handled.
    async fn look_at(&self, pointer: &WorkflowPointer) -> Result<Option<Timestamp>, TickError> {
        let workflow = self.versions.get(&pointer.hash).await?;
        let mut next: Option<Timestamp> = None;
        for (place, schedule) in workflow.on.schedule.iter().enumerate() {
            let entry = Entry { workflow: &pointer.name, place, schedule, since: pointer.registered_at };
            let now = self.ledger.clock().now();
            self.handle(&entry, now).await?;
            let after = schedule.next_after(now)?;
            next = Some(next.map_or(after, |next| next.min(after)));
        }
        Ok(next)
    }

    async fn handle(&self, entry: &Entry<'_>, now: Timestamp) -> Result<(), TickError> {
        let control = self.ledger.bus().control();
        let key = tick_key(entry.workflow, entry.place);
        let stored = control.get(&key).await?;
        let tick = stored.as_ref().and_then(|stored| serde_json::from_slice::<Tick>(&stored.value).ok());
        let Schedule { cron, timezone, .. } = entry.schedule;
        let tick = tick.filter(|tick| tick.cron == *cron && tick.timezone == *timezone);
        let handled = tick.map_or(entry.since, |tick| tick.at);
        let Some(at) = latest_tick(entry.schedule, handled, now)? else { return Ok(()) };
        self.publish(entry, at).await?;
        let tick = Tick { cron: cron.clone(), timezone: timezone.clone(), at };
        let json = serde_json::to_vec(&tick).unwrap_or_default();
        let written = match stored {
            Some(stored) => control.update(&key, json, stored.revision).await,
            None => control.create(&key, json).await,
        };
        match written {
            Ok(_) => Ok(()),
            // Another intake handled the same tick.
            Err(error) if error.is_conflict() => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Publishes the tick's events.
    async fn publish(&self, entry: &Entry<'_>, at: Timestamp) -> Result<(), TickError> {
        let selector = entry.schedule.selector.as_deref().map(str::parse::<Selector>).transpose()?;
        let is_selected = |entity: &Arc<Entity>| {
            let selected = selector.as_ref().is_none_or(|selector| selector.matches(entity));
            selected && !entity.forbids_migration()
        };
        let all = self.catalog.find("dataset.").into_iter().map(|(_, entity)| entity);
        let events: Vec<OnboardEvent> =
            all.filter(is_selected).map(|entity| event(entry, at, &entity.metadata.name)).collect();
        tracing::info!(workflow = %entry.workflow, tick = %at, datasets = events.len(), "a tick of its schedule");
        let publications = events.into_iter().map(|event| {
            let publication = Publication::new(EVENT_ONBOARD, event.to_structured());
            self.ledger.bus().publish(publication.message_id(event.run_id().to_string()))
        });
        Ok(stream::iter(publications).buffer_unordered(AT_ONCE).map_ok(drop).try_collect().await?)
    }
}

/// The event of a tick for a dataset. Two entries that say the same time are one tick, wherever they stand in the list.
fn event(entry: &Entry<'_>, at: Timestamp, dataset: &DatasetName) -> OnboardEvent {
    let Schedule { cron, timezone, .. } = entry.schedule;
    OnboardEvent {
        id: format!("{}/{cron}/{timezone}/{at}/{dataset}", entry.workflow),
        source: SOURCE.to_owned(),
        dataset: dataset.clone(),
        workflow: Some(entry.workflow.clone()),
        time: Some(at),
        input: Map::new(),
    }
}

/// The latest tick after `handled` that has come by `now`, if it is not too old to be made up.
fn latest_tick(schedule: &Schedule, handled: Timestamp, now: Timestamp) -> Result<Option<Timestamp>, ScheduleError> {
    let mut latest = None;
    let mut next = schedule.next_after(handled.max(now.saturating_sub(MADE_UP).unwrap_or(Timestamp::MIN)))?;
    while next <= now {
        latest = Some(next);
        next = schedule.next_after(next)?;
    }
    Ok(latest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn latest(cron: &str, timezone: &str, handled: &str, now: &str) -> Option<String> {
        let schedule = Schedule { cron: cron.to_owned(), timezone: timezone.to_owned(), selector: None };
        let time = |text: &str| text.parse::<Timestamp>().unwrap();
        latest_tick(&schedule, time(handled), time(now)).unwrap().map(|tick| tick.to_string())
    }

    #[test]
    fn of_missed_ticks_the_latest_is_made_up_and_none_that_is_older_than_a_day() {
        for (cron, zone, handled, now, expected) in [
            ("0 2 * * *", "UTC", "2026-05-01T02:00:00Z", "2026-05-02T01:59:59Z", None),
            ("0 2 * * *", "UTC", "2026-05-01T02:00:00Z", "2026-05-02T02:00:00Z", Some("2026-05-02T02:00:00Z")),
            // Nobody was there for some days.
            ("0 2 * * *", "UTC", "2026-05-01T02:00:00Z", "2026-05-06T12:00:00Z", Some("2026-05-06T02:00:00Z")),
            ("*/5 * * * *", "UTC", "2026-05-01T02:00:00Z", "2026-05-06T12:03:00Z", Some("2026-05-06T12:00:00Z")),
            // A weekly tick that is two days old stays missed.
            ("0 2 * * MON", "UTC", "2026-04-27T02:00:00Z", "2026-05-06T12:00:00Z", None),
            // On the night on which the clocks go forward, and on which they go back.
            (
                "30 2 * * *",
                "Europe/Berlin",
                "2026-03-28T12:00:00Z",
                "2026-03-29T01:00:00Z",
                Some("2026-03-29T01:00:00Z"),
            ),
            ("30 2 * * *", "Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", None),
        ] {
            assert_eq!(latest(cron, zone, handled, now).as_deref(), expected, "{cron} {zone} {handled} {now}");
        }
    }

    #[test]
    fn an_event_is_the_same_for_the_same_tick_and_dataset_alone() {
        let schedule = Schedule { cron: "0 2 * * *".into(), timezone: "UTC".into(), selector: None };
        let other = Schedule { cron: "0 3 * * *".into(), ..schedule.clone() };
        let (w, v): (WorkflowName, WorkflowName) = ("w".parse().unwrap(), "v".parse().unwrap());
        let id = |workflow, schedule, at: Timestamp, dataset: &str| {
            let entry = Entry { workflow, place: 0, schedule, since: at };
            event(&entry, at, &dataset.parse().unwrap()).run_id()
        };
        let (one, two) = (Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH + SignedDuration::from_secs(60));
        let ids = [
            id(&w, &schedule, one, "d"),
            id(&v, &schedule, one, "d"),
            id(&w, &other, one, "d"),
            id(&w, &schedule, two, "d"),
            id(&w, &schedule, one, "e"),
        ];
        assert_eq!(ids[0], id(&w, &schedule, one, "d"));
        assert!((1..ids.len()).all(|place| !ids[..place].contains(&ids[place])));
    }
}
