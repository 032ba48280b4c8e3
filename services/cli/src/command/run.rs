//! `honk run`: what is and was under way.

use honk_api::wire::{RunPage, RunQuery, RunRetry, RunUpdate, RunView};
use honk_protocol::evidence::{Evidence, OUTPUT};
use honk_protocol::name::RunId;
use honk_protocol::run::RunState;
use reqwest::Method;
use serde::Serialize;
use serde_json::value::RawValue;

use super::batch::Batch;
use super::logs;
use crate::api::{Absent, Api, Doing, follow};
use crate::arguments::{RunCommand, RunListArguments};
use crate::error::{CliError, Exit};
use crate::output::Output;
use crate::view::{self, Follower};

/// An update as a program reads it.
#[derive(Debug, Serialize)]
struct Update<'a> {
    event: &'a str,
    data: Box<RawValue>,
}

pub(super) async fn run(command: RunCommand, api: &Api, output: &Output) -> Result<Exit, CliError> {
    match command {
        RunCommand::List(arguments) => list(arguments, api, output).await,
        RunCommand::Show { id } => {
            let run: RunView = api.get(&["api", "runs", id.as_str()]).await.doing(&format!("show the run {id}"))?;
            output.data(&run, view::run)?;
            Ok(Exit::Done)
        }
        RunCommand::Watch { id } => watch(&id, api, output).await,
        RunCommand::Cancel(runs) => control(&runs.ids, "cancel", &(), api, output).await,
        RunCommand::Pause(runs) => control(&runs.ids, "pause", &(), api, output).await,
        RunCommand::Resume(runs) => control(&runs.ids, "resume", &(), api, output).await,
        RunCommand::Retry { runs, failed_only } => {
            control(&runs.ids, "retry", &RunRetry { failed_only }, api, output).await
        }
        RunCommand::Evidence { id } => evidence(&id, api, output).await,
        RunCommand::Logs { id, selection } => logs::of_run(&id, selection, api, output).await,
    }
}

/// What the run's migrations have proved; most runs have one, those with a matrix may have more.
async fn evidence(id: &RunId, api: &Api, output: &Output) -> Result<Exit, CliError> {
    let run: RunView = api.get(&["api", "runs", id.as_str()]).await.doing(&format!("show the run {id}"))?;
    let found = run.jobs.iter().filter_map(|job| job.outputs.get(OUTPUT));
    let found: Vec<Evidence> = found.filter_map(|evidence| serde_json::from_value(evidence.clone()).ok()).collect();
    if found.is_empty() {
        let error = CliError::failed(format!("the run {id} has proved nothing"));
        return Err(error.hint("only a job that uses `honk/migrate` and has cut over leaves evidence"));
    }
    output.data(&found, |found| found.iter().map(Evidence::to_markdown).collect::<Vec<_>>().join("\n"))?;
    Ok(Exit::Done)
}

async fn list(arguments: RunListArguments, api: &Api, output: &Output) -> Result<Exit, CliError> {
    let RunListArguments { dataset, workflow, state, limit } = arguments;
    let query = RunQuery { dataset, workflow, state, cursor: None, limit: None };
    let found = api.list::<RunPage>(&["api", "runs"], &query, limit).await.doing("list the runs")?;
    output.data(&found.items, |items| view::runs(items))?;
    if found.items.is_empty() {
        output.note("no runs");
    }
    super::note_more(found.more, output);
    Ok(Exit::Done)
}

/// Does the same to each run; one that refuses does not keep the others from it.
async fn control(
    ids: &[RunId],
    verb: &str,
    query: &impl Serialize,
    api: &Api,
    output: &Output,
) -> Result<Exit, CliError> {
    let mut changed = Batch::new();
    for id in ids {
        let path = ["api", "runs", id.as_str(), verb];
        let asked = api.send_as::<RunView>(Method::POST, &path, query, None).await;
        if changed.take(asked.doing(&format!("{verb} the run {id}")), output).is_break() {
            break;
        }
    }
    output.data(&changed.done, |runs| view::runs(runs))?;
    Ok(changed.exit)
}

async fn watch(id: &RunId, api: &Api, output: &Output) -> Result<Exit, CliError> {
    let mut follower = Follower::new(output, id.as_str());
    let finished = follow(api, id, Absent::IsWrong, |update| {
        let lines = follower.update(update);
        if output.is_json() { print_json(update, output) } else { output.text(&lines.join("\n")) }
    });
    let finished = finished.await.map_err(|error| error.told(&format!("watch the run {id}")))?;
    output.note(&view::failures(&finished));
    Ok(if finished.state == RunState::Success { Exit::Done } else { Exit::Failed })
}

fn print_json(update: &RunUpdate, output: &Output) -> Result<(), CliError> {
    let data = update.data().and_then(RawValue::from_string);
    let data = data.map_err(|error| CliError::failed("cannot print the update as JSON").caused_by(&error))?;
    output.json(&Update { event: update.event(), data })
}
