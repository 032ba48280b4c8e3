//! `rate`: how many runs of a workflow may begin in a second, a minute or an hour.

use super::values::{text_of, whole_number};
use crate::diagnostic::{Diagnostic, Report, quote};
use crate::model::Rate;
use crate::tree::Entry;

const UNITS: [(&str, u64); 3] = [("s", 1_000), ("min", 60_000), ("h", 3_600_000)];
const MAX_STARTS: u32 = 1_000_000;

pub(super) fn check(entry: &Entry, report: &mut Report) -> Option<Rate> {
    let text = text_of(entry, report)?;
    let rate = parse(text);
    if rate.is_none() {
        let message = format!("{} is no rate", quote(text));
        let help = format!(
            "write how many runs may begin in which time, like `10/min` (`s`, `min` or `h`; 1 to {MAX_STARTS})"
        );
        report.push(Diagnostic::error("rate", entry.value.pos, message).with_help(help));
    }
    rate
}

fn parse(text: &str) -> Option<Rate> {
    let (starts, unit) = text.split_once('/')?;
    let (_, per_ms) = UNITS.into_iter().find(|(name, _)| *name == unit.trim())?;
    let starts = whole_number(starts.trim()).filter(|starts| (1..=MAX_STARTS).contains(starts))?;
    Some(Rate { starts, per_ms })
}
