//! `concurrency`: which runs of a workflow are done one at a time.

use super::fields::Fields;
use super::values::{boolean, check_template, text_of};
use crate::diagnostic::{Diagnostic, Pos, Report, quote};
use crate::expr::{Expression, Template};
use crate::model::Concurrency;
use crate::tree::{Entry, Kind};

pub(super) const KEYS: [&str; 2] = ["group", "cancel-in-progress"];
const HELP: &str = "write `concurrency: { group: 'warehouse-{{ input.warehouse }}' }`";
/// What is known before a run begins.
const ROOTS: [&str; 2] = ["input", "dataset"];

/// `concurrency: GROUP`, or a mapping.
pub(super) fn check(entry: &Entry, report: &mut Report) -> Option<Concurrency> {
    if !matches!(entry.value.kind, Kind::Map(_)) {
        return Some(Concurrency { group: group(entry, report)?, cancel_in_progress: false });
    }
    let fields = Fields::read(&entry.value, "`concurrency`", &KEYS, report)?;
    if fields.lacks("group") {
        report.push(Diagnostic::error("key-missing", fields.pos, "`concurrency` has no `group`").with_help(HELP));
    }
    let cancel_in_progress = fields.get("cancel-in-progress").and_then(|entry| boolean(entry, report));
    let group = fields.get("group").and_then(|entry| group(entry, report))?;
    Some(Concurrency { group, cancel_in_progress: cancel_in_progress.unwrap_or_default() })
}

fn group(entry: &Entry, report: &mut Report) -> Option<String> {
    let text = text_of(entry, report)?;
    check_template(text, entry.value.pos, report);
    if text.trim().is_empty() {
        report.push(Diagnostic::error("concurrency", entry.value.pos, "the group is empty").with_help(HELP));
    }
    check_roots(text, entry.value.pos, report);
    Some(text.to_owned())
}

fn check_roots(text: &str, pos: Pos, report: &mut Report) {
    let template = Template::parse(text).unwrap_or_default();
    for reference in template.expressions().flat_map(Expression::references) {
        if !ROOTS.contains(&reference.root()) {
            let message = format!("{} is not known before a run begins", quote(&reference.to_string()));
            let help = "a group can be made of `input` and `dataset`";
            report.push(Diagnostic::error("concurrency", pos, message).with_help(help));
        }
    }
}
