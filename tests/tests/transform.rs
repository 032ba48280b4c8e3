//! Datasets that change their form on their way, through real agents and the real program: from one event to a target that an independent
//! reader understands.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking, also in its helpers")]

#[path = "transform/course.rs"]
mod course;
#[path = "transform/gate.rs"]
mod gate;
#[path = "transform/laws.rs"]
mod laws;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use honk_protocol::dataset::Side;
use honk_protocol::evidence::{Evidence, Late};
use honk_protocol::reason::Reason;
use honk_protocol::run::Run;
use honk_protocol::transform::TransformEvidence;
use honk_storage::Attributes;
use honk_testkit::harness::{SOURCE_BUCKET, TARGET_BUCKET};
use honk_testkit::npm;
use honk_testkit::python::python;
use honk_testkit::runs::job;
use honk_testkit::{Dataset, Harness, PATIENCE, Service, binaries};
use tempfile::TempDir;

/// What npm has of the Vega project's example data.
const VEGA: &str = "vega-datasets@3.2.1";
/// Long enough for three million rows in an unoptimised build on a busy machine.
const LONG: Duration = Duration::from_mins(15);

/// The shipped chain, with these lines as the migration's `with:`.
fn workflow(name: &str, with: &str) -> String {
    format!(
        "
name: {name}
on: dataset_onboard
timeout: 20m
retry_count: 20
backoff: {{initial: 100ms, factor: 2, max: 1s}}
jobs:
  validate:
    steps: [{{uses: honk/validate}}]
  migrate:
    needs: [validate]
    steps:
      - uses: honk/migrate
        with: {with}
"
    )
}

async fn harness() -> Harness {
    tokio::task::spawn_blocking(binaries::transform).await.unwrap();
    Harness::start().await
}

/// A dataset of these objects.
async fn dataset(harness: &Harness, name: &str, objects: &[(&str, Vec<u8>)]) -> Dataset {
    let dataset = harness.dataset(name, 0).await;
    let store = harness.store(SOURCE_BUCKET).await;
    for (key, bytes) in objects {
        let bytes = Bytes::from(bytes.clone());
        store.put_small(&format!("{name}/{key}"), bytes, &Attributes::default()).await.unwrap();
    }
    dataset
}

/// Everything at a dataset's target, in files below `folder`.
async fn fetch(harness: &Harness, dataset: &Dataset, folder: &Path) -> Vec<String> {
    let (store, prefix) = (harness.store(TARGET_BUCKET).await, format!("{}/", dataset.name));
    let mut keys = Vec::new();
    for object in store.list(&prefix, 1_000).try_collect::<Vec<_>>().await.unwrap().into_iter().flatten() {
        let bytes = store.get(&object.key, None, None).await.unwrap().collect().await.unwrap();
        let file = folder.join(&object.key);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, bytes).unwrap();
        keys.push(object.key.trim_start_matches(&prefix).to_owned());
    }
    keys
}

/// What the run has proved.
fn evidence(run: &Run) -> Evidence {
    serde_json::from_value(job(run, "migrate").outputs["evidence"].clone()).unwrap()
}

fn transformed(run: &Run) -> TransformEvidence {
    evidence(run).transform.expect("evidence of a transformation")
}

