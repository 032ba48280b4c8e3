//! Jobs of a later stage that wait for nothing.

use super::Lint;
use crate::diagnostic::{Diagnostic, Report, list, quote};
use crate::graph;

/// A job that is named like a later stage, or runs in its pool, and waits for nothing runs first, which its name says it should not.
pub(super) fn check(lint: &Lint<'_>, report: &mut Report) {
    let needs = lint.graph;
    for (job, entry) in lint.entries.iter().enumerate().filter(|(job, _)| needs[*job].is_empty()) {
        let before: Vec<&str> = match stage(lint, job) {
            "migrate" => of_stage("validate", lint).filter(|other| !graph::depends(*other, job, needs)).collect(),
            "notify" => ends(job, needs),
            _ => Vec::new(),
        }
        .into_iter()
        .map(|other: usize| lint.entries[other].key.text.as_str())
        .collect();
        if before.is_empty() {
            continue;
        }
        let name = quote(&entry.key.text);
        let message = format!(
            "the job {name} has no `needs`, so it starts at once and does not wait for {}",
            list(before.iter().copied())
        );
        let help = format!("add the line `needs: [{}]` to the job {name}", before.join(", "));
        report.push(Diagnostic::warning("needs-missing", entry.key.pos, message).with_help(help));
    }
}

/// The job's name if it is that of a stage, else its pool.
fn stage<'a>(lint: &Lint<'a>, job: usize) -> &'a str {
    match lint.entries[job].key.text.as_str() {
        name @ ("validate" | "migrate" | "notify") => name,
        _ => lint.jobs[job].pool.as_str(),
    }
}

fn of_stage(name: &str, lint: &Lint<'_>) -> impl Iterator<Item = usize> {
    (0..lint.jobs.len()).filter(move |job| stage(lint, *job) == name)
}

/// The jobs that no other job waits for and that do not wait for `job`.
fn ends(job: usize, needs: &[Vec<usize>]) -> Vec<usize> {
    let is_needed = |other: usize| needs.iter().any(|needs| needs.contains(&other));
    (0..needs.len())
        .filter(|other| *other != job && !is_needed(*other) && !graph::depends(*other, job, needs))
        .collect()
}
