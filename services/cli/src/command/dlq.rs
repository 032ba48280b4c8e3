//! `honk dlq`: the work that Honk has given up, until a person decides about it.

use honk_api::wire::{DeadLetterPage, DeadLetterQuery, DeadLetterView, Replayed};
use reqwest::Method;
use serde::Serialize;

use super::batch::Batch;
use crate::api::{Api, Doing};
use crate::arguments::{DlqCommand, DlqFilter, DlqSelection};
use crate::error::{CliError, Exit};
use crate::output::{Output, Table};
use crate::view;

/// What becomes of dead letters.
#[derive(Debug, Clone, Copy)]
enum Decision {
    Replay,
    Discard,
}

/// A dead letter that is gone for good.
#[derive(Debug, Serialize)]
struct Discarded {
    id: String,
}

pub(super) async fn run(command: DlqCommand, api: &Api, output: &Output) -> Result<Exit, CliError> {
    match command {
        DlqCommand::List { filter, limit } => list(filter, limit, api, output).await,
        DlqCommand::Show { id } => {
            let letter: DeadLetterView =
                api.get(&["api", "dead-letters", &id]).await.doing(&format!("show the dead letter {id}"))?;
            output.data(&letter, view::dead_letter)?;
            Ok(Exit::Done)
        }
        DlqCommand::Replay(selection) => match select(selection, Decision::Replay, api, output).await? {
            Some(ids) => replay(&ids, api, output).await,
            None => Ok(Exit::Failed),
        },
        DlqCommand::Discard(selection) => match select(selection, Decision::Discard, api, output).await? {
            Some(ids) => discard(ids, api, output).await,
            None => Ok(Exit::Failed),
        },
    }
}

async fn list(filter: DlqFilter, limit: usize, api: &Api, output: &Output) -> Result<Exit, CliError> {
    let found = api.list::<DeadLetterPage>(&["api", "dead-letters"], &query(filter), limit).await;
    let found = found.doing("list the dead letters")?;
    output.data(&found.items, |items| view::dead_letters(items))?;
    if found.items.is_empty() {
        output.note("no dead letters");
    }
    super::note_more(found.more, output);
    Ok(Exit::Done)
}

fn query(DlqFilter { reason, pool, dataset }: DlqFilter) -> DeadLetterQuery {
    DeadLetterQuery { reason, pool, dataset, cursor: None, limit: None }
}

/// The dead letters that are meant; nothing if the person thought better of it.
async fn select(
    selection: DlqSelection,
    decision: Decision,
    api: &Api,
    output: &Output,
) -> Result<Option<Vec<String>>, CliError> {
    if !selection.all {
        return Ok(Some(selection.ids));
    }
    let found = api.list::<DeadLetterPage>(&["api", "dead-letters"], &query(selection.filter), usize::MAX).await;
    let ids: Vec<String> = found.doing("list the dead letters")?.items.into_iter().map(|letter| letter.id).collect();
    if ids.is_empty() {
        output.note("no dead letters");
    }
    if ids.is_empty() || selection.yes {
        return Ok(Some(ids));
    }
    let verb = match decision {
        Decision::Replay => "replay",
        Decision::Discard => "discard, for good,",
    };
    let letters = if ids.len() == 1 { "dead letter" } else { "dead letters" };
    match output.confirm(&format!("{verb} {} {letters}?", ids.len())) {
        Some(true) => Ok(Some(ids)),
        Some(false) => {
            output.note("nothing was done");
            Ok(None)
        }
        None => Err(CliError::usage(format!("--all means {} {letters}, and nobody is there to confirm it", ids.len()))
            .hint("look at them with `honk dlq list`, then give --yes")),
    }
}

async fn replay(ids: &[String], api: &Api, output: &Output) -> Result<Exit, CliError> {
    let mut batch = Batch::<Replayed>::new();
    for id in ids {
        let replayed = api.send(Method::POST, &["api", "dead-letters", id, "replay"], None).await;
        if batch.take(replayed.doing(&format!("replay the dead letter {id}")), output).is_break() {
            break;
        }
    }
    output.data(&batch.done, |done| {
        let mut table = Table::new(&["REPLAYED", "RUN"]);
        for Replayed { id, run, .. } in done {
            table.row([id.clone(), run.as_ref().map(ToString::to_string).unwrap_or_default()]);
        }
        if done.is_empty() { String::new() } else { table.to_string() }
    })?;
    Ok(batch.exit)
}

async fn discard(ids: Vec<String>, api: &Api, output: &Output) -> Result<Exit, CliError> {
    let mut batch = Batch::new();
    for id in ids {
        let discarded = api.delete(&["api", "dead-letters", &id]).await;
        let discarded = discarded.doing(&format!("discard the dead letter {id}"));
        if batch.take(discarded.map(|()| Discarded { id }), output).is_break() {
            break;
        }
    }
    output.data(&batch.done, |done| {
        let mut table = Table::new(&["DISCARDED"]);
        for Discarded { id } in done {
            table.row([id.clone()]);
        }
        if done.is_empty() { String::new() } else { table.to_string() }
    })?;
    Ok(batch.exit)
}
