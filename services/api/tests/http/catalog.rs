//! The catalog: its import, datasets, and where they lie.

use honk_api::wire::ImportStatus::{self, Created, Refused, Unchanged, Updated};
use honk_api::wire::{DatasetPage, DatasetView, ImportAnswer, LocationView};
use honk_protocol::dataset::{Location, Side};
use honk_protocol::entity::Entity;
use honk_protocol::subject::{dataset_key, location_key};
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{World, dataset, entity, problem, read};

const YAML: &str = "apiVersion: backstage.io/v1alpha1\nkind: Component\nmetadata:\n  name: my-dataset\n  annotations:\n    honk/workflow: migrate-dataset\nspec:\n  type: dataset\n  lifecycle: production\n  owner: data-team\n";

fn statuses(answer: &ImportAnswer) -> Vec<ImportStatus> {
    answer.documents.iter().map(|document| document.status).collect()
}

#[tokio::test]
async fn an_import_answers_for_each_document_and_a_bad_one_keeps_no_other_out() {
    let world = World::start().await;
    let text = format!(
        "{YAML}---\nkind: component\n---\napiVersion: backstage.io/v1alpha1\nkind: Group\nmetadata: {{name: data-team}}\nspec: {{type: team, children: []}}\n---\na: [\n"
    );
    let response = world.post("/api/catalog/import", text.clone()).await;
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let answer: ImportAnswer = read(response, 422).await;
    assert_eq!(statuses(&answer), [Created, Refused, Created, Refused]);
    assert_eq!(answer.documents[0].reference.as_deref(), Some("component:default/my-dataset"));
    let paths: Vec<_> = answer.documents[1].problems.iter().filter_map(|fault| fault.path.as_deref()).collect();
    assert_eq!(paths, ["apiVersion", "kind", "metadata", "spec"]);
    assert!(answer.documents[3].problems[0].line.is_some());

    let answer: ImportAnswer = read(world.post("/api/catalog/import", text).await, 422).await;
    assert_eq!(statuses(&answer), [Unchanged, Refused, Unchanged, Refused]);
    let changed = YAML.replace("production", "deprecated");
    let answer: ImportAnswer = read(world.post("/api/catalog/import", changed).await, 200).await;
    assert_eq!(statuses(&answer), [Updated]);

    let stored = world.bus.catalog().get(&dataset_key(&dataset("my-dataset"))).await.unwrap().expect("it is stored");
    let stored: Entity = serde_json::from_slice(&stored.value).unwrap();
    assert_eq!(stored.spec["lifecycle"], "deprecated");
    assert!(world.bus.catalog().get("entity.group.default.data-team").await.unwrap().is_some());
}

#[tokio::test]
async fn two_datasets_of_one_name_are_refused_whatever_their_kind() {
    let world = World::start().await;
    world.import("d").await;
    let resource = entity("Resource", "d").to_string();
    let answer: ImportAnswer = read(world.post("/api/catalog/import", resource).await, 422).await;
    assert!(answer.documents[0].problems[0].message.contains("component:default/d"), "{answer:?}");
    let both = json!([entity("Component", "e"), entity("Resource", "e")]).to_string();
    let answer: ImportAnswer = read(world.post("/api/catalog/import", both).await, 422).await;
    assert_eq!(statuses(&answer), [ImportStatus::Created, ImportStatus::Refused]);
}

#[tokio::test]
async fn an_entity_that_is_no_dataset_any_more_is_not_migrated_any_more() {
    let world = World::start().await;
    world.import("d").await;
    let mut service = entity("Component", "d");
    service["spec"]["type"] = json!("service");
    let answer: ImportAnswer = read(world.post("/api/catalog/import", service.to_string()).await, 200).await;
    assert_eq!(statuses(&answer), [ImportStatus::Updated]);
    assert!(world.bus.catalog().get("dataset.d").await.unwrap().is_none());
}

#[tokio::test]
async fn what_cannot_be_read_at_all_is_told_why() {
    let world = World::start().await;
    let stripped =
        problem(world.post("/api/catalog/import", YAML.replace('\n', "")).await, 400, "line-breaks-lost").await;
    assert!(stripped.help.unwrap().contains("--data-binary"));
    problem(world.post("/api/catalog/import", "").await, 400, "body-empty").await;
    problem(world.post("/api/catalog/import", vec![0xff, 0xfe]).await, 400, "body-malformed").await;
    problem(world.post("/api/catalog/import", " ".repeat(5 << 20)).await, 413, "body-too-large").await;
}

