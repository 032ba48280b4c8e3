//! The workflow as a whole.

use honk_protocol::name::{JobName, WorkflowName};

use super::fields::{Fields, mapping};
use super::lint::Lint;
use super::policy::{MIN_TIMEOUT_MS, Policy, time};
use super::values::{environment, text_of};
use super::{concurrency, include, job, needs, rate, references, trigger};
use crate::diagnostic::{Diagnostic, Report};
use crate::model::{Job, Workflow};
use crate::tree::{Entry, Node};

pub(super) const KEYS: [&str; 12] = [
    "name",
    "on",
    "concurrency",
    "rate",
    "deadline",
    "include",
    "env",
    "retry_count",
    "timeout",
    "backoff",
    "reject_codes",
    "jobs",
];
const MAX_JOBS: usize = 256;
/// Thirty days.
const MAX_DEADLINE_MS: u64 = 30 * 24 * 60 * 60 * 1_000;

pub(super) fn check(root: &Node, report: &mut Report) -> Option<Workflow> {
    let fields = Fields::read(root, "a workflow", &KEYS, report)?;
    let name = required(&fields, "name", "add a line like `name: migrate-dataset`", report)
        .and_then(|entry| name(entry, report));
    let on = required(&fields, "on", "add the line `on: dataset_onboard`", report)
        .map(|entry| trigger::check(entry, report));
    let env = environment(fields.get("env"), report);
    if let Some(env) = fields.get("env") {
        references::shared(env, report);
    }
    let deadline = fields.get("deadline");
    let deadline_ms = deadline.and_then(|entry| time(entry, MIN_TIMEOUT_MS, MAX_DEADLINE_MS, report));
    let concurrency = fields.get("concurrency").and_then(|entry| concurrency::check(entry, report));
    let rate = fields.get("rate").and_then(|entry| rate::check(entry, report));
    let include = fields.get("include").map(|entry| include::check(entry, report)).unwrap_or_default();
    let defaults = Policy::default().overlaid(&fields, report);
    let help = "add `jobs:` and below it, for each job, its name with its `steps`";
    let jobs = required(&fields, "jobs", help, report).and_then(|entry| jobs(root, entry, &defaults, report));
    Some(Workflow { name: name?, on: on?, deadline_ms, concurrency, rate, include, env, bundle: None, jobs: jobs? })
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

fn jobs(root: &Node, entry: &Entry, defaults: &Policy, report: &mut Report) -> Option<Vec<Job>> {
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
    let jobs: Vec<Option<Job>> = entries.iter().map(|entry| job::check(entry, defaults, report)).collect();
    let graph = needs::check(entries, report);
    references::Jobs { entries, graph: &graph }.check(report);
    if report.has_errors() {
        return None;
    }
    let mut jobs: Vec<Job> = jobs.into_iter().collect::<Option<_>>()?;
    let names: Vec<JobName> = jobs.iter().map(|job| job.name.clone()).collect();
    for (job, needs) in jobs.iter_mut().zip(&graph) {
        job.needs = needs.iter().map(|need| names[*need].clone()).collect();
    }
    Lint { root, jobs_key: entry, entries, jobs: &jobs, graph: &graph }.check(report);
    Some(jobs)
}
