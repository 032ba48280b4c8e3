//! Workflows: registered with and without files, listed, shown, taken back, deleted.

use honk_agent::ledger::Turn;
use honk_api::wire::{
    RunView, WorkflowHistory, WorkflowPage, WorkflowRegistered, WorkflowStatus, WorkflowSummary, WorkflowView,
};
use honk_protocol::control::start_key;
use honk_protocol::gate::Ticket;
use honk_protocol::name::BundleHash;
use honk_protocol::run::RunState;
use honk_protocol::subject::{workflow_name_key, workflow_version_key};
use honk_protocol::workflow::WorkflowPointer;
use honk_workflow::Workflow;
use reqwest::Method;
use serde_json::json;

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
    let careless = YAML.replace("    needs: [validate]\n", "");
    let strict = problem(world.post("/api/workflows?strict=true", careless).await, 422, "workflow-invalid").await;
    assert_eq!(strict.errors[0].code.as_deref(), Some("needs-missing"));
    problem(world.post("/api/workflows", YAML.replace('\n', "")).await, 400, "line-breaks-lost").await;
    problem(world.post("/api/workflows", "x".repeat(300 << 10)).await, 413, "body-too-large").await;
    assert_eq!(world.get::<WorkflowPage>("/api/workflows").await, WorkflowPage::default());
}

/// A workflow with the files that its steps need.
fn form(yaml: &str, files: &[(&'static str, &str, &'static [u8])]) -> reqwest::multipart::Form {
    let mut form = reqwest::multipart::Form::new().text("workflow", yaml.to_owned());
    for (part, path, content) in files {
        form = form.part(*part, reqwest::multipart::Part::bytes(*content).file_name((*path).to_owned()));
    }
    form
}

async fn send(world: &World, form: reqwest::multipart::Form) -> reqwest::Response {
    world.client.post(format!("{}/api/workflows", world.url)).multipart(form).send().await.unwrap()
}

#[tokio::test]
async fn files_are_stored_before_the_version_that_names_them_and_another_file_is_another_version() {
    let world = World::start().await;
    let files: [(&str, &str, &[u8]); 2] =
        [("file", "lib/b.py", b"b = 1\n"), ("executable", "a.sh", b"#!/bin/sh\n\xff\0")];
    let made: WorkflowRegistered = read(send(&world, form(YAML, &files)).await, 201).await;
    assert_eq!(made.files, ["a.sh", "lib/b.py"]);
    let version = world.bus.workflows().get(&workflow_version_key(&made.hash)).await.unwrap().expect("the version");
    let bundle = Workflow::from_json(&version.value).unwrap().bundle.expect("its files");
    assert_eq!(bundle.files, made.files);
    let stored = world.bus.bundles().get(bundle.hash.as_str()).await.unwrap().expect("the object");
    assert_eq!(BundleHash::of(&stored), bundle.hash);

    let again: WorkflowRegistered = read(send(&world, form(YAML, &files)).await, 200).await;
    assert_eq!((again.status, &again.hash), (WorkflowStatus::Unchanged, &made.hash));
    let changed: [(&str, &str, &[u8]); 2] = [("file", "lib/b.py", b"b = 2\n"), files[1]];
    let changed: WorkflowRegistered = read(send(&world, form(YAML, &changed)).await, 200).await;
    assert_eq!(changed.status, WorkflowStatus::Updated);
    assert_ne!(changed.hash, made.hash);
    let shown: WorkflowView = world.get(&format!("/api/workflows/w.1/versions/{}", &made.hash.as_str()[..8])).await;
    let paths: Vec<_> = shown.files.iter().map(|file| (file.path.as_str(), file.bytes, file.executable)).collect();
    assert_eq!((paths, shown.current), (vec![("a.sh", 12, true), ("lib/b.py", 6, false)], false));
    assert_eq!(shown.files[1].hash, BundleHash::of(b"b = 1\n"));
}

#[tokio::test]
async fn a_file_keeps_its_name_whatever_letters_it_has() {
    let world = World::start().await;
    let names = ["a b.csv", "dätä/数据.json", "it's; \"quoted\".txt", "ümlaut=%41.py"];
    let files = names.map(|name| ("file", name, b"x".as_slice()));
    let made: WorkflowRegistered = read(send(&world, form(YAML, &files)).await, 201).await;
    let mut sorted = names.to_vec();
    sorted.sort_unstable();
    assert_eq!(made.files, sorted);
}

