//! An event becomes a run: decoded, its workflow found, its record created, its first jobs published, and only then
//! acknowledged. What can never become a run is dead-lettered with its reason.

use std::sync::Arc;
use std::time::Duration;

use honk_agent::ledger::{Created, Trace};
use honk_agent::workflows::{WorkflowError, Workflows};
use honk_agent::{Ledger, LedgerError, failpoint, persist};
use honk_bus::{Delivery, Message, Mirror};
use honk_protocol::control::{Wish, group_key, workflow_key};
use honk_protocol::dead::HEADER_TRACEPARENT;
use honk_protocol::entity::{Entity, WORKFLOW};
use honk_protocol::event::{EventError, OnboardEvent, expression_input};
use honk_protocol::gate::{Gate, Group};
use honk_protocol::name::{DatasetName, RunId, WorkflowHash, WorkflowName};
use honk_protocol::reason::Reason;
use honk_protocol::run::{EventRef, NewJob, NewRun, WorkflowRef};
use honk_protocol::settle::Failed;
use honk_protocol::subject::{DeadSubject, EVENT_ONBOARD, EventKey, dataset_key, workflow_name_key};
use honk_protocol::workflow::WorkflowPointer;
use honk_service::messaging::process_span;
use honk_service::{Metrics, TraceParent, trace_context};
use honk_workflow::{Job, Workflow};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use serde_json::json;
use tracing::Instrument;

/// An event that was delivered more often kills whoever takes it.
const MOST_DELIVERIES: u32 = 10;

/// The pause before an event is delivered again that could not be handled now.
const PAUSE: Duration = Duration::from_secs(2);

/// Makes runs of events.
#[derive(Debug)]
pub struct Intake {
    ledger: Ledger,
    catalog: Mirror<Entity>,
    workflows: Mirror<WorkflowPointer>,
    holds: Mirror<Wish>,
    versions: Workflows,
    default_workflow: WorkflowName,
    events: Family<Vec<(&'static str, &'static str)>, Counter>,
}

/// Why an event does not become a run.
#[derive(Debug, thiserror::Error)]
enum IntakeError {
    /// It never will as it is.
    #[error("{}", .0.message)]
    Rejected(Failed),
    /// It may later.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// It may later.
    #[error(transparent)]
    Workflow(#[from] WorkflowError),
}

impl From<EventError> for IntakeError {
    fn from(error: EventError) -> Self {
        Self::Rejected(Failed::reject(error.reason(), error.to_string()))
    }
}

impl From<honk_bus::BusError> for IntakeError {
    fn from(error: honk_bus::BusError) -> Self {
        Self::Ledger(error.into())
    }
}

/// What intake keeps copies of.
#[derive(Debug, Clone)]
pub struct Copies {
    /// The catalog.
    pub catalog: Mirror<Entity>,
    /// The workflows' current versions.
    pub workflows: Mirror<WorkflowPointer>,
    /// The paused workflows.
    pub holds: Mirror<Wish>,
}

impl Intake {
    /// With its copies of what it looks up for every event.
    pub fn new(ledger: Ledger, copies: Copies, default_workflow: WorkflowName, metrics: &Metrics) -> Self {
        let Copies { catalog, workflows, holds } = copies;
        let versions = Workflows::new(ledger.bus().clone());
        let events = metrics.register("events", "Events by what became of them", Family::default());
        Self { ledger, catalog, workflows, holds, versions, default_workflow, events }
    }

    /// Handles one event and settles its delivery.
    pub async fn handle(self: Arc<Self>, delivery: Delivery) {
        let brought = delivery.message.headers.get(HEADER_TRACEPARENT).and_then(|text| TraceParent::parse(text).ok());
        let span = process_span(EVENT_ONBOARD, delivery.delivered, brought.as_ref());
        // Where nobody brings a trace and none is exported, the run still has an id to be found by.
        let trace = trace_context::current(&span).or(brought).unwrap_or_else(TraceParent::random);
        self.handle_in_span(delivery, trace).instrument(span).await;
    }

    async fn handle_in_span(&self, delivery: Delivery, trace: TraceParent) {
        let result = if delivery.delivered > MOST_DELIVERIES {
            let message = format!("{} deliveries ended without a result", delivery.delivered - 1);
            Err(IntakeError::Rejected(Failed::reject(Reason::AgentLost, message)))
        } else {
            self.accept(&delivery.message, &trace).await
        };
        let settled = match result {
            Ok(created) => {
                self.count(if matches!(created, Created::New(_)) { "new" } else { "repeated" });
                delivery.ack().await
            }
            Err(IntakeError::Rejected(failed)) => self.reject(delivery, &failed).await,
            Err(error) => {
                tracing::warn!(%error, "the event cannot be handled now");
                delivery.give_back(PAUSE).await
            }
        };
        failpoint::hit("after-ack");
        if let Err(error) = settled {
            tracing::debug!(%error, "settling was not answered; the event comes again and changes nothing");
        }
    }

    /// The event's run, made or found.
    async fn accept(&self, message: &Message, trace: &TraceParent) -> Result<Created, IntakeError> {
        let fallback = fallback_id(message);
        let event = OnboardEvent::decode(&message.payload, |name| message.headers.get(name), &fallback)?;
        let span = tracing::Span::current();
        let id = event.run_id();
        span.record("run", id.as_str());
        span.record("dataset", event.dataset.as_str());
        span.record("trace_id", trace.trace_id());
        let new = self.plan(event, id, trace).await?;
        failpoint::hit("before-record");
        let trace = Trace::new(*trace);
        Ok(persist(|| self.ledger.create(&new, &trace)).await?)
    }

