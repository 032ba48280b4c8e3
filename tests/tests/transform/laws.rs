//! The laws of every action, checked on a migration that transforms: done twice, broken off anywhere, cancelled midway.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use honk_agent::{Action, JobContext};
use honk_migrate::action::Migrate;
use honk_migrate::copy::CopySettings;
use honk_migrate::transform::TransformSettings;
use honk_protocol::dataset::Side;
use honk_protocol::run::Outputs;
use honk_service::Clock;
use honk_testkit::law::{Case, cancelled_midway, crashed_anywhere, delivered_twice};
use honk_testkit::world::{attempt, job};
use honk_testkit::{Dataset, Harness, binaries};
use serde_json::json;
use tempfile::TempDir;

use crate::{dataset, fetch, harness};

/// A dataset of its own, and a run of its own to transform it.
struct Transformation<'h> {
    harness: &'h Harness,
    action: Arc<dyn Action>,
    dataset: Dataset,
    job: JobContext,
}

/// Makes transformations, each of another dataset.
struct Transformations<'h> {
    harness: &'h Harness,
    program: PathBuf,
    made: AtomicU32,
}

impl<'h> Transformations<'h> {
    async fn make(&self) -> Transformation<'h> {
        let name = format!("set-{}", self.made.fetch_add(1, Ordering::Relaxed));
        let objects = [("1.csv", b"n\n1\n".to_vec()), ("2.csv", b"n\n2\n3\n".to_vec())];
        let dataset = dataset(self.harness, &name, &objects).await;
        let s3 = &self.harness.s3;
        let storage = json!({ "access_key": s3.access_key(), "secret_key": s3.secret_key() });
        let stores = self.harness.stores.clone();
        let migrate = Migrate {
            transform: TransformSettings {
                program: Some(self.program.clone()),
                memory_bytes: 64 << 20,
                spill: None,
                storage: serde_json::from_value(storage).unwrap(),
            },
            ..Migrate::new(&self.harness.bus, stores, CopySettings::default(), Clock::system())
        };
        let with = BTreeMap::from([("transform".to_owned(), json!({ "format": "csv", "max_rows_per_file": 2 }))]);
        let job = JobContext { with, ..job(dataset.name.as_str(), &name, "migrate") };
        Transformation { harness: self.harness, action: Arc::new(migrate), dataset, job }
    }
}

#[async_trait]
impl Case for Transformation<'_> {
    fn action(&self) -> Arc<dyn Action> {
        Arc::clone(&self.action)
    }

    fn job(&self, number: u32) -> JobContext {
        attempt(&self.job, number)
    }

    async fn check(&self, outputs: &Outputs) {
        assert_eq!((&outputs["objects"], &outputs["evidence"]["transform"]["after"]["rows"]), (&json!(2), &json!(3)));
        let location = self.harness.location(&self.dataset).await;
        assert_eq!((location.active, location.run.as_ref()), (Side::Target, Some(&self.job.run.id)));
        let folder = TempDir::new().unwrap();
        let keys = fetch(self.harness, &self.dataset, folder.path()).await;
        let text = |key: &String| std::fs::read_to_string(folder.path().join(self.dataset.name.as_str()).join(key));
        assert_eq!(keys, ["part-00000.csv", "part-00001.csv"]);
        assert_eq!(keys.iter().map(|key| text(key).unwrap()).collect::<String>(), "n\n1\n2\nn\n3\n");
    }
}

#[tokio::test]
async fn a_transformation_keeps_the_laws_of_every_action() {
    let harness = harness().await;
    let program = tokio::task::spawn_blocking(binaries::transform).await.unwrap();
    let made = Transformations { harness: &harness, program, made: AtomicU32::new(0) };
    delivered_twice(&made.make().await, |_| {}).await;
    let crashes = crashed_anywhere(async || made.make().await).await;
    let cancels = cancelled_midway(async || made.make().await).await;
    println!("broken off {crashes} times, cancelled {cancels} times");
    assert!(crashes > 5 && cancels > 5, "it has more points of waiting than that");
    assert_eq!(harness.cut_overs().await, u64::from(made.made.load(Ordering::Relaxed)));
    harness.finish().await;
}
