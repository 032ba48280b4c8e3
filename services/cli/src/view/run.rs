//! Runs as people see them.

use honk_api::wire::{FailureView, JobView, RunView};
use honk_protocol::run::{Fault, JobState};

use super::{bytes, duration, fields, optional, short_hash, time};
use crate::output::{Table, inline};

/// A table of runs; nothing if there are none.
pub(crate) fn runs(runs: &[RunView]) -> String {
    let headings = ["RUN", "DATASET", "WORKFLOW", "STATE", "CREATED", ">DURATION", ">ATTEMPTS", ">OBJECTS", ">BYTES"];
    let mut table = Table::new(&headings);
    for run in runs {
        table.row([
            run.id.to_string(),
            run.dataset.to_string(),
            run.workflow.to_string(),
            run.state.to_string(),
            time(run.created_at),
            duration(run.duration_ms),
            run.attempts.to_string(),
            optional(run.objects.as_ref()),
            run.bytes.map(bytes).unwrap_or_default(),
        ]);
    }
    if runs.is_empty() { String::new() } else { table.to_string() }
}

/// All there is to know about a run.
pub(crate) fn run(run: &RunView) -> String {
    let finished = run.finished_at.map(|at| format!("{} (after {})", time(at), duration(run.duration_ms)));
    let size = run.objects.map(|objects| format!("{objects} ({})", bytes(run.bytes.unwrap_or_default())));
    let head = fields(&[
        ("run", run.id.to_string()),
        ("dataset", run.dataset.to_string()),
        ("workflow", format!("{} ({})", run.workflow, short_hash(&run.workflow_hash))),
        ("state", if run.paused { format!("{} (paused)", run.state) } else { run.state.to_string() }),
        ("created", time(run.created_at)),
        ("finished", finished.unwrap_or_default()),
        ("to end by", run.deadline.filter(|_| run.finished_at.is_none()).map(time).unwrap_or_default()),
        ("objects", size.unwrap_or_default()),
        ("trace", run.trace_id.clone().unwrap_or_default()),
        ("followed by", optional(run.successor.as_ref())),
        ("superseded by", optional(run.superseded_by.as_ref())),
    ]);
    format!("{head}\n{}{}{}", jobs(&run.jobs), outputs(&run.jobs), failures(run))
}

fn jobs(jobs: &[JobView]) -> String {
    let mut table = Table::new(&["JOB", "POOL", "STATE", ">ATTEMPTS", "NEEDS", "AGENT"]);
    for job in jobs {
        table.row([
            job.name.to_string(),
            job.pool.to_string(),
            state(job),
            job.attempts.to_string(),
            job.needs.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
            job.agent.clone().unwrap_or_default(),
        ]);
    }
    table.to_string()
}

/// What each job left for those after it, and for people.
fn outputs(jobs: &[JobView]) -> String {
    let of_job = |job: &JobView| {
        let lines = job.outputs.iter().map(|(name, value)| {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            format!("  {:<16}  {}\n", inline(name), inline(&value))
        });
        format!("\n{} left\n{}", job.name, lines.collect::<String>())
    };
    jobs.iter().filter(|job| !job.outputs.is_empty()).map(of_job).collect()
}

/// Where the job stands, and its items.
fn state(job: &JobView) -> String {
    let Some(items) = &job.items else { return job.state.to_string() };
    let counts = items.states.iter().map(|(state, count)| format!("{count} {state}"));
    format!("{} ({})", job.state, counts.collect::<Vec<_>>().join(", "))
}

/// Why jobs of the run did not succeed, and what to do; nothing if all did.
pub(crate) fn failures(run: &RunView) -> String {
    let with_items = |job| std::iter::once(job).chain(job_items(job));
    let jobs = run.jobs.iter().flat_map(with_items);
    jobs.filter_map(|job| Some(failure(job, job.failure.as_ref()?))).collect()
}

/// Its items that did not succeed. What the job itself says is what the first of them said.
fn job_items(job: &JobView) -> impl Iterator<Item = &JobView> {
    job.items.iter().flat_map(|items| &items.lost)
}

fn failure(job: &JobView, failure: &FailureView) -> String {
    let mut text = format!(
        "\n{} {} in attempt {} at {}: {}\n  {}\n  {}\n",
        job.name,
        fault(failure.fault),
        failure.attempt,
        time(failure.at),
        failure.reason,
        inline(&failure.message),
        inline(&failure.meaning)
    );
    if job.state == JobState::Success {
        text.push_str("  A later attempt succeeded.\n");
    }
    // Without a dead letter, a later attempt has succeeded or is on its way, and there is nothing to do.
    if let Some(letter) = &job.dead_letter {
        text.extend([format!("hint: {}\n", inline(&failure.advice))]);
        text.extend([format!("      to do it again: `honk dlq replay {}`\n", inline(letter))]);
    }
    text
}

const fn fault(fault: Fault) -> &'static str {
    match fault {
        Fault::Failure => "failed",
        Fault::Timeout => "took too long",
        Fault::Error => "could not go on",
    }
}