    async fn plan(&self, event: OnboardEvent, id: RunId, trace: &TraceParent) -> Result<NewRun, IntakeError> {
        let entity = self.entity(&event.dataset).await?;
        let named = event.workflow.clone().map(Ok).or_else(|| entity.annotation(WORKFLOW).map(WorkflowName::new));
        let name = match named.transpose() {
            Ok(name) => name.unwrap_or_else(|| self.default_workflow.clone()),
            Err(error) => {
                let message = format!("annotation `{WORKFLOW}`: {error}");
                return Err(IntakeError::Rejected(Failed::reject(Reason::WorkflowUnknown, message)));
            }
        };
        let hash = self.current_version(&name).await?;
        let workflow = self.versions.get(&hash).await?;
        let gate = self.gate(&workflow, &entity, &event)?;
        let job = |job: &Job| NewJob {
            name: job.name.clone(),
            pool: job.pool.clone(),
            needs: job.needs.clone(),
            regardless: job.regardless(),
            tolerated: job.continue_on_error,
        };
        Ok(NewRun {
            id,
            dataset: event.dataset,
            workflow: WorkflowRef { name, hash },
            event: EventRef { source: event.source, id: event.id },
            trace: trace.to_string(),
            input: event.input,
            limit_ms: workflow.deadline_ms,
            gate,
            jobs: workflow.jobs.iter().map(job).collect(),
        })
    }

    /// What must be asked before the run may begin: nothing, nearly always.
    fn gate(&self, workflow: &Workflow, entity: &Entity, event: &OnboardEvent) -> Result<Option<Gate>, IntakeError> {
        let is_held = self.holds.get(&workflow_key(&workflow.name)).is_some();
        let group = match &workflow.concurrency {
            None => None,
            Some(concurrency) => {
                let input = expression_input(&event.dataset, &event.input);
                let text = concurrency.group(&json!({ "input": input, "dataset": entity }));
                let text = text.map_err(|error| {
                    let message = format!("the group of `concurrency`: {error}");
                    IntakeError::Rejected(Failed::reject(Reason::ExpressionInvalid, message))
                })?;
                let key = group_key(&workflow.name, &text);
                Some(Group { key, cancel_in_progress: concurrency.cancel_in_progress })
            }
        };
        let is_gated = is_held || group.is_some() || workflow.rate.is_some();
        Ok(is_gated.then_some(Gate { group, rate: workflow.rate }))
    }

    /// From the copy, or from the server if the copy does not have it yet.
    async fn entity(&self, dataset: &DatasetName) -> Result<Arc<Entity>, IntakeError> {
        let key = dataset_key(dataset);
        if let Some(entity) = self.catalog.get(&key) {
            return Ok(entity);
        }
        let stored = self.ledger.bus().catalog().get(&key).await?;
        let entity = stored.and_then(|entry| serde_json::from_slice(&entry.value).ok()).map(Arc::new);
        let unknown = || Failed::reject(Reason::DatasetUnknown, format!("no dataset `{dataset}` is in the catalog"));
        entity.ok_or_else(|| IntakeError::Rejected(unknown()))
    }

    async fn current_version(&self, name: &WorkflowName) -> Result<WorkflowHash, IntakeError> {
        let key = workflow_name_key(name);
        if let Some(pointer) = self.workflows.get(&key) {
            return Ok(pointer.hash.clone());
        }
        let stored = self.ledger.bus().workflows().get(&key).await?;
        let pointer = stored.and_then(|entry| serde_json::from_slice::<WorkflowPointer>(&entry.value).ok());
        let unknown = || Failed::reject(Reason::WorkflowUnknown, format!("no workflow `{name}` is registered"));
        pointer.map(|pointer| pointer.hash).ok_or_else(|| IntakeError::Rejected(unknown()))
    }

    /// Copies the event to the dead letters, and then has the server forget it.
    async fn reject(&self, delivery: Delivery, failed: &Failed) -> Result<(), honk_bus::BusError> {
        let message = &delivery.message;
        tracing::warn!(reason = %failed.reason, error = failed.message, "the event is dead-lettered");
        let key = EventKey::of_message(message.sequence, message.time.as_nanosecond());
        let dataset = OnboardEvent::decode(&message.payload, |name| message.headers.get(name), "-").ok();
        let dataset = dataset.map(|event| event.dataset.to_string());
        let about = (delivery.delivered, failed);
        let subject = DeadSubject::Event { key };
        let write = || self.ledger.write_letter(message, subject.clone(), dataset.clone(), about);
        match persist(write).await {
            Ok(()) => {
                self.count("rejected");
                delivery.terminate(failed.reason.code()).await
            }
            Err(error) => {
                tracing::error!(%error, "the event could not be dead-lettered");
                delivery.give_back(PAUSE).await
            }
        }
    }

    fn count(&self, result: &'static str) {
        self.events.get_or_create(&vec![("result", result)]).inc();
    }
}

/// The identity of an event that brings none: what its publisher said makes it the same message, else the message itself.
fn fallback_id(message: &Message) -> String {
    let said = message.headers.get("Nats-Msg-Id").map(ToOwned::to_owned);
    said.unwrap_or_else(|| format!("{}.{}", message.sequence, message.time.as_nanosecond()))
}
