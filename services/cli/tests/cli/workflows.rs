//! Workflows with their files, and their versions.

use std::path::Path;

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::stub::Stub;

const YAML: &str = "name: w\non: dataset_onboard\njobs:\n  check:\n    timeout: 5m\n    steps:\n      - run: python check.py missing.py\n";

fn hash(digits: &str) -> String {
    digits.repeat(64 / digits.len())
}

fn registered(files: &[&str]) -> Value {
    json!({"name": "w", "hash": hash("ab"), "status": "created", "files": files})
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("w.yml"), YAML).unwrap();
    std::fs::write(folder.path().join("check.py"), "print('checked')\n").unwrap();
    folder
}

fn shown(folder: &Path, text: &str) -> String {
    text.replace(folder.to_str().unwrap(), "[folder]")
}

#[test]
fn the_files_that_steps_name_go_along_and_those_that_are_missing_are_told() {
    let folder = folder();
    let api = Stub::new().on("POST /api/workflows", 201, &registered(&["check.py"]));
    let text = api.honk(&format!("register {}", folder.path().join("w.yml").display()));
    assert_snapshot!(shown(folder.path(), &text), @r"
    exit 0
    --- stdout
    WORKFLOW  VERSION       STATUS
    w         abababababab  created
    --- stderr
    [folder]/w.yml:7:30: warning[file-missing]: a step names `missing.py`, which does not lie beside the workflow
      help: put it there, or correct the name; a file that agents have anyway is named by its whole path
    [folder]/w.yml: took along check.py
    ");
    let body = api.raw_bodies().remove(0);
    for part in ["name=\"workflow\"", YAML, "name=\"file\"; filename=\"check.py\"", "print('checked')"] {
        assert!(body.contains(part), "{part}: {body}");
    }
}

#[test]
fn strict_takes_a_warning_for_an_error() {
    let folder = folder();
    let api = Stub::new();
    let text = api.honk(&format!("register --strict {}", folder.path().join("w.yml").display()));
    assert!(text.starts_with("exit 1\n") && text.contains("has errors or warnings, and was not registered"), "{text}");
    assert!(api.requests().is_empty());
    std::fs::write(folder.path().join("missing.py"), "").unwrap();
    let api = Stub::new().on("POST /api/workflows?strict=true", 201, &registered(&["check.py", "missing.py"]));
    let text = api.honk(&format!("register --strict {}", folder.path().join("w.yml").display()));
    assert!(text.starts_with("exit 0\n"), "{text}");
}

#[test]
fn what_only_the_api_knows_is_warned_of_too() {
    let folder = folder();
    let warnings = json!([{"message": "the pool `gpu` is not known", "help": "add it", "code": "pool-unknown", "severity": "warning"},
        {"message": "told before", "code": "file-missing", "severity": "warning"}]);
    let mut answer = registered(&["check.py"]);
    answer["warnings"] = warnings;
    let api = Stub::new().on("POST /api/workflows", 201, &answer);
    let text = api.honk(&format!("register {}", folder.path().join("w.yml").display()));
    assert!(text.contains("warning: the pool `gpu` is not known (add it)") && !text.contains("told before"), "{text}");
}

fn version(digits: &str, source: &str, files: &Value) -> Value {
    json!({"name": "w", "hash": hash(digits), "registered_at": "2026-01-02T03:04:05Z", "current": digits == "cd",
        "source": source, "files": files, "definition": {},
        "jobs": [{"name": "check", "pool": "default"}, {"name": "tell", "pool": "notify", "needs": ["check"]}]})
}

fn history() -> Value {
    json!({"name": "w", "versions": [
        {"hash": hash("cd"), "since": "2026-01-02T03:04:07Z", "rollback": true},
        {"hash": hash("ab"), "since": "2026-01-02T03:04:06Z", "until": "2026-01-02T03:04:07Z"},
        {"hash": hash("cd"), "since": "2026-01-02T03:04:05Z", "until": "2026-01-02T03:04:06Z"}]})
}

fn file(path: &str, digits: &str, executable: bool) -> Value {
    json!({"path": path, "bytes": 2048, "hash": hash(digits), "executable": executable})
}

#[test]
fn workflows_are_listed_and_shown_with_jobs_files_and_text() {
    let list = json!({"workflows": [{"name": "w", "hash": hash("ab"), "registered_at": "2026-01-02T03:04:05Z"}]});
    let api = Stub::new().on("GET /api/workflows", 200, &list).on(
        "GET /api/workflows/w",
        200,
        &version("cd", "name: w # \u{1b}[31m\n", &json!([file("run.sh", "11", true)])),
    );
    assert_snapshot!(api.honk("workflow list"), @r"
    exit 0
    --- stdout
    WORKFLOW  VERSION       SINCE                 STATE
    w         abababababab  2026-01-02 03:04:05Z  active
    --- stderr
    ");
    assert_snapshot!(api.honk("workflow show w"), @r"
    exit 0
    --- stdout
    workflow  w
    version   cdcdcdcdcdcd (current)
    since     2026-01-02 03:04:05Z

    JOB    POOL     NEEDS
    check  default  -
    tell   notify   check

    FILE      BYTES  MODE
    run.sh  2.0 KiB  executable

    name: w # \u{1b}[31m
    --- stderr
    ");
}

#[test]
fn the_history_says_which_version_was_current_when_and_why() {
    let api = Stub::new().on("GET /api/workflows/w/history", 200, &history());
    assert_snapshot!(api.honk("workflow history w"), @r"
    exit 0
    --- stdout
    VERSION       SINCE                 UNTIL                 BY
    cdcdcdcdcdcd  2026-01-02 03:04:07Z  -                     rollback
    abababababab  2026-01-02 03:04:06Z  2026-01-02 03:04:07Z  register
    cdcdcdcdcdcd  2026-01-02 03:04:05Z  2026-01-02 03:04:06Z  register
    --- stderr
    ");
}

#[test]
fn a_diff_is_between_the_current_version_and_the_one_before_unless_others_are_named() {
    let older =
        version("ab", "name: w\non: a\njobs: 1\n", &json!([file("a.py", "11", false), file("b.py", "11", false)]));
    let newer =
        version("cd", "name: w\non: b\njobs: 1\n", &json!([file("b.py", "22", false), file("c.py", "11", false)]));
    let api = Stub::new()
        .on("GET /api/workflows/w/history", 200, &history())
        .on("GET /api/workflows/w", 200, &newer)
        .on(&format!("GET /api/workflows/w/versions/{}", hash("ab")), 200, &older)
        .on("GET /api/workflows/w/versions/ababab", 200, &older)
        .on("GET /api/workflows/w/versions/cdcdcd", 200, &newer);
    assert_snapshot!(api.honk("workflow diff w"), @r"
    exit 0
    --- stdout
    --- w@abababababab
    +++ w@cdcdcdcdcdcd
    @@ -1,3 +1,3 @@
     name: w
    -on: a
    +on: b
     jobs: 1

    removed  a.py
    changed  b.py
    added    c.py
    --- stderr
    ");
    let diff = api.json("workflow diff w cdcdcd ababab -o json");
    assert_eq!((&diff["from"], &diff["to"]), (&json!(hash("cd")), &json!(hash("ab"))));
    assert!(diff["files"].as_array().unwrap().contains(&json!({"path": "a.py", "change": "added"})));
    assert!(api.honk("workflow diff w cdcdcd").contains("the same text and the same files"));
}

#[test]
fn a_rollback_says_what_is_current_now() {
    let answer = json!({"name": "w", "hash": hash("ab"), "status": "updated"});
    let api = Stub::new().on("POST /api/workflows/w/rollback", 200, &answer);
    assert_snapshot!(api.honk("workflow rollback w --to ababab"), @r"
    exit 0
    --- stdout
    WORKFLOW  VERSION       STATUS
    w         abababababab  updated
    --- stderr
    runs that have begun keep their version
    ");
    assert_eq!(api.bodies(), [json!({"to": "ababab"})]);
}

#[test]
fn a_workflow_that_is_in_use_is_not_deleted_and_the_others_are() {
    let problem = json!({"title": "Datasets name the workflow", "status": 409, "code": "workflow-in-use",
        "detail": "the workflow `w` is named by a, b", "help": "delete it all the same with --force"});
    let api = Stub::new()
        .on("DELETE /api/workflows/w", 409, &problem)
        .on("DELETE /api/workflows/x", 204, &Value::Null)
        .on("DELETE /api/workflows/w?force=true", 204, &Value::Null);
    assert_snapshot!(api.honk("workflow delete w x"), @r"
    exit 1
    --- stdout
    DELETED
    x
    --- stderr
    error: cannot delete the workflow w
      caused by: the workflow `w` is named by a, b [workflow-in-use]
    hint: delete it all the same with --force
    ");
    assert!(api.honk("workflow delete w --force").starts_with("exit 0\n"));
}

#[test]
fn workflows_are_paused_and_resumed() {
    let workflow = |paused: bool| json!({"name": "w", "hash": hash("ab"), "registered_at": "2026-01-02T03:04:05Z", "paused": paused});
    let api = Stub::new().on("POST /api/workflows/w/pause", 200, &workflow(true)).on(
        "POST /api/workflows/w/resume",
        200,
        &workflow(false),
    );
    assert_snapshot!(api.honk("workflow pause w"), @r"
    exit 0
    --- stdout
    WORKFLOW  VERSION       SINCE                 STATE
    w         abababababab  2026-01-02 03:04:05Z  paused
    --- stderr
    ");
    assert!(api.honk("workflow resume w").contains("active"));
    let text = api.honk("workflow pause other");
    assert!(text.starts_with("exit 1\n"), "{text}");
}
