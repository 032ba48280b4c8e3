//! `honk register`: checks all files first, and registers them only if none has an error.

use honk_api::wire::{WorkflowRegistered, WorkflowStatus};
use reqwest::Method;

use super::batch::Batch;
use super::files::{File, read_all};
use crate::api::{Api, Body, Doing};
use crate::arguments::FilesArguments;
use crate::error::{CliError, Exit};
use crate::output::{Output, Table};
use crate::view;

pub(super) async fn run(arguments: &FilesArguments, api: &Api, output: &Output) -> Result<Exit, CliError> {
    let files = read_all(&arguments.files, output)?;
    check(&files, output)?;
    let mut batch = Batch::new();
    for file in &files {
        // The warnings of the API are those of the check above.
        let registered = api.send(Method::POST, &["api", "workflows"], Some(Body::yaml(file.text.as_str()))).await;
        if batch.take(registered.doing(&format!("register {}", file.name)), output).is_break() {
            break;
        }
    }
    output.data(&batch.done, |done| table(done))?;
    Ok(batch.exit)
}

/// Shows every fault of every file, as a compiler does.
fn check(files: &[File], output: &Output) -> Result<(), CliError> {
    let mut refused = 0;
    for file in files {
        let (diagnostics, is_refused) = match honk_workflow::parse(&file.text) {
            Ok(parsed) => (parsed.warnings, false),
            Err(diagnostics) => (diagnostics, true),
        };
        for diagnostic in &diagnostics {
            output.note(&diagnostic.at(&file.name).to_string());
        }
        refused += usize::from(is_refused);
    }
    match (refused, files.len()) {
        (0, _) => Ok(()),
        (1, 1) => Err(CliError::failed("the workflow has errors, and was not registered")),
        (refused, all) => {
            Err(CliError::failed(format!("{refused} of {all} workflows have errors, and none was registered")))
        }
    }
}

fn table(registered: &[WorkflowRegistered]) -> String {
    let mut table = Table::new(&["WORKFLOW", "VERSION", "STATUS"]);
    for WorkflowRegistered { name, hash, status, .. } in registered {
        table.row([name.to_string(), view::short_hash(hash).to_owned(), status_word(*status).to_owned()]);
    }
    if registered.is_empty() { String::new() } else { table.to_string() }
}

const fn status_word(status: WorkflowStatus) -> &'static str {
    match status {
        WorkflowStatus::Created => "created",
        WorkflowStatus::Updated => "updated",
        WorkflowStatus::Unchanged => "unchanged",
    }
}
