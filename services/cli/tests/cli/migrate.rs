//! `honk migrate`.

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::fixtures::{RUN, accepted, dead_event, end, failed, run, succeeded};
use super::stub::Stub;

fn not_found() -> Value {
    json!({"title": "Not found", "status": 404, "code": "run-unknown", "detail": "there is no such run"})
}

#[test]
fn a_migration_is_asked_for_with_one_event_a_dataset() {
    let api = Stub::new().on("POST /events", 202, &accepted());
    assert_snapshot!(api.honk("migrate my-dataset my-dataset --workflow nightly"), @r#"
    exit 0
    --- stdout
    DATASET     RUN
    my-dataset  r0123456789abcdef0123
    --- stderr
    "#);
    let [event] = &api.bodies()[..] else { panic!("the same dataset twice is one migration: {:?}", api.requests()) };
    assert_eq!((&event["type"], &event["source"]), (&json!("dataset_onboard"), &json!("/honk/cli")));
    assert_eq!(event["data"], json!({"dataset_name": "my-dataset", "workflow": "nightly"}));
    let asked = json!([{"dataset": "my-dataset", "run": RUN, "url": format!("/api/runs/{RUN}")}]);
    assert_eq!(api.json("migrate my-dataset -o json"), asked);
}

#[test]
fn one_event_that_is_refused_does_not_keep_the_others_from_being_sent() {
    let problem = json!({"title": "No such dataset", "status": 422, "code": "dataset-unknown",
        "detail": "the catalog has no `a`", "help": "import it with `honk catalog import`"});
    let api = Stub::new().on("POST /events", 422, &problem).on("POST /events", 202, &accepted());
    let shown = api.honk("migrate a b");
    assert!(shown.starts_with("exit 1\n") && shown.contains(RUN) && shown.contains("[dataset-unknown]"), "{shown}");
}

#[test]
fn waiting_follows_the_run_from_before_it_exists_to_its_end() {
    let api = Stub::new()
        .on("POST /events", 202, &accepted())
        .on(&format!("GET /api/runs/{RUN}/watch"), 404, &not_found())
        .on_watch(
            RUN,
            &[
                ("run", &run("waiting", 0, None)),
                ("run", &run("running", 1, Some("running"))),
                ("run", &succeeded()),
                ("end", &end("success")),
            ],
        )
        .on(&format!("GET /api/runs/{RUN}"), 200, &succeeded());
    assert_snapshot!(api.honk("migrate my-dataset --wait"), @r#"
    exit 0
    --- stdout
    RUN                    DATASET     WORKFLOW         STATE    CREATED               DURATION  ATTEMPTS  OBJECTS     BYTES
    r0123456789abcdef0123  my-dataset  migrate-dataset  success  2026-01-02 03:04:05Z     3.2 s         3       10  40.0 KiB
    --- stderr
    my-dataset: waiting for its turn
    my-dataset: validate: success
    my-dataset: migrate: running, attempt 1 by migrate-1
    my-dataset: migrate: success, 10 objects, 40.0 KiB
    my-dataset: notify: success
    my-dataset: run success
    "#);
}

#[test]
fn a_migration_that_fails_leaves_with_1_and_says_why() {
    let api = Stub::new()
        .on("POST /events", 202, &accepted())
        .on_watch(RUN, &[("run", &failed()), ("end", &end("failure"))])
        .on(&format!("GET /api/runs/{RUN}"), 200, &failed());
    assert_snapshot!(api.honk("migrate my-dataset --wait"), @r#"
    exit 1
    --- stdout
    RUN                    DATASET     WORKFLOW         STATE    CREATED               DURATION  ATTEMPTS  OBJECTS  BYTES
    r0123456789abcdef0123  my-dataset  migrate-dataset  failure  2026-01-02 03:04:05Z     3.2 s         3        -      -
    --- stderr
    my-dataset: validate: success
    my-dataset: migrate: dead (target-missing: bucket `new` \u{1b}[31mis not there)
    my-dataset: notify: skipped
    my-dataset: run failure

    error: the migration of my-dataset ended with failure
    migrate failed in attempt 1 at 2026-01-02 03:04:08Z: target-missing
      bucket `new` \u{1b}[31mis not there
      The target bucket does not exist.
    hint: Create it, then replay the dead letter.
          to do it again: `honk dlq replay r0123456789abcdef0123.migrate`
    "#);
    let json = api.json("migrate my-dataset --wait -o json");
    assert_eq!((&json[0]["id"], &json[0]["state"]), (&json!(RUN), &json!("failure")));
}

#[test]
fn an_event_that_becomes_a_dead_letter_ends_the_waiting() {
    let api = Stub::new().on("POST /events", 202, &accepted());
    let letters = json!({"dead_letters": [dead_event("")]});
    let api = api.on("GET /api/dead-letters?dataset=my-dataset&limit=20", 200, &letters);
    // Another event's dead letter says nothing about this one.
    let api = api.on("GET /api/dead-letters/event.0123456789abcdef", 200, &dead_event("{\"id\":\"another\"}"));
    let shown = std::thread::scope(|scope| {
        let honk = scope.spawn(|| api.honk("migrate my-dataset --wait"));
        while api.requests().iter().filter(|request| request.contains("/dead-letters/")).count() == 0 {
            assert!(!honk.is_finished(), "it did not look for a dead letter");
            std::thread::yield_now();
        }
        let event = api.bodies()[0]["id"].as_str().unwrap().to_owned();
        api.replace("GET /api/dead-letters/event.0123456789abcdef", &dead_event(&json!({"id": event}).to_string()));
        honk.join().unwrap()
    });
    assert_snapshot!(shown, @r#"
    exit 1
    --- stdout
    --- stderr
    error: cannot migrate my-dataset
      caused by: the catalog has no `my-dataset` [dataset-unknown]
    hint: Import its entity (`honk catalog import`), then replay the dead letter. It is dead letter event.0123456789abcdef.
    "#);
}

#[test]
fn a_selection_is_migrated_but_for_what_must_not_be_or_is_under_way() {
    let entity = |name: &str, forbidden: bool| json!({"name": name, "reference": format!("component:default/{name}"), "workflow": "nightly", "do_not_migrate": forbidden});
    let datasets = json!({"datasets": [entity("busy", false), entity("forbidden", true), entity("my-dataset", false)]});
    let live = json!({"runs": [{"id": RUN, "dataset": "busy", "workflow": "w", "workflow_hash": "ab".repeat(32), "state": "running",
        "created_at": "2026-01-02T03:04:05Z", "updated_at": "2026-01-02T03:04:08Z", "duration_ms": 1, "attempts": 0, "jobs": []}]});
    let api = Stub::new()
        .on("GET /api/datasets?limit=500&selector=owner%3Ddata-team", 200, &datasets)
        .on("GET /api/runs?limit=500&state=waiting", 200, &json!({"runs": []}))
        .on("GET /api/runs?limit=500&state=running", 200, &live)
        .on("POST /events", 202, &accepted());
    assert_snapshot!(api.honk("migrate --selector owner=data-team --dry-run"), @r"
    exit 0
    --- stdout
    DATASET     WORKFLOW  PLAN     WHY
    busy        nightly   skip     its run r0123456789abcdef0123 is running
    forbidden   nightly   skip     forbidden by honk/do-not-migrate
    my-dataset  nightly   migrate  -
    --- stderr
    ");
    assert!(api.bodies().is_empty(), "nothing is published");
    assert_snapshot!(api.honk("migrate --selector owner=data-team"), @r"
    exit 0
    --- stdout
    DATASET     RUN
    my-dataset  r0123456789abcdef0123
    --- stderr
    busy is left out: its run r0123456789abcdef0123 is running
    forbidden is left out: forbidden by honk/do-not-migrate
    ");
    let plan = api.json("migrate --selector owner=data-team --dry-run -o json");
    assert_eq!(plan[2], json!({"dataset": "my-dataset", "workflow": "nightly"}));
}

#[test]
fn a_selection_that_is_none_is_wrong_usage_and_one_of_nothing_is_told() {
    let api = Stub::new().on("GET /api/datasets?limit=500&selector=tag", 200, &json!({"datasets": []}));
    let text = api.honk("migrate --selector ownr=x");
    assert!(text.starts_with("exit 2\n") && text.contains("the keys are owner, lifecycle"), "{text}");
    let text = api.honk("migrate a --selector tag");
    assert!(text.starts_with("exit 2\n"), "{text}");
    let text = api.honk("migrate --selector tag");
    assert!(text.starts_with("exit 0\n") && text.contains("no dataset is selected by `tag`"), "{text}");
}
