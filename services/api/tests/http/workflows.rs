//! Workflows: registered, listed, shown.

use honk_api::wire::{WorkflowPage, WorkflowRegistered, WorkflowStatus, WorkflowView};
use honk_protocol::subject::{workflow_name_key, workflow_version_key};
use honk_protocol::workflow::WorkflowPointer;
use honk_workflow::Workflow;
use reqwest::Method;

use crate::harness::{World, problem, read};

const YAML: &str = "# moves it\nname: w.1\non: dataset_onboard\njobs:\n  validate:\n    steps: [{uses: honk/validate}]\n  migrate:\n    needs: [validate]\n    steps: [{uses: honk/migrate}]\n";

#[tokio::test]
async fn a_workflow_is_stored_by_its_hash_and_its_name_points_there() {
    let world = World::start().await;
    let made: WorkflowRegistered = read(world.post("/api/workflows", YAML).await, 201).await;
    assert_eq!((made.name.as_str(), made.status, made.warnings.len()), ("w.1", WorkflowStatus::Created, 0));
    let bucket = world.bus.workflows();
    let version = bucket.get(&workflow_version_key(&made.hash)).await.unwrap().expect("the version");
    assert_eq!(Workflow::from_json(&version.value).unwrap().hash(), made.hash);
    let pointer = bucket.get(&workflow_name_key(&made.name)).await.unwrap().expect("the name");
    let pointer: WorkflowPointer = serde_json::from_slice(&pointer.value).unwrap();
    assert_eq!((&pointer.hash, pointer.source.as_str()), (&made.hash, YAML));

    let again: WorkflowRegistered = read(world.post("/api/workflows", YAML).await, 200).await;
    assert_eq!((again.status, &again.hash), (WorkflowStatus::Unchanged, &made.hash));
    let comment: WorkflowRegistered =
        read(world.post("/api/workflows", YAML.replace("moves", "takes")).await, 200).await;
    assert_eq!((comment.status, &comment.hash), (WorkflowStatus::Unchanged, &made.hash));
    let changed = YAML.replace("    needs: [validate]\n", "");
    let changed: WorkflowRegistered = read(world.post("/api/workflows", changed).await, 200).await;
    assert_eq!(changed.status, WorkflowStatus::Updated);
    assert_ne!(changed.hash, made.hash);
    assert_eq!(changed.warnings[0].code.as_deref(), Some("needs-missing"));
    assert!(bucket.get(&workflow_version_key(&made.hash)).await.unwrap().is_some(), "an older version stays");
}

#[tokio::test]
async fn workflows_are_listed_and_shown_with_their_text() {
    let world = World::start().await;
    let made: WorkflowRegistered = read(world.post("/api/workflows", YAML).await, 201).await;
    let page: WorkflowPage = world.get("/api/workflows").await;
    assert_eq!(page.workflows.iter().map(|workflow| &workflow.hash).collect::<Vec<_>>(), [&made.hash]);
    let shown: WorkflowView = world.get("/api/workflows/w.1").await;
    assert_eq!((shown.source.as_str(), shown.summary.name), (YAML, made.name));
    assert_eq!(shown.jobs.iter().map(|job| job.pool.as_str()).collect::<Vec<_>>(), ["validate", "migrate"]);
    assert_eq!(shown.jobs[1].needs[0].as_str(), "validate");
    problem(world.send(Method::GET, "/api/workflows/none", "").await, 404, "workflow-unknown").await;
}

#[tokio::test]
async fn a_faulty_workflow_is_refused_with_line_column_and_fix() {
    let world = World::start().await;
    let faulty =
        problem(world.post("/api/workflows", YAML.replace("needs", "need")).await, 422, "workflow-invalid").await;
    let fault = &faulty.errors[0];
    assert_eq!((fault.line, fault.column, fault.severity.as_deref()), (Some(8), Some(5), Some("error")));
    assert!(fault.help.as_ref().unwrap().contains("needs"));
    problem(world.post("/api/workflows", YAML.replace('\n', "")).await, 400, "line-breaks-lost").await;
    problem(world.post("/api/workflows", "x".repeat(300 << 10)).await, 413, "body-too-large").await;
    assert_eq!(world.get::<WorkflowPage>("/api/workflows").await, WorkflowPage::default());
}