#[tokio::test]
async fn csv_becomes_partitioned_parquet_and_readers_are_sent_there() {
    let harness = harness().await;
    let with = "{transform: {rename: {nm: name}, cast: {id: BIGINT}, drop: [junk], partition_by: [day]},
               expect: {unique: [id], not_null: [name], max_rejected: 0.5}}";
    harness.register(&workflow("migrate-dataset", with)).await;
    let first = b"id,nm,day,junk\n1,Ann,2024-01-01,x\n2,Bo,2024-01-02,x\n".to_vec();
    let second = b"junk,id,nm,day\nx,2,again,2024-01-02\nx,3,Cy,2024-01-01\n".to_vec();
    let dataset = dataset(&harness, "people", &[("a.csv", first), ("b.csv", second)]).await;
    let _services = harness.spawn_all();
    let run = harness.migrate(&dataset).await;
    let record = harness.succeed(std::slice::from_ref(&run), PATIENCE).await.remove(0);
    let location = harness.location(&dataset).await;
    assert_eq!((location.active, location.run.as_ref()), (Side::Target, Some(&run)));
    let folder = TempDir::new().unwrap();
    let keys = fetch(&harness, &dataset, folder.path()).await;
    let parts = ["_quarantine/result.jsonl", "day=2024-01-01/part-00000.parquet", "day=2024-01-02/part-00000.parquet"];
    assert_eq!(keys, parts);
    let TransformEvidence { before, after, rejected, .. } = transformed(&record);
    assert_eq!((before.rows, after.rows, rejected), (4, 3, 1));
    assert_eq!(after.columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>(), ["id", "name", "day"]);
    let proved = evidence(&record);
    assert_eq!((proved.source.objects, proved.target.objects, proved.epoch), (2, 3, 2));
    assert_eq!((proved.verify.as_str(), proved.late.clone()), ("written", Some(Late::default())));
    assert!(proved.to_markdown().contains("4 rows became 3"), "{}", proved.to_markdown());
    assert_eq!(job(&record, "migrate").outputs["objects"], 3);
    harness.finish().await;
}

#[tokio::test]
async fn what_is_wrong_with_the_data_or_the_agent_is_a_dead_letter_and_readers_stay_where_they_are() {
    let harness = harness().await;
    harness.register(&workflow("migrate-dataset", "{transform: {}}")).await;
    let ragged = dataset(&harness, "ragged", &[("a.csv", b"a,b\n1,2\n3\n".to_vec())]).await;
    let _services = [Service::Intake, Service::Validate].map(|service| harness.spawn(service, &[]));
    let agent = harness.spawn(Service::Migrate, &[]);
    harness.finished(&harness.migrate(&ragged).await).await;
    let letters = harness.dead_letters_when(1).await;
    assert!(letters[0].error.contains("`ragged/a.csv`, line 3"), "{}", letters[0].error);
    drop(agent);
    let _agent = harness.spawn(Service::Migrate, &[("HONK_MIGRATE__TRANSFORM_PROGRAM", "/no/such/program")]);
    let good = dataset(&harness, "good", &[("a.csv", b"a,b\n1,2\n".to_vec())]).await;
    harness.finished(&harness.migrate(&good).await).await;
    let letters = harness.dead_letters_when(2).await;
    assert!(letters[1].error.contains("cargo install"), "{}", letters[1].error);
    for dataset in [&ragged, &good] {
        harness.assert_not_migrated(dataset).await;
    }
    harness.finish_with(&[Reason::TransformRagged, Reason::TransformMissing]).await;
}

