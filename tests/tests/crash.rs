//! Kill -9 of each service at each point of "record, publish, ack", of all of them at random, and of the API under its producers: every
//! run recovers, nothing is applied twice, and what was accepted is not lost.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking, also in its helpers")]

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use honk_protocol::event::OnboardEvent;
use honk_protocol::name::RunId;
use honk_protocol::reason::Reason;
use honk_protocol::run::RunState;
use honk_testkit::{Harness, PATIENCE, Process, Receiver, Service};
use serde_json::{Value, json};
use tokio::sync::watch;

/// Where an agent can be killed, in the order in which it passes.
const AGENT_POINTS: [&str; 5] = ["before-work", "after-work", "after-record", "after-publish", "after-ack"];
/// The same of intake.
const INTAKE_POINTS: [&str; 4] = ["before-record", "after-record", "after-publish", "after-ack"];

const KILL: i32 = 9;

/// For each point: the only copy of `service` dies there, another takes its place, and the run is as if nothing had happened.
async fn recovers_at(service: Service, points: &[&str]) {
    let harness = Harness::start().await;
    let receiver = Receiver::start().await;
    harness.import("team", "Group", &json!({ "honk/notify-url": receiver.url() }), &json!({})).await;
    let others = Service::ALL.into_iter().filter(|other| *other != service);
    let _others: Vec<Process> = others.map(|other| harness.spawn(other, &[])).collect();
    for (done, point) in (1..).zip(points) {
        let dataset = harness.dataset(&format!("at-{point}"), 3).await;
        let mut victim = harness.spawn(service, &[("HONK_FAIL_POINT", point)]);
        let run = harness.migrate(&dataset).await;
        let died = victim.ended(PATIENCE).await;
        assert_eq!(died.signal(), Some(KILL), "{service:?} was to be killed at {point}");

        let mut next = harness.spawn(service, &[]);
        let record = harness.succeed(std::slice::from_ref(&run), PATIENCE).await.remove(0);
        harness.assert_migrated(&dataset, &run).await;
        assert!(record.jobs.iter().all(|job| job.generation == 1), "a crash needs no second dispatch: {record:#?}");
        assert_eq!(harness.cut_overs().await, done, "one cut-over each, after {point}");
        assert_eq!(harness.notices().await, done, "one notice each, after {point}");
        let webhooks = receiver.received();
        let ids: BTreeSet<&str> = webhooks.iter().map(|request| request.header("webhook-id")).collect();
        assert_eq!(ids.len() as u64, done, "a repeated webhook has the same id, after {point}");
        harness.nothing_is_pending().await;
        next.sigterm();
        assert!(next.ended(PATIENCE).await.success(), "an idle service stops in order");
    }
    let _last = harness.spawn(service, &[]);
    harness.finish().await;
}

#[tokio::test]
async fn intake_killed_at_every_point_loses_and_doubles_nothing() {
    recovers_at(Service::Intake, &INTAKE_POINTS).await;
}

#[tokio::test]
async fn validate_killed_at_every_point_loses_and_doubles_nothing() {
    recovers_at(Service::Validate, &AGENT_POINTS).await;
}

#[tokio::test]
async fn migrate_killed_at_every_point_loses_and_doubles_nothing() {
    recovers_at(Service::Migrate, &AGENT_POINTS).await;
}

#[tokio::test]
async fn notify_killed_at_every_point_loses_and_doubles_nothing() {
    recovers_at(Service::Notify, &AGENT_POINTS).await;
}

#[tokio::test]
async fn killed_between_dead_letter_and_record_there_is_one_dead_letter_and_the_run_ends() {
    let harness = Harness::start().await;
    let mut victim = harness.spawn(Service::Validate, &[("HONK_FAIL_POINT", "after-dead-letter")]);
    let _intake = harness.spawn(Service::Intake, &[]);
    let empty = harness.dataset("empty", 0).await;
    let run = harness.migrate(&empty).await;
    assert_eq!(victim.ended(PATIENCE).await.signal(), Some(KILL));
    let _next = harness.spawn(Service::Validate, &[]);
    assert_eq!(harness.finished(&run).await.state, RunState::Failure);
    harness.assert_not_migrated(&empty).await;
    harness.finish_with(&[Reason::SourceEmpty]).await;
}

/// Two copies of every service, one of which is killed every now and then.
struct Fleet<'h> {
    harness: &'h Harness,
    running: Vec<(Service, Process)>,
    kills: usize,
}

impl<'h> Fleet<'h> {
    fn start(harness: &'h Harness) -> Self {
        let copies = Service::ALL.into_iter().flat_map(|service| [service; 2]);
        let running = copies.map(|service| (service, harness.spawn(service, &[]))).collect();
        Self { harness, running, kills: 0 }
    }

    async fn kill_one(&mut self, which: usize) {
        let (service, process) = &mut self.running[which];
        process.kill9().await;
        *process = self.harness.spawn(*service, &[]);
        self.kills += 1;
    }
}

