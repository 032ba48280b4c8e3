//! Dead letters: listed, shown, replayed, discarded.

use std::sync::Arc;

use honk_agent::ledger::Trace;
use honk_api::wire::{DeadLetterPage, DeadLetterView, Payload, Replayed, RunView};
use honk_bus::Publication;
use honk_protocol::dead::DeadLetter;
use honk_protocol::reason::Reason;
use honk_protocol::run::{Failure, Fault, Fence, JobState, Run, RunEvent, RunState};
use honk_protocol::subject::{DeadSubject, EVENT_ONBOARD, EventKey, JobSubject};
use honk_protocol::topology::EVENTS;
use jiff::Timestamp;
use reqwest::Method;

use crate::harness::{World, problem, read};

async fn bury(world: &World, subject: DeadSubject, original: String, payload: &'static [u8]) -> String {
    let letter = DeadLetter {
        reason: Reason::SourceMissing,
        fault: Fault::Failure,
        error: "no such bucket".into(),
        attempts: 2,
        original_subject: original,
        original_sequence: 1,
        dataset: Some("d".into()),
        trace: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into(),
        subject,
    };
    let id = letter.subject.id();
    let message = Publication::new(letter.subject.to_string(), payload);
    let message = letter.headers().into_iter().fold(message, |message, (name, value)| message.header(name, value));
    world.bus.publish(message).await.unwrap();
    world.eventually(&format!("/api/dead-letters/{id}"), |_: &DeadLetterView| true).await;
    id
}

/// A run whose job `a` is dead, and its letter's id.
async fn dead_run(world: &World, event: &str) -> (Arc<Run>, String) {
    let run = world.run("d", event).await;
    let job = run.jobs[0].clone();
    let failure = Failure {
        reason: Reason::SourceMissing,
        fault: Fault::Failure,
        message: "no such bucket".into(),
        attempt: 2,
        at: Timestamp::UNIX_EPOCH,
    };
    let fence = Fence { generation: 1, attempt: 2 };
    let known = world.ledger.get(&run.dataset, &run.id).await.unwrap();
    let died = RunEvent::Died { job: job.name.clone(), fence, failure };
    let recorded = world.ledger.advance(&known, &died, &Trace::default()).await.unwrap();
    let original = JobSubject { pool: job.pool.clone(), run: run.id.clone(), job: job.name.clone(), generation: 1 };
    let subject = DeadSubject::Job { pool: job.pool, run: run.id.clone(), job: job.name };
    let id = bury(world, subject, original.to_string(), b"{}").await;
    (recorded.run, id)
}

fn event_letter() -> DeadSubject {
    DeadSubject::Event { key: EventKey::of_message(1, 1) }
}

