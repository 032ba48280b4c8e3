//! What nobody can work with ends in the dead letters, with its reason and within its budget, and others keep flowing.

use std::path::Path;

use honk_bus::{BusError, Publication};
use honk_protocol::event::MAX_EVENT_BYTES;
use honk_protocol::reason::Reason;
use honk_protocol::run::{JobState, RunState};
use honk_protocol::subject::EVENT_ONBOARD;
use honk_testkit::runs::job;
use honk_testkit::{Harness, PATIENCE, Service};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// `[[[[…]]]]` inside otherwise good JSON.
fn nested(before: &str, after: &str) -> Vec<u8> {
    format!("{before}{}{}{after}", "[".repeat(10_000), "]".repeat(10_000)).into_bytes()
}

#[tokio::test]
async fn events_that_are_none_are_dead_lettered_at_once_and_others_keep_flowing() {
    let harness = Harness::start().await;
    let _services = harness.spawn_all();
    let version = br#"{"specversion":"2.0","id":"1","source":"x","type":"dataset_onboard","data":{}}"#;
    let poison: [(&[u8], Reason); 8] = [
        (b"{\"type\":", Reason::EventMalformed),
        (b"", Reason::EventMalformed),
        (b"\xff\xfe\x00", Reason::EventMalformed),
        (b"{\"type\":\"dataset_onboard\",\"payload\":{\"dataset_name\":\"../../etc\"}}", Reason::EventMalformed),
        (b"{\"type\":\"dataset_onboard\",\"payload\":{\"dataset_name\":\"nobody-knows-it\"}}", Reason::DatasetUnknown),
        (version, Reason::EventVersion),
        (&nested("{\"type\":\"dataset_onboard\",\"payload\":", "}"), Reason::EventMalformed),
        (&vec![b' '; MAX_EVENT_BYTES + 1], Reason::EventMalformed),
    ];
    let mut runs = Vec::new();
    for (number, (bytes, _)) in poison.iter().enumerate() {
        harness.publish_once(Publication::new(EVENT_ONBOARD, bytes.to_vec())).await.unwrap();
        let dataset = harness.dataset(&format!("good-{number}"), 1).await;
        runs.push(harness.migrate(&dataset).await);
    }
    harness.succeed(&runs, PATIENCE).await;
    for letter in harness.dead_letters_when(poison.len()).await {
        assert_eq!(letter.attempts, 1, "what can never succeed is not tried again: {letter:?}");
        assert!(!letter.error.is_empty() && letter.original_subject == EVENT_ONBOARD, "{letter:?}");
    }
    let (expected, all) = (poison.map(|(_, reason)| reason), harness.runs().await);
    assert_eq!(all.len(), runs.len(), "no poison became a run");
    harness.finish_with(&expected).await;
}

