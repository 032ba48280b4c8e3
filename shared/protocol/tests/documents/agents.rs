//! The part of `docs/MESSAGES.md` that is for writers of agents: prose from `agents.md`, with what the contract says in place of its names,
//! and the moves of a record as [`Run::apply`] makes them.

use honk_protocol::dataset::{Location, LocationSpec, Place, S3Place};
use honk_protocol::name::JobName;
use honk_protocol::reason::Reason;
use honk_protocol::run::{Effect, Failure, Fan, Fault, Fence, Run, RunEvent};
use honk_protocol::topology::{self, Settings, Topology};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::moves;

const PROSE: &str = include_str!("agents.md");

/// The pages' part, from a record whose job `migrate` is ready and whose job `notify` needs it.
pub(crate) fn text(record: &Run) -> String {
    let topology = Topology::new(&Settings::default());
    let deliveries = topology.streams.iter().flat_map(|stream| &stream.consumers).map(|consumer| consumer.max_deliver);
    let seconds = |time: std::time::Duration| format!("{}s", time.as_secs());
    let names = [
        ("WORKFLOWS", topology::WORKFLOWS.to_owned()),
        ("CONTROL", topology::CONTROL.to_owned()),
        ("LOCATIONS", topology::LOCATIONS.to_owned()),
        ("LOCATION", serde_json::to_string_pretty(&location(record)).expect("JSON")),
        ("JOBS", topology::JOBS.to_owned()),
        ("RUNS", topology::RUNS.to_owned()),
        ("MAX_DELIVER", deliveries.min().expect("a consumer").to_string()),
        ("MAX_RECORD", (topology::MAX_MESSAGE_BYTES - 8 * 1024).to_string()),
        ("KEEP_SUCCESS", seconds(topology::KEEP_SUCCESS)),
        ("KEEP_DEAD", seconds(topology::KEEP_DEAD)),
        ("EDGES", edges(record)),
    ];
    let mut text = PROSE.to_owned();
    for (name, value) in names {
        let name = format!("@@{name}@@");
        assert!(text.contains(&name), "{name} stands nowhere");
        text = text.replace(&name, value.trim_end());
    }
    assert!(!text.contains("@@"), "a name of agents.md is not known");
    format!("\n{text}")
}

fn location(record: &Run) -> Location {
    let place = |bucket: &str| {
        Place::S3(S3Place { bucket: bucket.into(), prefix: "my-dataset".into(), endpoint: None, region: None })
    };
    let spec = LocationSpec { source: place("old"), target: place("new"), format: Some("parquet".into()) };
    let week = std::time::Duration::from_hours(7 * 24);
    Location::registered(spec, record.created_at).cut_over(&record.id, record.created_at, Some(week))
}