#[tokio::test]
async fn many_datasets_are_imported_at_once_and_listed_page_by_page() {
    let world = World::start().await;
    let many: Vec<Value> = (0..230).map(|number| entity("Resource", &format!("d.{number:03}"))).collect();
    let answer: ImportAnswer = read(world.post("/api/catalog/import", json!(many).to_string()).await, 200).await;
    assert_eq!(answer.documents.len(), 230);
    let mut names = Vec::new();
    let mut path = "/api/datasets?limit=100".to_owned();
    loop {
        let page: DatasetPage = world.get(&path).await;
        assert!(page.datasets.len() <= 100 && page.datasets.iter().all(|dataset| dataset.entity.is_none()));
        names.extend(page.datasets.into_iter().map(|dataset| dataset.name.to_string()));
        let Some(next) = page.next else { break };
        path = format!("/api/datasets?limit=100&cursor={next}");
    }
    assert_eq!(names, (0..230).map(|number| format!("d.{number:03}")).collect::<Vec<_>>());
    problem(world.send(Method::GET, "/api/datasets?limit=501", "").await, 422, "query-invalid").await;
    problem(world.send(Method::GET, "/api/datasets?cursor=a%20b", "").await, 422, "query-invalid").await;
}

fn places(source: &str, target: &str) -> String {
    json!({"source": {"s3": {"bucket": source}}, "target": {"s3": {"bucket": target}}, "format": "parquet"}).to_string()
}

#[tokio::test]
async fn a_location_is_said_by_a_person_and_shown_with_its_dataset() {
    let world = World::start().await;
    world.import("d").await;
    let path = "/api/datasets/d/location";
    problem(world.send(Method::GET, path, "").await, 404, "location-unknown").await;
    let made: LocationView = read(world.send(Method::PUT, path, places("old", "new")).await, 201).await;
    assert_eq!((made.active, made.run.clone(), made.format.as_deref()), (Side::Source, None, Some("parquet")));
    assert_eq!(read::<LocationView>(world.send(Method::PUT, path, places("old", "new")).await, 200).await, made);
    assert_eq!(world.get::<LocationView>(path).await, made);
    let shown: DatasetView = world.get("/api/datasets/d").await;
    assert_eq!((shown.location, shown.owner.as_deref()), (Some(made), Some("group:default/data-team")));
    assert_eq!(shown.entity.unwrap()["spec"]["type"], "dataset");
}

#[tokio::test]
async fn a_location_that_cannot_work_is_refused() {
    let world = World::start().await;
    world.import("d").await;
    let put = async |path: &str, body: String| world.send(Method::PUT, path, body).await;
    let path = "/api/datasets/d/location";
    problem(put(path, places("same", "same")).await, 422, "locations-overlap").await;
    let faulty = problem(put(path, places("", "s3://new")).await, 422, "location-invalid").await;
    assert_eq!(faulty.errors.len(), 2);
    problem(put(path, "nonsense".into()).await, 400, "body-malformed").await;
    let misspelt = r#"{"source":{"s3":{"bucket":"a","prefx":"b"}},"target":{"s3":{"bucket":"c"}}}"#;
    assert!(problem(put(path, misspelt.into()).await, 422, "body-invalid").await.detail.unwrap().contains("prefx"));
    problem(put("/api/datasets/nobody/location", places("a", "b")).await, 404, "dataset-unknown").await;
    problem(put("/api/datasets/a%20b/location", places("a", "b")).await, 422, "name-invalid").await;
}

#[tokio::test]
async fn a_location_does_not_change_under_a_run_and_a_cut_over_shows_at_once() {
    let world = World::start().await;
    world.import("d").await;
    let path = "/api/datasets/d/location";
    let made: LocationView = read(world.send(Method::PUT, path, places("old", "new")).await, 201).await;
    let run = world.run("d", "1").await;
    let busy = problem(world.send(Method::PUT, path, places("old", "other")).await, 409, "dataset-busy").await;
    assert!(busy.detail.unwrap().contains(run.id.as_str()));
    assert_eq!(read::<LocationView>(world.send(Method::PUT, path, places("old", "new")).await, 200).await, made);

    let key = location_key(&dataset("d"));
    let entry = world.bus.locations().get(&key).await.unwrap().unwrap();
    let location: Location = serde_json::from_slice(&entry.value).unwrap();
    let moved = serde_json::to_vec(&location.cut_over(&run.id, made.since, None)).unwrap();
    world.bus.locations().update(&key, moved, entry.revision).await.unwrap();
    let shown: LocationView = world.get(path).await;
    assert_eq!((shown.active, shown.run), (Side::Target, Some(run.id)));
}

