//! `honk/notify` against a real NATS server and receivers that answer as they are told.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]

use std::time::Duration;

use honk_agent::{Action as _, JobContext};
use honk_bus::Mirror;
use honk_notify::action::Notify;
use honk_notify::config::NotifySection;
use honk_protocol::entity::{Entity, NOTIFY_URL};
use honk_protocol::notice::Notice;
use honk_protocol::reason::Reason;
use honk_protocol::run::Fence;
use honk_protocol::settle::{Again, Failed};
use honk_protocol::{subject, topology};
use honk_service::{Metrics, Secret};
use honk_testkit::stub::{Request, status};
use honk_testkit::world::{after, job};
use honk_testkit::{Stub, World};
use jiff::SignedDuration;
use serde_json::{Value, json};
use standardwebhooks::Webhook;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OLD_SECRET: &str = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";

fn settings() -> NotifySection {
    NotifySection {
        secrets: vec![Secret::new(SECRET), Secret::new(OLD_SECRET)],
        allow_private: true,
        timeout: Duration::from_secs(5),
        ..NotifySection::default()
    }
}

async fn notify(world: &World, settings: &NotifySection) -> Notify {
    let catalog: Mirror<Entity> =
        Mirror::start(&world.bus.catalog(), &TaskTracker::new(), CancellationToken::new()).await.unwrap();
    Notify::new(&world.bus, catalog, settings, (world.clock.clone(), &Metrics::new())).unwrap()
}

/// A run whose dataset has moved, and whose turn it is to notify.
fn moved(world: &World) -> JobContext {
    let (from, to) = (world.place("old", ""), world.place("new", ""));
    after(&job("sales", "1", "notify"), "migrate", &json!({ "from": from, "to": to, "objects": 2, "bytes": 9 }))
}

/// `sales`, owned by `team` at the first receiver and read by one component for each of the others.
async fn tell(world: &World, urls: &[&str]) {
    world.import("Resource", "sales", &json!({}), &json!({ "type": "dataset", "owner": "team" })).await;
    for (index, url) in urls.iter().enumerate() {
        let annotations = json!({ NOTIFY_URL: url });
        if index == 0 {
            world.import("Group", "team", &annotations, &json!({})).await;
        } else {
            let reads = json!({ "dependsOn": ["resource:sales"] });
            world.import("Component", &format!("reader-{index}"), &annotations, &reads).await;
        }
    }
}

async fn notices(world: &World) -> Vec<Notice> {
    let stream = subject::notice(&"sales".parse().unwrap());
    let mut notices = Vec::new();
    for sequence in 1.. {
        let Some(message) = world.bus.message_at(topology::NOTICES, sequence).await.unwrap() else { break };
        assert_eq!((message.subject.as_str(), message.headers.get("content-type").is_some()), (stream.as_str(), true));
        notices.push(serde_json::from_slice(&message.payload).unwrap());
    }
    notices
}

fn is_signed_with(request: &Request, secret: &str) -> bool {
    let mut headers = reqwest::header::HeaderMap::new();
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        headers.insert(name, request.header(name).parse().unwrap());
    }
    Webhook::new(secret).unwrap().verify(request.body.as_bytes(), &headers).is_ok()
}

fn wait(failed: &Failed) -> u64 {
    let Again::After(delay) = failed.again else { panic!("{failed:?}") };
    delay.as_secs()
}

