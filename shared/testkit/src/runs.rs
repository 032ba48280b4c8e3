//! Events in, run records out: published until they are accepted, and watched until they are as awaited.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use honk_bus::{Bucket, BusError, Publication, Published, WatchEvent};
use honk_protocol::event::OnboardEvent;
use honk_protocol::log::LogChunk;
use honk_protocol::name::RunId;
use honk_protocol::run::{Job, Run, RunState};
use honk_protocol::subject::{EVENT_ONBOARD, LogSubject, dataset_key};
use honk_protocol::topology;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{Dataset, Harness, PATIENCE, eventually};

/// What the tests' events say that they come from.
pub const SOURCE: &str = "/honk/test";

/// Every run that is on record.
pub type Runs = BTreeMap<RunId, Run>;

impl Harness {
    /// Asks for a migration with an event of its own, and returns the run that it will be.
    pub async fn migrate(&self, dataset: &Dataset) -> RunId {
        let number = self.published.fetch_add(1, Ordering::Relaxed);
        self.publish(&self.event(dataset, &format!("{}-{number}", dataset.name))).await
    }

    /// Asks for a run of `workflow` for a dataset of this name that has no data, with these further fields in the event.
    pub async fn run_workflow(&self, workflow: &str, dataset: &str, input: serde_json::Map<String, Value>) -> RunId {
        let known = self.bus.catalog().get(&dataset_key(&dataset.parse().unwrap())).await.unwrap();
        if known.is_none() {
            self.import(dataset, "Component", &json!({}), &json!({ "type": "dataset", "owner": "data-team" })).await;
        }
        let number = self.published.fetch_add(1, Ordering::Relaxed);
        let event = OnboardEvent {
            id: format!("{dataset}-{number}"),
            source: SOURCE.to_owned(),
            dataset: dataset.parse().unwrap(),
            workflow: Some(workflow.parse().unwrap()),
            time: None,
            input,
        };
        self.publish(&event).await
    }

    /// What the steps of a run printed, as `<job>: <text>`, in the order in which it was stored.
    pub async fn log_of(&self, run: &RunId) -> Vec<String> {
        let stored = self.bus.changes(topology::LOGS, 1).await.unwrap();
        let mut lines = Vec::new();
        for message in stored {
            let subject: LogSubject = message.subject.parse().expect("a log's subject");
            let chunk: LogChunk = serde_json::from_slice(&message.payload).expect("a chunk of a log");
            if subject.run == *run {
                lines.extend(chunk.lines.into_iter().map(|line| format!("{}: {}", subject.job, line.text)));
            }
        }
        lines
    }

    /// An event with this id.
    pub fn event(&self, dataset: &Dataset, id: &str) -> OnboardEvent {
        OnboardEvent {
            id: id.to_owned(),
            source: SOURCE.to_owned(),
            dataset: dataset.name.clone(),
            workflow: None,
            time: None,
            input: serde_json::Map::new(),
        }
    }

    /// An event that asks for a run of `workflow` for a new dataset of this name, which has no data. Its id is the name.
    pub async fn event_for(&self, workflow: &str, dataset: &str) -> OnboardEvent {
        self.import(dataset, "Resource", &json!({}), &json!({ "type": "dataset" })).await;
        let event = self.event(&Dataset { name: dataset.parse().unwrap() }, dataset);
        OnboardEvent { workflow: Some(workflow.parse().unwrap()), ..event }
    }

    /// Publishes an event until the server has accepted it.
    pub async fn publish(&self, event: &OnboardEvent) -> RunId {
        let publication = Publication::new(EVENT_ONBOARD, event.to_structured()).message_id(event.id.clone());
        eventually("an event is accepted", PATIENCE, || async {
            self.publish_once(publication.clone()).await.map_err(|error| error.to_string())
        })
        .await;
        event.run_id()
    }