#[tokio::test]
async fn an_upload_that_is_none_is_refused_and_leaves_nothing() {
    let world = World::start().await;
    let leaving = form(YAML, &[("file", "../a.py", b"x")]);
    problem(send(&world, leaving).await, 422, "bundle-invalid").await;
    let unknown = form(YAML, &[("files", "a.py", b"x")]);
    let refused = problem(send(&world, unknown).await, 422, "upload-invalid").await;
    assert!(refused.detail.unwrap().contains("`files`"));
    let nameless = reqwest::multipart::Form::new().text("workflow", YAML).text("file", "x");
    problem(send(&world, nameless).await, 422, "upload-invalid").await;
    let textless =
        reqwest::multipart::Form::new().part("file", reqwest::multipart::Part::bytes(b"x").file_name("a.py"));
    problem(send(&world, textless).await, 422, "upload-invalid").await;
    problem(send(&world, reqwest::multipart::Form::new()).await, 400, "body-unreadable").await;
    let twice = reqwest::multipart::Form::new().text("workflow", YAML).text("workflow", YAML);
    problem(send(&world, twice).await, 422, "upload-invalid").await;
    let faulty = form(&YAML.replace("needs", "need"), &[("file", "a.py", b"x")]);
    problem(send(&world, faulty).await, 422, "workflow-invalid").await;
    let large = reqwest::multipart::Part::bytes(vec![0; 9 << 20]).file_name("a");
    let large = reqwest::multipart::Form::new().text("workflow", YAML).part("file", large);
    let refused = problem(send(&world, large).await, 413, "bundle-too-large").await;
    assert!(refused.detail.unwrap().starts_with("a has 9437184 bytes"));
    let large = reqwest::multipart::Part::bytes(vec![0; 25 << 20]).file_name("a");
    let large = reqwest::multipart::Form::new().text("workflow", YAML).part("file", large);
    problem(send(&world, large).await, 413, "body-too-large").await;
    assert_eq!(world.get::<WorkflowPage>("/api/workflows").await, WorkflowPage::default());
}

/// Registers `YAML` with another time-out, which makes another version.
async fn register(world: &World, minutes: u32) -> WorkflowRegistered {
    let yaml = YAML.replace("  migrate:\n", &format!("  migrate:\n    timeout: {minutes}m\n"));
    world.post("/api/workflows", yaml).await.json().await.unwrap()
}

#[tokio::test]
async fn a_workflow_goes_back_to_an_earlier_version_and_its_history_says_so() {
    let world = World::start().await;
    let (one, two) = (register(&world, 1).await.hash, register(&world, 2).await.hash);
    let three = register(&world, 3).await.hash;
    let back: WorkflowRegistered = read(world.post("/api/workflows/w.1/rollback", "").await, 200).await;
    assert_eq!((back.status, &back.hash), (WorkflowStatus::Updated, &two));
    let to = json!({"to": &one.as_str()[..6]}).to_string();
    let back: WorkflowRegistered = read(world.post("/api/workflows/w.1/rollback", to.clone()).await, 200).await;
    assert_eq!(back.hash, one);
    let again: WorkflowRegistered = read(world.post("/api/workflows/w.1/rollback", to).await, 200).await;
    assert_eq!(again.status, WorkflowStatus::Unchanged);

    let history: WorkflowHistory = world.get("/api/workflows/w.1/history").await;
    let terms: Vec<_> = history.versions.iter().map(|term| (&term.hash, term.rollback)).collect();
    assert_eq!(terms, [(&one, true), (&two, true), (&three, false), (&two, false), (&one, false)]);
    assert!(history.versions[0].until.is_none() && history.versions[1].until == Some(history.versions[0].since));
    let shown: WorkflowView = world.get("/api/workflows/w.1").await;
    assert!(shown.current && shown.summary.hash == one && shown.source.contains("timeout: 1m"));
    let shown: WorkflowView = world.get(&format!("/api/workflows/w.1/versions/{three}")).await;
    assert!(!shown.current && shown.source.contains("timeout: 3m"));
}