#[tokio::test]
async fn owner_and_consumers_are_told_once_and_can_tell_that_it_is_honk() {
    let world = World::start().await;
    let (owner, reader) = (Stub::start([status(200, "")]).await, Stub::start([status(204, "")]).await);
    tell(&world, &[&format!("{}/hook?token=x", owner.url), &reader.url]).await;
    let (notify, job) = (notify(&world, &settings()).await, moved(&world));
    let outputs = notify.run(&job).await.unwrap();
    assert_eq!(Value::from(outputs.clone()), json!({ "receivers": 2, "delivered": 2, "failed": 0 }));
    assert_eq!(notify.run(&job).await.unwrap(), outputs);

    let (owners, readers) = (owner.requests(), reader.requests());
    assert_eq!((owners.len(), readers.len(), notices(&world).await.len()), (1, 1, 1), "a repeat tells nobody again");
    for request in [&owners[0], &readers[0]] {
        assert!(is_signed_with(request, SECRET) && is_signed_with(request, OLD_SECRET));
        assert!(!is_signed_with(request, "whsec_YW5vdGhlciBzZWNyZXQgb2Ygc29tZWJvZHkgZWxzZQ=="));
        assert!(!request.header("webhook-id").contains('.'));
        assert!(request.header("content-type").starts_with("application/cloudevents+json"));
        assert_eq!(request.header("traceparent"), job.run.trace);
        assert_eq!(serde_json::from_str::<Notice>(&request.body).unwrap(), notices(&world).await[0]);
    }
    assert_ne!(owners[0].header("webhook-id"), readers[0].header("webhook-id"));
    let notice: Value = serde_json::from_str(&owners[0].body).unwrap();
    assert_eq!((&notice["specversion"], &notice["type"]), (&json!("1.0"), &json!("dev.honk.dataset.migrated")));
    assert_eq!((&notice["data"]["owner"], &notice["data"]["objects"]), (&json!("group:default/team"), &json!(2)));
    assert_eq!(notice["data"]["to"], json!(world.place("new", "")));
}

#[tokio::test]
async fn a_receiver_that_fails_is_told_again_on_its_schedule_and_alone() {
    let world = World::start().await;
    let fine = Stub::start([status(200, "")]).await;
    let busy = Stub::start([status(503, "retry-after: 60\r\n"), status(500, ""), status(200, "")]).await;
    tell(&world, &[&fine.url, &busy.url]).await;
    let (notify, job) = (notify(&world, &settings()).await, moved(&world));

    let failed = notify.run(&job).await.unwrap_err();
    assert_eq!(
        (failed.reason, wait(&failed)),
        (Reason::ReceiverFailed, 60),
        "it asked for more than the schedule's 5 s"
    );
    assert!(failed.message.contains("503") && failed.message.contains("1 of 2"), "{}", failed.message);
    world.clock.advance(SignedDuration::from_secs(59));
    assert_eq!(wait(&notify.run(&job).await.unwrap_err()), 1);
    assert_eq!(busy.requests().len(), 1, "it is not its time yet");

    world.clock.advance(SignedDuration::from_secs(1));
    let delay = wait(&notify.run(&job).await.unwrap_err());
    assert!((300..=330).contains(&delay), "{delay}: the schedule's second delay and up to a tenth");
    world.clock.advance(SignedDuration::from_secs(330));
    notify.run(&job).await.unwrap();

    let ids: Vec<String> = busy.requests().iter().map(|request| request.header("webhook-id").to_owned()).collect();
    assert_eq!((ids.len(), &ids[0], &ids[1]), (3, &ids[1], &ids[2]));
    assert_eq!((fine.requests().len(), notices(&world).await.len()), (1, 1));
}

#[tokio::test]
async fn a_receiver_that_wants_no_more_ends_the_job_only_when_the_others_have_been_told() {
    let world = World::start().await;
    let gone = Stub::start([status(410, "")]).await;
    let late = Stub::start([status(502, ""), status(200, "")]).await;
    tell(&world, &[&gone.url, &late.url]).await;
    let (notify, job) = (notify(&world, &settings()).await, moved(&world));
    let failed = notify.run(&job).await.unwrap_err();
    assert_eq!(failed.reason, Reason::ReceiverFailed);
    world.clock.advance(SignedDuration::from_secs(10));
    let failed = notify.run(&job).await.unwrap_err();
    assert_eq!((failed.reason, failed.again), (Reason::ReceiverGone, Again::Never));
    assert_eq!((gone.requests().len(), late.requests().len()), (1, 2));

    gone.answer(status(200, ""));
    let replayed = JobContext { fence: Fence { generation: 2, attempt: 1 }, ..job };
    assert_eq!(notify.run(&replayed).await.unwrap()["delivered"], 2);
    assert_eq!((gone.requests().len(), late.requests().len()), (2, 2));
}