#[tokio::test]
async fn two_hundred_migrations_survive_kills_of_everything_at_random() {
    const MIGRATIONS: usize = 200;
    const KILLS: usize = 56;
    const SEED: u64 = 20_260_101;
    let harness = Harness::start().await;
    let mut datasets = Vec::new();
    for number in 0..MIGRATIONS {
        datasets.push(harness.dataset(&format!("set-{number}"), 5).await);
    }
    let mut random = fastrand::Rng::with_seed(SEED);
    let mut fleet = Fleet::start(&harness);
    let mut runs = Vec::new();
    for (number, dataset) in datasets.iter().enumerate() {
        runs.push(harness.migrate(dataset).await);
        if fleet.kills * MIGRATIONS < number * KILLS {
            // The schedule's own pace: kills come while others work, and new processes have time to take work.
            tokio::time::sleep(Duration::from_millis(random.u64(20..200))).await;
            // Every copy in turn, and in a random order within each turn.
            fleet.kill_one((fleet.kills * 5 + random.usize(0..2)) % 8).await;
        }
    }
    let records = harness.succeed(&runs, 3 * PATIENCE).await;
    for (dataset, run) in datasets.iter().zip(&runs) {
        harness.assert_migrated(dataset, run).await;
    }
    let migrations = u64::try_from(MIGRATIONS).unwrap();
    assert_eq!((harness.cut_overs().await, harness.notices().await), (migrations, migrations));
    assert_eq!(harness.runs().await.len(), MIGRATIONS, "one run an event");

    let jobs = || records.iter().flat_map(|run| &run.jobs);
    let redeliveries: u32 = jobs().map(|job| job.attempt - 1).sum();
    // A second attempt is put on record with the agent that makes it, which is never the one that was killed.
    let takeovers = jobs().filter(|job| job.attempt > 1 && job.agent.is_some()).count();
    println!("seed {SEED}: {} kills, {redeliveries} redeliveries, {takeovers} takeovers", fleet.kills);
    assert!(fleet.kills >= 50 && redeliveries > 0 && takeovers > 0, "the test must meet what it is about");
    drop(records);
    let Fleet { running, .. } = fleet;
    harness.finish().await;
    drop(running);
}

/// A producer as it should be: asks again, with the same event, until it is answered. `api` is the port to ask at; how often there was no
/// answer is added to `unanswered`.
async fn produce(
    client: &reqwest::Client,
    event: &OnboardEvent,
    mut api: watch::Receiver<u16>,
    unanswered: &watch::Sender<usize>,
) -> RunId {
    loop {
        let url = format!("http://127.0.0.1:{}/events", *api.borrow_and_update());
        let answered = async {
            let answer = client.post(url).body(event.to_structured()).send().await?.error_for_status()?;
            answer.json::<Value>().await
        };
        match answered.await {
            Ok(accepted) => return accepted["run"].as_str().unwrap().parse().unwrap(),
            Err(error) if error.is_status() => panic!("refused: {error}"),
            Err(_) => {
                unanswered.send_modify(|count| *count += 1);
                tokio::time::timeout(PATIENCE, api.changed()).await.expect("the API is started again").unwrap();
            }
        }
    }
}

#[tokio::test]
async fn what_a_killed_api_has_accepted_becomes_a_run_and_what_is_asked_again_no_second_one() {
    const EVENTS: usize = 300;
    const PRODUCERS: usize = 8;
    const KILLS: usize = 12;
    /// On its own port alone, of which it then has one.
    const QUIET: [(&str, &str); 2] = [("HONK_API__LISTEN", "127.0.0.1:0"), ("HONK_ADMIN__LISTEN", "")];
    let harness = Harness::start().await;
    harness.register("{name: chain, on: dataset_onboard, jobs: {notify: {steps: [{uses: honk/noop}]}}}").await;
    let mut events = Vec::new();
    for number in 0..EVENTS {
        events.push(harness.event_for("chain", &format!("set-{number}")).await);
    }
    let _services = [harness.spawn(Service::Intake, &[]), harness.spawn(Service::Notify, &[])];
    let mut api = harness.spawn(Service::Api, &QUIET);
    api.ready().await;

    let (port, asked_at) = watch::channel(api.listening_port().unwrap());
    let (accepted, mut seen) = watch::channel(0);
    let (client, unanswered) = (reqwest::Client::new(), watch::Sender::new(0));
    let producing = stream::iter(&events).map(|event| async {
        let run = produce(&client, event, asked_at.clone(), &unanswered).await;
        accepted.send_modify(|count| *count += 1);
        run
    });
    let killing = async {
        for kill in 1..=KILLS {
            seen.wait_for(|count| *count >= kill * EVENTS / (KILLS + 1)).await.unwrap();
            api.kill9().await;
            api = harness.spawn(Service::Api, &QUIET);
            api.ready().await;
            port.send_replace(api.listening_port().unwrap());
        }
    };
    let (runs, ()) = tokio::join!(producing.buffer_unordered(PRODUCERS).collect::<Vec<RunId>>(), killing);
    println!("{KILLS} kills, {} requests without an answer", *unanswered.borrow());
    assert!(*unanswered.borrow() > 0, "the test must meet what it is about");
    harness.succeed(&runs, PATIENCE).await;
    assert_eq!(harness.runs().await.len(), EVENTS, "one run an event, however often it was asked for");
    harness.finish().await;
}
