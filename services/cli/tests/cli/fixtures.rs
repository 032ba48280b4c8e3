//! What the API says in these tests.

use serde_json::{Value, json};

/// A run's id.
pub(crate) const RUN: &str = "r0123456789abcdef0123";

/// A run of three jobs, of which `done` succeeded; the next one is in `state`, if it has one.
pub(crate) fn run(state: &str, done: usize, job_state: Option<&str>) -> Value {
    let jobs = ["validate", "migrate", "notify"].iter().enumerate().map(|(index, name)| {
        let needs = index.checked_sub(1).map(|before| vec![["validate", "migrate"][before]]).unwrap_or_default();
        let state = match job_state {
            _ if index < done => "success",
            Some(state) if index == done => state,
            _ => "pending",
        };
        let begun = state != "pending";
        let mut job = json!({"name": name, "pool": name, "needs": needs, "state": state,
            "generation": u32::from(begun), "attempts": u32::from(begun)});
        if begun {
            job["agent"] = json!(format!("{name}-1"));
        }
        if *name == "migrate" && state == "success" {
            job["outputs"] = json!({"objects": 10, "bytes": 40_960});
        }
        job
    });
    let mut run = json!({"id": RUN, "dataset": "my-dataset", "workflow": "migrate-dataset", "workflow_hash": "ab".repeat(32),
        "state": state, "created_at": "2026-01-02T03:04:05Z", "updated_at": "2026-01-02T03:04:08Z", "duration_ms": 3_250,
        "trace_id": "0af7651916cd43dd8448eb211c80319c", "attempts": 3, "jobs": jobs.collect::<Vec<_>>()});
    if !matches!(state, "running" | "waiting") {
        run["finished_at"] = json!("2026-01-02T03:04:08.25Z");
    }
    if done > 1 {
        (run["objects"], run["bytes"]) = (json!(10), json!(40_960));
    }
    run
}

/// A run that succeeded.
pub(crate) fn succeeded() -> Value {
    run("success", 3, None)
}

/// A run whose `migrate` job is a dead letter.
pub(crate) fn failed() -> Value {
    let mut run = run("failure", 1, Some("dead"));
    run["jobs"][1]["dead_letter"] = json!(format!("{RUN}.migrate"));
    run["jobs"][1]["failure"] = json!({"reason": "target-missing", "meaning": "The target bucket does not exist.",
        "advice": "Create it, then replay the dead letter.", "fault": "failure",
        "message": "bucket `new` \u{1b}[31mis not there", "attempt": 1, "at": "2026-01-02T03:04:08Z"});
    run["jobs"][2]["state"] = json!("skipped");
    run
}

/// The answer to an event that was accepted.
pub(crate) fn accepted() -> Value {
    json!({"run": RUN, "url": format!("/api/runs/{RUN}")})
}

/// The end of a run, as its stream says it.
pub(crate) fn end(state: &str) -> Value {
    json!({"run": RUN, "state": state})
}

/// A location.
pub(crate) fn location() -> Value {
    json!({"dataset": "my-dataset", "source": {"s3": {"bucket": "old", "prefix": "my-dataset"}},
        "target": {"s3": {"bucket": "new", "prefix": "my-dataset", "endpoint": "https://s3.example.org", "region": "eu-1"}},
        "format": "parquet", "active": "target", "epoch": 2, "since": "2026-01-02T03:04:08Z", "run": RUN})
}

/// A dataset, without its entity.
pub(crate) fn dataset() -> Value {
    json!({"name": "my-dataset", "reference": "component:default/my-dataset", "owner": "group:default/data\u{1b}]0;team",
        "location": location(), "last_run": succeeded()})
}

/// A dead letter of a job, without its payload.
pub(crate) fn dead_letter() -> Value {
    json!({"id": format!("{RUN}.migrate"), "subject": format!("honk.job.migrate.{RUN}.migrate.1"), "reason": "target-missing",
        "meaning": "The target bucket does not exist.", "advice": "Create it, then replay the dead letter.",
        "fault": "failure", "error": "bucket `new` is not there", "attempts": 4, "dataset": "my-dataset", "run": RUN,
        "job": "migrate", "pool": "migrate", "trace_id": "0af7651916cd43dd8448eb211c80319c", "time": "2026-01-02T03:04:08Z"})
}

/// A dead letter of an event, with its payload.
pub(crate) fn dead_event(payload: &str) -> Value {
    json!({"id": "event.0123456789abcdef", "subject": "honk.event.dataset_onboard", "reason": "dataset-unknown",
        "meaning": "No dataset of this name is in the catalog.",
        "advice": "Import its entity (`honk catalog import`), then replay the dead letter.", "fault": "failure",
        "error": "the catalog has no `my-dataset`", "attempts": 1, "dataset": "my-dataset",
        "time": "2026-01-02T03:04:08Z", "payload": {"text": payload}})
}
