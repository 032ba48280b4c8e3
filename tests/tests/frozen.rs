//! A frozen agent loses its job to another; what it brings when it wakes up counts for nothing.

use honk_protocol::run::{Job, JobState};
use honk_testkit::runs::job;
use honk_testkit::{FaultProxy, Harness, PATIENCE, Service};

#[tokio::test]
async fn a_frozen_agents_job_is_taken_over_and_its_late_result_refused() {
    let harness = Harness::start().await;
    let slow = FaultProxy::holding_copies(&harness.s3.url()).await;
    let dataset = harness.dataset_between("big", 8, (&slow.url(), &harness.s3.url())).await;
    let _others = [Service::Intake, Service::Validate, Service::Notify].map(|service| harness.spawn(service, &[]));
    let frozen = harness.spawn(Service::Migrate, &[]);

    let run = harness.migrate(&dataset).await;
    let begun = harness.run_when(&run, "is being migrated", |run| job(run, "migrate").state == JobState::Running).await;
    assert!(frozen.attempts(job(&begun, "migrate")), "{:?}", job(&begun, "migrate").agent);
    slow.until_holding().await;
    frozen.sigstop();
    let since = tokio::time::Instant::now();

    let other = harness.spawn(Service::Migrate, &[]);
    // The server may offer it to the frozen agent again, which asked for more before it froze; each time it waits in vain.
    let is_others = |job: &Job| job.attempt > 1 && other.attempts(job);
    let taken = harness.run_when(&run, "is taken over", |run| is_others(job(run, "migrate"))).await;
    let counts = job(&taken, "migrate").attempt;
    slow.release();
    let record = harness.succeed(std::slice::from_ref(&run), PATIENCE).await.remove(0);
    assert_eq!(job(&record, "migrate").attempt, counts, "the other agent's attempt is the one that counts");

    // Three ack waits, so that nothing of the server's patience is left.
    tokio::time::sleep_until(since + 3 * harness.ack_wait).await;
    frozen.sigcont();
    // The late result is refused.
    let series = "honk_attempts_total{pool=\"migrate\",outcome=\"fenced\"}";
    frozen.until_counted(series).await;

    let after = harness.runs().await.remove(&run).unwrap();
    assert_eq!(after, record, "the record did not move any more");
    harness.assert_migrated(&dataset, &run).await;
    assert_eq!((harness.cut_overs().await, harness.notices().await), (1, 1), "one cut-over, one notice");
    harness.finish().await;
}
