//! `honk lint`: shows what is wrong with workflows, without Honk's API. What is found is the data that was asked for, and so goes to standard
//! output.

use honk_workflow::{Diagnostic, Parsed, schema};
use serde::Serialize;

use super::files::{File, read_all};
use crate::arguments::LintArguments;
use crate::error::{CliError, Exit};
use crate::output::Output;

/// What was found in one file.
#[derive(Debug, Serialize)]
struct Linted {
    file: String,
    /// Whether it could be registered.
    accepted: bool,
    diagnostics: Vec<Diagnostic>,
}

pub(super) fn run(arguments: &LintArguments, output: &Output) -> Result<Exit, CliError> {
    if arguments.schema {
        output.bytes(schema::json().as_bytes())?;
        return Ok(Exit::Done);
    }
    let files = read_all(&arguments.files, output)?;
    let linted: Vec<Linted> = files.iter().map(|file| lint(file, arguments.strict)).collect();
    output.data(&linted, |linted| text(linted))?;
    output.note(&summary(&linted));
    Ok(if linted.iter().all(|file| file.accepted) { Exit::Done } else { Exit::Failed })
}

fn lint(file: &File, strict: bool) -> Linted {
    let parsed = honk_workflow::parse(&file.text);
    let checked = if strict { parsed.and_then(Parsed::strict) } else { parsed };
    let (accepted, diagnostics) = match checked {
        Ok(parsed) => (true, parsed.warnings),
        // A fault is reason enough for a file to be refused; with it, a strict reader takes the warnings for faults too.
        Err(faults) if strict => (false, faults.into_iter().map(Diagnostic::into_error).collect()),
        Err(faults) => (false, faults),
    };
    Linted { file: file.name.clone(), accepted, diagnostics }
}

fn text(linted: &[Linted]) -> String {
    let lines = linted.iter().flat_map(|file| file.diagnostics.iter().map(|found| found.at(&file.file).to_string()));
    lines.collect::<Vec<_>>().join("\n")
}

fn summary(linted: &[Linted]) -> String {
    let all = || linted.iter().flat_map(|file| &file.diagnostics);
    let errors = all().filter(|found| found.is_error()).count();
    let warnings = all().count() - errors;
    format!("{} in {}", found(errors, warnings), counted(linted.len(), "workflow"))
}

fn found(errors: usize, warnings: usize) -> String {
    match (errors, warnings) {
        (0, 0) => "nothing wrong".to_owned(),
        (errors, 0) => counted(errors, "error"),
        (0, warnings) => counted(warnings, "warning"),
        (errors, warnings) => format!("{} and {}", counted(errors, "error"), counted(warnings, "warning")),
    }
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
