//! Jobs and steps that are never done.

use super::Lint;
use crate::check::fields::Fields;
use crate::diagnostic::{Diagnostic, Pos, Report, quote};
use crate::expr::Condition;
use crate::model::{Job, Step};
use crate::tree::{Entry, Kind, Node};

pub(super) fn check(lint: &Lint<'_>, report: &mut Report) {
    let never = unreachable_jobs(lint, report);
    for (job, entry) in lint.entries.iter().enumerate().filter(|(job, _)| !never[*job]) {
        steps(&lint.jobs[job], entry, report);
    }
}

/// Which jobs are never started, each reported once.
fn unreachable_jobs(lint: &Lint<'_>, report: &mut Report) -> Vec<bool> {
    let mut never: Vec<bool> = (0..lint.jobs.len()).map(|job| is_never(lint, job)).collect();
    for (job, _) in never.iter().enumerate().filter(|(_, never)| **never) {
        let name = quote(&lint.entries[job].key.text);
        let message = format!("the job {name} is never started, as its `if` cannot hold");
        let help = "correct the condition, or remove the job";
        let pos = place(&lint.entries[job].value, "if", lint.entries[job].key.pos);
        report.push(Diagnostic::warning("job-unreachable", pos, message).with_help(help));
    }
    // A job that needs a skipped one is skipped, unless it goes on regardless. The graph has no circles, so this comes to an end.
    while let Some((job, cause)) = next_skipped(lint, &never) {
        never[job] = true;
        let (name, needed) = (quote(&lint.entries[job].key.text), quote(&lint.entries[cause].key.text));
        let message = format!("the job {name} is never started, as {needed}, which it needs, is not");
        let help = format!("correct {needed}, or add `if: always()` to the job {name}");
        let pos = place(&lint.entries[job].value, "needs", lint.entries[job].key.pos);
        report.push(Diagnostic::warning("job-unreachable", pos, message).with_help(help));
    }
    never
}

fn next_skipped(lint: &Lint<'_>, never: &[bool]) -> Option<(usize, usize)> {
    (0..never.len()).filter(|job| !never[*job] && !lint.jobs[*job].regardless()).find_map(|job| {
        let cause = lint.graph[job].iter().find(|needed| never[**needed]);
        cause.map(|cause| (job, *cause))
    })
}

/// Whether a job's own condition can never hold.
fn is_never(lint: &Lint<'_>, job: usize) -> bool {
    match lint.jobs[job].condition() {
        Ok(Some(condition)) => {
            condition.constant() == Some(false) || (asks_only_failure(&condition) && lint.graph[job].is_empty())
        }
        _ => false,
    }
}

fn asks_only_failure(condition: &Condition) -> bool {
    condition.expression().source() == "failure()"
}

fn steps(job: &Job, entry: &Entry, report: &mut Report) {
    let Kind::Map(fields) = &entry.value.kind else { return };
    let Some(Kind::List(nodes)) = Fields::of(fields, "steps").map(|steps| &steps.value.kind) else { return };
    for (index, (node, step)) in nodes.iter().zip(&job.steps).enumerate() {
        if step_is_never(step, index) {
            let message = "the step is never done, as its `if` cannot hold";
            let help = "correct the condition, or remove the step";
            let pos = place(node, "if", node.pos);
            report.push(Diagnostic::warning("step-unreachable", pos, message).with_help(help));
        }
    }
}

/// Before the first step nothing can have failed.
fn step_is_never(step: &Step, index: usize) -> bool {
    let Ok(Some(condition)) = step.condition() else { return false };
    condition.constant() == Some(false) || (asks_only_failure(&condition) && index == 0)
}

fn place(node: &Node, key: &str, otherwise: Pos) -> Pos {
    let Kind::Map(fields) = &node.kind else { return otherwise };
    Fields::of(fields, key).map_or(otherwise, |entry| entry.key.pos)
}
