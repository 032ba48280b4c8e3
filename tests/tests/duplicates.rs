//! The same event again is the same run; another event for the same dataset waits its turn.

use std::time::Duration;

use honk_bus::Publication;
use honk_protocol::run::{JobState, RunState};
use honk_protocol::subject::EVENT_ONBOARD;
use honk_protocol::topology;
use honk_testkit::runs::job;
use honk_testkit::{FaultProxy, Harness, PATIENCE, eventually};

/// The shortest window that a server takes.
const SHORT_WINDOW: Duration = Duration::from_millis(100);

#[tokio::test]
async fn an_event_published_many_times_in_every_way_is_one_run() {
    let harness = Harness::start().await;
    let raw = async_nats::jetstream::new(async_nats::connect(harness.nats_url()).await.unwrap());
    let mut config = raw.get_stream(topology::EVENTS).await.unwrap().cached_info().config.clone();
    config.duplicate_window = SHORT_WINDOW;
    raw.update_stream(config).await.unwrap();
    let _services = harness.spawn_all();
    let dataset = harness.dataset("sales", 3).await;
    let event = harness.event(&dataset, "the-one");
    let publication = || Publication::new(EVENT_ONBOARD, event.to_structured());

    for _ in 0..10 {
        harness.publish_once(publication().message_id("same")).await.unwrap();
    }
    for number in 0..10 {
        harness.publish_once(publication().message_id(format!("other-{number}"))).await.unwrap();
        harness.publish_once(publication()).await.unwrap();
    }
    // After the window the server itself does not know the message id any more.
    eventually("the window has passed", PATIENCE, || async {
        let published = harness.publish_once(publication().message_id("same")).await.unwrap();
        if published.duplicate { Err("still a duplicate".to_owned()) } else { Ok(()) }
    })
    .await;

    let run = event.run_id();
    harness.succeed(std::slice::from_ref(&run), PATIENCE).await;
    harness.publish_once(publication().message_id("after its end")).await.unwrap();
    harness.nothing_is_pending().await;
    let stored = harness.bus.changes(topology::EVENTS, 1).await.unwrap().len();
    assert!(stored >= 23, "{stored} events were stored, or this proves nothing");
    assert_eq!(harness.runs().await.len(), 1);
    assert_eq!(harness.bus.changes(topology::JOBS, 1).await.unwrap().len(), 3, "each job was dispatched once");
    assert_eq!((harness.cut_overs().await, harness.notices().await), (1, 1));
    harness.assert_migrated(&dataset, &run).await;
    harness.finish().await;
}

#[tokio::test]
async fn bare_events_without_an_id_are_told_apart_by_their_message_id() {
    let harness = Harness::start().await;
    let _services = harness.spawn_all();
    harness.dataset("sales", 1).await;
    let bare = br#"{"type":"dataset_onboard","payload":{"dataset_name":"sales"}}"#;
    for _ in 0..10 {
        let publication = Publication::new(EVENT_ONBOARD, bare.to_vec()).message_id("bare-1");
        harness.publish_once(publication).await.unwrap();
    }
    harness
        .runs_when("the run succeeds", PATIENCE, |seen| {
            (seen.len() == 1 && seen.values().all(|run| run.state == RunState::Success)).then_some(())
        })
        .await;
    harness.nothing_is_pending().await;
    assert_eq!(harness.runs().await.len(), 1);
    harness.finish().await;
}

#[tokio::test]
async fn of_three_events_for_one_dataset_the_second_waits_and_the_third_takes_its_place() {
    let harness = Harness::start().await;
    let slow = FaultProxy::holding_copies(&harness.s3.url()).await;
    let _services = harness.spawn_all();
    let dataset = harness.dataset_between("sales", 2, (&slow.url(), &harness.s3.url())).await;

    let first = harness.publish(&harness.event(&dataset, "first")).await;
    harness.run_when(&first, "is being migrated", |run| job(run, "migrate").state == JobState::Running).await;
    let second = harness.publish(&harness.event(&dataset, "second")).await;
    harness.run_when(&second, "waits", |run| run.state == RunState::Waiting).await;
    harness.run_when(&first, "knows who waits", |run| run.successor.as_ref() == Some(&second)).await;
    let third = harness.publish(&harness.event(&dataset, "third")).await;
    let replaced = harness.run_when(&second, "is given up", |run| run.state == RunState::Cancelled).await;
    assert_eq!(replaced.superseded_by.as_ref(), Some(&third));
    assert!(replaced.jobs.iter().all(|job| job.state == JobState::Cancelled && job.attempt == 0));
    harness.run_when(&first, "knows who waits", |run| run.successor.as_ref() == Some(&third)).await;
    assert_eq!(harness.runs().await[&third].state, RunState::Waiting);

    slow.release();
    let records = harness.succeed(&[first.clone(), third], PATIENCE).await;
    assert!(
        records[0].finished_at.unwrap() <= job(&records[1], "validate").finished_at.unwrap(),
        "one after the other"
    );
    harness.assert_migrated(&dataset, &first).await;
    assert_eq!(harness.cut_overs().await, 1, "the third run found the dataset migrated");
    harness.finish().await;
}
