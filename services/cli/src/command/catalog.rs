//! `honk catalog import`: hands files to the catalog, which answers for every document in them.

use honk_api::wire::{ImportAnswer, ImportStatus, ImportedDocument};
use reqwest::Method;
use serde::Serialize;

use super::batch::Batch;
use super::files::{File, read_all};
use crate::api::{Api, ApiError, Body, with_help};
use crate::arguments::{CatalogCommand, FilesArguments};
use crate::error::{CliError, Exit};
use crate::output::{Output, Table};

/// What became of a file.
#[derive(Debug, Serialize)]
struct Imported {
    file: String,
    documents: Vec<ImportedDocument>,
}

pub(super) async fn run(command: &CatalogCommand, api: &Api, output: &Output) -> Result<Exit, CliError> {
    let CatalogCommand::Import(FilesArguments { files }) = command;
    let mut batch = Batch::new();
    for file in read_all(files, output)? {
        if batch.take(import(api, file).await, output).is_break() {
            break;
        }
    }
    output.data(&batch.done, |done| table(done))?;
    for imported in &batch.done {
        let mut refused =
            imported.documents.iter().filter(|document| document.status == ImportStatus::Refused).peekable();
        if refused.peek().is_some() {
            batch.exit = batch.exit.max(Exit::Failed);
        }
        refused.for_each(|document| output.note(&refusal(&imported.file, document)));
    }
    Ok(batch.exit)
}

async fn import(api: &Api, File { name: file, text, .. }: File) -> Result<Imported, CliError> {
    match api.send::<ImportAnswer>(Method::POST, &["api", "catalog", "import"], Some(Body::yaml(text))).await {
        Ok(ImportAnswer { documents }) => Ok(Imported { file, documents }),
        Err(error) => match documents_of(&error) {
            Some(documents) => Ok(Imported { file, documents }),
            None => Err(error.told(&format!("import {file}"))),
        },
    }
}

/// A refusal that says what became of each document: some of them may be stored.
fn documents_of(error: &ApiError) -> Option<Vec<ImportedDocument>> {
    let ApiError::Refused { body, .. } = error else { return None };
    let answer: ImportAnswer = serde_json::from_slice(body).ok()?;
    (!answer.documents.is_empty()).then_some(answer.documents)
}

fn table(imported: &[Imported]) -> String {
    let mut table = Table::new(&["FILE", ">DOCUMENT", "ENTITY", "STATUS"]);
    for Imported { file, documents } in imported {
        for document in documents {
            table.row([
                file.clone(),
                (document.index + 1).to_string(),
                document.reference.clone().unwrap_or_default(),
                status_word(document.status).to_owned(),
            ]);
        }
    }
    if imported.is_empty() { String::new() } else { table.to_string() }
}

fn refusal(file: &str, document: &ImportedDocument) -> String {
    let entity = document.reference.as_ref().map(|reference| format!(" ({reference})")).unwrap_or_default();
    let mut text = format!("error: document {} of {file}{entity} is refused", document.index + 1);
    for problem in &document.problems {
        text.extend([format!("\n  caused by: {}", with_help(problem))]);
    }
    text
}

const fn status_word(status: ImportStatus) -> &'static str {
    match status {
        ImportStatus::Created => "created",
        ImportStatus::Updated => "updated",
        ImportStatus::Unchanged => "unchanged",
        ImportStatus::Refused => "refused",
    }
}
