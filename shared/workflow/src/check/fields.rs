//! A mapping whose keys are known beforehand.

use crate::diagnostic::{Diagnostic, Pos, Report, list, quote};
use crate::tree::{Entry, Kind, Node};

/// Keys that people bring from elsewhere, with what to write here.
const ELSEWHERE: [(&str, &str); 21] = [
    ("<<", "there are no merge keys; repeat an alias per key instead, like `env: *shared`"),
    ("action", "write `uses: honk/migrate`"),
    ("args", "write `with:` below `uses`, or put the arguments into `run`"),
    ("cmd", "write `run:`"),
    ("command", "write `run:`"),
    ("continue_on_error", "write `continue-on-error:`"),
    ("depends_on", "write `needs:`"),
    ("depends-on", "write `needs:`"),
    ("dependsOn", "write `needs:`"),
    ("id", "steps have no ids; remove the key, or write `name:`"),
    ("inputs", "write `with:` below `uses`; the event's fields are `{{ input.NAME }}` without being declared"),
    ("matrix", "write `strategy:` and below it `matrix:`"),
    ("permissions", "what an agent may do is its own configuration; remove the key"),
    ("pool", "write `runs-on:`"),
    ("retries", "write `retry_count:`"),
    ("schedule", "write `on:` and below it `schedule:`"),
    ("script", "write `run:` with `shell: bash`"),
    ("secrets", "secrets are in the environment of the agents; remove the key"),
    ("timeout-minutes", "write `timeout:` with a unit, like `timeout: 30m`"),
    ("timeout_minutes", "write `timeout:` with a unit, like `timeout: 30m`"),
    ("working-directory", "each job has a working directory of its own; remove the key"),
];

pub(super) struct Fields<'a> {
    pub(super) pos: Pos,
    entries: &'a [Entry],
    /// Keys that an unknown one was probably meant to be.
    meant: Vec<String>,
}

impl<'a> Fields<'a> {
    /// Reads a mapping; reports anything else, and keys that are not `known`. `what` is a noun, like "a job".
    pub(super) fn read(node: &'a Node, what: &str, known: &[&str], report: &mut Report) -> Option<Self> {
        let entries = mapping(node, what, report)?;
        let mut meant = Vec::new();
        for Entry { key, .. } in entries.iter().filter(|entry| !known.contains(&entry.key.text.as_str())) {
            let message = format!("unknown key {} in {what}", quote(&key.text));
            let help = match ELSEWHERE.iter().find(|(name, _)| *name == key.text) {
                Some((_, instead)) => (*instead).to_owned(),
                None => match report.similar(&key.text, known.iter().copied()) {
                    Some(similar) => {
                        meant.push(similar.to_owned());
                        format!("did you mean {}?", quote(similar))
                    }
                    None => format!("the keys of {what} are {}", list(known.iter().copied())),
                },
            };
            report.push(Diagnostic::error("key-unknown", key.pos, message).with_help(help));
        }
        Some(Self { pos: node.pos, entries, meant })
    }

    pub(super) fn get(&self, key: &str) -> Option<&'a Entry> {
        Self::of(self.entries, key)
    }

    /// The entry of this key among others.
    pub(super) fn of(entries: &'a [Entry], key: &str) -> Option<&'a Entry> {
        entries.iter().find(|entry| entry.key.text == key)
    }

    /// Whether a key is missing and not just misspelt, which was reported.
    pub(super) fn lacks(&self, key: &str) -> bool {
        self.get(key).is_none() && self.meant.iter().all(|meant| meant != key)
    }
}

/// The entries of a mapping; anything else is reported.
pub(super) fn mapping<'a>(node: &'a Node, what: &str, report: &mut Report) -> Option<&'a [Entry]> {
    if let Kind::Map(entries) = &node.kind {
        return Some(entries);
    }
    report.push(wrong_type(node, what, "a mapping (`key: value`)"));
    None
}

pub(super) fn wrong_type(node: &Node, what: &str, expected: &str) -> Diagnostic {
    let found = match &node.kind {
        Kind::Map(_) => "a mapping",
        Kind::List(_) => "a list",
        Kind::Scalar(scalar) if scalar.is_null() => "empty",
        Kind::Scalar(scalar) => return wrong_scalar(node.pos, what, expected, &scalar.text),
    };
    Diagnostic::error("type", node.pos, format!("{what} must be {expected}, but is {found}"))
}

fn wrong_scalar(pos: Pos, what: &str, expected: &str, text: &str) -> Diagnostic {
    Diagnostic::error("type", pos, format!("{what} must be {expected}, but is {}", quote(text)))
}
