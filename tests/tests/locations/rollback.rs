//! `POST /api/datasets/{name}/rollback`: at once, with a report of what was written since, and refused where there is nothing to go back to.

use honk_protocol::dataset::{Retired, RetiredState, Side};
use honk_protocol::name::RunId;
use honk_testkit::harness::TARGET_BUCKET;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::site::Site;

const PATH: &str = "/api/datasets/sales/rollback";

#[tokio::test]
async fn readers_go_back_at_once_and_people_learn_what_was_written_to_the_target() {
    let site = Site::start().await;
    let dataset = site.migrated("sales", 4).await;
    site.put_target("sales/new.csv", "written after the cut-over").await;
    site.put_target("sales/part-0001.csv", "overwritten after the cut-over").await;

    let answer = site.post(PATH, Value::Null, 200).await;
    assert_eq!((&answer["location"]["active"], &answer["location"]["epoch"]), (&json!("source"), &json!(3)));
    let location = site.harness.location(&dataset).await;
    assert_eq!((location.active, location.epoch, location.run), (Side::Source, 3, None));
    let again = site.post(PATH, Value::Null, 200).await;
    assert_eq!(again, answer, "whoever did not hear the answer asks again");

    let report = site.outputs(&answer).await;
    let counts = ["added", "changed", "missing", "untold"].map(|name| report[name].as_u64().unwrap());
    assert_eq!(counts, [1, 1, 0, 0], "{report:?}");
    let keys: Vec<&Value> = report["keys"].as_array().unwrap().iter().map(|entry| &entry["key"]).collect();
    assert_eq!(keys, [&json!("new.csv"), &json!("part-0001.csv")]);
    assert_eq!(site.notices().await, ["migrated", "rolled-back", "rollback-reported"]);

    // Somebody has brought home what the report names.
    for key in keys {
        let target = site.harness.store(TARGET_BUCKET).await;
        target.delete(&format!("sales/{}", key.as_str().unwrap())).await.unwrap();
    }
    site.migrate(&dataset).await;
    assert_eq!(site.harness.location(&dataset).await.epoch, 4, "it can be migrated again, by another run");
    site.finish().await;
}

#[tokio::test]
async fn without_a_whole_source_to_go_back_to_it_is_refused() {
    let site = Site::start().await;
    let dataset = site.harness.dataset("sales", 1).await;
    assert_eq!(site.refused(PATH, Value::Null, 409).await, "not-rollable");
    assert_eq!(site.refused("/api/datasets/nobody/rollback", Value::Null, 404).await, "dataset-unknown");
    assert_eq!(site.refused(PATH, json!({ "forced": true }), 422).await, "body-invalid");

    site.migrate(&dataset).await;
    let run = RunId::of_event("test", "holder");
    site.meddle(&dataset, |location| location.held(&run, Timestamp::MAX)).await;
    assert_eq!(site.refused(PATH, json!({ "force": true }), 409).await, "not-rollable");
    site.meddle(&dataset, |location| location.released(&run)).await;

    site.meddle(&dataset, |mut location| {
        location.retain_until = Some(location.since);
        location
    })
    .await;
    let refused = site.post(PATH, Value::Null, 409).await;
    assert!(refused["help"].as_str().unwrap().contains("--force"), "{refused}");

    let removing = |location: honk_protocol::dataset::Location| {
        let since = location.since;
        location.retired(Retired::new(RetiredState::Removing, None, since)).unwrap()
    };
    site.meddle(&dataset, removing).await;
    assert_eq!(site.refused(PATH, json!({ "force": true }), 409).await, "not-rollable");
    site.meddle(&dataset, |mut location| {
        location.retired = None;
        location
    })
    .await;
    let answer = site.post(PATH, json!({ "force": true }), 200).await;
    site.outputs(&answer).await;
    site.finish().await;
}