/// Each of an agent's moves, as what it changes in the record.
fn edges(record: &Run) -> String {
    let at: Timestamp = "2026-11-21T22:05:00Z".parse().expect("a time");
    let (first, second) = (Fence { generation: 1, attempt: 1 }, Fence { generation: 1, attempt: 2 });
    let job: JobName = "migrate".parse().expect("a job's name");
    let failure =
        |reason, fault, attempt| Failure { reason, fault, message: "503 from the bucket".into(), attempt, at };
    let outputs = json!({ "rows": 12 }).as_object().cloned().unwrap_or_default();
    let started = RunEvent::Started { job: job.clone(), fence: second, agent: "checks@host:7".into() };
    let retrying = RunEvent::Retrying {
        job: job.clone(),
        fence: first,
        failure: failure(Reason::ActionFailed, Fault::Error, 1),
        counts: true,
    };
    let memo = json!({ "round": 1 }).as_object().cloned().unwrap_or_default();
    let fan = Fan { items: 2, max_parallel: None, fail_fast: true, rejoins: false };
    let died =
        RunEvent::Died { job: job.clone(), fence: first, failure: failure(Reason::ActionRejected, Fault::Failure, 1) };
    let paused = record.apply(&RunEvent::Paused, record.updated_at).expect("a running run").0;
    let about = [
        (
            "An attempt is at work. From the second delivery on before it begins, else once it is a second old.",
            record,
            started,
        ),
        (
            "An attempt failed and is tried again. With `counts` false, for one that the workflow's number of attempts does not limit, `handed_back` grows too.",
            record,
            retrying,
        ),
        (
            "The agent stops, and gives the attempt back.",
            record,
            RunEvent::HandedBack { job: job.clone(), fence: first },
        ),
        (
            "An attempt succeeded. Of an item, `agent`, `started_at` and `finished_at` are removed again.",
            record,
            RunEvent::Completed { job: job.clone(), fence: first, outputs },
        ),
        ("The job's own condition does not hold.", record, RunEvent::Skipped { job: job.clone(), fence: first }),
        (
            "The job's matrix was read. Without items it is skipped.",
            record,
            RunEvent::FannedOut { job: job.clone(), fence: first, fan },
        ),
        (
            "The attempt found its work too large for one agent. Its parts are items, each the same job for another share of the work; when all have succeeded, what they left is put into the memo as `parts`, and the job is dispatched once more.",
            record,
            RunEvent::Split {
                job: job.clone(),
                fence: first,
                fan: Fan { fail_fast: false, rejoins: true, ..fan },
                memo: memo.clone(),
            },
        ),
        (
            "The attempt has done what it may do before a person says that the run shall go on.",
            record,
            RunEvent::Postponed { job: job.clone(), fence: first, memo },
        ),
        (
            "The run is paused, and this delivery was not begun.",
            &paused,
            RunEvent::Shelved { job: job.clone(), fence: first },
        ),
        ("The job is given up. If it is `tolerated`, its state is `failed`.", record, died),
    ];
    about.iter().map(|(why, before, event)| edge(why, before, event, at)).collect()
}

/// One move: what it is for, how it is written down, what it changes and what follows.
fn edge(why: &str, before: &Run, event: &RunEvent, at: Timestamp) -> String {
    let (after, effects) = before.apply(event, at).expect("an edge");
    let shown = moves::as_json(event);
    let kind = shown["type"].as_str().unwrap_or_default();
    let mut changes = Vec::new();
    differences("", &json!(before), &json!(after), &mut changes);
    changes.retain(|change| !change.starts_with("updated_at"));
    changes.extend(effects.iter().map(|effect| format!("then: {}", said(effect))));
    format!("### `{kind}`\n\n{why}\n\n```text\n{shown}\n\n{}\n```\n\n", changes.join("\n"))
}

fn said(effect: &Effect) -> String {
    match effect {
        Effect::Dispatch { job, pool, generation } => format!("publish honk.job.{pool}.<run>.{job}.{generation}"),
        Effect::Finished => "publish honk.finished.<run>".into(),
        Effect::Promote(run) => format!("promote {run}"),
    }
}

/// What differs, one line for each value. Jobs are called by their names.
fn differences(at: &str, before: &Value, after: &Value, found: &mut Vec<String>) {
    match (before, after) {
        (Value::Object(was), Value::Object(is)) => {
            let names: std::collections::BTreeSet<&String> = was.keys().chain(is.keys()).collect();
            for name in names {
                let path = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
                let value = |fields: &serde_json::Map<String, Value>| fields.get(name).cloned().unwrap_or(Value::Null);
                differences(&path, &value(was), &value(is), found);
            }
        }
        (Value::Array(was), Value::Array(is)) if was.len() == is.len() && at.ends_with("jobs") => {
            for (was, is) in was.iter().zip(is) {
                differences(&format!("{at}[{}]", is["name"].as_str().unwrap_or_default()), was, is, found);
            }
        }
        (was, is) if was == is => {}
        (Value::Null, is) => found.push(format!("{at}: {is}")),
        (was, Value::Null) => found.push(format!("{at}: {was} is removed")),
        (was, is) => found.push(format!("{at}: {was} -> {is}")),
    }
}