#[tokio::test]
async fn messages_on_a_job_subject_that_are_no_jobs_are_dead_lettered_and_others_keep_flowing() {
    let harness = Harness::start().await;
    let _services = harness.spawn_all();
    let head = r#"{"v":1,"revision":1,"job":"a","generation":1,"run":"#;
    let poison: [(Vec<u8>, Reason); 5] = [
        (b"not json".to_vec(), Reason::MessageMalformed),
        (br#"{"v":2,"revision":1,"job":"a","generation":1,"run":{}}"#.to_vec(), Reason::MessageVersion),
        (br#"{"v":1,"revision":1,"job":"a","generation":1,"run":{}}"#.to_vec(), Reason::MessageMalformed),
        (nested(head, "}"), Reason::MessageMalformed),
        (Vec::new(), Reason::MessageMalformed),
    ];
    let mut runs = Vec::new();
    for (number, (bytes, _)) in poison.iter().enumerate() {
        let subject = format!("honk.job.validate.r{number:020}.a.1");
        harness.publish_once(Publication::new(subject, bytes.clone())).await.unwrap();
        // One that is not even a job's subject.
        harness.publish_once(Publication::new(format!("honk.job.validate.odd.{number}"), bytes.clone())).await.unwrap();
        let dataset = harness.dataset(&format!("good-{number}"), 1).await;
        runs.push(harness.migrate(&dataset).await);
    }
    harness.succeed(&runs, PATIENCE).await;
    let letters = harness.dead_letters_when(2 * poison.len()).await;
    assert!(letters.iter().all(|letter| letter.attempts == 1), "{letters:#?}");
    let expected: Vec<Reason> = poison.iter().flat_map(|(_, reason)| [*reason; 2]).collect();
    harness.finish_with(&expected).await;
}

#[tokio::test]
async fn what_is_too_large_is_an_error_for_its_publisher_and_for_nobody_else() {
    let harness = Harness::start().await;
    let _services = harness.spawn_all();
    // Over the server's limit, and over the stream's alone.
    for bytes in [2_000_000, 1_020_000] {
        let error = harness.publish_once(Publication::new(EVENT_ONBOARD, vec![b' '; bytes])).await.unwrap_err();
        assert!(matches!(error, BusError::TooLarge { .. }), "{bytes}: {error}");
        assert!(!error.is_transient(), "trying again cannot help");
    }
    // A client that does not look before it sends is thrown out by the server.
    let address = harness.nats_url().trim_start_matches("nats://").to_owned();
    let mut rude = tokio::net::TcpStream::connect(address).await.unwrap();
    rude.write_all(format!("CONNECT {{}}\r\nPUB {EVENT_ONBOARD} 2000000\r\n").as_bytes()).await.unwrap();
    let mut said = String::new();
    tokio::time::timeout(PATIENCE, rude.read_to_string(&mut said)).await.unwrap().unwrap();
    assert!(said.contains("Maximum Payload Violation"), "{said}");

    let dataset = harness.dataset("good", 1).await;
    let run = harness.migrate(&dataset).await;
    harness.succeed(&[run], PATIENCE).await;
    assert!(harness.bus.is_connected());
    harness.finish().await;
}

const MISBEHAVING: &str = "
name: NAME
on: dataset_onboard
retry_count: 2
backoff: {initial: 100ms, factor: 1, max: 100ms}
jobs:
  bad: {runs-on: default, steps: [{uses: test/NAME}]}
";

async fn publish_for(harness: &Harness, workflow: &str) -> honk_protocol::name::RunId {
    harness.register(&MISBEHAVING.replace("NAME", workflow)).await;
    let event = harness.event_for(workflow, &format!("for-{workflow}")).await;
    harness.publish(&event).await
}

#[tokio::test]
async fn a_handler_that_panics_is_dead_lettered_within_its_budget_and_its_process_lives_on() {
    let harness = Harness::start().await;
    let _intake = harness.spawn(Service::Intake, &[]);
    let mut agent = harness.spawn_binary(Path::new(env!("CARGO_BIN_EXE_honk-test-agent")), &[]);
    let run = publish_for(&harness, "panic").await;
    let record = harness.finished(&run).await;
    assert_eq!(record.state, RunState::Failure);
    let bad = job(&record, "bad");
    assert_eq!((bad.state, bad.attempt), (JobState::Dead, 3));
    assert!(bad.failure.as_ref().unwrap().message.contains("asked for by for-panic"), "{bad:?}");
    let letters = harness.dead_letters_when(1).await;
    assert_eq!((letters[0].reason, letters[0].attempts), (Reason::JobPanicked, 3));
    assert!(agent.is_running());
    harness.finish_with(&[Reason::JobPanicked]).await;
}

#[tokio::test]
async fn a_message_that_kills_every_agent_is_dead_lettered_unseen_and_others_keep_flowing() {
    let harness = Harness::start().await;
    let _services = harness.spawn_all();
    let binary = Path::new(env!("CARGO_BIN_EXE_honk-test-agent"));
    let dataset = harness.dataset("good", 2).await;
    let run = publish_for(&harness, "kill").await;
    let deaths = std::cell::Cell::new(0);
    let supervised = async {
        loop {
            harness.spawn_binary(binary, &[]).wait().await;
            deaths.set(deaths.get() + 1);
        }
    };
    let seen = async {
        let good = harness.migrate(&dataset).await;
        harness.succeed(&[good], PATIENCE).await;
        let record = harness.finished(&run).await;
        let letters = harness.dead_letters_when(1).await;
        harness.nothing_is_pending().await;
        (record, letters)
    };
    let (record, letters) = tokio::select! {
        never = supervised => never,
        seen = seen => seen,
    };
    assert_eq!((record.state, deaths.get()), (RunState::Error, 3), "three attempts, and none beyond the budget");
    assert_eq!((letters[0].reason, letters[0].attempts), (Reason::AgentLost, 4));
    harness.finish_with(&[Reason::AgentLost]).await;
}
