//! The workflow as a whole.

use honk_protocol::name::WorkflowName;

use super::fields::{Fields, mapping};
use super::policy::Policy;
use super::values::{environment, text_of};
use super::{job, lint, needs, trigger};
use crate::diagnostic::{Diagnostic, Report};
use crate::model::{Job, Workflow};
use crate::tree::{Entry, Node};

const KEYS: [&str; 7] = ["name", "on", "env", "retry_count", "timeout", "backoff", "jobs"];
const MAX_JOBS: usize = 256;

pub(super) fn check(root: &Node, report: &mut Report) -> Option<Workflow> {
    let fields = Fields::read(root, "a workflow", &KEYS, report)?;
    let name = required(&fields, "name", "add a line like `name: migrate-dataset`", report)
        .and_then(|entry| name(entry, report));
    let on = required(&fields, "on", "add the line `on: dataset_onboard`", report)
        .map(|entry| trigger::check(entry, report));
    let env = environment(fields.get("env"), report);
    let defaults = Policy::default().overlaid(&fields, report);
    let help = "add `jobs:` and below it, for each job, its name with its `steps`";
    let jobs = required(&fields, "jobs", help, report).and_then(|entry| jobs(entry, &defaults, report));
    Some(Workflow { name: name?, on: on?, env, jobs: jobs? })
}

fn required<'a>(fields: &Fields<'a>, key: &str, help: &str, report: &mut Report) -> Option<&'a Entry> {
    if fields.lacks(key) {
        let missing = Diagnostic::error("key-missing", fields.pos, format!("the workflow has no `{key}`"));
        report.push(missing.with_help(help));
    }
    fields.get(key)
}

fn name(entry: &Entry, report: &mut Report) -> Option<WorkflowName> {
    WorkflowName::new(text_of(entry, report)?)
        .map_err(|error| report.push(Diagnostic::error("workflow-name", entry.value.pos, error.to_string())))
        .ok()
}

fn jobs(entry: &Entry, defaults: &Policy, report: &mut Report) -> Option<Vec<Job>> {
    let entries = mapping(&entry.value, "`jobs`", report)?;
    if entries.is_empty() {
        report.push(Diagnostic::error("jobs-missing", entry.key.pos, "the workflow has no jobs"));
        return None;
    }
    if entries.len() > MAX_JOBS {
        let message = format!("the workflow has {} jobs, and at most {MAX_JOBS} are allowed", entries.len());
        report.push(Diagnostic::error("jobs-too-many", entry.key.pos, message));
        return None;
    }
    let mut jobs: Vec<Option<Job>> = entries.iter().map(|entry| job::check(entry, defaults, report)).collect();
    let graph = needs::check(entries, report);
    if report.has_errors() {
        return None;
    }
    lint::stages_without_needs(entries, &graph, report);
    for (job, needs) in jobs.iter_mut().zip(&graph) {
        if let Some(job) = job {
            job.needs = needs.iter().filter_map(|need| job::name(&entries[*need].key, report)).collect();
        }
    }
    jobs.into_iter().collect()
}