#[tokio::test]
async fn dead_letters_say_why_and_what_to_do_and_are_found_by_their_filters() {
    let world = World::start().await;
    let (run, id) = dead_run(&world, "1").await;
    let event = bury(&world, event_letter(), EVENT_ONBOARD.into(), &[0xff]).await;
    let shown: DeadLetterView = world.get(&format!("/api/dead-letters/{id}")).await;
    assert_eq!((shown.reason, shown.attempts, shown.error.as_str()), (Reason::SourceMissing, 2, "no such bucket"));
    assert_eq!((shown.run.as_ref(), shown.payload), (Some(&run.id), Some(Payload::Text("{}".into()))));
    assert_eq!(shown.advice, Reason::SourceMissing.advice());
    assert_eq!(shown.trace_id.as_deref(), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
    let shown: DeadLetterView = world.get(&format!("/api/dead-letters/{event}")).await;
    assert_eq!((shown.run, shown.payload), (None, Some(Payload::Base64("/w==".into()))));

    let ids = async |query: &str| -> Vec<String> {
        let page: DeadLetterPage = world.get(&format!("/api/dead-letters?{query}")).await;
        assert!(page.dead_letters.iter().all(|letter| letter.payload.is_none()));
        page.dead_letters.into_iter().map(|letter| letter.id).collect()
    };
    assert_eq!(ids("").await, [event.clone(), id.clone()]);
    assert_eq!(ids("pool=default").await, std::slice::from_ref(&id));
    assert_eq!(ids("reason=source-missing&dataset=d").await, [event.clone(), id.clone()]);
    assert_eq!(ids("reason=agent-lost").await, [""; 0]);
    let page: DeadLetterPage = world.get("/api/dead-letters?limit=1").await;
    assert_eq!(ids(&format!("cursor={}", page.next.unwrap())).await, [id]);
    problem(world.send(Method::GET, "/api/dead-letters?reason=nonsense", "").await, 422, "query-invalid").await;
    problem(world.send(Method::GET, "/api/dead-letters/nobody", "").await, 404, "dead-letter-unknown").await;
}

#[tokio::test]
async fn a_replay_reopens_the_run_and_takes_the_letter_away() {
    let world = World::start().await;
    let (run, id) = dead_run(&world, "1").await;
    let replayed: Replayed = read(world.post(&format!("/api/dead-letters/{id}/replay"), "").await, 202).await;
    assert_eq!(replayed.run.as_ref(), Some(&run.id));
    let path = replayed.url.expect("a URL");
    let shown: RunView = world.eventually(&path, |run: &RunView| run.state == RunState::Running).await;
    assert_eq!((shown.jobs[0].state, shown.jobs[0].generation), (JobState::Ready, 2));
    assert_eq!(world.get::<DeadLetterPage>("/api/dead-letters").await, DeadLetterPage::default());
    problem(world.post(&format!("/api/dead-letters/{id}/replay"), "").await, 404, "dead-letter-unknown").await;
}

#[tokio::test]
async fn a_letter_is_not_replayed_while_another_run_of_its_dataset_is_live() {
    let world = World::start().await;
    let (_, id) = dead_run(&world, "1").await;
    let live = world.run("d", "2").await;
    let busy = problem(world.post(&format!("/api/dead-letters/{id}/replay"), "").await, 409, "dataset-busy").await;
    assert!(busy.detail.unwrap().contains(live.id.as_str()));
    assert_eq!(world.get::<DeadLetterPage>("/api/dead-letters").await.dead_letters.len(), 1);
}

#[tokio::test]
async fn a_discarded_letter_is_gone_and_its_job_has_failed_for_good() {
    let world = World::start().await;
    let (run, id) = dead_run(&world, "1").await;
    let path = format!("/api/dead-letters/{id}");
    assert_eq!(world.send(Method::DELETE, &path, "").await.status(), 204);
    let failed = |run: &RunView| run.jobs[0].state == JobState::Failed;
    world.eventually(&format!("/api/runs/{}", run.id), failed).await;
    problem(world.send(Method::GET, &path, "").await, 404, "dead-letter-unknown").await;
    problem(world.send(Method::DELETE, &path, "").await, 404, "dead-letter-unknown").await;
}

#[tokio::test]
async fn an_event_that_became_no_run_is_published_again() {
    let world = World::start().await;
    let bytes = br#"{"id":"7","type":"dataset_onboard","payload":{"dataset_name":"d"}}"#;
    let id = bury(&world, event_letter(), EVENT_ONBOARD.into(), bytes).await;
    let replayed: Replayed = read(world.post(&format!("/api/dead-letters/{id}/replay"), "").await, 202).await;
    assert!(replayed.run.is_some());
    let published = world.bus.last(EVENTS, EVENT_ONBOARD).await.unwrap().expect("it is published");
    assert_eq!(&published.payload[..], bytes);

    let message = DeadSubject::Message { key: EventKey::of_message(2, 2) };
    let id = bury(&world, message, "honk.job.x".into(), b"x").await;
    problem(world.post(&format!("/api/dead-letters/{id}/replay"), "").await, 409, "not-replayable").await;
    assert_eq!(world.send(Method::DELETE, &format!("/api/dead-letters/{id}"), "").await.status(), 204);
}
