//! Load for a measurement: datasets with a workflow, and events whose runs are seen to come to an end.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use honk_bus::{Bus, BusError, Message, Publication};
use honk_protocol::event::OnboardEvent;
use honk_protocol::name::{DatasetName, RunId};
use honk_protocol::subject::{self, EVENT_ONBOARD};
use honk_protocol::workflow::WorkflowPointer;
use honk_service::Clock;
use honk_workflow::Workflow;
use serde_json::json;
use tokio::task::JoinSet;

use crate::error::CliError;

/// Runs that are under way at once, unless the command says otherwise.
pub(super) const IN_FLIGHT: usize = 256;

/// If no run comes to its end for this long, the measurement is given up.
pub(super) const STUCK: Duration = Duration::from_secs(30);

/// The `source` of every event here.
pub(super) const SOURCE: &str = "/honk/bench";

/// Names for as many datasets, others at every call, so that a given server can be measured again.
pub(super) fn names(count: u32) -> Result<Vec<DatasetName>, CliError> {
    let now = u32::try_from(Clock::system().now().as_microsecond() & 0xffff_ffff).unwrap_or(0);
    let tag = std::process::id() ^ now;
    let name = |number| DatasetName::new(format!("bench-{tag:08x}-{number}"));
    (0..count).map(name).collect::<Result<_, _>>().map_err(|error| CliError::failed(error.to_string()))
}

/// Registers the workflow and as many datasets, one for each run, as the API would.
pub(super) async fn register(bus: &Bus, source: &str, count: u32) -> Result<Vec<DatasetName>, CliError> {
    let failed = |error: BusError| CliError::failed("cannot register what is measured").caused_by(&error);
    let parsed = honk_workflow::parse(source);
    let workflow = parsed.map_err(|_| CliError::failed("the measured workflow is not valid"))?.workflow;
    let pointer = pointer(&workflow, source);
    let workflows = bus.workflows();
    workflows.put(&subject::workflow_version_key(&workflow.hash()), workflow.to_json()).await.map_err(failed)?;
    workflows.put(&subject::workflow_name_key(&workflow.name), pointer.to_string()).await.map_err(failed)?;
    let datasets = names(count)?;
    let mut puts = JoinSet::new();
    for dataset in &datasets {
        let entity = json!({
            "apiVersion": "backstage.io/v1alpha1", "kind": "Resource",
            "metadata": {"name": dataset, "annotations": {"honk/workflow": workflow.name}},
            "spec": {"type": "dataset", "owner": "bench"},
        });
        let (catalog, key) = (bus.catalog(), subject::dataset_key(dataset));
        puts.spawn(async move { catalog.put(&key, entity.to_string()).await });
        if puts.len() >= IN_FLIGHT
            && let Some(Ok(put)) = puts.join_next().await
        {
            put.map_err(failed)?;
        }
    }
    while let Some(Ok(put)) = puts.join_next().await {
        put.map_err(failed)?;
    }
    Ok(datasets)
}

fn pointer(workflow: &Workflow, source: &str) -> serde_json::Value {
    let pointer =
        WorkflowPointer::new(workflow.name.clone(), workflow.hash(), Clock::system().now(), source.to_owned());
    serde_json::to_value(pointer).unwrap_or_default()
}

/// Publishes events and sees their runs come to an end.
pub(super) struct Load {
    bus: Bus,
    datasets: std::vec::IntoIter<DatasetName>,
    finished: Pinned,
    begun: HashMap<RunId, Instant>,
    publishing: JoinSet<Result<(), BusError>>,
    patience: Duration,
}

type Pinned = std::pin::Pin<Box<dyn futures_util::Stream<Item = Message> + Send>>;

impl Load {
    /// One event for each dataset; given up if for so long no run comes to its end.
    pub(super) async fn new(bus: Bus, datasets: Vec<DatasetName>, patience: Duration) -> Result<Self, CliError> {
        let finished = bus.signals(subject::FINISHED_ALL).await;
        let finished = finished.map_err(|error| CliError::failed("cannot watch the runs").caused_by(&error))?;
        let (datasets, finished) = (datasets.into_iter(), Box::pin(finished));
        Ok(Self { bus, datasets, finished, begun: HashMap::new(), publishing: JoinSet::new(), patience })
    }

    /// Keeps `in_flight` runs under way until `runs` have come to their end; how long each took.
    pub(super) async fn run(&mut self, runs: u32, in_flight: usize) -> Result<Vec<Duration>, CliError> {
        let runs = usize::try_from(runs).unwrap_or(usize::MAX);
        let (mut latencies, mut sent) = (Vec::with_capacity(runs), 0);
        while latencies.len() < runs {
            while sent < runs && self.begun.len() < in_flight {
                self.send()?;
                sent += 1;
            }
            tokio::select! {
                Some(published) = self.publishing.join_next(), if !self.publishing.is_empty() => note(published)?,
                next = tokio::time::timeout(self.patience, self.finished.next()) => {
                    let stuck = || CliError::failed(format!("{} runs did not come to an end", runs - latencies.len()));
                    let message = next.ok().flatten().ok_or_else(stuck)?;
                    latencies.extend(self.finish(&message)?);
                }
            }
        }
        Ok(latencies)
    }

    fn send(&mut self) -> Result<(), CliError> {
        let dataset = self.datasets.next().ok_or_else(|| CliError::failed("there are too few datasets"))?;
        let event = OnboardEvent {
            id: dataset.to_string(),
            source: SOURCE.into(),
            dataset,
            workflow: None,
            time: None,
            input: serde_json::Map::new(),
        };
        self.begun.insert(event.run_id(), Instant::now());
        let bus = self.bus.clone();
        let publication = Publication::new(EVENT_ONBOARD, event.to_structured()).message_id(event.id);
        self.publishing.spawn(async move { bus.publish(publication).await.map(|_| ()) });
        Ok(())
    }

    fn finish(&mut self, message: &Message) -> Result<Option<Duration>, CliError> {
        let run = message.subject.rsplit('.').next().and_then(|token| RunId::new(token).ok());
        let took = run.and_then(|run| self.begun.remove(&run)).map(|begin| begin.elapsed());
        if message.payload != "success" {
            let state = String::from_utf8_lossy(&message.payload);
            return Err(CliError::failed(format!("a run ended with {state}")));
        }
        Ok(took)
    }
}

fn note(published: Result<Result<(), BusError>, tokio::task::JoinError>) -> Result<(), CliError> {
    let published = published.map_err(|error| CliError::failed("publishing broke off").caused_by(&error))?;
    published.map_err(|error| CliError::failed("cannot publish an event").caused_by(&error))
}
