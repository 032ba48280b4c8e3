//! `honk dlq`.

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::fixtures::{RUN, dead_event, dead_letter};
use super::stub::Stub;

const ALL: &str = "GET /api/dead-letters?limit=500";

fn two() -> Value {
    json!({"dead_letters": [dead_letter(), dead_event("")]})
}

#[test]
fn dead_letters_are_listed_with_their_filters() {
    let api = Stub::new().on("GET /api/dead-letters?limit=50", 200, &two()).on(
        "GET /api/dead-letters?dataset=d&limit=7&pool=migrate&reason=owner-missing",
        200,
        &json!({"dead_letters": []}),
    );
    assert_snapshot!(api.honk("dlq list"), @r#"
    exit 0
    --- stdout
    DEAD LETTER                    REASON           DATASET     POOL     ATTEMPTS  SINCE                 ERROR
    r0123456789abcdef0123.migrate  target-missing   my-dataset  migrate         4  2026-01-02 03:04:08Z  bucket `new` is not there
    event.0123456789abcdef         dataset-unknown  my-dataset  -               1  2026-01-02 03:04:08Z  the catalog has no `my-dataset`
    --- stderr
    "#);
    assert_snapshot!(api.honk("dlq list --dataset d --pool migrate --reason owner-missing --limit 7"), @r#"
    exit 0
    --- stdout
    --- stderr
    no dead letters
    "#);
    assert_eq!(api.json("dlq list -o json"), two()["dead_letters"]);
}

#[test]
fn a_dead_letter_is_shown_with_its_message() {
    let letter = dead_event("{\"type\":\n\"\u{1b}[2Jdataset_onboard\"}");
    let api = Stub::new().on("GET /api/dead-letters/event.0123456789abcdef", 200, &letter);
    assert_snapshot!(api.honk("dlq show event.0123456789abcdef"), @r#"
    exit 0
    --- stdout
    dead letter  event.0123456789abcdef
    reason       dataset-unknown
    meaning      No dataset of this name is in the catalog.
    error        the catalog has no `my-dataset`
    advice       Import its entity (`honk catalog import`), then replay the dead letter.
    attempts     1
    since        2026-01-02 03:04:08Z
    dataset      my-dataset
    subject      honk.event.dataset_onboard

    message:
    {"type":
    "\u{1b}[2Jdataset_onboard"}
    --- stderr
    "#);
    assert_eq!(api.json("dlq show event.0123456789abcdef -o json"), letter);
}

#[test]
fn replaying_goes_on_after_one_that_cannot_be_replayed() {
    let replayed = json!({"id": format!("{RUN}.migrate"), "run": RUN, "url": format!("/api/runs/{RUN}")});
    let problem = json!({"title": "Conflict", "status": 409, "code": "run-live",
        "detail": "another run of the dataset is live", "help": "wait for its end"});
    let api = Stub::new().on("POST /api/dead-letters/event.0123456789abcdef/replay", 409, &problem).on(
        &format!("POST /api/dead-letters/{RUN}.migrate/replay"),
        202,
        &replayed,
    );
    assert_snapshot!(api.honk(&format!("dlq replay event.0123456789abcdef {RUN}.migrate")), @r#"
    exit 1
    --- stdout
    REPLAYED                       RUN
    r0123456789abcdef0123.migrate  r0123456789abcdef0123
    --- stderr
    error: cannot replay the dead letter event.0123456789abcdef
      caused by: another run of the dataset is live [run-live]
    hint: wait for its end
    "#);
    assert_eq!(api.json(&format!("dlq replay {RUN}.migrate -o json")), json!([replayed]));
}

#[test]
fn all_is_not_done_unless_somebody_confirms_it() {
    let api = Stub::new().on(ALL, 200, &two());
    assert_snapshot!(api.honk("dlq discard --all"), @r#"
    exit 2
    --- stdout
    --- stderr
    error: --all means 2 dead letters, and nobody is there to confirm it
    hint: look at them with `honk dlq list`, then give --yes
    "#);
    assert_eq!(api.requests(), [ALL]);
}

#[test]
fn all_with_a_reason_discards_what_has_that_reason() {
    let api = Stub::new()
        .on("GET /api/dead-letters?limit=500&reason=target-missing", 200, &json!({"dead_letters": [dead_letter()]}))
        .on(&format!("DELETE /api/dead-letters/{RUN}.migrate"), 204, &Value::Null);
    assert_snapshot!(api.honk("dlq discard --all --reason target-missing --yes"), @r#"
    exit 0
    --- stdout
    DISCARDED
    r0123456789abcdef0123.migrate
    --- stderr
    "#);
    assert_eq!(api.requests().len(), 2);
    assert_eq!(
        api.json("dlq discard --all --reason target-missing --yes -o json"),
        json!([{"id": format!("{RUN}.migrate")}])
    );
}

#[test]
fn all_of_nothing_is_done() {
    let api = Stub::new().on(ALL, 200, &json!({"dead_letters": []}));
    assert_snapshot!(api.honk("dlq replay --all"), @r#"
    exit 0
    --- stdout
    --- stderr
    no dead letters
    "#);
}
