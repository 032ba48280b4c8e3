//! SIGTERM: an agent takes no more work, hands back what it cannot finish in time, and ends in order.

use honk_protocol::run::JobState;
use honk_testkit::runs::job;
use honk_testkit::{FaultProxy, Harness, PATIENCE, Process, Service, eventually};

/// Retries nothing: whatever counts as an attempt is the last.
const ONCE: &str = "
name: migrate-dataset
on: dataset_onboard
retry_count: 0
jobs:
  validate: {steps: [{uses: honk/validate}]}
  migrate: {needs: [validate], steps: [{uses: honk/migrate}]}
";

/// A migration that stands still in the hands of a migrate agent with these settings.
async fn begun(drain: &str) -> (Harness, FaultProxy, honk_testkit::Dataset, honk_protocol::name::RunId, [Process; 3]) {
    let harness = Harness::start().await;
    harness.register(ONCE).await;
    let slow = FaultProxy::holding_copies(&harness.s3.url()).await;
    let dataset = harness.dataset_between("big", 4, (&slow.url(), &harness.s3.url())).await;
    let intake = harness.spawn(Service::Intake, &[]);
    let validate = harness.spawn(Service::Validate, &[]);
    let migrate = harness.spawn(Service::Migrate, &[("HONK_DRAIN__SECONDS", drain)]);
    let run = harness.migrate(&dataset).await;
    harness.run_when(&run, "is being migrated", |run| job(run, "migrate").state == JobState::Running).await;
    slow.until_holding().await;
    (harness, slow, dataset, run, [migrate, intake, validate])
}

#[tokio::test]
async fn a_job_that_does_not_end_in_time_is_handed_back_without_counting_against_its_retries() {
    let (harness, slow, dataset, run, [mut migrate, _intake, _validate]) = begun("2").await;
    migrate.sigterm();
    // What comes after the signal is not for this agent any more.
    let late = harness.dataset("late", 1).await;
    let late_run = harness.migrate(&late).await;
    harness.run_when(&late_run, "is validated", |run| job(run, "migrate").state == JobState::Ready).await;
    let status = migrate.ended(PATIENCE).await;
    assert!(status.success(), "a drain ends in order: {status}\n{}", migrate.log());
    let record = harness.runs().await.remove(&run).unwrap();
    let handed = job(&record, "migrate");
    assert_eq!((handed.attempt, handed.handed_back, handed.is_due()), (1, 1, true), "{handed:?}");
    let untouched = harness.runs().await.remove(&late_run).unwrap();
    assert_eq!((job(&untouched, "migrate").attempt, job(&untouched, "migrate").handed_back), (0, 0));

    slow.release();
    let _other = harness.spawn(Service::Migrate, &[]);
    let records = harness.succeed(&[run.clone(), late_run], PATIENCE).await;
    assert_eq!(job(&records[0], "migrate").attempt, 2, "no retry is allowed, and it was none");
    harness.assert_migrated(&dataset, &run).await;
    harness.finish().await;
}

#[tokio::test]
async fn a_job_that_ends_in_time_is_finished_by_the_agent_that_drains() {
    let (harness, slow, dataset, run, [mut migrate, _intake, _validate]) = begun("60").await;
    migrate.sigterm();
    slow.release();
    assert!(migrate.ended(PATIENCE).await.success());
    let records = harness.succeed(std::slice::from_ref(&run), PATIENCE).await;
    let done = job(&records[0], "migrate");
    assert_eq!((done.attempt, done.handed_back), (1, 0));
    harness.assert_migrated(&dataset, &run).await;
    harness.finish().await;
}

#[tokio::test]
async fn a_second_signal_stops_at_once_and_still_hands_back() {
    let (harness, slow, dataset, run, [mut migrate, _intake, _validate]) = begun("600").await;
    migrate.sigterm();
    eventually("it drains", PATIENCE, || async {
        let port = migrate.listening_port().ok_or("gone")?;
        let mut probe = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.map_err(|error| error.to_string())?;
        readiness(&mut probe).await
    })
    .await;
    assert!(migrate.is_running(), "one signal alone waits for the job");
    migrate.sigterm();
    let begin = tokio::time::Instant::now();
    let status = migrate.ended(PATIENCE).await;
    assert!(status.success() && begin.elapsed() < PATIENCE / 6, "{status} after {:?}", begin.elapsed());

    slow.release();
    let _other = harness.spawn(Service::Migrate, &[]);
    let records = harness.succeed(std::slice::from_ref(&run), PATIENCE).await;
    assert_eq!(job(&records[0], "migrate").handed_back, 1);
    harness.assert_migrated(&dataset, &run).await;
    harness.finish().await;
}

/// Whether `/readyz` says that no more work is taken.
async fn readiness(probe: &mut tokio::net::TcpStream) -> Result<(), String> {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let ask = b"GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    probe.write_all(ask).await.map_err(|error| error.to_string())?;
    let mut answer = String::new();
    probe.read_to_string(&mut answer).await.map_err(|error| error.to_string())?;
    if answer.starts_with("HTTP/1.1 503") { Ok(()) } else { Err(answer) }
}
