//! Runs: listed, shown and watched.

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::fixtures::{RUN, end, failed, run, succeeded};
use super::stub::Stub;

fn progress(objects: u64) -> Value {
    json!({"run": RUN, "job": "migrate", "attempt": 1, "agent": "migrate-1", "objects": objects, "objects_total": 10,
        "bytes": objects * 4096, "bytes_total": 40_960})
}

#[test]
fn runs_are_listed_with_their_filters() {
    let page = json!({"runs": [succeeded(), run("running", 1, Some("running"))], "next": "x"});
    let api = Stub::new().on("GET /api/runs?dataset=my-dataset&state=success&workflow=w&limit=2", 200, &page);
    assert_snapshot!(api.honk("run list --dataset my-dataset --workflow w --state success --limit 2"), @"");
}

#[test]
fn no_runs_are_no_data_and_no_failure() {
    let api = Stub::new().on("GET /api/runs?limit=50", 200, &json!({"runs": []}));
    assert_snapshot!(api.honk("run list"), @"");
    assert_eq!(api.json("run list -o json"), json!([]));
}

#[test]
fn a_failed_run_is_shown_with_the_reason_and_what_to_do() {
    let api = Stub::new().on(&format!("GET /api/runs/{RUN}"), 200, &failed());
    assert_snapshot!(api.honk(&format!("run show {RUN}")), @"");
}

#[test]
fn a_run_as_json_is_one_line_and_stable() {
    let api = Stub::new().on(&format!("GET /api/runs/{RUN}"), 200, &failed());
    assert_snapshot!(api.honk(&format!("run show {RUN} -o json")), @"");
}

#[test]
fn an_unknown_run_is_a_failure_when_shown_and_when_watched() {
    let api = Stub::new();
    assert_snapshot!(api.honk(&format!("run show {RUN}")), @"");
    assert_snapshot!(api.honk(&format!("run watch {RUN}")), @"");
}

#[test]
fn a_run_is_watched_to_its_end_over_a_broken_connection() {
    let api = Stub::new()
        .on_watch(RUN, &[("run", &run("running", 0, Some("running"))), ("run", &run("running", 1, Some("running")))])
        .on_watch(RUN, &[
            ("run", &run("running", 1, Some("running"))),
            ("later-invention", &json!({})),
            ("progress", &progress(5)),
            ("progress", &progress(5)),
            ("run", &run("running", 2, Some("ready"))),
            ("run", &succeeded()),
            ("end", &end("success")),
        ])
        .on(&format!("GET /api/runs/{RUN}"), 200, &succeeded());
    assert_snapshot!(api.honk(&format!("run watch {RUN}")), @"");
}

#[test]
fn watching_a_run_that_fails_leaves_with_1() {
    let api = Stub::new()
        .on_watch(RUN, &[("run", &failed()), ("end", &end("failure"))])
        .on(&format!("GET /api/runs/{RUN}"), 200, &failed());
    assert_snapshot!(api.honk(&format!("run watch {RUN}")), @"");
}

#[test]
fn a_program_that_watches_reads_one_update_a_line() {
    let api = Stub::new()
        .on_watch(RUN, &[("run", &succeeded()), ("progress", &progress(5)), ("end", &end("success"))])
        .on(&format!("GET /api/runs/{RUN}"), 200, &succeeded());
    let shown = api.honk(&format!("run watch {RUN} -o json"));
    let lines: Vec<Value> = shown.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let events: Vec<_> = lines.iter().map(|line| line["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["run", "progress", "end"], "{shown}");
    assert_eq!((&lines[1]["data"], &lines[2]["data"]), (&progress(5), &end("success")));
}

#[test]
fn a_stream_that_is_none_is_recognised() {
    let api = Stub::new().on_text(&format!("GET /api/runs/{RUN}/watch"), "text/html", "<html>");
    assert_snapshot!(api.honk(&format!("run watch {RUN}")), @"");
    let api = Stub::new().on_text(&format!("GET /api/runs/{RUN}/watch"), "text/event-stream", "event: run\ndata: {}\n\n");
    assert!(api.honk(&format!("run watch {RUN}")).starts_with("exit 1\n"));
}
