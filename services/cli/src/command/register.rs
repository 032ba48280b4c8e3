//! `honk register`: checks all files first, and registers them only if none has an error. The files that steps name go with their workflow.

mod beside;

use honk_api::wire::{Fault, WorkflowRegistered, WorkflowRegistration};
use honk_bundle::BundleFile;
use honk_workflow::Diagnostic;
use reqwest::Method;
use reqwest::multipart::{Form, Part};

use self::beside::Beside;
use super::batch::Batch;
use super::files::{File, read_all};
use crate::api::{Api, ApiError, Body, Doing, with_help};
use crate::arguments::RegisterArguments;
use crate::error::{CliError, Exit};
use crate::output::{Output, Table};
use crate::view;

/// A workflow that can be registered.
struct Checked<'a> {
    file: &'a File,
    files: Vec<BundleFile>,
    warned: Vec<&'static str>,
}

pub(super) async fn run(arguments: &RegisterArguments, api: &Api, output: &Output) -> Result<Exit, CliError> {
    let files = read_all(&arguments.files, output)?;
    let checked = check(&files, arguments.strict, output)?;
    let mut batch = Batch::new();
    for workflow in checked {
        let (name, warned) = (workflow.file.name.clone(), workflow.warned.clone());
        let registered = register(api, workflow, arguments.strict).await;
        if let Ok(registered) = &registered {
            tell(&name, registered, &warned, output);
        }
        if batch.take(registered.doing(&format!("register {name}")), output).is_break() {
            break;
        }
    }
    output.data(&batch.done, |done| table(done))?;
    Ok(batch.exit)
}

/// Shows every fault of every file, as a compiler does.
fn check<'a>(files: &'a [File], strict: bool, output: &Output) -> Result<Vec<Checked<'a>>, CliError> {
    let mut checked = Vec::new();
    for file in files {
        let found = match honk_workflow::parse(&file.text) {
            Ok(parsed) => {
                let Beside { files, warnings } = beside::find(file.path.as_deref(), &file.text, &parsed.workflow)?;
                honk_bundle::pack(files.iter().cloned()).map_err(|error| beside::too_much(&error))?;
                Ok((files, [parsed.warnings, warnings].concat()))
            }
            Err(diagnostics) => Err(diagnostics),
        };
        let diagnostics: &[Diagnostic] = match &found {
            Ok((_, warnings)) => warnings,
            Err(diagnostics) => diagnostics,
        };
        for diagnostic in diagnostics {
            output.note(&diagnostic.at(&file.name).to_string());
        }
        if let Ok((files, warnings)) = found
            && (!strict || warnings.is_empty())
        {
            let warned = warnings.iter().map(|warning| warning.code).collect();
            checked.push(Checked { file, files, warned });
        }
    }
    match (files.len() - checked.len(), files.len(), if strict { "errors or warnings" } else { "errors" }) {
        (0, _, _) => Ok(checked),
        (1, 1, faults) => Err(CliError::failed(format!("the workflow has {faults}, and was not registered"))),
        (refused, all, faults) => {
            Err(CliError::failed(format!("{refused} of {all} workflows have {faults}, and none was registered")))
        }
    }
}

async fn register(api: &Api, workflow: Checked<'_>, strict: bool) -> Result<WorkflowRegistered, ApiError> {
    let Checked { file, files, .. } = workflow;
    let (path, query) = (["api", "workflows"], WorkflowRegistration { strict });
    if files.is_empty() {
        return api.send_as(Method::POST, &path, &query, Some(Body::yaml(file.text.as_str()))).await;
    }
    let mut form = Form::new().text("workflow", file.text.clone());
    for BundleFile { path, bytes, executable } in files {
        form = form.part(if executable { "executable" } else { "file" }, Part::bytes(bytes).file_name(path));
    }
    api.send_form(&path, &query, form).await
}

/// Which files went along, and the warnings that only the API could give.
fn tell(name: &str, registered: &WorkflowRegistered, warned: &[&str], output: &Output) {
    if !registered.files.is_empty() {
        output.note(&format!("{name}: took along {}", registered.files.join(", ")));
    }
    let is_new = |fault: &&Fault| fault.code.as_deref().is_none_or(|code| !warned.contains(&code));
    for fault in registered.warnings.iter().filter(is_new) {
        output.note(&format!("{name}: warning: {}", with_help(fault)));
    }
}

fn table(registered: &[WorkflowRegistered]) -> String {
    let mut table = Table::new(&["WORKFLOW", "VERSION", "STATUS"]);
    for WorkflowRegistered { name, hash, status, .. } in registered {
        table.row([name.to_string(), view::short_hash(hash).to_owned(), view::status(*status).to_owned()]);
    }
    if registered.is_empty() { String::new() } else { table.to_string() }
}
