//! `honk lint`, which needs no API.

use insta::assert_snapshot;
use serde_json::Value;

use super::stub::Stub;

const ODD: &str = "name: odd\non: dataset_onboard\njobs:\n  migrate:\n    steps:\n      - uses: honk/migrate\n  notify:\n    steps:\n      - uses: honk/notify\n";
const SOUND: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../workflows/migrate-dataset.yml");

/// What `honk lint` says of files with these texts, and what it asked the API.
fn lint(options: &str, texts: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut command = format!("lint {options}");
    for (number, text) in texts.iter().enumerate() {
        let file = folder.path().join(format!("{number}.yml"));
        std::fs::write(&file, text).unwrap();
        command = format!("{command} {}", file.display());
    }
    let api = Stub::new();
    let shown = api.honk(&command).replace(folder.path().to_str().unwrap(), "[folder]");
    assert!(api.requests().is_empty());
    shown
}

#[test]
fn a_sound_workflow_passes() {
    assert_snapshot!(lint(SOUND, &[]), @"
        exit 0
        --- stdout
        --- stderr
        nothing wrong in 1 workflow
    ");
}

#[test]
fn a_warning_passes_unless_asked_to_be_strict() {
    assert_snapshot!(lint("", &[ODD]), @"
        exit 0
        --- stdout
        [folder]/0.yml:7:3: warning[needs-missing]: the job `notify` has no `needs`, so it starts at once and does not wait for `migrate`
          help: add the line `needs: [migrate]` to the job `notify`
        --- stderr
        1 warning in 1 workflow
    ");
    assert_snapshot!(lint("--strict", &[ODD]), @"
        exit 1
        --- stdout
        [folder]/0.yml:7:3: error[needs-missing]: the job `notify` has no `needs`, so it starts at once and does not wait for `migrate`
          help: add the line `needs: [migrate]` to the job `notify`
        --- stderr
        1 error in 1 workflow
    ");
}

#[test]
fn every_fault_of_every_file_is_shown_and_fails_the_command() {
    assert_snapshot!(lint("", &["name: a\non: x\njobs: {a: {need: b, steps: [run: x]}}", ODD]), @"
        exit 1
        --- stdout
        [folder]/0.yml:3:12: error[key-unknown]: unknown key `need` in the job `a`
          help: did you mean `needs`?
        [folder]/1.yml:7:3: warning[needs-missing]: the job `notify` has no `needs`, so it starts at once and does not wait for `migrate`
          help: add the line `needs: [migrate]` to the job `notify`
        --- stderr
        1 error and 1 warning in 2 workflows
    ");
}

#[test]
fn programs_get_json() {
    let shown = lint("-o json", &[ODD, "name: a"]);
    let json: Value = serde_json::from_str(shown.lines().find(|line| line.starts_with('[')).unwrap()).unwrap();
    assert_eq!((&json[0]["accepted"], &json[1]["accepted"]), (&Value::Bool(true), &Value::Bool(false)));
    assert_snapshot!(serde_json::to_string_pretty(&json[0]["diagnostics"]).unwrap(), @r#"
        [
          {
            "code": "needs-missing",
            "column": 3,
            "help": "add the line `needs: [migrate]` to the job `notify`",
            "line": 7,
            "message": "the job `notify` has no `needs`, so it starts at once and does not wait for `migrate`",
            "severity": "warning"
          }
        ]
    "#);
}

#[test]
fn the_schema_for_editors_is_the_one_of_the_repository() {
    let shown = lint("--schema", &[]);
    let committed = include_str!("../../../../workflows/workflow.schema.json");
    assert!(shown.contains(committed.trim_end()), "{shown}");
}

#[test]
fn files_or_the_schema_must_be_asked_for() {
    assert!(lint("", &[]).starts_with("exit 2"));
    assert!(lint("--schema", &["x"]).starts_with("exit 2"));
    assert!(lint("nowhere.yml", &[]).starts_with("exit 1"));
}
