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
    let api = Stub::new()
        .on("GET /api/dead-letters?limit=50", 200, &two())
        .on("GET /api/dead-letters?dataset=d&pool=migrate&reason=owner-missing&limit=7", 200, &json!({"dead_letters": []}));
    assert_snapshot!(api.honk("dlq list"), @"");
    assert_snapshot!(api.honk("dlq list --dataset d --pool migrate --reason owner-missing --limit 7"), @"");
    assert_eq!(api.json("dlq list -o json"), two()["dead_letters"]);
}

#[test]
fn a_dead_letter_is_shown_with_its_message() {
    let letter = dead_event("{\"type\":\n\"\u{1b}[2Jdataset_onboard\"}");
    let api = Stub::new().on("GET /api/dead-letters/event.0123456789abcdef", 200, &letter);
    assert_snapshot!(api.honk("dlq show event.0123456789abcdef"), @"");
    assert_eq!(api.json("dlq show event.0123456789abcdef -o json"), letter);
}

#[test]
fn replaying_goes_on_after_one_that_cannot_be_replayed() {
    let replayed = json!({"id": format!("{RUN}.migrate"), "run": RUN, "url": format!("/api/runs/{RUN}")});
    let problem = json!({"title": "Conflict", "status": 409, "code": "run-live",
        "detail": "another run of the dataset is live", "help": "wait for its end"});
    let api = Stub::new()
        .on("POST /api/dead-letters/event.0123456789abcdef/replay", 409, &problem)
        .on(&format!("POST /api/dead-letters/{RUN}.migrate/replay"), 202, &replayed);
    assert_snapshot!(api.honk(&format!("dlq replay event.0123456789abcdef {RUN}.migrate")), @"");
    assert_eq!(api.json(&format!("dlq replay {RUN}.migrate -o json")), json!([replayed]));
}

#[test]
fn all_is_not_done_unless_somebody_confirms_it() {
    let api = Stub::new().on(ALL, 200, &two());
    assert_snapshot!(api.honk("dlq discard --all"), @"");
    assert_eq!(api.requests(), [ALL]);
}

#[test]
fn all_with_a_reason_discards_what_has_that_reason() {
    let api = Stub::new()
        .on("GET /api/dead-letters?reason=target-missing&limit=500", 200, &json!({"dead_letters": [dead_letter()]}))
        .on(&format!("DELETE /api/dead-letters/{RUN}.migrate"), 204, &Value::Null);
    assert_snapshot!(api.honk("dlq discard --all --reason target-missing --yes"), @"");
    assert_eq!(api.requests().len(), 2);
    assert_eq!(api.json("dlq discard --all --reason target-missing --yes -o json"), json!([{"id": format!("{RUN}.migrate")}]));
}

#[test]
fn all_of_nothing_is_done() {
    let api = Stub::new().on(ALL, 200, &json!({"dead_letters": []}));
    assert_snapshot!(api.honk("dlq replay --all"), @"");
}
