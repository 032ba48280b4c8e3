//! What happens around the program: a source that changes, a target that is not empty, a cut-over that is put off.

use std::path::Path;

use bytes::Bytes;
use honk_protocol::dataset::Side;
use honk_protocol::evidence::{Late, RoundKind};
use honk_protocol::reason::Reason;
use honk_protocol::run::Run;
use honk_storage::Attributes;
use honk_testkit::harness::{SOURCE_BUCKET, TARGET_BUCKET};
use honk_testkit::runs::show;
use honk_testkit::{Dataset, Harness, PATIENCE, Process, Service, binaries, eventually};
use tempfile::TempDir;

use crate::gate::Gate;
use crate::{dataset, evidence, fetch, harness, workflow};

/// A dataset of one object with one row, the services, and a migration agent behind a gate.
async fn gated(with: &str) -> (Harness, Dataset, Gate, Vec<Process>) {
    let harness = harness().await;
    harness.register(&workflow("migrate-dataset", with)).await;
    let dataset = dataset(&harness, "rows", &[("1.csv", b"n\n1\n".to_vec())]).await;
    let gate = Gate::before(&tokio::task::spawn_blocking(binaries::transform).await.unwrap());
    let mut services = vec![harness.spawn(Service::Intake, &[]), harness.spawn(Service::Validate, &[])];
    let program = gate.program().to_str().unwrap().to_owned();
    services.push(harness.spawn(Service::Migrate, &[("HONK_MIGRATE__TRANSFORM_PROGRAM", &program)]));
    (harness, dataset, gate, services)
}

async fn put(harness: &Harness, bucket: &str, key: &str, text: &'static str) {
    harness.store(bucket).await.put_small(key, Bytes::from(text), &Attributes::default()).await.unwrap();
}

async fn text(harness: &Harness, dataset: &Dataset, key: &str) -> String {
    let folder = TempDir::new().unwrap();
    fetch(harness, dataset, folder.path()).await;
    std::fs::read_to_string(folder.path().join(dataset.name.as_str()).join(Path::new(key))).unwrap()
}

fn kinds(run: &Run) -> Vec<RoundKind> {
    evidence(run).rounds.iter().map(|round| round.kind).collect()
}

#[tokio::test]
async fn a_source_that_changes_is_transformed_again_also_when_it_changes_while_writers_wait() {
    let (harness, dataset, gate, _services) = gated("{transform: {format: csv}, cut_over: {drain: 2s}}").await;
    let run = harness.migrate(&dataset).await;
    gate.done(1).await;
    put(&harness, SOURCE_BUCKET, "rows/2.csv", "n\n2\n").await;
    gate.open(1);
    gate.done(2).await;
    gate.open(2);
    eventually("writers are asked to wait", PATIENCE, || async {
        harness.location(&dataset).await.hold.map(drop).ok_or_else(|| "no hold".to_owned())
    })
    .await;
    // By somebody who does not look at the location.
    put(&harness, SOURCE_BUCKET, "rows/3.csv", "n\n3\n").await;
    gate.done(3).await;
    let location = harness.location(&dataset).await;
    assert_eq!((location.active, location.hold), (Side::Source, None), "nobody waits for a transformation");
    gate.open(3);
    let record = harness.succeed(std::slice::from_ref(&run), PATIENCE).await.remove(0);
    assert_eq!(text(&harness, &dataset, "part-00000.csv").await, "n\n1\n2\n3\n");
    assert_eq!(kinds(&record), [RoundKind::Copy, RoundKind::Copy, RoundKind::Aborted, RoundKind::Copy]);
    let proved = evidence(&record);
    assert_eq!((proved.source.objects, proved.late, proved.epoch), (3, Some(Late::default()), 2));
    harness.finish().await;
}

#[tokio::test]
async fn an_object_that_was_there_only_while_the_source_was_read_is_not_at_the_target() {
    let (harness, dataset, gate, _services) = gated("{transform: {format: csv}}").await;
    gate.shut();
    let run = harness.migrate(&dataset).await;
    // The agent has looked at the source, and the program has not.
    gate.begun(1).await;
    put(&harness, SOURCE_BUCKET, "rows/2.csv", "n\n2\n").await;
    gate.unshut();
    gate.done(1).await;
    harness.store(SOURCE_BUCKET).await.delete("rows/2.csv").await.unwrap();
    gate.stay_open();
    let record = harness.succeed(std::slice::from_ref(&run), PATIENCE).await.remove(0);
    assert_eq!(text(&harness, &dataset, "part-00000.csv").await, "n\n1\n");
    assert_eq!((kinds(&record), gate.turns()), (vec![RoundKind::Copy; 2], 2));
    harness.finish().await;
}

