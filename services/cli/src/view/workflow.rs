//! Workflows as people see them.

use honk_api::wire::{WorkflowHistory, WorkflowStatus, WorkflowSummary, WorkflowView};
use honk_protocol::workflow::SourceFile;

use super::{bytes, fields, optional, short_hash, time};
use crate::command::Diff;
use crate::output::{Table, inline};

/// A table of workflows; nothing if there are none.
pub(crate) fn workflows(workflows: &[WorkflowSummary]) -> String {
    let mut table = Table::new(&["WORKFLOW", "VERSION", "SINCE", "STATE"]);
    for WorkflowSummary { name, hash, registered_at, paused } in workflows {
        let state = if *paused { "paused" } else { "active" };
        table.row([name.to_string(), short_hash(hash).to_owned(), time(*registered_at), state.to_owned()]);
    }
    if workflows.is_empty() { String::new() } else { table.to_string() }
}

/// A version of a workflow: what it consists of, and its text.
pub(crate) fn workflow(workflow: &WorkflowView) -> String {
    let WorkflowSummary { name, hash, registered_at, paused } = &workflow.summary;
    let state = if *paused { "paused: no run of it begins" } else { "" };
    let current = if workflow.current { "current" } else { "not current" };
    let head = fields(&[
        ("workflow", name.to_string()),
        ("version", format!("{} ({current})", short_hash(hash))),
        ("since", time(*registered_at)),
        ("state", state.to_owned()),
    ]);
    let mut jobs = Table::new(&["JOB", "POOL", "NEEDS"]);
    for job in &workflow.jobs {
        let needs: Vec<_> = job.needs.iter().map(ToString::to_string).collect();
        jobs.row([job.name.to_string(), job.pool.to_string(), needs.join(",")]);
    }
    format!("{head}\n{jobs}{}\n{}", files(&workflow.files), workflow.source)
}

fn files(files: &[SourceFile]) -> String {
    let mut table = Table::new(&["FILE", ">BYTES", "MODE"]);
    for file in files {
        let mode = if file.executable { "executable" } else { "plain" };
        table.row([file.path.clone(), bytes(file.bytes), mode.to_owned()]);
    }
    if files.is_empty() { String::new() } else { format!("\n{table}") }
}

/// Which versions were current.
pub(crate) fn history(history: &WorkflowHistory) -> String {
    let mut table = Table::new(&["VERSION", "SINCE", "UNTIL", "BY"]);
    for term in &history.versions {
        let until = optional(term.until.map(time).as_ref());
        let by = if term.rollback { "rollback" } else { "register" };
        table.row([short_hash(&term.hash).to_owned(), time(term.since), until, by.to_owned()]);
    }
    table.to_string()
}

/// What differs between two versions; nothing if nothing does.
pub(crate) fn diff(diff: &Diff) -> String {
    let files = diff.files.iter().map(|file| format!("{:<8} {}\n", file.change, inline(&file.path)));
    let files: String = files.collect();
    let between = if diff.text.is_empty() || files.is_empty() { "" } else { "\n" };
    format!("{}{between}{files}", diff.text)
}

/// What became of a workflow that was registered.
pub(crate) const fn status(status: WorkflowStatus) -> &'static str {
    match status {
        WorkflowStatus::Created => "created",
        WorkflowStatus::Updated => "updated",
        WorkflowStatus::Unchanged => "unchanged",
    }
}
