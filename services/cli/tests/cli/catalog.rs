//! Workflows, the catalog, and datasets.

use insta::assert_snapshot;
use serde_json::json;

use super::fixtures::{dataset, location};
use super::stub::Stub;

#[test]
fn a_sound_workflow_is_registered() {
    let workflow = concat!(env!("CARGO_MANIFEST_DIR"), "/../../workflows/migrate-dataset.yml");
    let answer = json!({"name": "migrate-dataset", "hash": "ab".repeat(32), "status": "created"});
    let api = Stub::new().on("POST /api/workflows", 201, &answer);
    assert_snapshot!(api.honk(&format!("register {workflow}")), @r#"
    exit 0
    --- stdout
    WORKFLOW         VERSION       STATUS
    migrate-dataset  abababababab  created
    --- stderr
    "#);
    assert_eq!(api.json(&format!("register {workflow} -o json")), json!([answer]));
}

#[test]
fn a_workflow_with_errors_is_not_sent_and_neither_are_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let bad = folder.path().join("bad.yml");
    std::fs::write(&bad, "name: bad\non: dataset_onboard\njobs:\n  copy:\n    need: [check]\n    steps: []\n").unwrap();
    let good = concat!(env!("CARGO_MANIFEST_DIR"), "/../../workflows/migrate-dataset.yml");
    let api = Stub::new();
    let shown = api.honk(&format!("register {good} {}", bad.display()));
    assert_snapshot!(shown.replace(folder.path().to_str().unwrap(), "[folder]"), @r#"
    exit 1
    --- stdout
    --- stderr
    [folder]/bad.yml:5:5: error[key-unknown]: unknown key `need` in the job `copy`
      help: did you mean `needs`?
    [folder]/bad.yml:6:5: error[steps-missing]: the job `copy` has no steps
      help: add `steps:` and below it a line like `- uses: honk/validate` or `- run: python validate.py`
    error: 1 of 2 workflows have errors, and none was registered
    "#);
    assert!(api.requests().is_empty());
}

#[test]
fn a_warning_does_not_keep_a_workflow_from_being_registered() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("odd.yml");
    let text = "name: odd\non: dataset_onboard\njobs:\n  migrate:\n    steps:\n      - uses: honk/migrate\n  notify:\n    steps:\n      - uses: honk/notify\n";
    std::fs::write(&file, text).unwrap();
    let answer = json!({"name": "odd", "hash": "cd".repeat(32), "status": "updated"});
    let api = Stub::new().on("POST /api/workflows", 200, &answer);
    let shown = api.honk(&format!("register {}", file.display()));
    assert_snapshot!(shown.replace(folder.path().to_str().unwrap(), "[folder]"), @r#"
    exit 0
    --- stdout
    WORKFLOW  VERSION       STATUS
    odd       cdcdcdcdcdcd  updated
    --- stderr
    [folder]/odd.yml:7:3: warning[needs-missing]: the job `notify` has no `needs`, so it starts at once and does not wait for `migrate`
      help: add the line `needs: [migrate]` to the job `notify`
    "#);
}

#[test]
fn every_document_of_an_import_is_answered_and_a_refused_one_fails_the_command() {
    let documents = json!([{"index": 0, "reference": "component:default/a", "status": "created"},
        {"index": 1, "status": "refused", "problems": [{"message": "is missing", "path": "metadata.name", "help": "name it"}]}]);
    let problem = json!({"title": "Refused", "status": 422, "code": "import-refused", "documents": documents});
    let api = Stub::new().on("POST /api/catalog/import", 422, &problem);
    assert_snapshot!(api.honk_reading("catalog import -", "kind: Component"), @r#"
    exit 1
    --- stdout
    FILE            DOCUMENT  ENTITY               STATUS
    standard input         1  component:default/a  created
    standard input         2  -                    refused
    --- stderr
    error: document 2 of standard input is refused
      caused by: metadata.name: is missing (name it)
    "#);
    assert_eq!(api.json("catalog import - -o json"), json!([{"file": "standard input", "documents": documents}]));
}

#[test]
fn an_import_that_is_refused_as_a_whole_says_why() {
    let problem = json!({"title": "Not YAML", "status": 400, "code": "body-malformed",
        "detail": "line 1 is not YAML", "help": "send files with `curl --data-binary`"});
    let api = Stub::new().on("POST /api/catalog/import", 400, &problem);
    assert_snapshot!(api.honk_reading("catalog import -", "{"), @r#"
    exit 1
    --- stdout
    --- stderr
    error: cannot import standard input
      caused by: line 1 is not YAML [body-malformed]
    hint: send files with `curl --data-binary`
    "#);
}

#[test]
fn datasets_are_listed_over_pages() {
    let mut second = dataset();
    second["name"] = json!("other");
    second.as_object_mut().unwrap().retain(|key, _| key == "name" || key == "reference");
    let api = Stub::new().on("GET /api/datasets?limit=50", 200, &json!({"datasets": [dataset()], "next": "a b"})).on(
        "GET /api/datasets?cursor=a+b&limit=49",
        200,
        &json!({"datasets": [second]}),
    );
    assert_snapshot!(api.honk("dataset list"), @r#"
    exit 0
    --- stdout
    DATASET     OWNER                            ACTIVE  LOCATION             LAST RUN               STATE
    my-dataset  group:default/data\u{1b}]0;team  target  s3://new/my-dataset  r0123456789abcdef0123  success
    other       -                                -       -                    -                      -
    --- stderr
    "#);
    assert_eq!(api.json("dataset list -o json"), json!([with_defaults(dataset()), with_defaults(second)]));
}

/// A dataset as `-o json` prints it.
fn with_defaults(mut dataset: serde_json::Value) -> serde_json::Value {
    dataset["do_not_migrate"] = json!(false);
    if let Some(jobs) = dataset.pointer_mut("/last_run/jobs") {
        jobs[0].as_object_mut().unwrap().remove("needs");
    }
    dataset
}

#[test]
fn an_empty_catalog_says_what_to_do() {
    let api = Stub::new().on("GET /api/datasets?limit=50", 200, &json!({"datasets": []}));
    assert_snapshot!(api.honk("dataset list"), @r#"
    exit 0
    --- stdout
    --- stderr
    no datasets; import some with `honk catalog import FILE`
    "#);
    assert_eq!(api.json("dataset list -o json"), json!([]));
}

#[test]
fn a_dataset_is_shown_with_its_location_and_without_what_would_steer_the_terminal() {
    let api = Stub::new().on("GET /api/datasets/my-dataset", 200, &dataset());
    assert_snapshot!(api.honk("dataset show my-dataset"), @r#"
    exit 0
    --- stdout
    dataset   my-dataset
    entity    component:default/my-dataset
    owner     group:default/data\u{1b}]0;team
    last run  r0123456789abcdef0123 (success)

    source  s3://old/my-dataset
    target  s3://new/my-dataset at https://s3.example.org in eu-1
    format  parquet
    active  target
    since   2026-01-02 03:04:08Z (by run r0123456789abcdef0123)
    epoch   2
    --- stderr
    "#);
}

#[test]
fn what_is_written_down_about_a_dataset_is_shown_its_status_first() {
    let metadata =
        json!({"status": "migrated", "counts": {"rows": 7, "tables": ["a"]}, "note": "a\nb\u{1b}[2J", "key\nx": 1});
    let dataset =
        json!({"name": "d", "reference": "resource:default/d", "do_not_migrate": false, "metadata": metadata});
    let api = Stub::new().on("GET /api/datasets/d", 200, &dataset);
    assert_snapshot!(api.honk("dataset show d"), @r#"
    exit 0
    --- stdout
    dataset  d
    entity   resource:default/d
    status   migrated

    no location; set it with `honk dataset location d --source s3://… --target s3://…`

    metadata
    counts  {"rows":7,"tables":["a"]}
    key\nx  1
    note    "a\nb\u001b[2J"
    --- stderr
    "#);
    assert_eq!(api.json("dataset show d -o json"), dataset);
}

#[test]
fn a_dataset_without_a_location_says_how_to_set_one() {
    let dataset = json!({"name": "d", "reference": "resource:default/d", "do_not_migrate": true});
    let api = Stub::new().on("GET /api/datasets/d", 200, &dataset);
    assert_snapshot!(api.honk("dataset show d"), @r#"
    exit 0
    --- stdout
    dataset    d
    entity     resource:default/d
    migration  forbidden by honk/do-not-migrate

    no location; set it with `honk dataset location d --source s3://… --target s3://…`
    --- stderr
    "#);
}

#[test]
fn an_unknown_dataset_is_a_failure() {
    assert_snapshot!(Stub::new().honk("dataset show nowhere"), @r#"
    exit 1
    --- stdout
    --- stderr
    error: cannot show the dataset nowhere
      caused by: there is nothing at `GET /api/datasets/nowhere` [not-found]
    "#);
}

#[test]
fn a_location_is_shown() {
    let api = Stub::new().on("GET /api/datasets/my-dataset/location", 200, &location());
    assert_snapshot!(api.honk("dataset location my-dataset"), @r#"
    exit 0
    --- stdout
    source  s3://old/my-dataset
    target  s3://new/my-dataset at https://s3.example.org in eu-1
    format  parquet
    active  target
    since   2026-01-02 03:04:08Z (by run r0123456789abcdef0123)
    epoch   2
    --- stderr
    "#);
    assert_eq!(api.json("dataset location my-dataset -o json"), location());
}

#[test]
fn a_location_is_set_in_the_registrys_form() {
    let api = Stub::new().on("PUT /api/datasets/my-dataset/location", 200, &location());
    let shown = api.honk(
        "dataset location my-dataset --source s3://old/my-dataset --target s3://new/my-dataset/ \
        --target-endpoint https://s3.example.org/ --target-region eu-1 --format parquet",
    );
    assert!(shown.starts_with("exit 0\n"), "{shown}");
    let target =
        json!({"bucket": "new", "prefix": "my-dataset", "endpoint": "https://s3.example.org", "region": "eu-1"});
    let sent = json!({"source": {"s3": {"bucket": "old", "prefix": "my-dataset"}}, "target": {"s3": target}, "format": "parquet"});
    assert_eq!(api.bodies(), [sent]);
}
