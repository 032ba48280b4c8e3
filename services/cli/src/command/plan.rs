//! `honk plan`: what a migration of a dataset would do, without doing it.

use std::fmt::Write as _;

use honk_api::wire::{EventAccepted, RunView};
use honk_protocol::name::DatasetName;
use honk_protocol::run::Outputs;
use reqwest::Method;
use serde::Serialize;
use serde_json::Value;

use super::dataset::after::{said, wait};
use crate::api::{Api, Doing};
use crate::arguments::PlanArguments;
use crate::error::{CliError, Exit};
use crate::output::Output;

/// What was found out.
#[derive(Debug, Serialize)]
struct Plan {
    dataset: DatasetName,
    /// What lies at both places, and what is to be copied.
    migration: Outputs,
    /// What `honk/validate` says: an estimate, and what speaks against the migration.
    validation: Outputs,
}

pub(super) async fn run(arguments: PlanArguments, api: &Api, output: &Output) -> Result<Exit, CliError> {
    let PlanArguments { name } = arguments;
    let path = ["api", "datasets", name.as_str(), "plan"];
    let accepted: EventAccepted = api.send(Method::POST, &path, None).await.doing(&format!("plan {name}"))?;
    let finished = wait(&name, &accepted.run, api, output).await?;
    let exit = said(&finished, output, &format!("{name} could not be migrated as it is"));
    if exit != Exit::Done {
        return Ok(exit);
    }
    let plan =
        Plan { migration: outputs(&finished, "plan"), validation: outputs(&finished, "validate"), dataset: name };
    output.data(&plan, text)?;
    Ok(Exit::Done)
}

fn outputs(run: &RunView, job: &str) -> Outputs {
    let job = run.jobs.iter().find(|other| other.name.as_str() == job);
    job.map(|job| job.outputs.clone()).unwrap_or_default()
}

fn text(plan: &Plan) -> String {
    let number =
        |path: &str| plan.migration.get("to_copy").and_then(|copy| copy.get(path)).and_then(Value::as_u64).unwrap_or(0);
    let of = |name: &str| plan.migration.get(name).map(ToString::to_string).unwrap_or_default();
    let mut text = format!(
        "{}: {} objects, {} bytes\n  to copy          {} objects, {} bytes, in {} parts\n  already there    {}\n  others at target {}",
        plan.dataset,
        of("objects"),
        of("bytes"),
        number("objects"),
        number("bytes"),
        of("parts"),
        of("already_there"),
        of("others_at_target"),
    );
    let in_the_way = plan.migration.get("in_the_way");
    let count = in_the_way.and_then(|keys| keys.get("count")).and_then(Value::as_u64).unwrap_or(0);
    if count > 0 {
        let first = in_the_way.and_then(|keys| keys.get("first")).map(ToString::to_string).unwrap_or_default();
        // Writing to a string cannot fail.
        write!(text, "\n  in the way       {count} objects that differ: {first}").unwrap_or_default();
    }
    if let Some(estimate) = plan.validation.get("estimate") {
        write!(text, "\n  estimate         {estimate}").unwrap_or_default();
    }
    text
}
