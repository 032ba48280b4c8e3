//! Values that occur in several places: text, text with expressions, environment, JSON.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::fields::{mapping, wrong_type};
use crate::diagnostic::{Diagnostic, Pos, Report, quote};
use crate::expr::{ExprError, Template};
use crate::scalar;
use crate::tree::{Entry, Kind, Node};

/// Text as it is written: `1.10` and `true` are text too where text is expected. Reports lists, mappings and nothing.
pub(super) fn text<'a>(node: &'a Node, what: &str, report: &mut Report) -> Option<&'a str> {
    match &node.kind {
        Kind::Scalar(scalar) if !scalar.is_null() => Some(&scalar.text),
        _ => {
            report.push(wrong_type(node, what, "text"));
            None
        }
    }
}

/// Text of an entry, named by its key.
pub(super) fn text_of<'a>(entry: &'a Entry, report: &mut Report) -> Option<&'a str> {
    text(&entry.value, &quote(&entry.key.text), report)
}

/// One or several texts, with their places.
pub(super) fn texts<'a>(entry: &'a Entry, report: &mut Report) -> Vec<(&'a str, Pos)> {
    let what = quote(&entry.key.text);
    match &entry.value.kind {
        Kind::List(items) => {
            let what = format!("each item of {what}");
            items.iter().filter_map(|item| Some((text(item, &what, report)?, item.pos))).collect()
        }
        _ => text(&entry.value, &what, report).map(|text| (text, entry.value.pos)).into_iter().collect(),
    }
}

/// `true` or `false`.
pub(super) fn boolean(entry: &Entry, report: &mut Report) -> Option<bool> {
    match &entry.value.kind {
        Kind::Scalar(scalar) if scalar.plain && matches!(scalar.text.as_str(), "true" | "false") => {
            Some(scalar.text == "true")
        }
        _ => {
            report.push(wrong_type(&entry.value, &quote(&entry.key.text), "`true` or `false`"));
            None
        }
    }
}

/// A whole number within bounds.
pub(super) fn whole(entry: &Entry, min: u32, max: u32, report: &mut Report) -> Option<u32> {
    let text = text_of(entry, report)?;
    let number = whole_number(text).filter(|number| (min..=max).contains(number));
    if number.is_none() {
        let what = quote(&entry.key.text);
        let message = format!("{what} must be a whole number from {min} to {max}, but is {}", quote(text));
        report.push(Diagnostic::error("number-range", entry.value.pos, message));
    }
    number
}

/// Digits alone: Rust would take a sign as well.
pub(super) fn whole_number(text: &str) -> Option<u32> {
    text.parse().ok().filter(|_| text.bytes().all(|b| b.is_ascii_digit()))
}

/// Reports expressions that cannot be read.
pub(super) fn check_template(text: &str, pos: Pos, report: &mut Report) {
    check_nul(text, pos, report);
    if let Err(error) = Template::parse(text) {
        report.push(bad_expression(&error, pos));
    }
}

pub(super) fn bad_expression(error: &ExprError, pos: Pos) -> Diagnostic {
    Diagnostic::error(error.code(), pos, error.to_string()).with_help(error.help())
}

/// No program can be given a NUL.
pub(super) fn check_nul(text: &str, pos: Pos, report: &mut Report) {
    if text.contains('\0') {
        report.push(Diagnostic::error("nul", pos, "this text contains a NUL character, which no program can be given"));
    }
}

/// The variables of an `env`.
pub(super) fn environment(entry: Option<&Entry>, report: &mut Report) -> BTreeMap<String, String> {
    let Some(entries) = entry.and_then(|entry| mapping(&entry.value, "`env`", report)) else { return BTreeMap::new() };
    let mut variables = BTreeMap::new();
    for Entry { key, value } in entries {
        if !is_variable(&key.text) {
            let message = format!("{} is no name of a variable", quote(&key.text));
            report.push(
                Diagnostic::error("env-name", key.pos, message)
                    .with_help("a name is a letter or `_`, then letters, digits or `_`, like `DATASET_NAME`"),
            );
        }
        if value.is_null() {
            let message = format!("the variable {} has no value", quote(&key.text));
            report.push(Diagnostic::error("type", value.pos, message).with_help("write `\"\"` for an empty value"));
        } else if let Some(text) = text(value, &format!("the variable {}", quote(&key.text)), report) {
            check_template(text, value.pos, report);
            variables.insert(key.text.clone(), text.to_owned());
        }
    }
    variables
}

fn is_variable(name: &str) -> bool {
    let first = |b: &u8| b.is_ascii_alphabetic() || *b == b'_';
    name.as_bytes().first().is_some_and(first) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Any value as JSON, with the expressions of its texts checked.
pub(super) fn json(node: &Node, report: &mut Report) -> Value {
    match &node.kind {
        Kind::Scalar(scalar) => match scalar::value(scalar) {
            Ok(value) => {
                value.as_str().into_iter().for_each(|text| check_template(text, node.pos, report));
                value
            }
            Err(reason) => {
                report.push(Diagnostic::error("number", node.pos, reason).with_help("put it in quotes, as text"));
                Value::Null
            }
        },
        Kind::List(items) => items.iter().map(|item| json(item, report)).collect(),
        Kind::Map(entries) => {
            // Sorted here, as JSON objects keep their order if some other crate of the build asks for that.
            let sorted: BTreeMap<String, Value> =
                entries.iter().map(|entry| (entry.key.text.clone(), json(&entry.value, report))).collect();
            Value::Object(Map::from_iter(sorted))
        }
    }
}
