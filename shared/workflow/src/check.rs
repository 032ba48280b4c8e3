//! The tree of a workflow's text to a [`Workflow`], reporting every fault on the way. A check that finds one goes on with
//! whatever default lets it find the next; what it returns is used only if nothing was reported.

mod concurrency;
mod condition;
mod fields;
mod include;
mod job;
mod lint;
mod needs;
mod policy;
mod rate;
mod references;
mod schedule;
mod step;
mod strategy;
mod trigger;
mod values;
mod workflow;

use crate::diagnostic::{Diagnostic, Pos, Report};
use crate::{Parsed, Workflow, tree};

/// The keys of every mapping, by the name that the schema has for it.
#[cfg(test)]
pub(crate) const KEYS: [(&str, &[&str]); 9] = [
    ("WorkflowFile", &workflow::KEYS),
    ("Triggers", &trigger::KEYS),
    ("Trigger", &trigger::TRIGGER_KEYS),
    ("ScheduleForm", &schedule::KEYS),
    ("ConcurrencyFields", &concurrency::KEYS),
    ("JobForm", &job::KEYS),
    ("StrategyForm", &strategy::KEYS),
    ("StepForm", &step::KEYS),
    ("Backoff", &policy::BACKOFF_KEYS),
];

pub(crate) fn text(text: &str) -> Result<Parsed, Vec<Diagnostic>> {
    let mut report = Report::default();
    let workflow = match tree::parse(text, &mut report) {
        Ok(root) => workflow::check(&root, &mut report),
        Err(fault) => {
            report.push(fault);
            None
        }
    };
    match workflow {
        Some(workflow) if !report.has_errors() => {
            fits(&workflow)?;
            Ok(Parsed { workflow, warnings: report.into_sorted() })
        }
        _ => Err(report.into_sorted()),
    }
}

fn fits(workflow: &Workflow) -> Result<(), Vec<Diagnostic>> {
    if workflow.to_json().len() <= Workflow::MAX_JSON {
        return Ok(());
    }
    let message = format!("the workflow as JSON is longer than {} bytes", Workflow::MAX_JSON);
    Err(vec![Diagnostic::error("too-large", Pos::START, message).with_help("move long scripts into files")])
}
