//! `honk migrate`: an onboarding event for each dataset, and with --wait their runs followed to the end.

mod selection;

use std::cell::Cell;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use honk_api::wire::{DeadLetterPage, DeadLetterQuery, DeadLetterView, EventAccepted, Payload, RunView};
use honk_protocol::event::OnboardEvent;
use honk_protocol::name::{DatasetName, RunId, WorkflowName};
use honk_protocol::run::RunState;
use honk_service::Clock;
use reqwest::Method;
use serde::Serialize;
use tokio::time::sleep;
use uuid::Uuid;

use super::batch::Batch;
use crate::api::{Absent, Api, ApiError, Body, Doing, follow};
use crate::arguments::MigrateArguments;
use crate::error::{CliError, Exit};
use crate::output::{Output, Table};
use crate::view::{self, Follower};

/// `CloudEvents` `source` of the events that this command publishes.
const EVENT_SOURCE: &str = "/honk/cli";

/// How many events are on their way to the API at once.
const EVENTS_IN_FLIGHT: usize = 16;

/// How many runs are followed at once; the others wait for their turn, which changes nothing about how they end.
const RUNS_FOLLOWED: usize = 32;

/// A migration that was asked for.
#[derive(Debug, Serialize)]
struct Requested {
    dataset: DatasetName,
    run: RunId,
    url: String,
    #[serde(skip)]
    event: String,
}

pub(super) async fn run(arguments: MigrateArguments, api: &Api, output: &Output) -> Result<Exit, CliError> {
    let MigrateArguments { mut names, selector, dry_run, workflow, wait } = arguments;
    if let Some(selector) = &selector {
        let planned = selection::plan(selector, workflow.as_ref(), api).await?;
        if dry_run {
            output.data(&planned, |planned| selection::table(planned))?;
            selection::note_empty(&planned, selector, output);
            return Ok(Exit::Done);
        }
        selection::note_empty(&planned, selector, output);
        selection::note_skipped(&planned, output);
        names =
            planned.into_iter().filter(|planned| planned.skipped.is_none()).map(|planned| planned.dataset).collect();
    }
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
    let requested = request_all(names, workflow.as_ref(), api, output).await;
    if !wait {
        output.data(&requested.done, |done| table(done))?;
        return Ok(requested.exit);
    }
    let finished = follow_all(&requested.done, api, output).await;
    output.data(&finished.done, |done| view::runs(done))?;
    let mut exit = requested.exit.max(finished.exit);
    for run in finished.done.iter().filter(|run| run.state != RunState::Success) {
        output.note(&format!(
            "\nerror: the migration of {} ended with {}{}",
            run.dataset,
            run.state,
            view::failures(run)
        ));
        exit = exit.max(Exit::Failed);
    }
    Ok(exit)
}

async fn request_all(
    names: Vec<DatasetName>,
    workflow: Option<&WorkflowName>,
    api: &Api,
    output: &Output,
) -> Batch<Requested> {
    let mut batch = Batch::new();
    let requests = names.into_iter().map(|dataset| request(dataset, workflow.cloned(), api));
    let mut results = stream::iter(requests).buffered(EVENTS_IN_FLIGHT);
    while let Some(result) = results.next().await {
        if batch.take(result, output).is_break() {
            break;
        }
    }
    batch
}

async fn request(dataset: DatasetName, workflow: Option<WorkflowName>, api: &Api) -> Result<Requested, CliError> {
    let doing = format!("migrate {dataset}");
    let event = OnboardEvent {
        id: Uuid::new_v4().to_string(),
        source: EVENT_SOURCE.to_owned(),
        dataset: dataset.clone(),
        workflow,
        time: Some(Clock::system().now()),
        input: serde_json::Map::new(),
    };
    let body = || Body { content_type: "application/cloudevents+json", bytes: event.to_structured() };
    let mut accepted = api.send::<EventAccepted>(Method::POST, &["events"], Some(body())).await;
    if accepted.as_ref().is_err_and(ApiError::is_unreachable) {
        // A connection that broke may have carried the event already: the same id makes it the same run.
        accepted = api.send(Method::POST, &["events"], Some(body())).await;
    }
    let EventAccepted { run, url } = accepted.doing(&doing)?;
    Ok(Requested { dataset, run, url, event: event.id })
}

/// Follows all runs until the API is out of reach; the results are in the order of the requests.
async fn follow_all(requested: &[Requested], api: &Api, output: &Output) -> Batch<RunView> {
    let following = requested.iter().enumerate().map(|(index, request)| async move {
        let finished = follow_one(request, api, output).await;
        finished.map(|run| (index, run))
    });
    let mut results = stream::iter(following).buffer_unordered(RUNS_FOLLOWED);
    let mut finished = Batch::new();
    while let Some(result) = results.next().await {
        if finished.take(result, output).is_break() {
            output.note("the runs go on without being watched; look at them with `honk run list`");
            break;
        }
    }
    finished.done.sort_by_key(|(index, _): &(usize, RunView)| *index);
    Batch { done: finished.done.into_iter().map(|(_, run)| run).collect(), exit: finished.exit }
}

async fn follow_one(request: &Requested, api: &Api, output: &Output) -> Result<RunView, CliError> {
    let Requested { dataset, run, .. } = request;
    let mut follower = Follower::new(output, dataset.as_str());
    let begun = Cell::new(false);
    let finished = follow(api, run, Absent::IsEarly, |update| {
        begun.set(true);
        for line in follower.update(update) {
            if !output.is_live() {
                output.note(&format!("{dataset}: {line}"));
            }
        }
        Ok(())
    });
    tokio::select! {
        finished = finished => finished.map_err(|error| error.told(&format!("follow the run {run} of {dataset}"))),
        letter = refusal(request, &begun, api) => Err(CliError::failed(format!("cannot migrate {dataset}"))
            .because(format!("{} [{}]", letter.error, letter.reason))
            .hint(format!("{} It is dead letter {}.", letter.advice, letter.id))),
    }
}

/// The dead letter of an event that does not become a run. While there is none, or once the run exists, this never ends.
async fn refusal(request: &Requested, begun: &Cell<bool>, api: &Api) -> DeadLetterView {
    let mut wait = Duration::from_millis(500);
    loop {
        sleep(wait).await;
        wait = (wait * 2).min(Duration::from_secs(10));
        if !begun.get() {
            // If the API cannot say, following the run will tell why.
            if let Ok(Some(letter)) = find_refusal(request, api).await {
                return letter;
            }
        }
    }
}

async fn find_refusal(request: &Requested, api: &Api) -> Result<Option<DeadLetterView>, ApiError> {
    let query = DeadLetterQuery { dataset: Some(request.dataset.clone()), ..DeadLetterQuery::default() };
    let found = api.list::<DeadLetterPage>(&["api", "dead-letters"], &query, 20).await?;
    for letter in found.items.iter().filter(|letter| letter.id.starts_with("event.")) {
        let letter: DeadLetterView = api.get(&["api", "dead-letters", &letter.id]).await?;
        let is_ours = |payload: &Payload| matches!(payload, Payload::Text(text) if text.contains(&request.event));
        if letter.payload.as_ref().is_some_and(is_ours) {
            return Ok(Some(letter));
        }
    }
    Ok(None)
}

fn table(requested: &[Requested]) -> String {
    let mut table = Table::new(&["DATASET", "RUN"]);
    for Requested { dataset, run, .. } in requested {
        table.row([dataset.to_string(), run.to_string()]);
    }
    if requested.is_empty() { String::new() } else { table.to_string() }
}
