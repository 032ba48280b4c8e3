//! `honk migrate --selector`: which datasets that picks, and which of them can be migrated now.

use std::collections::BTreeMap;

use honk_api::wire::{DatasetPage, DatasetQuery, DatasetView, RunPage, RunQuery};
use honk_protocol::name::{DatasetName, RunId, WorkflowName};
use honk_protocol::run::RunState;
use honk_protocol::selector::Selector;
use serde::Serialize;

use crate::api::{Api, Doing};
use crate::error::CliError;
use crate::output::{Output, Table};

/// A selected dataset, and what becomes of it.
#[derive(Debug, Serialize)]
pub(super) struct Planned {
    pub(super) dataset: DatasetName,
    /// The workflow that the command or the dataset's entity names; none means intake's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) workflow: Option<WorkflowName>,
    /// Why it is left out; none if it is migrated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) skipped: Option<String>,
}

/// All datasets that the selection picks, by name.
pub(super) async fn plan(
    selector: &Selector,
    workflow: Option<&WorkflowName>,
    api: &Api,
) -> Result<Vec<Planned>, CliError> {
    let query = DatasetQuery { selector: Some(selector.to_string()), ..DatasetQuery::default() };
    let found = api.list::<DatasetPage>(&["api", "datasets"], &query, usize::MAX).await;
    let found = found.doing("list the selected datasets")?.items;
    let busy = if found.is_empty() { BTreeMap::new() } else { unfinished(api).await? };
    Ok(found.into_iter().map(|dataset| planned(dataset, workflow, &busy)).collect())
}

/// The runs that have not come to their end, by dataset.
async fn unfinished(api: &Api) -> Result<BTreeMap<DatasetName, (RunId, RunState)>, CliError> {
    let mut unfinished = BTreeMap::new();
    // Of a dataset that has both, the live one is told.
    for state in [RunState::Waiting, RunState::Running] {
        let query = RunQuery { state: Some(state), ..RunQuery::default() };
        let runs = api.list::<RunPage>(&["api", "runs"], &query, usize::MAX).await;
        let runs = runs.doing("list the runs that are not finished")?;
        unfinished.extend(runs.items.into_iter().map(|run| (run.dataset, (run.id, run.state))));
    }
    Ok(unfinished)
}

fn planned(
    dataset: DatasetView,
    workflow: Option<&WorkflowName>,
    busy: &BTreeMap<DatasetName, (RunId, RunState)>,
) -> Planned {
    let skipped = match busy.get(&dataset.name) {
        _ if dataset.do_not_migrate => Some("forbidden by honk/do-not-migrate".to_owned()),
        Some((run, state)) => Some(format!("its run {run} is {state}")),
        None => None,
    };
    Planned { workflow: workflow.cloned().or(dataset.workflow), dataset: dataset.name, skipped }
}

/// The plan as people see it; nothing if nothing is selected.
pub(super) fn table(planned: &[Planned]) -> String {
    let mut table = Table::new(&["DATASET", "WORKFLOW", "PLAN", "WHY"]);
    for Planned { dataset, workflow, skipped } in planned {
        let plan = if skipped.is_none() { "migrate" } else { "skip" };
        let workflow = workflow.as_ref().map_or_else(|| "(default)".to_owned(), ToString::to_string);
        table.row([dataset.to_string(), workflow, plan.to_owned(), skipped.clone().unwrap_or_default()]);
    }
    if planned.is_empty() { String::new() } else { table.to_string() }
}

/// Tells if nothing is selected.
pub(super) fn note_empty(planned: &[Planned], selector: &Selector, output: &Output) {
    if planned.is_empty() {
        output.note(&format!("no dataset is selected by `{selector}`; `honk dataset list` shows what there is"));
    }
}

/// Tells what is left out, and why.
pub(super) fn note_skipped(planned: &[Planned], output: &Output) {
    for Planned { dataset, skipped, .. } in planned {
        if let Some(why) = skipped {
            output.note(&format!("{dataset} is left out: {why}"));
        }
    }
}
