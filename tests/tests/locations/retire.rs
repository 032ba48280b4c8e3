//! `POST /api/datasets/{name}/retire`: not before its time, not while somebody may still read it, and never more than was listed.

use std::collections::BTreeSet;

use honk_protocol::dataset::{Removal, RetiredState};
use honk_testkit::Dataset;
use honk_testkit::datasets::content;
use honk_testkit::harness::SOURCE_BUCKET;
use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::site::Site;

const PATH: &str = "/api/datasets/sales/retire";

async fn keep_until(site: &Site, dataset: &Dataset, until: impl FnOnce(Timestamp) -> Timestamp) {
    site.meddle(dataset, |mut location| {
        location.retain_until = Some(until(location.since));
        location
    })
    .await;
}

async fn source_keys(site: &Site) -> BTreeSet<String> {
    content(&site.harness.store(SOURCE_BUCKET).await, "sales/").await.into_keys().collect()
}

#[tokio::test]
async fn a_source_is_not_given_up_before_its_time_or_while_somebody_may_read_it() {
    let site = Site::start().await;
    let dataset = site.harness.dataset("sales", 2).await;
    assert_eq!(site.refused(PATH, Value::Null, 409).await, "source-retained");
    assert_eq!(site.refused(PATH, json!({ "dry_run": true }), 409).await, "source-retained");
    assert_eq!(site.refused(PATH, json!({ "dry_run": true, "remove": true }), 422).await, "retire-invalid");
    site.reader("report", "sales").await;
    site.migrate(&dataset).await;
    keep_until(&site, &dataset, |since| since + SignedDuration::from_hours(1)).await;
    assert_eq!(site.refused(PATH, Value::Null, 409).await, "source-retained");
    let listed = site.post(PATH, json!({ "dry_run": true }), 202).await;
    assert_eq!(site.outputs(&listed).await["listed_objects"], 2, "it can be looked at before");

    keep_until(&site, &dataset, |since| since).await;
    let behind = site.post(PATH, Value::Null, 409).await;
    assert_eq!(
        (&behind["code"], &behind["errors"][0]["path"]),
        (&json!("consumers-behind"), &json!("component:default/report"))
    );
    site.get("/api/datasets/sales/location?consumer=report").await;
    let answer = site.post(PATH, Value::Null, 202).await;
    assert_eq!(site.outputs(&answer).await["outcome"], "deprecated");
    let retired = site.harness.location(&dataset).await.retired.unwrap();
    assert_eq!((retired.state, source_keys(&site).await.len()), (RetiredState::Deprecated, 2));
    let again = site.post(PATH, Value::Null, 202).await;
    site.outputs(&again).await;
    assert_eq!(site.notices().await, ["migrated", "source-deprecated"], "nobody is told twice");
    site.finish().await;
}

#[tokio::test]
async fn what_is_removed_is_what_the_dry_run_listed_and_the_target_still_has() {
    let site = Site::start().await;
    let dataset = site.migrated("sales", 5).await;
    site.put_target("sales/part-0000.csv", "overwritten before the dry run").await;
    let dry = site.post(PATH, json!({ "dry_run": true }), 202).await;
    let dry = site.outputs(&dry).await;
    assert_eq!((&dry["outcome"], &dry["listed_objects"], &dry["kept"]), (&json!("listed"), &json!(4), &json!(1)));
    let list = dry["list"].as_str().unwrap();
    let lines = site.get(&format!("/api/lists/{list}")).await.text().await.unwrap();
    let listed: Vec<Removal> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(listed.iter().map(|entry| entry.size).sum::<u64>(), dry["listed_bytes"].as_u64().unwrap());
    assert_eq!(source_keys(&site).await.len(), 5, "a dry run removes nothing");

    site.put_source("sales/late.csv", "written after the dry run").await;
    site.put_target("sales/part-0002.csv", "overwritten after the dry run").await;
    let answer = site.post(PATH, json!({ "remove": true, "list": list }), 202).await;
    let removed = site.outputs(&answer).await;
    assert_eq!(
        (&removed["outcome"], &removed["removed_objects"], &removed["kept"]),
        (&json!("removed"), &json!(3), &json!(2))
    );
    let left = ["late.csv", "part-0000.csv", "part-0002.csv"].map(ToOwned::to_owned);
    assert_eq!(source_keys(&site).await, BTreeSet::from(left));
    assert_eq!(site.harness.location(&dataset).await.retired.unwrap().state, RetiredState::Removed);
    assert_eq!(site.notices().await, ["migrated", "source-deprecated", "source-removed"]);

    assert_eq!(site.refused("/api/datasets/sales/rollback", json!({ "force": true }), 409).await, "not-rollable");
    let unknown = site.ask(Method::GET, &format!("/api/lists/{}", "0".repeat(64)), &Value::Null, 404).await;
    assert_eq!(unknown["code"], "list-unknown");
    site.finish().await;
}

#[tokio::test]
async fn a_schedule_marks_what_is_due_and_leaves_the_rest() {
    let site = Site::start().await;
    let dataset = site.migrated("sales", 1).await;
    keep_until(&site, &dataset, |since| since + SignedDuration::from_hours(1)).await;
    let nightly = include_str!("../../../workflows/retire-datasets.yml");
    site.harness.register(&nightly.replace("remove: false", "remove: true")).await;
    let tick = async || {
        let run = site.harness.run_workflow("retire-datasets", "sales", Map::new()).await;
        site.outputs(&json!({ "run": run })).await
    };
    let early = tick().await;
    assert_eq!(early["outcome"], "waiting", "{early:?}");
    site.reader("report", "sales").await;
    keep_until(&site, &dataset, |since| since).await;
    let behind = tick().await;
    assert_eq!((&behind["outcome"], &behind["behind"]), (&json!("waiting"), &json!(["component:default/report"])));
    assert_eq!((site.harness.location(&dataset).await.retired, source_keys(&site).await.len()), (None, 1));
    site.post("/api/datasets/sales/consumers/report/ack", Value::Null, 200).await;
    assert_eq!(tick().await["outcome"], "removed");
    assert_eq!(source_keys(&site).await, BTreeSet::new());
    assert_eq!(tick().await["outcome"], "removed", "the next night there is nothing to do");
    site.finish().await;
}
