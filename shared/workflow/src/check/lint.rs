//! What is allowed but probably not meant, seen over all jobs.

use crate::diagnostic::{Diagnostic, Report, list, quote};
use crate::graph;
use crate::tree::Entry;

/// A job that is named like a later stage and waits for nothing runs first, which its name says it should not.
pub(super) fn stages_without_needs(jobs: &[Entry], needs: &[Vec<usize>], report: &mut Report) {
    for (job, entry) in jobs.iter().enumerate().filter(|(job, _)| needs[*job].is_empty()) {
        let before: Vec<&str> = match entry.key.text.as_str() {
            "migrate" => named("validate", jobs).filter(|other| !graph::depends(*other, job, needs)).collect(),
            "notify" => ends(job, needs),
            _ => Vec::new(),
        }
        .into_iter()
        .map(|other: usize| jobs[other].key.text.as_str())
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

fn named<'a>(name: &'a str, jobs: &'a [Entry]) -> impl Iterator<Item = usize> + 'a {
    jobs.iter().enumerate().filter(move |(_, job)| job.key.text == name).map(|(index, _)| index)
}

/// The jobs that no other job waits for and that do not wait for `job`.
fn ends(job: usize, needs: &[Vec<usize>]) -> Vec<usize> {
    let is_needed = |other: usize| needs.iter().any(|needs| needs.contains(&other));
    (0..needs.len())
        .filter(|other| *other != job && !is_needed(*other) && !graph::depends(*other, job, needs))
        .collect()
}
