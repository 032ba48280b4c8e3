//! What comes after a migration, as people see it: who reads the dataset, what a roll-back left behind, what a retirement did.

use honk_protocol::dataset::{Consumer, Removal};
use honk_protocol::run::Outputs;
use serde_json::Value;

use super::{bytes, fields, time};
use crate::output::{Table, inline};

/// A table of consumers; nothing if there are none.
pub(crate) fn consumers(consumers: &[Consumer]) -> String {
    let mut table = Table::new(&["CONSUMER", "KNOWN FROM", ">EPOCH", "READS", "LAST HEARD"]);
    for one in consumers {
        table.row([
            one.consumer.to_string(),
            if one.declared { "catalog" } else { "asking" }.to_owned(),
            one.epoch.map(|epoch| epoch.to_string()).unwrap_or_default(),
            if one.current { "the present place" } else { "perhaps an old one" }.to_owned(),
            one.at.map(time).unwrap_or_default(),
        ]);
    }
    if consumers.is_empty() { String::new() } else { table.to_string() }
}

/// What was written to the target between a cut-over and its roll-back.
pub(crate) fn rollback_report(report: &Outputs) -> String {
    let head = fields(&[
        ("written to the target", format!("{} added, {} changed", number(report, "added"), number(report, "changed"))),
        ("their bytes", bytes(number(report, "written_bytes"))),
        ("not at the target", count(report, "missing")),
        ("cannot be told", count(report, "untold")),
    ]);
    let keys = list(report, "keys", |entry| {
        let text = |name: &str| entry.get(name).and_then(Value::as_str).map(inline).unwrap_or_default();
        format!("  {:<8} {}", text("change"), text("key"))
    });
    format!("{head}{keys}{}", more(report))
}

/// What a retirement came to.
pub(crate) fn retirement(outputs: &Outputs) -> String {
    let text = |name: &str| outputs.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let amount = |objects: &str, size: &str| match number(outputs, objects) {
        0 => String::new(),
        objects => format!("{objects} objects, {}", bytes(number(outputs, size))),
    };
    let head = fields(&[
        ("outcome", text("outcome")),
        ("why", text("why")),
        ("listed", amount("listed_objects", "listed_bytes")),
        ("removed", amount("removed_objects", "removed_bytes")),
        ("kept at the source", count(outputs, "kept")),
        ("list", text("list")),
    ]);
    let behind = list(outputs, "behind", |entry| format!("  {}", entry.as_str().map(inline).unwrap_or_default()));
    format!("{head}{behind}")
}

/// An object that would be removed.
pub(crate) fn removal(entry: &Removal) -> String {
    format!("{:>12}  {}", entry.size, inline(&entry.key))
}

fn number(outputs: &Outputs, name: &str) -> u64 {
    outputs.get(name).and_then(Value::as_u64).unwrap_or_default()
}

/// A number, and nothing for none.
fn count(outputs: &Outputs, name: &str) -> String {
    match number(outputs, name) {
        0 => String::new(),
        count => count.to_string(),
    }
}

fn list(outputs: &Outputs, name: &str, line: impl Fn(&Value) -> String) -> String {
    let entries = outputs.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    entries.iter().fold(String::new(), |mut lines, entry| {
        lines.extend([line(entry).as_str(), "\n"]);
        lines
    })
}

fn more(outputs: &Outputs) -> String {
    match number(outputs, "more_keys") {
        0 => String::new(),
        more => format!("  and {more} more\n"),
    }
}