#[tokio::test]
async fn what_is_written_down_about_a_dataset_is_shown_and_changed_field_by_field() {
    let world = World::start().await;
    world.import("d").await;
    let path = "/api/datasets/d/metadata";
    assert_eq!(world.get::<Value>(path).await, json!({}));
    assert_eq!(world.get::<DatasetView>("/api/datasets/d").await.metadata, serde_json::Map::new());
    let change = async |changes: Value| world.send(Method::PATCH, path, changes.to_string()).await;
    let made: Value =
        read(change(json!({"status": "new", "counts": {"rows": 7, "files": 1}, "gone": null})).await, 200).await;
    assert_eq!(made, json!({"status": "new", "counts": {"rows": 7, "files": 1}}));

    // As a step does, beside which a person changes something else.
    let key = location_key(&dataset("d"));
    let entry = world.bus.metadata().get(&key).await.unwrap().unwrap();
    let by_a_step = json!({"status": "migrated", "counts": {"rows": 7, "files": 1}}).to_string();
    world.bus.metadata().update(&key, by_a_step, entry.revision).await.unwrap();
    let changed: Value = read(change(json!({"counts": {"files": null}, "checked-by": "ann"})).await, 200).await;
    assert_eq!(changed, json!({"status": "migrated", "counts": {"rows": 7}, "checked-by": "ann"}));
    assert_eq!(read::<Value>(change(json!({})).await, 200).await, changed);
    assert_eq!(world.get::<Value>(path).await, changed);
    assert_eq!(Value::Object(world.get::<DatasetView>("/api/datasets/d").await.metadata), changed);
    let page: DatasetPage = world.get("/api/datasets").await;
    assert!(page.datasets[0].metadata.is_empty(), "a page leaves it out");
}

#[tokio::test]
async fn metadata_that_cannot_be_written_down_is_refused() {
    let world = World::start().await;
    world.import("d").await;
    let change = async |path: &str, body: String| world.send(Method::PATCH, path, body).await;
    let path = "/api/datasets/d/metadata";
    let own = json!({"name": "e", "source": null, "target": {}, "status": "x"}).to_string();
    let reserved = problem(change(path, own).await, 422, "metadata-reserved").await;
    let paths: Vec<_> = reserved.errors.iter().filter_map(|fault| fault.path.as_deref()).collect();
    assert_eq!(paths, ["name", "source", "target"]);
    problem(change(path, "[1]".into()).await, 422, "body-invalid").await;
    problem(change(path, "nonsense".into()).await, 400, "body-malformed").await;
    problem(change("/api/datasets/nobody/metadata", "{}".into()).await, 404, "dataset-unknown").await;
    problem(world.send(Method::GET, "/api/datasets/nobody/metadata", "").await, 404, "dataset-unknown").await;
    problem(change(path, json!({"x": "x".repeat(300_000)}).to_string()).await, 413, "body-too-large").await;
    let half = |key: &str| json!({key: "x".repeat(150_000)}).to_string();
    assert_eq!(change(path, half("first")).await.status(), 200);
    problem(change(path, half("second")).await, 413, "metadata-too-large").await;
    let repaired: Value = read(change(path, json!({"first": null, "ok": true}).to_string()).await, 200).await;
    assert_eq!(repaired, json!({"ok": true}));

    world.bus.metadata().put(&location_key(&dataset("d")), "no JSON").await.unwrap();
    problem(world.send(Method::GET, path, "").await, 500, "metadata-unreadable").await;
    problem(change(path, "{}".into()).await, 500, "metadata-unreadable").await;
}

#[tokio::test]
async fn a_selection_lists_the_datasets_that_it_picks_page_by_page() {
    let world = World::start().await;
    for name in ["a-1", "a-2", "a-3", "b"] {
        world.import(name).await;
    }
    let names = |page: &DatasetPage| page.datasets.iter().map(|dataset| dataset.name.to_string()).collect::<Vec<_>>();
    let all: DatasetPage = world
        .eventually("/api/datasets?selector=owner%3Ddata-team", |page: &DatasetPage| page.datasets.len() == 4)
        .await;
    assert_eq!(names(&all), ["a-1", "a-2", "a-3", "b"]);
    let first: DatasetPage = world.get("/api/datasets?selector=name%3Da-*,owner&limit=2").await;
    assert_eq!((names(&first), first.next.as_deref()), (vec!["a-1".to_owned(), "a-2".to_owned()], Some("a-2")));
    let second: DatasetPage = world.get("/api/datasets?selector=name%3Da-*,owner&limit=2&cursor=a-2").await;
    assert_eq!((names(&second), second.next), (vec!["a-3".to_owned()], None));
    let none: DatasetPage = world.get("/api/datasets?selector=tag").await;
    assert!(none.datasets.is_empty());
    let wrong = world.send(Method::GET, "/api/datasets?selector=ownr%3Da", "").await;
    let wrong = problem(wrong, 422, "selector-invalid").await;
    assert!(wrong.detail.unwrap().contains("the keys are owner, lifecycle"));
}