#[tokio::test]
async fn a_version_that_is_not_there_is_refused_with_the_reason() {
    let world = World::start().await;
    problem(world.post("/api/workflows/w.1/rollback", "").await, 404, "workflow-unknown").await;
    register(&world, 1).await;
    problem(world.post("/api/workflows/w.1/rollback", "").await, 409, "version-only").await;
    for (to, status, code) in
        [("abc", 422, "version-invalid"), ("zzzzzz", 422, "version-invalid"), ("000000", 404, "version-unknown")]
    {
        let body = json!({ "to": to }).to_string();
        problem(world.post("/api/workflows/w.1/rollback", body).await, status, code).await;
        problem(world.send(Method::GET, &format!("/api/workflows/w.1/versions/{to}"), "").await, status, code).await;
    }
    problem(world.post("/api/workflows/w.1/rollback", r#"{"too": "abcdef"}"#).await, 422, "body-invalid").await;
    problem(world.send(Method::GET, "/api/workflows/none/history", "").await, 404, "workflow-unknown").await;
}

#[tokio::test]
async fn a_workflow_that_datasets_name_is_deleted_only_by_force() {
    let world = World::start().await;
    let yaml = YAML.replace("w.1", "w");
    let _: WorkflowRegistered = read(world.post("/api/workflows", yaml).await, 201).await;
    for number in 0..12 {
        world.import(&format!("d{number:02}")).await;
    }
    let refused = problem(world.send(Method::DELETE, "/api/workflows/w", "").await, 409, "workflow-in-use").await;
    let detail = refused.detail.unwrap();
    assert!(detail.contains("d00, d01,") && detail.ends_with("d09 and 2 more"), "{detail}");
    assert_eq!(world.send(Method::DELETE, "/api/workflows/w?force=true", "").await.status(), 204);
    world.eventually("/api/workflows", |page: &WorkflowPage| page.workflows.is_empty()).await;
    problem(world.send(Method::DELETE, "/api/workflows/w", "").await, 404, "workflow-unknown").await;
}

#[tokio::test]
async fn deleting_a_workflow_keeps_what_a_run_may_still_need_and_what_others_share() {
    let world = World::start().await;
    let shared: [(&str, &str, &[u8]); 1] = [("file", "shared.py", b"x")];
    let own: [(&str, &str, &[u8]); 1] = [("file", "own.py", b"y")];
    let other: WorkflowRegistered = read(send(&world, form(&YAML.replace("w.1", "other"), &shared)).await, 201).await;
    let first: WorkflowRegistered = read(send(&world, form(YAML, &shared)).await, 201).await;
    let second: WorkflowRegistered = read(send(&world, form(YAML, &own)).await, 200).await;
    let third = register(&world, 3).await;
    let run = world.run_of("d", "1", "w.1", &third.hash).await;
    world.eventually(&format!("/api/runs/{}", run.id), |_: &RunView| true).await;
    let bundle = async |hash| {
        let version = world.bus.workflows().get(&workflow_version_key(hash)).await.unwrap();
        version.and_then(|entry| Workflow::from_json(&entry.value).unwrap().bundle).map(|bundle| bundle.hash)
    };
    let (of_both, of_one) = (bundle(&first.hash).await.unwrap(), bundle(&second.hash).await.unwrap());
    assert_eq!(world.send(Method::DELETE, "/api/workflows/w.1", "").await.status(), 204);
    let bucket = world.bus.workflows();
    for (hash, stays) in [(&first.hash, false), (&second.hash, false), (&third.hash, true), (&other.hash, true)] {
        assert_eq!(bucket.get(&workflow_version_key(hash)).await.unwrap().is_some(), stays, "{hash}");
    }
    assert!(world.bus.bundles().exists(of_both.as_str()).await.unwrap(), "the other workflow has the same files");
    assert!(!world.bus.bundles().exists(of_one.as_str()).await.unwrap());
}

#[tokio::test]
async fn a_paused_workflow_says_so_and_begins_nothing_until_it_is_resumed() {
    let world = World::start().await;
    let made: WorkflowRegistered = read(world.post("/api/workflows", YAML).await, 201).await;
    problem(world.post("/api/workflows/none/pause", "").await, 404, "workflow-unknown").await;
    for _ in 0..2 {
        let paused: WorkflowSummary = read(world.post("/api/workflows/w.1/pause", "").await, 200).await;
        assert!(paused.paused);
    }
    assert!(world.get::<WorkflowPage>("/api/workflows").await.workflows[0].paused);
    assert!(world.get::<WorkflowView>("/api/workflows/w.1").await.summary.paused);

    // A run that waited for its dataset does not begin when that is free.
    let live = world.run_of("d", "first", "w.1", &made.hash).await;
    let behind = world.run_of("d", "second", "w.1", &made.hash).await;
    let cancelled: RunView = read(world.post(&format!("/api/runs/{}/cancel", live.id), "").await, 200).await;
    assert_eq!(cancelled.state, RunState::Cancelled);
    let waiting = world.ledger.find(&behind.id).await.unwrap();
    assert_eq!(waiting.run.state, RunState::Waiting);
    assert!(world.bus.control().get(&start_key(&behind.id)).await.unwrap().is_some(), "intake is asked to begin it");

    let resumed: WorkflowSummary = read(world.post("/api/workflows/w.1/resume", "").await, 200).await;
    assert!(!resumed.paused && !world.get::<WorkflowPage>("/api/workflows").await.workflows[0].paused);
    assert_eq!(world.ledger.try_begin(&Ticket::of(&waiting.run)).await.unwrap(), Turn::Over);
    assert_eq!(world.ledger.find(&behind.id).await.unwrap().run.state, RunState::Running);
    assert!(world.bus.control().get(&start_key(&behind.id)).await.unwrap().is_none());
}
