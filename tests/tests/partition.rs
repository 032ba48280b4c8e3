//! The network between a service and the server fails, while both go on: it falls silent, loses answers, breaks. Nothing is lost, and nothing
//! happens twice.

use std::time::Duration;

use honk_protocol::run::{Job, JobState};
use honk_testkit::link::Link;
use honk_testkit::runs::job;
use honk_testkit::{FaultProxy, Harness, PATIENCE, Process, Service};

fn spawn_behind(link: &Link, harness: &Harness, service: Service) -> Process {
    harness.spawn(service, &[("HONK_NATS__URL", &link.url())])
}

#[tokio::test]
async fn an_agent_cut_off_in_silence_loses_its_job_and_serves_again_when_it_is_back() {
    let harness = Harness::start().await;
    let slow = FaultProxy::holding_copies(&harness.s3.url()).await;
    let dataset = harness.dataset_between("big", 8, (&slow.url(), &harness.s3.url())).await;
    let _others = [Service::Intake, Service::Validate, Service::Notify].map(|service| harness.spawn(service, &[]));
    let link = Link::before(harness.nats_url()).await;
    let lonely = spawn_behind(&link, &harness, Service::Migrate);

    let run = harness.migrate(&dataset).await;
    let is_begun = |job: &Job| job.state == JobState::Running && lonely.attempts(job);
    harness.run_when(&run, "is being migrated", |run| is_begun(job(run, "migrate"))).await;
    slow.until_holding().await;
    link.silence();

    let mut other = harness.spawn(Service::Migrate, &[]);
    harness.run_when(&run, "is taken over", |run| other.attempts(job(run, "migrate"))).await;
    // Both do the work now; only one of them can be heard.
    slow.release();
    let record = harness.succeed(std::slice::from_ref(&run), PATIENCE).await.remove(0);
    assert!(other.attempts(job(&record, "migrate")));

    link.mend();
    // The late result is refused.
    let series = "honk_attempts_total{pool=\"migrate\",outcome=\"fenced\"}";
    lonely.until_counted(series).await;
    assert_eq!(harness.runs().await.remove(&run).unwrap(), record, "the record did not move any more");
    harness.assert_migrated(&dataset, &run).await;
    assert_eq!((harness.cut_overs().await, harness.notices().await), (1, 1), "one cut-over, one notice");

    other.kill9().await;
    let next = harness.dataset("next", 2).await;
    let run = harness.migrate(&next).await;
    let record = harness.succeed(std::slice::from_ref(&run), PATIENCE).await.remove(0);
    assert_eq!(job(&record, "migrate").state, JobState::Success);
    harness.assert_migrated(&next, &run).await;
    harness.finish().await;
}

#[tokio::test]
async fn connections_that_break_and_lose_answers_cost_delay_only() {
    const RUNS: usize = 60;
    const CUTS: u32 = 24;
    let harness = Harness::start().await;
    let mut datasets = Vec::new();
    for number in 0..RUNS {
        datasets.push(harness.dataset(&format!("set-{number}"), 3).await);
    }
    let (mut links, mut services) = (Vec::new(), Vec::new());
    for service in [Service::Intake, Service::Validate, Service::Migrate, Service::Notify] {
        let link = Link::before(harness.nats_url()).await;
        services.push(spawn_behind(&link, &harness, service));
        links.push(link);
    }
    for service in &services {
        service.ready().await;
    }

    let load = async {
        // As many a second as makes the load outlast the cuts.
        let mut pace = tokio::time::interval(Duration::from_millis(100));
        let mut runs = Vec::new();
        for dataset in &datasets {
            pace.tick().await;
            runs.push(harness.migrate(dataset).await);
        }
        runs
    };
    let cuts = async {
        let mut pace = tokio::time::interval(Duration::from_millis(200));
        for link in links.iter().cycle().take(CUTS as usize) {
            pace.tick().await;
            // What is written in this moment is written, and the writer is not told.
            link.hold_answers();
            pace.tick().await;
            link.cut();
            link.mend();
        }
    };
    let (runs, ()) = tokio::join!(load, cuts);
    let broken: u32 = links.iter().map(Link::cuts).sum();
    println!("{broken} connections were broken");
    assert!(broken >= CUTS / 2, "the services came back between the cuts");

    harness.succeed(&runs, 2 * PATIENCE).await;
    for (dataset, run) in datasets.iter().zip(&runs) {
        harness.assert_migrated(dataset, run).await;
    }
    assert_eq!(harness.runs().await.len(), RUNS, "one run an event");
    assert_eq!(harness.cut_overs().await, RUNS as u64, "each was cut over once");
    assert_eq!(harness.notices().await, RUNS as u64, "and told once");
    harness.finish().await;
}
