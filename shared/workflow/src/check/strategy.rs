//! `strategy` of a job: a matrix over literal lists, or over lists that an earlier job makes.

use serde_json::{Map, Value};

use super::fields::{Fields, mapping, wrong_type};
use super::values::{boolean, check_template, json, whole};
use crate::diagnostic::{Diagnostic, Pos, Report, list, quote};
use crate::expr::Template;
use crate::model::{Axis, AxisValues, Matrix, Strategy};
use crate::tree::{Entry, Kind, Node, Scalar};

pub(super) const KEYS: [&str; 3] = ["matrix", "max-parallel", "fail-fast"];
const HELP: &str = "write `matrix: { part: [1, 2, 3] }` or `matrix: { part: '{{ jobs.plan.outputs.parts }}' }`";

pub(super) fn check(entry: &Entry, report: &mut Report) -> Option<Strategy> {
    let fields = Fields::read(&entry.value, "`strategy`", &KEYS, report)?;
    if fields.lacks("matrix") {
        report.push(Diagnostic::error("key-missing", entry.key.pos, "`strategy` has no `matrix`").with_help(HELP));
    }
    let most = u32::try_from(Strategy::MAX_ITEMS).unwrap_or(u32::MAX);
    let max_parallel = fields.get("max-parallel").and_then(|entry| whole(entry, 1, most, report));
    let fail_fast = fields.get("fail-fast").and_then(|entry| boolean(entry, report)).unwrap_or(true);
    let matrix = matrix(fields.get("matrix")?, report)?;
    Some(Strategy { matrix, max_parallel, fail_fast })
}

fn matrix(entry: &Entry, report: &mut Report) -> Option<Matrix> {
    let entries = match &entry.value.kind {
        Kind::Scalar(scalar) if !scalar.is_null() => {
            return expression(scalar, entry.value.pos, "`matrix`", report).map(Matrix::Expression);
        }
        _ => mapping(&entry.value, "`matrix`", report)?,
    };
    if entries.is_empty() {
        report.push(Diagnostic::error("matrix-empty", entry.key.pos, "`matrix` has no keys").with_help(HELP));
    }
    let is_axis = |entry: &&Entry| !matches!(entry.key.text.as_str(), "include" | "exclude");
    let axes: Vec<Axis> = entries.iter().filter(is_axis).filter_map(|entry| axis(entry, report)).collect();
    let combinations = |key: &str, report: &mut Report| {
        Fields::of(entries, key).map(|entry| combinations(entry, report)).unwrap_or_default()
    };
    let (exclude, include) = (combinations("exclude", report), combinations("include", report));
    if let Some(entry) = Fields::of(entries, "exclude") {
        check_excluded(entry, &exclude, &axes, report);
    }
    check_size(&axes, entry.key.pos, report);
    Some(Matrix::Axes { axes, exclude, include })
}

fn axis(entry: &Entry, report: &mut Report) -> Option<Axis> {
    let name = entry.key.text.clone();
    let what = format!("{} of the matrix", quote(&name));
    let letter = |b: &u8| b.is_ascii_alphabetic() || *b == b'_';
    let is_name = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
    if !is_name || !name.as_bytes().first().is_some_and(letter) {
        let message = format!("{} is no key of a matrix", quote(&name));
        let help = "a key is a letter or `_`, then letters, digits, `-` or `_`, like `part`";
        report.push(Diagnostic::error("matrix-key", entry.key.pos, message).with_help(help));
    }
    let values = match &entry.value.kind {
        Kind::List(items) if items.is_empty() => {
            let message = format!("{what} is an empty list, so the job would never be done");
            let help = "list at least one value, or remove the job";
            report.push(Diagnostic::error("matrix-empty", entry.value.pos, message).with_help(help));
            return None;
        }
        Kind::List(items) => AxisValues::List(items.iter().map(|item| json(item, report)).collect()),
        Kind::Scalar(scalar) if !scalar.is_null() => {
            AxisValues::Expression(expression(scalar, entry.value.pos, &what, report)?)
        }
        _ => {
            report.push(wrong_type(&entry.value, &what, "a list or an expression").with_help(HELP));
            return None;
        }
    };
    Some(Axis { name, values })
}

/// A text that is to become a list, and so is one expression or JSON with expressions in it.
fn expression(scalar: &Scalar, pos: Pos, what: &str, report: &mut Report) -> Option<String> {
    check_template(&scalar.text, pos, report);
    let template = Template::parse(&scalar.text).ok()?;
    if template.literal().is_some() {
        let message = format!("{what} must be a list or an expression, but is {}", quote(&scalar.text));
        report.push(Diagnostic::error("type", pos, message).with_help(HELP));
    }
    Some(scalar.text.clone())
}

/// `include` or `exclude`: a list of mappings.
fn combinations(entry: &Entry, report: &mut Report) -> Vec<Map<String, Value>> {
    let what = quote(&entry.key.text);
    let Kind::List(items) = &entry.value.kind else {
        report.push(wrong_type(&entry.value, &what, "a list of mappings"));
        return Vec::new();
    };
    let item = |node: &Node, report: &mut Report| {
        mapping(node, &format!("each item of {what}"), report)?;
        match json(node, report) {
            Value::Object(item) => Some(item),
            _ => None,
        }
    };
    items.iter().filter_map(|node| item(node, report)).collect()
}

/// What is excluded must be a combination of the axes, or nothing is.
fn check_excluded(entry: &Entry, exclude: &[Map<String, Value>], axes: &[Axis], report: &mut Report) {
    let names = || axes.iter().map(|axis| axis.name.as_str());
    for key in exclude.iter().flat_map(Map::keys).filter(|key| !names().any(|name| name == **key)) {
        let message = format!("`exclude` has {}, which is no key of the matrix", quote(key));
        let help = match report.similar(key, names()) {
            Some(similar) => format!("did you mean {}?", quote(similar)),
            None => format!("the keys are {}", list(names())),
        };
        report.push(Diagnostic::error("matrix-key", entry.value.pos, message).with_help(help));
    }
}

fn check_size(axes: &[Axis], pos: Pos, report: &mut Report) {
    let count = axes.iter().fold(1_usize, |count, axis| match &axis.values {
        AxisValues::List(values) => count.saturating_mul(values.len()),
        AxisValues::Expression(_) => count,
    });
    if count > Strategy::MAX_ITEMS {
        let message = format!("the matrix has {count} items, and at most {} are allowed", Strategy::MAX_ITEMS);
        report.push(Diagnostic::error("matrix-size", pos, message).with_help("make several jobs of it"));
    }
}

/// The keys below `matrix` that a job's expressions can use, as the file says them. `None` if only a run will tell.
pub(super) fn keys(job: &[Entry]) -> Option<Vec<&str>> {
    fn below<'a>(entries: &'a [Entry], key: &str) -> Option<&'a [Entry]> {
        Fields::of(entries, key).and_then(|entry| entries_of(&entry.value))
    }
    let matrix: &[Entry] = below(below(job, "strategy")?, "matrix")?;
    let own = matrix.iter().map(|entry| entry.key.text.as_str()).filter(|key| !matches!(*key, "include" | "exclude"));
    let mut keys: Vec<&str> = own.collect();
    if let Some(Kind::List(items)) = Fields::of(matrix, "include").map(|entry| &entry.value.kind) {
        keys.extend(items.iter().filter_map(|item| entries_of(item)).flatten().map(|entry| entry.key.text.as_str()));
    }
    Some(keys)
}

fn entries_of(node: &Node) -> Option<&[Entry]> {
    match &node.kind {
        Kind::Map(entries) => Some(entries),
        _ => None,
    }
}
