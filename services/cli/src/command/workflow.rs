//! `honk workflow`: workflows, their versions, and what they print.

use std::collections::BTreeMap;

use honk_api::wire::{
    WorkflowDeletion, WorkflowHistory, WorkflowPage, WorkflowRegistered, WorkflowRollback, WorkflowSummary,
    WorkflowView,
};
use honk_protocol::name::{WorkflowHash, WorkflowName};
use honk_protocol::workflow::SourceFile;
use reqwest::Method;
use serde::Serialize;
use similar::TextDiff;

use super::batch::Batch;
use super::logs;
use crate::api::{Api, Body, Doing};
use crate::arguments::WorkflowCommand;
use crate::error::{CliError, Exit};
use crate::output::{Output, Table};
use crate::view;

/// What differs between two versions.
#[derive(Debug, Serialize)]
pub(crate) struct Diff {
    /// The workflow.
    pub(crate) name: WorkflowName,
    /// The older version.
    pub(crate) from: WorkflowHash,
    /// The newer version.
    pub(crate) to: WorkflowHash,
    /// The texts, as a unified diff; empty if they are the same.
    pub(crate) text: String,
    /// The files that are not the same in both.
    pub(crate) files: Vec<FileChange>,
}

/// What became of a file.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct FileChange {
    /// Its path.
    pub(crate) path: String,
    /// `added`, `removed` or `changed`.
    pub(crate) change: &'static str,
}

/// A workflow that was deleted.
#[derive(Debug, Serialize)]
struct Deleted {
    name: WorkflowName,
}

pub(super) async fn run(command: WorkflowCommand, api: &Api, output: &Output) -> Result<Exit, CliError> {
    match command {
        WorkflowCommand::List => list(api, output).await,
        WorkflowCommand::Show { name, version } => {
            let doing = format!("show the workflow {name}");
            let workflow = version_of(api, &name, version.as_deref(), &doing).await?;
            output.data(&workflow, view::workflow)?;
            Ok(Exit::Done)
        }
        WorkflowCommand::History { name } => {
            let history = history(api, &name, &format!("show the history of the workflow {name}")).await?;
            output.data(&history, view::history)?;
            Ok(Exit::Done)
        }
        WorkflowCommand::Diff { name, from, to } => diff(&name, from, to, api, output).await,
        WorkflowCommand::Rollback { name, to } => rollback(&name, to, api, output).await,
        WorkflowCommand::Pause { names } => control(names, "pause", api, output).await,
        WorkflowCommand::Resume { names } => control(names, "resume", api, output).await,
        WorkflowCommand::Delete { names, force } => delete(names, force, api, output).await,
        WorkflowCommand::Logs { dataset, selection } => logs::of_dataset(&dataset, selection, api, output).await,
    }
}

async fn list(api: &Api, output: &Output) -> Result<Exit, CliError> {
    let page: WorkflowPage = api.get(&["api", "workflows"]).await.doing("list the workflows")?;
    output.data(&page.workflows, |workflows| view::workflows(workflows))?;
    if page.workflows.is_empty() {
        output.note("no workflows; register one with `honk register FILE`");
    }
    Ok(Exit::Done)
}

/// The current version, or the one that was asked for.
async fn version_of(
    api: &Api,
    name: &WorkflowName,
    version: Option<&str>,
    doing: &str,
) -> Result<WorkflowView, CliError> {
    let mut path = vec!["api", "workflows", name.as_str()];
    path.extend(version.iter().flat_map(|version| ["versions", version]));
    api.get(&path).await.doing(doing)
}

async fn history(api: &Api, name: &WorkflowName, doing: &str) -> Result<WorkflowHistory, CliError> {
    api.get(&["api", "workflows", name.as_str(), "history"]).await.doing(doing)
}

async fn diff(
    name: &WorkflowName,
    from: Option<String>,
    to: Option<String>,
    api: &Api,
    output: &Output,
) -> Result<Exit, CliError> {
    let doing = format!("compare versions of the workflow {name}");
    let newer = version_of(api, name, to.as_deref(), &doing).await?;
    let from = match from {
        Some(from) => from,
        None => before(&history(api, name, &doing).await?, &newer.summary.hash)?,
    };
    let older = version_of(api, name, Some(&from), &doing).await?;
    let diff = compare(&older, &newer);
    output.data(&diff, view::diff)?;
    if diff.text.is_empty() && diff.files.is_empty() {
        output.note("the two have the same text and the same files");
    }
    Ok(Exit::Done)
}