#[tokio::test]
async fn a_schedule_that_is_used_up_rejects_the_job() {
    let world = World::start().await;
    let broken = Stub::start([status(500, "")]).await;
    tell(&world, &[&broken.url]).await;
    let settings = NotifySection { retry_seconds: vec![1], ..settings() };
    let (notify, job) = (notify(&world, &settings).await, moved(&world));
    assert_eq!(wait(&notify.run(&job).await.unwrap_err()), 1);
    world.clock.advance(SignedDuration::from_secs(2));
    let failed = notify.run(&job).await.unwrap_err();
    assert_eq!((failed.reason, failed.again), (Reason::ReceiverFailed, Again::Never));
}

#[tokio::test]
async fn a_crash_before_the_record_repeats_the_same_message() {
    let world = World::start().await;
    let receiver = Stub::start([status(200, "")]).await;
    tell(&world, &[&receiver.url]).await;
    let (notify, job) = (notify(&world, &settings()).await, moved(&world));
    notify.run(&job).await.unwrap();
    let deliveries = world.bus.bucket(topology::DELIVERIES);
    let kept = deliveries.get_all(">").await.unwrap();
    assert_eq!(kept.len(), 2, "the stream and the receiver");
    for entry in kept {
        deliveries.delete(&entry.key).await.unwrap();
    }
    notify.run(&job).await.unwrap();
    let requests = receiver.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(
        (requests[0].header("webhook-id"), &requests[0].body),
        (requests[1].header("webhook-id"), &requests[1].body)
    );
    assert_eq!(notices(&world).await.len(), 1, "the stream recognises the message");
}

#[tokio::test]
async fn a_redirect_is_a_failure_and_is_not_followed() {
    let world = World::start().await;
    let elsewhere = Stub::start([status(200, "")]).await;
    let redirecting = Stub::start([status(307, &format!("location: {}/\r\n", elsewhere.url))]).await;
    tell(&world, &[&redirecting.url]).await;
    let failed = notify(&world, &settings()).await.run(&moved(&world)).await.unwrap_err();
    assert!(failed.reason == Reason::ReceiverFailed && failed.message.contains("307"), "{}", failed.message);
    assert!(elsewhere.requests().is_empty());
}

#[tokio::test]
async fn a_receiver_that_does_not_answer_or_is_not_there_is_tried_again() {
    let world = World::start().await;
    let silent = Stub::start([None]).await;
    let absent = Stub::start([None]).await.url;
    let settings = NotifySection { timeout: Duration::from_millis(300), ..settings() };
    for url in [&silent.url, &absent] {
        tell(&world, &[&format!("{url}/secret-path")]).await;
        let failed = notify(&world, &settings).await.run(&moved(&world)).await.unwrap_err();
        assert!(failed.reason == Reason::ReceiverFailed && matches!(failed.again, Again::After(_)), "{failed:?}");
        assert!(!failed.message.contains("secret-path"), "{}", failed.message);
    }
}

#[tokio::test]
async fn an_address_inside_is_refused_unless_the_operator_allows_it() {
    let world = World::start().await;
    let inside = Stub::start([status(200, "")]).await;
    let strict = NotifySection { allow_private: false, ..settings() };
    let by_name = inside.url.replace("127.0.0.1", "localhost");
    for url in
        [inside.url.as_str(), &by_name, "http://169.254.169.254/latest", "ftp://example.org", "https://a:b@example.org"]
    {
        tell(&world, &[url]).await;
        let failed = notify(&world, &strict).await.run(&moved(&world)).await.unwrap_err();
        assert_eq!((failed.reason, failed.again), (Reason::ReceiverInvalid, Again::Never), "{url}: {}", failed.message);
    }
    assert!(inside.requests().is_empty());
}

#[tokio::test]
async fn without_receivers_the_notice_is_all() {
    let world = World::start().await;
    tell(&world, &[]).await;
    let outputs = notify(&world, &settings()).await.run(&moved(&world)).await.unwrap();
    assert_eq!((&outputs["receivers"], notices(&world).await.len()), (&json!(0), 1));
}

#[tokio::test]
async fn a_dataset_that_has_left_the_catalog_is_noticed_and_rejected() {
    let world = World::start().await;
    let failed = notify(&world, &settings()).await.run(&moved(&world)).await.unwrap_err();
    assert_eq!((failed.reason, failed.again), (Reason::EntityMissing, Again::Never));
    assert_eq!(notices(&world).await.len(), 1);
}
