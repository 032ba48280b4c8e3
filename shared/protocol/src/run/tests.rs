//! What [`Run::apply`] does for every pair of state and event, as a table; and what holds for every graph, whatever the
//! order of things.

mod conditions;
mod fans;
mod graphs;
mod splits;
mod table;

use jiff::Timestamp;

use super::*;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn name(text: &str) -> JobName {
    text.parse().expect("a job's name")
}

fn run_id(text: &str) -> RunId {
    RunId::of_event("test", text)
}

/// A run of these jobs, each with those it needs.
fn create(jobs: &[(&str, &[&str])], waiting: bool) -> (Run, Vec<Effect>) {
    let jobs = jobs.iter().map(|(job, needs)| {
        (name(job), PoolName::default_pool(), needs.iter().map(|need| name(need)).collect()).into()
    });
    let new = NewRun {
        id: run_id("run"),
        dataset: "d".parse().expect("a dataset's name"),
        workflow: WorkflowRef { name: "w".parse().expect("a workflow's name"), hash: WorkflowHash::of(b"w") },
        event: EventRef { source: "test".into(), id: "run".into() },
        trace: String::new(),
        input: serde_json::Map::new(),
        limit_ms: None,
        gate: None,
        jobs: jobs.collect(),
    };
    Run::create(new, waiting, NOW)
}

fn failure(fault: Fault) -> Failure {
    Failure { reason: Reason::StorageUnavailable, fault, message: "503".into(), attempt: 1, at: NOW }
}
