//! `GET /api/datasets/{name}/location` as consumers use it: cached, followed, and with a name.

use honk_protocol::name::RunId;
use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};

use super::site::Site;
use honk_testkit::PATIENCE;

const PATH: &str = "/api/datasets/sales/location";

/// Status, `ETag` and `Cache-Control` of the location, asked for with what is known already.
async fn asked(site: &Site, known: &str) -> (u16, String, String) {
    let response = site.request(Method::GET, PATH).header("if-none-match", known).send().await.unwrap();
    let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
    (response.status().as_u16(), header("etag"), header("cache-control"))
}

#[tokio::test]
async fn an_answer_may_be_kept_until_it_changes_and_not_while_writers_are_to_wait() {
    let site = Site::start().await;
    let dataset = site.harness.dataset("sales", 1).await;
    let (status, first, caching) = asked(&site, "\"other\"").await;
    assert_eq!((status, caching.as_str()), (200, "max-age=5, must-revalidate"));
    assert_eq!(asked(&site, &first).await, (304, first.clone(), caching));

    let run = RunId::of_event("test", "holder");
    site.meddle(&dataset, |location| location.held(&run, Timestamp::MAX)).await;
    let (status, held, caching) = asked(&site, &first).await;
    assert_eq!((status, caching.as_str()), (200, "no-store"));
    let shown: Value = site.get(PATH).await.json().await.unwrap();
    assert_eq!((&shown["hold"]["run"], &shown["epoch"]), (&json!(run), &json!(1)));
    site.meddle(&dataset, |location| location.released(&run)).await;

    site.migrate(&dataset).await;
    let (status, moved, _) = asked(&site, &held).await;
    assert_eq!(status, 200);
    assert!(moved.starts_with("\"2."), "{moved}");
    let shown: Value = site.get(PATH).await.json().await.unwrap();
    assert_eq!((&shown["place"], &shown["epoch"]), (&shown["target"], &json!(2)));

    let mut other = json!({ "source": shown["target"], "target": shown["source"] });
    other["target"]["s3"]["prefix"] = json!("elsewhere");
    let anew = site.ask(Method::PUT, PATH, &other, 200).await;
    assert_eq!((&anew["epoch"], &anew["active"]), (&json!(3), &json!("source")), "the epoch goes on");
    site.finish().await;
}

#[tokio::test]
async fn whoever_watches_a_location_sees_the_flip() {
    let site = Site::start().await;
    let dataset = site.harness.dataset("sales", 1).await;
    let mut stream = site.get(&format!("{PATH}/watch")).await;
    let mut seen = String::new();
    let mut until = async |wanted: &str| {
        while !seen.contains(wanted) {
            let piece = tokio::time::timeout(PATIENCE, stream.chunk()).await.expect("an event").unwrap();
            seen.push_str(&String::from_utf8_lossy(&piece.expect("the stream goes on")));
        }
    };
    until("\"epoch\":1").await;
    site.migrate(&dataset).await;
    until("\"epoch\":2").await;
    assert!(seen.contains("event: location\n") && seen.contains("id: 2\n"), "{seen}");
    site.finish().await;
}

#[tokio::test]
async fn a_consumer_is_known_to_have_moved_by_each_way_of_saying_so() {
    let site = Site::start().await;
    for name in ["by-query", "by-header", "by-word", "silent"] {
        site.reader(name, "sales").await;
    }
    site.migrated("sales", 1).await;
    site.get(&format!("{PATH}?consumer=by-query")).await;
    site.request(Method::GET, PATH).header("honk-consumer", "component:default/by-header").send().await.unwrap();
    let ack = |name: &str| format!("/api/datasets/sales/consumers/{name}/ack");
    let said = site.post(&ack("by-word"), Value::Null, 200).await;
    assert_eq!((&said["current"], &said["how"], &said["epoch"]), (&json!(true), &json!("acknowledged"), &json!(2)));
    let late = site.post(&ack("laptop"), json!({ "epoch": 1 }), 200).await;
    assert_eq!((&late["current"], &late["declared"]), (&json!(false), &json!(false)));
    let unchanged = site.post(&ack("by-word"), json!({ "epoch": 1 }), 200).await;
    assert_eq!(unchanged["epoch"], 2, "what is known only goes forward");
    assert_eq!(site.refused(&ack("by-word"), json!({ "epoch": 3 }), 422).await, "epoch-unknown");
    assert_eq!(site.refused(&ack("by%20word"), Value::Null, 422).await, "consumer-invalid");

    let shown: Value = site.get("/api/datasets/sales").await.json().await.unwrap();
    let consumers = shown["consumers"].as_array().unwrap();
    let state = |one: &Value| {
        let name = one["consumer"].as_str().unwrap().trim_start_matches("component:default/").to_owned();
        (name, one["current"] == true)
    };
    let known: Vec<(String, bool)> = consumers.iter().map(state).collect();
    let expected = [("by-header", true), ("by-query", true), ("by-word", true), ("laptop", false), ("silent", false)];
    assert_eq!(known, expected.map(|(name, current)| (name.to_owned(), current)));

    site.ask(Method::DELETE, "/api/datasets/sales/consumers/laptop", &Value::Null, 204).await;
    let gone = site.ask(Method::DELETE, "/api/datasets/sales/consumers/laptop", &Value::Null, 404).await;
    assert_eq!(gone["code"], "consumer-unknown");
    let listed = site.ask(Method::GET, "/api/datasets/sales/consumers", &Value::Null, 200).await;
    assert_eq!((listed["consumers"].as_array().unwrap().len(), &listed["epoch"]), (4, &json!(2)));
    site.finish().await;
}