    /// Publishes anything, once.
    pub async fn publish_once(&self, publication: Publication) -> Result<Published, BusError> {
        self.bus.publish(publication).await
    }

    /// Waits until the run has come to its end.
    pub async fn finished(&self, run: &RunId) -> Run {
        self.run_when(run, "comes to its end", |run| run.state.is_finished()).await
    }

    /// Waits until all these runs have succeeded. One that ends otherwise fails the test at once.
    pub async fn succeed(&self, runs: &[RunId], limit: Duration) -> Vec<Run> {
        let awaited = format!("{} runs succeed", runs.len());
        self.runs_when(&awaited, limit, |seen| {
            let ended = runs.iter().filter_map(|id| seen.get(id)).filter(|run| run.state.is_finished());
            let ended: Vec<&Run> = ended.collect();
            if let Some(other) = ended.iter().find(|run| run.state != RunState::Success) {
                panic!("a run ended with {}", show(other));
            }
            (ended.len() == runs.len()).then(|| ended.into_iter().cloned().collect())
        })
        .await
    }

    /// Waits until the run is on record and as `wanted`.
    pub async fn run_when(&self, run: &RunId, awaited: &str, wanted: impl Fn(&Run) -> bool) -> Run {
        let awaited = format!("run {run} {awaited}");
        self.runs_when(&awaited, PATIENCE, |seen| seen.get(run).filter(|run| wanted(run)).cloned()).await
    }

    /// Watches all run records until `look` has an answer; fails with what was seen last.
    pub async fn runs_when<T>(&self, awaited: &str, limit: Duration, look: impl Fn(&Runs) -> Option<T>) -> T {
        let (mut seen, deadline) = (Runs::new(), Instant::now() + limit);
        let stream = Bucket::stream_of(topology::RUNS);
        let subject = self.bus.runs().subject(">");
        let mut watch = eventually("the runs can be watched", limit, || async {
            self.bus.watch(&stream, &subject).await.map_err(|error| error.to_string())
        })
        .await;
        loop {
            match tokio::time::timeout_at(deadline, watch.next()).await {
                Ok(WatchEvent::Changed(message)) => {
                    let run: Run = serde_json::from_slice(&message.payload).expect("a run record");
                    seen.insert(run.id.clone(), run);
                }
                Ok(_) => {}
                Err(_) => {
                    let open: Vec<String> = seen.values().filter(|run| !run.state.is_finished()).map(show).collect();
                    let (all, open, listed) = (seen.len(), open.len(), open.join("\n  "));
                    panic!("{awaited}: not within {limit:?}; of {all} runs {open} are open:\n  {listed}");
                }
            }
            if let Some(found) = look(&seen) {
                return found;
            }
        }
    }

    /// Every run that is on record now.
    pub async fn runs(&self) -> Runs {
        let stream = Bucket::stream_of(topology::RUNS);
        let records = self.bus.changes(&stream, 1).await.unwrap();
        let records = records.into_iter().filter(|message| !message.is_removal());
        let runs = records.map(|message| serde_json::from_slice::<Run>(&message.payload).expect("a run record"));
        runs.map(|run| (run.id.clone(), run)).collect()
    }
}

/// The job of this name.
pub fn job<'r>(run: &'r Run, name: &str) -> &'r Job {
    run.job(&name.parse().unwrap()).unwrap_or_else(|| panic!("no job {name} in {}", show(run)))
}

/// A run in one line.
pub fn show(run: &Run) -> String {
    let jobs: Vec<String> = run
        .jobs
        .iter()
        .map(|job| {
            let failure = job.failure.as_ref().map(|failure| format!(" {}: {}", failure.reason, failure.message));
            let failure = failure.unwrap_or_default();
            format!("{}={} {}.{}{failure}", job.name, job.state, job.generation, job.attempt)
        })
        .collect();
    format!("{} of {}: {} [{}]", run.id, run.dataset, run.state, jobs.join(", "))
}
