//! Each service works with its own user of `nats/users.conf`, and with no other's rights.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking, also in its helpers")]

mod permissions {
    pub(crate) mod fleet;
    pub(crate) mod table;
}

use honk_testkit::raw::Raw;
use honk_testkit::users::{self, USERS, password, with_users};
use permissions::fleet::Fleet;
use permissions::table::{PUBLISH, SUBSCRIBE};
use reqwest::Method;
use tempfile::TempDir;

#[tokio::test]
async fn everyone_may_do_their_own_work_and_nobody_anothers() {
    let folder = TempDir::new().unwrap();
    let nats = with_users(folder.path()).await;
    let mut wrong = Vec::new();
    for user in USERS {
        let mut connection = Raw::connect(nats.port(), Some((user, &password(user)))).await;
        for (subject, who) in PUBLISH {
            let refusal = connection.publish(subject).await;
            check(&mut wrong, (user, "publish", subject), who, refusal.as_deref());
        }
        for (subject, who) in SUBSCRIBE {
            let refusal = connection.subscribe(subject).await;
            check(&mut wrong, (user, "subscribe", subject), who, refusal.as_deref());
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn check(wrong: &mut Vec<String>, (user, verb, subject): (&str, &str, &str), who: &[&str], refusal: Option<&str>) {
    match (who.contains(&user), refusal) {
        (true, None) => {}
        (false, Some(said)) if said.to_lowercase().starts_with("permissions violation for") => {}
        (may, said) => wrong.push(format!("{user} may {verb} {subject}: {may}, and the server said {said:?}")),
    }
}

#[tokio::test]
async fn nobody_gets_in_without_a_user_and_its_password() {
    let folder = TempDir::new().unwrap();
    let nats = with_users(folder.path()).await;
    for (user, password) in [(None, None), (Some("migrate"), Some("pw_of_api")), (Some("api"), Some(""))] {
        let options = honk_bus::ConnectOptions {
            url: nats.url(),
            user: user.map(ToOwned::to_owned),
            password: password.map(ToOwned::to_owned),
            name: "test".into(),
            ..honk_bus::ConnectOptions::default()
        };
        let error = honk_bus::Bus::connect(options).await.unwrap_err().to_string();
        assert!(error.contains("authorization violation"), "{error}");
    }
}

/// The server writes every refusal into its log, also those that no client waits for: flow control, heartbeats, consumers that are made
/// anew after the server was away.
#[tokio::test]
async fn every_service_does_its_work_as_its_own_user_and_is_refused_nothing() {
    let mut fleet = Fleet::start().await;
    fleet.register_workflow().await;
    fleet.add_dataset("first").await;
    fleet.locate("first").await;
    fleet.produce("first").await;
    let run = fleet.migrated("first").await;
    let events = fleet.ask(Method::GET, &format!("/api/runs/{run}/watch"), "").await;
    assert!(events.contains("success"), "{events}");
    let lines = fleet.ask(Method::GET, &format!("/api/runs/{run}/logs"), "").await;
    assert!(lines.contains(&run), "{lines}");
    fleet.ask(Method::GET, "/api/workflows/migrate-dataset/history", "").await;

    // Without a location, the second one is dead-lettered; it is replayed when it has one.
    fleet.add_dataset("second").await;
    fleet.produce("second").await;
    let letter = fleet.dead_letter("location-missing").await;
    fleet.locate("second").await;
    fleet.ask(Method::POST, &format!("/api/dead-letters/{letter}/replay"), "").await;
    fleet.migrated("second").await;

    // What comes after a migration: it is asked for by name, its source is listed and given up, another is rolled back.
    fleet.ask(Method::GET, "/api/datasets/first/location?consumer=report", "").await;
    fleet.ask(Method::GET, "/api/datasets/first", "").await;
    let listed = fleet.ask(Method::POST, "/api/datasets/first/retire", r#"{"dry_run":true}"#).await;
    let outputs = fleet.outputs(&listed).await;
    let list = outputs["list"].as_str().unwrap();
    fleet.ask(Method::GET, &format!("/api/lists/{list}"), "").await;
    let removed = fleet.ask(Method::POST, "/api/datasets/first/retire", r#"{"remove":true}"#).await;
    assert_eq!(fleet.outputs(&removed).await["removed_objects"], 1);
    let rolled_back = fleet.ask(Method::POST, "/api/datasets/second/rollback", "").await;
    fleet.outputs(&rolled_back).await;

    fleet.produce("nobody-knows-it").await;
    let letter = fleet.dead_letter("dataset-unknown").await;
    fleet.ask(Method::DELETE, &format!("/api/dead-letters/{letter}"), "").await;

    fleet.nats.restart().await.unwrap();
    fleet.produce("first").await;
    fleet.add_dataset("third").await;
    fleet.locate("third").await;
    fleet.migrate_through_the_api("third").await;

    let log = fleet.stop().await;
    refused_nothing(&log);
}

fn refused_nothing(log: &str) {
    let refused: Vec<&str> = log.lines().filter(|line| line.to_lowercase().contains("violation")).collect();
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}

/// Programs on every pool, with a file, with all that expressions can name, and with a mark in the dataset's metadata.
const PROGRAMS: &str = "
name: programs
on: dataset_onboard
timeout: 1m
jobs:
  check:
    runs-on: validate
    steps:
      - run: [./mark.sh, '{{ dataset.spec.owner }}']
  copy:
    needs: [check]
    runs-on: migrate
    steps:
      - run: [./mark.sh, '{{ location.active }}']
  each:
    needs: [copy]
    strategy:
      matrix: {number: [1, 2, 3]}
    steps:
      - run: [./mark.sh, '{{ matrix.number }}']
  tell:
    needs: [each]
    runs-on: notify
    steps:
      - run: [./mark.sh, '{{ location.source.s3.bucket }}']
";

const MARK: &str = r#"#!/bin/sh
set -e
echo "this is $HONK_JOB: $1"
file="$HONK_DATASET.meta.json"
sed "1s/{/{\"marked-${HONK_JOB%%:*}\": true,/" "$file" > changed
mv changed "$file"
"#;

/// Two of them at once: programs that end when their run is given up, or when its time is up.
const LONG: &str = "
name: long
on: dataset_onboard
timeout: 1h
jobs:
  long:
    runs-on: POOL
    steps:
      - run: [sh, -c, 'echo begun; exec sleep 600']
";

#[tokio::test]
async fn programs_run_on_every_pool_under_its_own_user_and_people_control_them() {
    let fleet = Fleet::start().await;
    fleet.register_with(PROGRAMS, ("mark.sh", MARK)).await;
    fleet.add_dataset("d").await;
    fleet.locate("d").await;
    let run = fleet.begin("d", "programs").await;
    fleet.run_is(&run, "success").await;
    for words in ["check: data-team", "copy: source", "tell: old"] {
        fleet.prints(&run, words).await;
    }
    let metadata = fleet.ask(Method::GET, "/api/datasets/d/metadata", "").await;
    let metadata: serde_json::Value = serde_json::from_str(&metadata).unwrap();
    assert_eq!(metadata.as_object().unwrap().len(), 4, "{metadata}");
    fleet.ask(Method::PATCH, "/api/datasets/d/metadata", r#"{"status":"seen","marked-check":null}"#).await;
    fleet.ask(Method::POST, &format!("/api/runs/{run}/retry"), "").await;
    fleet.run_is(&run, "success").await;

    for pool in ["validate", "migrate", "notify", "default"] {
        fleet
            .ask(Method::POST, "/api/workflows", LONG.replace("POOL", pool).replace("long\n", &format!("{pool}\n")))
            .await;
        let run = fleet.begin("d", pool).await;
        fleet.prints(&run, "begun").await;
        fleet.ask(Method::POST, &format!("/api/runs/{run}/pause"), "").await;
        fleet.ask(Method::POST, &format!("/api/runs/{run}/resume"), "").await;
        fleet.ask(Method::POST, &format!("/api/runs/{run}/cancel"), "").await;
        fleet.run_is(&run, "cancelled").await;
        fleet.prints(&run, "was asked to stop").await;
    }
    let overdue = LONG.replace("POOL", "default").replace("name: long", "name: overdue\ndeadline: 1s");
    fleet.ask(Method::POST, "/api/workflows", overdue).await;
    let run = fleet.begin("d", "overdue").await;
    fleet.run_is(&run, "timeout").await;
    fleet.prints(&run, "was asked to stop").await;
    let log = fleet.stop().await;
    refused_nothing(&log);
}

#[tokio::test]
async fn the_files_of_a_workflow_are_put_by_the_api_and_read_by_agents_alone() {
    let folder = TempDir::new().unwrap();
    let mut nats = with_users(folder.path()).await;
    let topology = honk_protocol::topology::Topology::new(&honk_protocol::topology::Settings::default());
    users::connect(&nats.url(), "deployer").await.provision(&topology).await.unwrap();
    let api = users::connect(&nats.url(), "api").await;
    let files = vec![7; 300_000];
    assert!(api.bundles().put("hash", &files).await.unwrap());
    for agent in ["validate", "migrate", "notify", "runner"] {
        let agent = users::connect(&nats.url(), agent).await;
        assert_eq!(agent.bundles().get("hash").await.unwrap().unwrap(), files);
        let line = honk_bus::Publication::new("honk.log.r0123456789abcdef0123.copy.1.1", "{}");
        agent.publish(line).await.unwrap();
    }
    let start = honk_bus::Start::Sequence(1);
    let lines = api.part("HONK_LOGS", "honk.log.r0123456789abcdef0123.>", start, 10).await.unwrap();
    assert_eq!(lines.messages.len(), 4);
    api.bundles().delete("hash").await.unwrap();
    assert_eq!(api.bundles().get("hash").await.unwrap(), None);
    nats.stop().await.unwrap();
    refused_nothing(&std::fs::read_to_string(nats.log_path()).unwrap());
}

#[tokio::test]
async fn a_user_cannot_settle_anothers_job_or_move_a_location() {
    let folder = TempDir::new().unwrap();
    let nats = with_users(folder.path()).await;
    let topology = honk_protocol::topology::Topology::new(&honk_protocol::topology::Settings::default());
    users::connect(&nats.url(), "deployer").await.provision(&topology).await.unwrap();
    let api = users::connect(&nats.url(), "api").await;
    let stored = api.locations().create("d", "here").await.unwrap();

    // Waiting for an answer that never comes takes its time, so the refused write is sent without waiting for it.
    let mut notify = Raw::connect(nats.port(), Some(("notify", &password("notify")))).await;
    let refusal = notify.publish("$KV.honk_locations.d").await.unwrap();
    assert_eq!(refusal, "Permissions Violation for Publish to \"$KV.honk_locations.d\"");
    let entry = api.locations().get("d").await.unwrap().unwrap();
    assert_eq!((entry.revision, entry.value.as_ref()), (stored, b"here".as_slice()));

    let migrate = users::connect(&nats.url(), "migrate").await;
    migrate.locations().update("d", "there", stored).await.unwrap();
    // It may take the jobs of its own pool, and cannot open another's.
    migrate.pull("HONK_JOBS", "migrate").await.unwrap();
    let mut raw = Raw::connect(nats.port(), Some(("migrate", &password("migrate")))).await;
    assert!(raw.publish("$JS.API.CONSUMER.INFO.HONK_JOBS.validate").await.is_some());
}
