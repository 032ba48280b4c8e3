//! `honk doctor`.

use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::thread::JoinHandle;

use honk_testkit::harness::s3;
use insta::assert_snapshot;
use serde_json::{Value, json};

use super::fixtures::{dataset, dead_letter};
use super::stub::{Stub, command, run, show};

fn healthy() -> Stub {
    let workflow = json!({"name": "w", "hash": "ab".repeat(32), "registered_at": "2026-01-02T03:04:05Z"});
    Stub::new()
        .on("GET /healthz", 200, &json!({"ok": true, "checks": []}))
        .on("GET /readyz", 200, &json!({"ok": true, "checks": [{"name": "nats", "ok": true, "detail": ""}]}))
        .on("GET /api/workflows", 200, &json!({"workflows": [workflow]}))
        .on("GET /api/datasets?limit=1", 200, &json!({"datasets": [dataset()]}))
        .on("GET /api/dead-letters?limit=100", 200, &json!({"dead_letters": []}))
}

/// A server that introduces itself to one client.
fn server(introduction: &'static str) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (address, std::thread::spawn(move || listener.accept().unwrap().0.write_all(introduction.as_bytes()).unwrap()))
}

#[test]
fn a_healthy_system_passes() {
    let info = "INFO {\"version\":\"2.15.1\",\"jetstream\":true,\"max_payload\":1048576} \r\n";
    let (nats, server) = server(info);
    let shown = healthy().honk(&format!("doctor --nats {nats}"));
    server.join().unwrap();
    assert_snapshot!(shown.replace(&nats.to_string(), "[nats]"), @r#"
    exit 0
    --- stdout
    ok    api           http://[api] answers
    ok    clock         this machine's and the API's clock agree
    ok    ready         the API can do its work
    ok    workflows     1
    ok    datasets      the catalog has some
    ok    dead letters  none
    ok    nats          [nats] runs version 2.15.1
    ok    jetstream     it is on
    --- stderr
    "#);
}

#[test]
fn what_is_wrong_is_told_with_what_to_do() {
    let not_ready = json!({"ok": false, "checks": [{"name": "nats", "ok": false, "detail": "reconnecting"}]});
    let (nats, server) = server("INFO {\"version\":\"2.9.0\",\"max_payload\":65536} \r\n");
    let api = Stub::new()
        .on("GET /healthz", 200, &json!({"ok": true}))
        .on("GET /readyz", 503, &not_ready)
        .on("GET /api/workflows", 200, &json!({"workflows": []}))
        .on("GET /api/datasets?limit=1", 200, &json!({"datasets": []}))
        .on("GET /api/dead-letters?limit=100", 200, &json!({"dead_letters": [dead_letter()]}));
    let shown = api.honk(&format!("doctor --nats nats://ann:secret@{nats}"));
    server.join().unwrap();
    assert_snapshot!(shown.replace(&nats.to_string(), "[nats]"), @r#"
    exit 1
    --- stdout
    ok    api           http://[api] answers
    ok    clock         this machine's and the API's clock agree
    FAIL  ready         the API cannot do its work now (nats: reconnecting)
                        hint: look at what it names; the API gets ready by itself once that is there
    warn  workflows     none is registered
                        hint: register one with `honk register FILE`
    warn  datasets      the catalog is empty
                        hint: import some with `honk catalog import FILE`
    warn  dead letters  1, waiting for a decision
                        hint: look at them with `honk dlq list`, then replay or discard them
    FAIL  nats          [nats] runs version 2.9.0, and Honk needs 2.12 or later
                        hint: upgrade nats-server
    FAIL  jetstream     it is off
                        hint: start nats-server with `-js`, or with `jetstream {}` in its configuration
    warn  payload       messages may have 65536 bytes, and a run record up to 1 MiB
                        hint: set `max_payload: 1MB` or more in its configuration
    --- stderr
    "#);
}

#[test]
fn another_server_in_the_place_of_nats_is_recognised() {
    let (nats, server) = server("SSH-2.0-OpenSSH_9.6\r\n");
    let checks = healthy().json(&format!("doctor --nats {nats} -o json"));
    server.join().unwrap();
    let last = checks.as_array().and_then(|checks| checks.last()).unwrap();
    assert_eq!((&last["name"], &last["verdict"]), (&json!("nats"), &json!("fail")));
    assert!(last["message"].as_str().unwrap().ends_with("what answers there is not NATS"), "{last}");
}

#[test]
fn another_server_in_the_place_of_the_api_is_recognised() {
    let api = Stub::new().on("GET /healthz", 401, &Value::Null);
    assert_snapshot!(api.honk("doctor"), @r#"
    exit 1
    --- stdout
    FAIL  api           http://[api] answered 401, but not as Honk's API does
                        hint: look at --api-url or HONK_API_URL
    ok    clock         this machine's and the API's clock agree
    FAIL  ready         the answer is not one of Honk's API
                        hint: look at --api-url or HONK_API_URL
    --- stderr
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_is_looked_at_without_any_api_and_left_as_it_was() {
    let s3 = s3().await;
    let probed = |bucket: &str| {
        let arguments = format!("doctor --store s3://{bucket}/folder --endpoint {} -o json", s3.url());
        let mut command = command(&arguments);
        command.env("HONK_STORAGE__ACCESS_KEY", s3.access_key()).env("HONK_STORAGE__SECRET_KEY", s3.secret_key());
        run(&mut command, "")
    };
    let place = honk_storage::Place::new("bucket", "folder").at(s3.url());
    let credentials = honk_storage::Credentials {
        access_key: s3.access_key().into(),
        secret_key: s3.secret_key().into(),
        session_token: None,
    };
    let config = honk_storage::StorageConfig { credentials: Some(credentials), ..Default::default() };
    let store = honk_storage::Stores::new(config).open(&place).await.unwrap();
    store.create_bucket().await.unwrap();
    let output = probed("bucket");
    let checks: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", show(&output)));
    let verdicts: Vec<_> = checks.as_array().unwrap().iter().map(|check| &check["verdict"]).collect();
    assert!(verdicts.len() > 20 && verdicts.iter().all(|verdict| **verdict == "ok"), "{checks:#}");
    let left = store.list_page("folder/.honk-probe/", 10, &honk_storage::PageCursor::Start).await.unwrap().0;
    assert_eq!((output.status.code(), left), (Some(0), Vec::new()));

    let output = probed("absent");
    let checks: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &checks[0]["verdict"]), (Some(1), &json!("fail")));
    assert!(checks[0]["message"].as_str().unwrap().contains("create the bucket"), "{checks}");
}
