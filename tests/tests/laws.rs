//! The laws of every action, checked on the one that moves bytes: done twice, broken off anywhere, cancelled midway.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use honk_agent::{Action, JobContext};
use honk_migrate::action::Migrate;
use honk_migrate::copy::CopySettings;
use honk_protocol::run::Outputs;
use honk_service::Clock;
use honk_testkit::law::{Case, cancelled_midway, crashed_anywhere, delivered_twice};
use honk_testkit::world::{attempt, job};
use honk_testkit::{Dataset, Fault, FaultProxy, Harness};

/// A dataset of its own between two stores, and a run of its own to migrate it.
struct Migration<'h> {
    harness: &'h Harness,
    action: Arc<dyn Action>,
    dataset: Dataset,
    job: JobContext,
}

/// Makes migrations, each of another dataset.
struct Migrations<'h> {
    harness: &'h Harness,
    target: String,
    made: AtomicU32,
}

impl<'h> Migrations<'h> {
    async fn make(&self) -> Migration<'h> {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let name = format!("set-{number}");
        let dataset = self.harness.dataset_between(&name, 3, (&self.harness.s3.url(), &self.target)).await;
        let stores = self.harness.stores.clone();
        let migrate = Migrate::new(&self.harness.bus, stores, CopySettings::default(), Clock::system());
        let job = job(dataset.name.as_str(), &name, "migrate");
        Migration { harness: self.harness, action: Arc::new(migrate), dataset, job }
    }
}

#[async_trait]
impl Case for Migration<'_> {
    fn action(&self) -> Arc<dyn Action> {
        Arc::clone(&self.action)
    }

    fn job(&self, number: u32) -> JobContext {
        attempt(&self.job, number)
    }

    async fn check(&self, outputs: &Outputs) {
        assert_eq!(outputs["objects"], 3);
        self.harness.assert_migrated(&self.dataset, &self.job.run.id).await;
    }
}

#[tokio::test]
async fn a_migration_keeps_the_laws_of_every_action() {
    let harness = Harness::start().await;
    // Another spelling of the same server would be copied inside it; a proxy is another server.
    let proxy = FaultProxy::before(&harness.s3.url(), |_| Fault::None).await;
    let migrations = Migrations { harness: &harness, target: proxy.url(), made: AtomicU32::new(0) };
    let twice = migrations.make().await;
    delivered_twice_but_for_counts(&twice).await;
    let crashes = crashed_anywhere(async || migrations.make().await).await;
    let cancels = cancelled_midway(async || migrations.make().await).await;
    println!("broken off {crashes} times, cancelled {cancels} times");
    assert!(crashes > 5 && cancels > 5, "it has more points of waiting than that");
    assert_eq!(harness.cut_overs().await, u64::from(migrations.made.load(Ordering::Relaxed)));
    harness.finish().await;
}

/// What was copied before is not copied again, so that only this count differs.
async fn delivered_twice_but_for_counts(case: &Migration<'_>) {
    let counts = ["copied", "already_there"];
    delivered_twice(case, |outputs| outputs.retain(|name, _| !counts.contains(&name.as_str()))).await;
}
