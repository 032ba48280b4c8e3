//! A workflow that starts programs and says nowhere how long they may take.

use super::Lint;
use crate::check::fields::Fields;
use crate::diagnostic::{Diagnostic, Report};
use crate::duration;
use crate::model::{Job, StepAction};
use crate::tree::{Kind, Node};

/// Once a workflow, and only if it has a `run` step: actions know themselves when they are stuck.
pub(super) fn check(lint: &Lint<'_>, report: &mut Report) {
    let runs = |job: &Job| job.steps.iter().any(|step| matches!(step.action, StepAction::Run { .. }));
    let says = |node: &Node| matches!(&node.kind, Kind::Map(fields) if ["timeout", "deadline"].iter().any(|key| Fields::of(fields, key).is_some()));
    if says(lint.root) || lint.entries.iter().any(|entry| says(&entry.value)) || !lint.jobs.iter().any(runs) {
        return;
    }
    let default = duration::show(Job::DEFAULT_TIMEOUT_MS);
    let message = format!("no job has a `timeout`, so a program that hangs is ended only after {default}");
    let help = "add `timeout: 10m` to the workflow, or to each job";
    report.push(Diagnostic::warning("timeout-missing", lint.jobs_key.key.pos, message).with_help(help));
}