/// The version that was current before this one last was.
fn before(history: &WorkflowHistory, hash: &WorkflowHash) -> Result<String, CliError> {
    let older = history.versions.iter().skip_while(|term| term.hash != *hash).find(|term| term.hash != *hash);
    older.map(|term| term.hash.to_string()).ok_or_else(|| {
        CliError::failed(format!("the workflow {} has no earlier version", history.name))
            .hint(format!("see its versions with `honk workflow history {}`", history.name))
    })
}

fn compare(older: &WorkflowView, newer: &WorkflowView) -> Diff {
    let (from, to) = (&older.summary, &newer.summary);
    let text = TextDiff::from_lines(&older.source, &newer.source);
    let headers = [from, to].map(|version| format!("{}@{}", version.name, view::short_hash(&version.hash)));
    let text = text.unified_diff().header(&headers[0], &headers[1]).to_string();
    let (name, files) = (to.name.clone(), file_changes(&older.files, &newer.files));
    Diff { name, from: from.hash.clone(), to: to.hash.clone(), text, files }
}

fn file_changes(older: &[SourceFile], newer: &[SourceFile]) -> Vec<FileChange> {
    let by_path = |files: &[SourceFile]| -> BTreeMap<String, SourceFile> {
        files.iter().map(|file| (file.path.clone(), file.clone())).collect()
    };
    let (mut older, newer) = (by_path(older), by_path(newer));
    let mut changes = Vec::new();
    for (path, file) in newer {
        match older.remove(&path) {
            None => changes.push(FileChange { path, change: "added" }),
            Some(before) if before != file => changes.push(FileChange { path, change: "changed" }),
            Some(_) => {}
        }
    }
    changes.extend(older.into_keys().map(|path| FileChange { path, change: "removed" }));
    changes.sort_by(|a, b| a.path.cmp(&b.path));
    changes
}

async fn rollback(name: &WorkflowName, to: Option<String>, api: &Api, output: &Output) -> Result<Exit, CliError> {
    let doing = format!("take the workflow {name} back");
    let body = Body::json(&WorkflowRollback { to }).doing(&doing)?;
    let path = ["api", "workflows", name.as_str(), "rollback"];
    let done: WorkflowRegistered = api.send(Method::POST, &path, Some(body)).await.doing(&doing)?;
    output.data(&done, |done| {
        let mut table = Table::new(&["WORKFLOW", "VERSION", "STATUS"]);
        let version = view::short_hash(&done.hash).to_owned();
        table.row([done.name.to_string(), version, view::status(done.status).to_owned()]);
        table.to_string()
    })?;
    output.note("runs that have begun keep their version");
    Ok(Exit::Done)
}

/// Pauses or resumes workflows.
async fn control(names: Vec<WorkflowName>, verb: &str, api: &Api, output: &Output) -> Result<Exit, CliError> {
    let mut batch = Batch::new();
    for name in names {
        let path = ["api", "workflows", name.as_str(), verb];
        let done = api.send::<WorkflowSummary>(Method::POST, &path, None).await;
        if batch.take(done.doing(&format!("{verb} the workflow {name}")), output).is_break() {
            break;
        }
    }
    output.data(&batch.done, |done| view::workflows(done))?;
    Ok(batch.exit)
}

async fn delete(names: Vec<WorkflowName>, force: bool, api: &Api, output: &Output) -> Result<Exit, CliError> {
    let mut batch = Batch::new();
    for name in names {
        let query = WorkflowDeletion { force };
        let deleted = api.delete_as(&["api", "workflows", name.as_str()], &query).await;
        let deleted = deleted.doing(&format!("delete the workflow {name}"));
        if batch.take(deleted.map(|()| Deleted { name }), output).is_break() {
            break;
        }
    }
    output.data(&batch.done, |done| {
        let mut table = Table::new(&["DELETED"]);
        for Deleted { name } in done {
            table.row([name.to_string()]);
        }
        if done.is_empty() { String::new() } else { table.to_string() }
    })?;
    Ok(batch.exit)
}

#[cfg(test)]
mod tests {
    use honk_protocol::name::BundleHash;

    use super::*;

    fn file(path: &str, content: &str, executable: bool) -> SourceFile {
        let bytes = content.len() as u64;
        SourceFile { path: path.into(), bytes, hash: BundleHash::of(content.as_bytes()), executable }
    }

    #[test]
    fn a_file_is_added_removed_or_changed_also_if_only_its_mode_did() {
        let older = [file("a", "1", false), file("b", "1", false), file("c", "1", false), file("d", "1", false)];
        let newer = [file("b", "1", false), file("c", "2", false), file("d", "1", true), file("e", "1", false)];
        let changes = file_changes(&older, &newer);
        let changes: Vec<_> = changes.iter().map(|change| (change.path.as_str(), change.change)).collect();
        assert_eq!(changes, [("a", "removed"), ("c", "changed"), ("d", "changed"), ("e", "added")]);
    }
}
