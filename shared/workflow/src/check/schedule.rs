//! `on.schedule`: a list of cron patterns, each with its time zone and the datasets that it is for.

use honk_protocol::selector::Selector;
use jiff::Timestamp;

use super::fields::{Fields, wrong_type};
use super::values::text_of;
use crate::diagnostic::{Diagnostic, Pos, Report, quote};
use crate::model::{Schedule, ScheduleError};
use crate::tree::{Entry, Kind, Node};

pub(super) const KEYS: [&str; 3] = ["cron", "timezone", "selector"];
/// Finding out that a pattern never comes takes a while.
const MAX: usize = 16;
const HELP: &str = "write `schedule: [{ cron: '0 2 * * *', timezone: Europe/Berlin, selector: 'owner=data-team' }]`";

pub(super) fn check(entry: &Entry, report: &mut Report) -> Vec<Schedule> {
    match &entry.value.kind {
        Kind::List(items) if items.len() > MAX => {
            let message = format!("`schedule` has {} items, and at most {MAX} are allowed", items.len());
            let help = "a pattern can have several times, like `0 2,14 * * MON-FRI`";
            report.push(Diagnostic::error("schedule", entry.key.pos, message).with_help(help));
            Vec::new()
        }
        Kind::List(items) if !items.is_empty() => items.iter().filter_map(|item| one(item, report)).collect(),
        Kind::List(_) => {
            report.push(Diagnostic::error("event-missing", entry.value.pos, "`schedule` is empty").with_help(HELP));
            Vec::new()
        }
        _ => {
            report.push(wrong_type(&entry.value, "`schedule`", "a list").with_help(HELP));
            Vec::new()
        }
    }
}

fn one(node: &Node, report: &mut Report) -> Option<Schedule> {
    let fields = Fields::read(node, "each item of `schedule`", &KEYS, report)?;
    if fields.lacks("cron") {
        report.push(Diagnostic::error("key-missing", fields.pos, "the schedule has no `cron`").with_help(HELP));
    }
    let mut text = |key| {
        let entry = fields.get(key)?;
        Some((text_of(entry, report)?.to_owned(), entry.value.pos))
    };
    let (cron, timezone, selector) = (text("cron"), text("timezone"), text("selector"));
    if let Some((selector, pos)) = &selector {
        check_selector(selector, *pos, report);
    }
    let (cron, cron_pos) = cron?;
    let (timezone, zone_pos) = timezone.unwrap_or_else(|| (Schedule::DEFAULT_TIMEZONE.to_owned(), cron_pos));
    let schedule = Schedule { cron, timezone, selector: selector.map(|(selector, _)| selector) };
    // Whether a time ever comes does not depend on when it is asked.
    if let Err(error) = schedule.next_after(Timestamp::UNIX_EPOCH) {
        let (pos, help) = match error {
            ScheduleError::Zone(_) => (zone_pos, "write a name of the IANA's database, like `Europe/Berlin` or `UTC`"),
            _ => (cron_pos, "write minute, hour, day of the month, month and day of the week, like `0 2 * * *`"),
        };
        report.push(Diagnostic::error("schedule", pos, error.to_string()).with_help(help));
    }
    Some(schedule)
}

fn check_selector(selector: &str, pos: Pos, report: &mut Report) {
    if let Err(error) = selector.parse::<Selector>() {
        let message = format!("{} is no selection of datasets: {error}", quote(selector));
        let help = "write `KEY=VALUE`, several with commas, like `owner=data-team,lifecycle=production`";
        report.push(Diagnostic::error("selector", pos, message).with_help(help));
    }
}
