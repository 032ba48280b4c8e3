//! Where a dataset lies, followed; who reads it; and what comes after a migration.

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::fixtures::{RUN, end, location, run};
use super::stub::Stub;

/// A run of one job that left this.
fn finished(state: &str, outputs: &Value) -> Value {
    let mut run = run(state, 3, None);
    run["jobs"] = json!([{"name": "report", "pool": "migrate", "state": state, "generation": 1, "attempts": 1, "outputs": outputs}]);
    run
}

fn with_run(api: Stub, outputs: &Value) -> Stub {
    let run = finished("success", outputs);
    api.on_watch(RUN, &[("run", &run), ("end", &end("success"))]).on(&format!("GET /api/runs/{RUN}"), 200, &run)
}

fn back() -> Value {
    let mut location = location();
    (location["active"], location["epoch"]) = (json!("source"), json!(3));
    location
}

#[test]
fn a_roll_back_says_where_readers_are_and_what_was_written_in_the_meantime() {
    let rolled_back = json!({"location": back(), "run": RUN, "url": "http://x/api/runs/r"});
    let keys = json!([{"key": "new.csv", "change": "added", "bytes": 7}, {"key": "a\u{1b}b", "change": "changed", "bytes": 3}]);
    let report =
        json!({"added": 1, "changed": 1, "missing": 0, "untold": 0, "written_bytes": 10, "keys": keys, "more_keys": 4});
    let api = Stub::new().on("POST /api/datasets/my-dataset/rollback", 200, &rolled_back);
    let api = with_run(api, &report);
    let shown = api.honk("dataset rollback my-dataset");
    assert!(shown.contains("readers of my-dataset are sent to s3://old/my-dataset since epoch 3"), "{shown}");
    for line in
        ["written to the target  1 added, 1 changed", "  added    new.csv", "  changed  a\\u{1b}b", "  and 4 more"]
    {
        assert!(shown.contains(line), "{line}: {shown}");
    }
    assert_eq!(api.bodies()[0], json!({"force": false}));
    assert_eq!(api.json("dataset rollback my-dataset --force -o json")["report"], report);
}

#[test]
fn a_roll_back_that_nobody_waits_for_names_the_run() {
    let rolled_back = json!({"location": back(), "run": RUN, "url": "http://x/api/runs/r"});
    let api = Stub::new().on("POST /api/datasets/my-dataset/rollback", 200, &rolled_back);
    assert_snapshot!(api.honk("dataset rollback my-dataset --no-wait"), @r#"
    exit 0
    --- stdout
    source  s3://old/my-dataset
    target  s3://new/my-dataset at https://s3.example.org in eu-1
    format  parquet
    active  source
    since   2026-01-02 03:04:08Z (by run r0123456789abcdef0123)
    epoch   3
    --- stderr
    readers of my-dataset are sent to s3://old/my-dataset since epoch 3
    the run r0123456789abcdef0123 finds out what was written to the target; `honk run show r0123456789abcdef0123` has it
    "#);
}

#[test]
fn a_refused_retirement_names_who_is_behind() {
    let problem = json!({"title": "Consumers are behind", "status": 409, "code": "consumers-behind",
        "detail": "1 of 2 consumers of `my-dataset` may still read an old place",
        "errors": [{"message": "component:default/report was never heard", "path": "component:default/report"}]});
    let api = Stub::new().on("POST /api/datasets/my-dataset/retire", 409, &problem);
    let shown = api.honk("dataset retire my-dataset");
    assert!(shown.starts_with("exit 1\n") && shown.contains("report was never heard"), "{shown}");
}

#[test]
fn a_dry_run_lists_every_object_and_a_source_that_is_not_due_is_a_failure() {
    let accepted = json!({"run": RUN, "url": "http://x/api/runs/r"});
    let list = "ab".repeat(32);
    let outputs = json!({"outcome": "listed", "list": list, "listed_objects": 2, "listed_bytes": 1_031, "kept": 1});
    let lines = "{\"key\":\"a\",\"size\":7,\"source\":\"e\",\"target\":\"e\"}\n{\"key\":\"b\\u001b\",\"size\":1024,\"source\":\"e\",\"target\":\"e\"}\n";
    let retire = "POST /api/datasets/my-dataset/retire";
    let api = with_run(Stub::new().on(retire, 202, &accepted), &outputs);
    let api = api.on_text(&format!("GET /api/lists/{list}"), "application/x-ndjson", lines);
    let shown = api.honk("dataset retire my-dataset --dry-run");
    for line in [
        "           7  a\n",
        "        1024  b\\u{1b}\n",
        "listed              2 objects, 1.0 KiB",
        "kept at the source  1",
    ] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
    assert_eq!(api.bodies()[0], json!({"dry_run": true, "remove": false}));

    let waiting = json!({"outcome": "waiting", "why": "the source is kept until 2026-01-09T00:00:00Z", "behind": []});
    let api = with_run(Stub::new().on(retire, 202, &accepted), &waiting);
    let shown = api.honk("dataset retire my-dataset --remove");
    assert!(shown.starts_with("exit 1\n") && shown.contains("the source is kept until"), "{shown}");
}

#[test]
fn consumers_are_listed_heard_and_forgotten() {
    let silent = json!({"consumer": "component:default/silent", "declared": true, "current": false});
    let heard = json!({"consumer": "component:default/report", "declared": false, "current": true, "epoch": 2,
        "at": "2026-01-02T03:04:08Z", "how": "acknowledged"});
    let api = Stub::new()
        .on("GET /api/datasets/d/consumers", 200, &json!({"dataset": "d", "epoch": 2, "consumers": [silent, heard]}))
        .on("POST /api/datasets/d/consumers/component:default%2Freport/ack", 200, &heard)
        .on("DELETE /api/datasets/d/consumers/component:default%2Freport", 204, &Value::Null);
    assert_snapshot!(api.honk("consumer list d"), @r#"
    exit 0
    --- stdout
    CONSUMER                  KNOWN FROM  EPOCH  READS               LAST HEARD
    component:default/silent  catalog         -  perhaps an old one  -
    component:default/report  asking          2  the present place   2026-01-02 03:04:08Z
    --- stderr
    "#);
    assert_eq!(api.json("consumer ack d --as Report --epoch 2 -o json"), heard);
    assert_eq!(api.bodies(), [json!({"epoch": 2})]);
    assert!(api.honk("consumer forget d --as report").starts_with("exit 0\n"));
    assert!(api.honk("consumer ack d --as 'a/b/c'").starts_with("exit 2\n"));
}

#[test]
fn a_watched_location_is_printed_once_for_every_change() {
    let gone =
        json!({"title": "There is no such thing", "status": 404, "code": "location-unknown", "detail": "it is gone"});
    let watch = "GET /api/datasets/my-dataset/location/watch";
    let api = Stub::new()
        .on_events(watch, &[("location", &location()), ("other", &json!(1)), ("location", &location())])
        .on_events(watch, &[("location", &location()), ("location", &back())])
        .on(watch, 404, &gone);
    assert_snapshot!(api.honk("dataset location my-dataset --watch"), @r#"
    exit 1
    --- stdout
    2026-01-02 03:04:08Z  epoch 2  target  s3://new/my-dataset at https://s3.example.org in eu-1
    2026-01-02 03:04:08Z  epoch 3  source  s3://old/my-dataset
    --- stderr
    error: cannot watch the location of my-dataset
      caused by: it is gone [location-unknown]
    "#);
}