#[tokio::test]
async fn agents_killed_while_they_transform_leave_exactly_the_right_files() {
    let harness = harness().await;
    let with = "{transform: {partition_by: [k], max_rows_per_file: 1000, format: csv}}";
    harness.register(&workflow("migrate-dataset", with)).await;
    let rows = |file: usize| {
        let rows = (0..40_000).map(|row| format!("{},{file},{row}\n", row % 5));
        ["k,file,row\n".to_owned()].into_iter().chain(rows).collect::<String>().into_bytes()
    };
    let dataset = dataset(&harness, "rows", &[("0.csv", rows(0)), ("1.csv", rows(1)), ("2.csv", rows(2))]).await;
    let _services = [Service::Intake, Service::Validate].map(|service| harness.spawn(service, &[]));
    let run = harness.migrate(&dataset).await;
    let target = harness.store(TARGET_BUCKET).await;
    for _kill in 0..2 {
        let mut agent = harness.spawn(Service::Migrate, &[]);
        honk_testkit::eventually("a file is written", PATIENCE, || async {
            let page = Box::pin(target.list("rows/", 1_000)).try_next().await.unwrap().unwrap_or_default();
            if page.is_empty() { Err("none yet".to_owned()) } else { Ok(()) }
        })
        .await;
        agent.kill9().await;
    }
    let _last = harness.spawn(Service::Migrate, &[]);
    harness.succeed(std::slice::from_ref(&run), PATIENCE).await;
    let folder = TempDir::new().unwrap();
    let keys = fetch(&harness, &dataset, folder.path()).await;
    let expected: Vec<String> =
        (0..5).flat_map(|k| (0..24).map(move |part| format!("k={k}/part-{part:05}.csv"))).collect();
    assert_eq!(keys, expected);
    let files = keys.iter().map(|key| std::fs::read_to_string(folder.path().join("rows").join(key)).unwrap());
    assert_eq!(files.map(|text| text.lines().count() - 1).sum::<usize>(), 120_000);
    harness.finish().await;
}

/// Each dataset of the real file set: its objects, and the migration's `with:`.
const REAL: [(&str, &[&str], &str); 6] = [
    (
        "flights",
        &["flights-3m.parquet"],
        "{transform: {add: {month: \"CAST(date_part('month', date) AS INT)\"}, rename: {destination: dest}, partition_by: [month]},
          expect: {row_count: {min: 3000000, max: 3000000}, not_null: [origin], types: {distance: BIGINT}}}",
    ),
    ("zips", &["zipcodes.csv"], "{transform: {rename: {zip_code: zip}, drop: [county], partition_by: [state]}, expect: {source: {unique: [zip_code]}}}"),
    ("cars", &["cars.json"], "{transform: {cast: {Year: DATE, Cylinders: SMALLINT}, add: {litres: '235.214583 / Miles_per_Gallon'}, format: csv}}"),
    ("movies", &["movies.json"], "{transform: {cast: {Title: VARCHAR}, format: json, compression: zstd}}"),
    ("delays", &["flights-200k.json"], "{transform: {sql: 'SELECT distance, avg(delay) AS delay, count(*) AS n FROM source GROUP BY distance ORDER BY distance'}}"),
    ("jobless", &["unemployment.tsv"], "{transform: {max_rows_per_file: 1000, compression: snappy}, expect: {ranges: {rate: {min: 0, max: 1}}}}"),
];

#[tokio::test]
async fn a_real_file_set_is_what_an_independent_reader_expects() {
    let fetched = tokio::task::spawn_blocking(|| npm::package(VEGA).zip(python("duckdb", &["duckdb==1.4.1"])));
    let Some((package, programs)) = fetched.await.unwrap() else { return };
    let harness = harness().await;
    let mut datasets = Vec::new();
    for (name, objects, with) in REAL {
        harness.register(&workflow(name, with)).await;
        let read = |object: &&'static str| (*object, std::fs::read(package.join("data").join(object)).unwrap());
        datasets.push(dataset(&harness, name, &objects.iter().map(read).collect::<Vec<_>>()).await);
    }
    let _services = harness.spawn_all();
    let mut runs = Vec::new();
    for dataset in &datasets {
        runs.push(harness.run_workflow(dataset.name.as_str(), dataset.name.as_str(), serde_json::Map::new()).await);
    }
    let records = harness.succeed(&runs, LONG).await;
    let folder = TempDir::new().unwrap();
    for dataset in &datasets {
        fetch(&harness, dataset, folder.path()).await;
    }
    for record in &records {
        println!("{}: {}", record.dataset, evidence(record).to_markdown());
    }
    let check = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transform/check.py");
    let check = Command::new(programs.join("python3")).arg(check).arg(package.join("data")).arg(folder.path()).output();
    let output = check.unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(output.status.success(), "{}{}", said[0], said[1]);
    harness.finish().await;
}
