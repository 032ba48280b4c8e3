//! Each service works with its own user of `nats/users.conf`, and with no other's rights.

#![allow(dead_code, clippy::expect_used, reason = "what is shared with `topology.rs` is partly used there alone")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, also in its helpers")]

mod permissions {
    pub(crate) mod fleet;
    pub(crate) mod raw;
    pub(crate) mod server;
    pub(crate) mod table;
}

use permissions::fleet::Fleet;
use permissions::raw::Raw;
use permissions::server::{self, USERS, password, with_users};
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

    // Without a location, the second one is dead-lettered; it is replayed when it has one.
    fleet.add_dataset("second").await;
    fleet.produce("second").await;
    let letter = fleet.dead_letter("location-missing").await;
    fleet.locate("second").await;
    fleet.ask(Method::POST, &format!("/api/dead-letters/{letter}/replay"), "").await;
    fleet.migrated("second").await;

    fleet.produce("nobody-knows-it").await;
    let letter = fleet.dead_letter("dataset-unknown").await;
    fleet.ask(Method::DELETE, &format!("/api/dead-letters/{letter}"), "").await;

    fleet.nats.restart().await.unwrap();
    fleet.produce("first").await;
    fleet.add_dataset("third").await;
    fleet.locate("third").await;
    fleet.migrate_through_the_api("third").await;

    let log = fleet.stop().await;
    let refused: Vec<&str> = log.lines().filter(|line| line.to_lowercase().contains("violation")).collect();
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}

#[tokio::test]
async fn a_user_cannot_settle_anothers_job_or_move_a_location() {
    let folder = TempDir::new().unwrap();
    let nats = with_users(folder.path()).await;
    let topology = honk_protocol::topology::Topology::new(&honk_protocol::topology::Settings::default());
    server::connect(&nats.url(), "deployer").await.provision(&topology).await.unwrap();
    let api = server::connect(&nats.url(), "api").await;
    let stored = api.locations().create("d", "here").await.unwrap();

    // Waiting for an answer that never comes takes its time, so the refused write is sent without waiting for it.
    let mut notify = Raw::connect(nats.port(), Some(("notify", &password("notify")))).await;
    let refusal = notify.publish("$KV.honk_locations.d").await.unwrap();
    assert_eq!(refusal, "Permissions Violation for Publish to \"$KV.honk_locations.d\"");
    let entry = api.locations().get("d").await.unwrap().unwrap();
    assert_eq!((entry.revision, entry.value.as_ref()), (stored, b"here".as_slice()));

    let migrate = server::connect(&nats.url(), "migrate").await;
    migrate.locations().update("d", "there", stored).await.unwrap();
    // It may take the jobs of its own pool, and cannot open another's.
    migrate.pull("HONK_JOBS", "migrate").await.unwrap();
    let mut raw = Raw::connect(nats.port(), Some(("migrate", &password("migrate")))).await;
    assert!(raw.publish("$JS.API.CONSUMER.INFO.HONK_JOBS.validate").await.is_some());
}
