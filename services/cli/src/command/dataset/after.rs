//! `honk dataset rollback` and `honk dataset retire`: what comes after a migration. Each begins with an answer of the API, and waits for the
//! run that does what takes time.

use honk_api::wire::{EventAccepted, LocationView, RetireRequest, RollbackRequest, RolledBack, RunView};
use honk_protocol::dataset::Removal;
use honk_protocol::name::{DatasetName, RunId};
use honk_protocol::run::{Outputs, RunState};
use reqwest::Method;
use serde::Serialize;
use serde_json::Value;

use crate::api::{Absent, Api, Body, Doing, follow};
use crate::arguments::{RetireArguments, RollbackArguments};
use crate::error::{CliError, Exit};
use crate::output::Output;
use crate::view::{self, Follower};

/// What a roll-back came to.
#[derive(Debug, Serialize)]
struct Rollback {
    location: LocationView,
    run: RunId,
    /// What was written to the target since the cut-over; none as long as nobody waited for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<Outputs>,
}

pub(super) async fn roll_back(arguments: RollbackArguments, api: &Api, output: &Output) -> Result<Exit, CliError> {
    let RollbackArguments { name, force, no_wait } = arguments;
    let doing = format!("roll {name} back");
    let body = Body::json(&RollbackRequest { force }).doing(&doing)?;
    let path = ["api", "datasets", name.as_str(), "rollback"];
    let RolledBack { location, run, .. } = api.send(Method::POST, &path, Some(body)).await.doing(&doing)?;
    let epoch = location.epoch;
    output.note(&format!("readers of {name} are sent to {} since epoch {epoch}", location.active_place()));
    if no_wait {
        output.note(&format!("the run {run} finds out what was written to the target; `honk run show {run}` has it"));
        return shown(output, &Rollback { location, run, report: None }, Exit::Done);
    }
    let finished = wait(&name, &run, api, output).await?;
    let exit = said(&finished, output, "what was written to the target is not known");
    shown(output, &Rollback { location, run, report: outputs(&finished) }, exit)
}

fn shown(output: &Output, rollback: &Rollback, exit: Exit) -> Result<Exit, CliError> {
    output.data(rollback, |rollback| match &rollback.report {
        Some(report) => view::rollback_report(report),
        None => view::location(&rollback.location),
    })?;
    Ok(exit)
}

pub(super) async fn retire(arguments: RetireArguments, api: &Api, output: &Output) -> Result<Exit, CliError> {
    let RetireArguments { name, dry_run, remove, list, no_wait } = arguments;
    let doing = format!("retire the source of {name}");
    let body = Body::json(&RetireRequest { dry_run, remove, list }).doing(&doing)?;
    let path = ["api", "datasets", name.as_str(), "retire"];
    let accepted: EventAccepted = api.send(Method::POST, &path, Some(body)).await.doing(&doing)?;
    if no_wait {
        output.data(&accepted, |accepted| format!("run {}", accepted.run))?;
        return Ok(Exit::Done);
    }
    let finished = wait(&name, &accepted.run, api, output).await?;
    let exit = said(&finished, output, "the source is not retired");
    let Some(outputs) = outputs(&finished) else { return Ok(exit) };
    let is_waiting = outputs.get("outcome").and_then(Value::as_str) == Some("waiting");
    match outputs.get("list").and_then(Value::as_str).filter(|_| dry_run) {
        Some(list) => {
            print_list(list, api, output).await?;
            output.note(&view::retirement(&outputs));
        }
        None => output.data(&outputs, view::retirement)?,
    }
    Ok(if is_waiting { exit.max(Exit::Failed) } else { exit })
}

/// Prints what a list has, as it comes: it may be long.
async fn print_list(list: &str, api: &Api, output: &Output) -> Result<(), CliError> {
    api.lines(&["api", "lists", list], |line| {
        let entry: Removal =
            serde_json::from_str(line).map_err(|error| CliError::failed("cannot read the list").caused_by(&error))?;
        if output.is_json() { output.json(&entry) } else { output.text(&view::removal(&entry)) }
    })
    .await
}

/// Follows the run to its end.
pub(crate) async fn wait(name: &DatasetName, run: &RunId, api: &Api, output: &Output) -> Result<RunView, CliError> {
    let mut follower = Follower::new(output, name.as_str());
    let finished = follow(api, run, Absent::IsEarly, |update| {
        for line in follower.update(update) {
            if !output.is_live() {
                output.note(&format!("{name}: {line}"));
            }
        }
        Ok(())
    });
    finished.await.map_err(|error| error.told(&format!("follow the run {run} of {name}")))
}

/// Says why a run did not succeed, and what that means.
pub(crate) fn said(finished: &RunView, output: &Output, consequence: &str) -> Exit {
    if finished.state == RunState::Success {
        return Exit::Done;
    }
    let (run, state, failures) = (&finished.id, finished.state, view::failures(finished));
    output.note(&format!("\nerror: {consequence}: the run {run} ended with {state}{failures}"));
    Exit::Failed
}

/// What the run's only job left.
fn outputs(finished: &RunView) -> Option<Outputs> {
    finished.jobs.first().map(|job| job.outputs.clone()).filter(|outputs| !outputs.is_empty())
}
