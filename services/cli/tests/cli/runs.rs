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
    let api = Stub::new().on("GET /api/runs?dataset=my-dataset&limit=2&state=success&workflow=w", 200, &page);
    assert_snapshot!(api.honk("run list --dataset my-dataset --workflow w --state success --limit 2"), @r#"
    exit 0
    --- stdout
    RUN                    DATASET     WORKFLOW         STATE    CREATED               DURATION  ATTEMPTS  OBJECTS     BYTES
    r0123456789abcdef0123  my-dataset  migrate-dataset  success  2026-01-02 03:04:05Z     3.2 s         3       10  40.0 KiB
    r0123456789abcdef0123  my-dataset  migrate-dataset  running  2026-01-02 03:04:05Z     3.2 s         3        -         -
    --- stderr
    there are more; show them with a higher --limit
    "#);
}

#[test]
fn no_runs_are_no_data_and_no_failure() {
    let api = Stub::new().on("GET /api/runs?limit=50", 200, &json!({"runs": []}));
    assert_snapshot!(api.honk("run list"), @r#"
    exit 0
    --- stdout
    --- stderr
    no runs
    "#);
    assert_eq!(api.json("run list -o json"), json!([]));
}

#[test]
fn a_failed_run_is_shown_with_the_reason_and_what_to_do() {
    let api = Stub::new().on(&format!("GET /api/runs/{RUN}"), 200, &failed());
    assert_snapshot!(api.honk(&format!("run show {RUN}")), @r#"
    exit 0
    --- stdout
    run       r0123456789abcdef0123
    dataset   my-dataset
    workflow  migrate-dataset (abababababab)
    state     failure
    created   2026-01-02 03:04:05Z
    finished  2026-01-02 03:04:08Z (after 3.2 s)
    trace     0af7651916cd43dd8448eb211c80319c

    JOB       POOL      STATE    ATTEMPTS  NEEDS     AGENT
    validate  validate  success         1  -         validate-1
    migrate   migrate   dead            1  validate  migrate-1
    notify    notify    skipped         0  migrate   -

    migrate failed in attempt 1 at 2026-01-02 03:04:08Z: target-missing
      bucket `new` \u{1b}[31mis not there
      The target bucket does not exist.
    hint: Create it, then replay the dead letter.
          to do it again: `honk dlq replay r0123456789abcdef0123.migrate`
    --- stderr
    "#);
}

#[test]
fn a_run_as_json_is_one_line_and_stable() {
    let api = Stub::new().on(&format!("GET /api/runs/{RUN}"), 200, &failed());
    assert_snapshot!(api.honk(&format!("run show {RUN} -o json")), @r#"
    exit 0
    --- stdout
    {"id":"r0123456789abcdef0123","dataset":"my-dataset","workflow":"migrate-dataset","workflow_hash":"abababababababababababababababababababababababababababababababab","state":"failure","created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:08Z","finished_at":"2026-01-02T03:04:08.25Z","duration_ms":3250,"trace_id":"0af7651916cd43dd8448eb211c80319c","attempts":3,"jobs":[{"name":"validate","pool":"validate","state":"success","generation":1,"attempts":1,"agent":"validate-1"},{"name":"migrate","pool":"migrate","needs":["validate"],"state":"dead","generation":1,"attempts":1,"agent":"migrate-1","failure":{"reason":"target-missing","meaning":"The target bucket does not exist.","advice":"Create it, then replay the dead letter.","fault":"failure","message":"bucket `new` \u001b[31mis not there","attempt":1,"at":"2026-01-02T03:04:08Z"},"dead_letter":"r0123456789abcdef0123.migrate"},{"name":"notify","pool":"notify","needs":["migrate"],"state":"skipped","generation":0,"attempts":0}]}
    --- stderr
    "#);
}

#[test]
fn an_unknown_run_is_a_failure_when_shown_and_when_watched() {
    let api = Stub::new();
    assert_snapshot!(api.honk(&format!("run show {RUN}")), @r#"
    exit 1
    --- stdout
    --- stderr
    error: cannot show the run r0123456789abcdef0123
      caused by: there is nothing at `GET /api/runs/r0123456789abcdef0123` [not-found]
    "#);
    assert_snapshot!(api.honk(&format!("run watch {RUN}")), @r#"
    exit 1
    --- stdout
    --- stderr
    error: cannot watch the run r0123456789abcdef0123
      caused by: there is nothing at `GET /api/runs/r0123456789abcdef0123/watch` [not-found]
    "#);
}

#[test]
fn a_run_is_watched_to_its_end_over_a_broken_connection() {
    let api = Stub::new()
        .on_watch(RUN, &[("run", &run("running", 0, Some("running"))), ("run", &run("running", 1, Some("running")))])
        .on_watch(
            RUN,
            &[
                ("run", &run("running", 1, Some("running"))),
                ("later-invention", &json!({})),
                ("progress", &progress(5)),
                ("progress", &progress(5)),
                ("run", &run("running", 2, Some("ready"))),
                ("run", &succeeded()),
                ("end", &end("success")),
            ],
        )
        .on(&format!("GET /api/runs/{RUN}"), 200, &succeeded());
    assert_snapshot!(api.honk(&format!("run watch {RUN}")), @r#"
    exit 0
    --- stdout
    validate: running, attempt 1 by validate-1
    validate: success
    migrate: running, attempt 1 by migrate-1
    migrate: 5 of 10 objects, 20.0 KiB of 40.0 KiB
    migrate: success, 10 objects, 40.0 KiB
    notify: ready
    notify: success
    run success
    --- stderr
    "#);
}

#[test]
fn watching_a_run_that_fails_leaves_with_1() {
    let api = Stub::new().on_watch(RUN, &[("run", &failed()), ("end", &end("failure"))]).on(
        &format!("GET /api/runs/{RUN}"),
        200,
        &failed(),
    );
    assert_snapshot!(api.honk(&format!("run watch {RUN}")), @r#"
    exit 1
    --- stdout
    validate: success
    migrate: dead (target-missing: bucket `new` \u{1b}[31mis not there)
    notify: skipped
    run failure
    --- stderr

    migrate failed in attempt 1 at 2026-01-02 03:04:08Z: target-missing
      bucket `new` \u{1b}[31mis not there
      The target bucket does not exist.
    hint: Create it, then replay the dead letter.
          to do it again: `honk dlq replay r0123456789abcdef0123.migrate`
    "#);
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
    assert_snapshot!(api.honk(&format!("run watch {RUN}")), @r#"
    exit 1
    --- stdout
    --- stderr
    error: cannot watch the run r0123456789abcdef0123
      caused by: http://[api] answered 200, but not as Honk's API does: a stream of events was expected
    hint: look at --api-url or HONK_API_URL, and whether API and `honk` are of one version
    "#);
    let api =
        Stub::new().on_text(&format!("GET /api/runs/{RUN}/watch"), "text/event-stream", "event: run\ndata: {}\n\n");
    assert!(api.honk(&format!("run watch {RUN}")).starts_with("exit 1\n"));
}
