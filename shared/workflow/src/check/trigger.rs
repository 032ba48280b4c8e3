//! `on`: the types of events that start a run, as `on: TYPE`, `on: [TYPE, …]` or `on: {trigger: {type: TYPE}}`, and the schedule on which runs
//! begin without an event.

use super::fields::Fields;
use super::schedule;
use super::values::texts;
use crate::diagnostic::{Diagnostic, Pos, Report, quote};
use crate::model::{Schedule, Trigger};
use crate::tree::{Entry, Kind};

pub(super) const KEYS: [&str; 2] = ["trigger", "schedule"];
pub(super) const TRIGGER_KEYS: [&str; 1] = ["type"];
const HELP: &str = "write `on: dataset_onboard`";

pub(super) fn check(entry: &Entry, report: &mut Report) -> Trigger {
    let mut schedule = Vec::new();
    let written = match &entry.value.kind {
        Kind::Map(_) => nested(entry, &mut schedule, report),
        _ if entry.value.is_null() => Some(Vec::new()),
        _ => Some(texts(entry, report)),
    };
    let Some(written) = written else { return Trigger { events: Vec::new(), schedule } };
    if written.is_empty() && !has_schedule(entry) {
        report.push(Diagnostic::error("event-missing", entry.key.pos, "`on` names no event").with_help(HELP));
    }
    let mut events: Vec<String> = Vec::new();
    for (event, pos) in written {
        check_event(event, pos, report);
        if events.iter().any(|known| known == event) {
            let message = format!("the event {} is here twice", quote(event));
            report.push(Diagnostic::error("event-duplicate", pos, message).with_help("remove one of them"));
        }
        events.push(event.to_owned());
    }
    Trigger { events, schedule }
}

/// The types in `{trigger: {type: …}}`; what is missing on the way is reported.
fn nested<'a>(entry: &'a Entry, schedules: &mut Vec<Schedule>, report: &mut Report) -> Option<Vec<(&'a str, Pos)>> {
    let on = Fields::read(&entry.value, "`on`", &KEYS, report)?;
    if let Some(entry) = on.get("schedule") {
        *schedules = schedule::check(entry, report);
        if on.lacks("trigger") {
            return Some(Vec::new());
        }
    } else if on.lacks("trigger") {
        report.push(Diagnostic::error("key-missing", on.pos, "`on` has no `trigger`").with_help(HELP));
    }
    let fields = Fields::read(&on.get("trigger")?.value, "`trigger`", &TRIGGER_KEYS, report)?;
    if fields.lacks("type") {
        let missing = Diagnostic::error("key-missing", fields.pos, "`trigger` has no `type`");
        report.push(missing.with_help("write `type: dataset_onboard`"));
    }
    fields.get("type").map(|entry| texts(entry, report))
}

/// Whether there is a schedule, be it a faulty one, which was reported.
fn has_schedule(entry: &Entry) -> bool {
    matches!(&entry.value.kind, Kind::Map(entries) if Fields::of(entries, "schedule").is_some())
}

/// An event's type is one token of the subject on which it is published.
fn check_event(event: &str, pos: Pos, report: &mut Report) {
    let first = event.as_bytes().first().is_some_and(u8::is_ascii_alphabetic);
    if !first || event.len() > 63 || !event.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b)) {
        let message = format!("{} is no type of event", quote(event));
        let help = "a type is a letter, then letters, digits, `_` or `-`, at most 63 in all, like `dataset_onboard`";
        report.push(Diagnostic::error("event-invalid", pos, message).with_help(help));
    } else if event != Trigger::DATASET_ONBOARD && strsim::damerau_levenshtein(event, Trigger::DATASET_ONBOARD) <= 2 {
        let message = format!("Honk itself has no event {}", quote(event));
        let help = format!("did you mean {}?", quote(Trigger::DATASET_ONBOARD));
        report.push(Diagnostic::warning("event-similar", pos, message).with_help(help));
    }
}