#[tokio::test]
async fn a_source_that_does_not_come_to_rest_is_given_up_after_so_many_rounds() {
    let with = "{transform: {format: csv}, cut_over: {rounds: 2}}\n    retry_count: 0";
    let (harness, dataset, gate, _services) = gated(with).await;
    let run = harness.migrate(&dataset).await;
    gate.done(1).await;
    put(&harness, SOURCE_BUCKET, "rows/2.csv", "n\n2\n").await;
    gate.open(1);
    gate.done(2).await;
    put(&harness, SOURCE_BUCKET, "rows/3.csv", "n\n3\n").await;
    gate.open(2);
    harness.finished(&run).await;
    let letter = harness.dead_letters_when(1).await.remove(0);
    assert!(letter.error.contains("after 2 rounds"), "{}", letter.error);
    harness.assert_not_migrated(&dataset).await;
    harness.finish_with(&[Reason::NotConverging]).await;
}

#[tokio::test]
async fn somebody_elses_objects_at_the_target_are_not_written_over_until_a_person_says_so() {
    let (harness, dataset, gate, _services) = gated("{transform: {format: csv}}").await;
    gate.stay_open();
    let others = ["rows/notes.txt", "rows/part-00000.csv", "rows/part-00007.csv"];
    for key in others {
        put(&harness, TARGET_BUCKET, key, "precious").await;
    }
    harness.finished(&harness.migrate(&dataset).await).await;
    let letter = harness.dead_letters_when(1).await.remove(0);
    for part in ["3 objects", "notes.txt", "part-00000.csv", "existing: overwrite"] {
        assert!(letter.error.contains(part), "no {part} in {}", letter.error);
    }
    assert_eq!((text(&harness, &dataset, "part-00000.csv").await.as_str(), gate.turns()), ("precious", 0));

    harness.register(&workflow("over", "{transform: {format: csv}, existing: overwrite}")).await;
    let run = harness.run_workflow("over", "rows", serde_json::Map::new()).await;
    let record = harness.succeed(std::slice::from_ref(&run), PATIENCE).await.remove(0);
    assert_eq!(text(&harness, &dataset, "part-00000.csv").await, "n\n1\n");
    for key in ["notes.txt", "part-00007.csv"] {
        assert_eq!(text(&harness, &dataset, key).await, "precious", "{key}");
    }
    let proved = evidence(&record);
    assert_eq!((proved.target.objects, proved.foreign), (1, 2));
    harness.finish_with(&[Reason::TargetConflict]).await;
}

#[tokio::test]
async fn what_a_failed_migration_wrote_is_not_in_the_way_of_the_next() {
    let with = "{transform: {format: csv, max_rows_per_file: 1}, expect: {unique: [n], max_rejected: 0.1}}";
    let (harness, dataset, gate, _services) = gated(with).await;
    gate.stay_open();
    put(&harness, SOURCE_BUCKET, "rows/2.csv", "n\n2\n2\n").await;
    harness.finished(&harness.migrate(&dataset).await).await;
    harness.dead_letters_when(1).await;
    let folder = TempDir::new().unwrap();
    assert_eq!(fetch(&harness, &dataset, folder.path()).await, ["_quarantine/result.jsonl"]);
    put(&harness, SOURCE_BUCKET, "rows/2.csv", "n\n2\n").await;
    let run = harness.migrate(&dataset).await;
    harness.succeed(std::slice::from_ref(&run), PATIENCE).await;
    let keys = ["_quarantine/result.jsonl", "part-00000.csv", "part-00001.csv"];
    assert_eq!(fetch(&harness, &dataset, folder.path()).await, keys, "and what it put aside is not removed");
    harness.finish_with(&[Reason::TransformRejected]).await;
}

#[tokio::test]
async fn a_cut_over_that_was_postponed_does_not_transform_once_more() {
    let (harness, dataset, gate, _services) = gated("{transform: {format: csv}, cut_over: {postpone: true}}").await;
    gate.stay_open();
    let run = harness.migrate(&dataset).await;
    let paused = harness.run_when(&run, "is paused", |run| run.paused).await;
    assert_eq!(harness.location(&dataset).await.active, Side::Source, "{}", show(&paused));
    harness.ledger().resume(&run).await.unwrap();
    let record = harness.succeed(std::slice::from_ref(&run), PATIENCE).await.remove(0);
    assert_eq!((kinds(&record), gate.turns()), (vec![RoundKind::Copy], 1));
    harness.finish().await;
}
