//! Dead letters as people see them.

use honk_api::wire::{DeadLetterView, Payload};

use super::{fields, optional, time};
use crate::output::{Table, neutral};

/// A table of dead letters; nothing if there are none.
pub(crate) fn dead_letters(letters: &[DeadLetterView]) -> String {
    let mut table = Table::new(&["DEAD LETTER", "REASON", "DATASET", "POOL", ">ATTEMPTS", "SINCE", "ERROR"]);
    for letter in letters {
        table.row([
            letter.id.clone(),
            letter.reason.to_string(),
            letter.dataset.clone().unwrap_or_default(),
            optional(letter.pool.as_ref()),
            letter.attempts.to_string(),
            time(letter.time),
            shorten(&letter.error),
        ]);
    }
    if letters.is_empty() { String::new() } else { table.to_string() }
}

/// The beginning of an error; `honk dlq show` has all of it.
fn shorten(error: &str) -> String {
    const MAX: usize = 80;
    let mut short: String = error.chars().take(MAX).collect();
    if error.chars().nth(MAX).is_some() {
        short.push('…');
    }
    short
}

/// All there is to know about a dead letter, with the message itself.
pub(crate) fn dead_letter(letter: &DeadLetterView) -> String {
    let mut text = fields(&[
        ("dead letter", letter.id.clone()),
        ("reason", letter.reason.to_string()),
        ("meaning", letter.meaning.clone()),
        ("error", letter.error.clone()),
        ("advice", letter.advice.clone()),
        ("attempts", letter.attempts.to_string()),
        ("since", time(letter.time)),
        ("dataset", letter.dataset.clone().unwrap_or_default()),
        ("run", optional(letter.run.as_ref())),
        ("job", optional(letter.job.as_ref())),
        ("pool", optional(letter.pool.as_ref())),
        ("subject", letter.subject.clone()),
        ("trace", letter.trace_id.clone().unwrap_or_default()),
    ]);
    match &letter.payload {
        None => {}
        Some(Payload::Text(payload)) => text.extend([format!("\nmessage:\n{}\n", neutral(payload))]),
        Some(Payload::Base64(payload)) => text.extend([format!("\nmessage, in base64:\n{}\n", neutral(payload))]),
    }
    text
}
