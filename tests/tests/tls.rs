//! Inside of a company nothing goes over the network unencrypted, and its own authority signs what encrypts it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, also in its helpers")]

use std::path::Path;

use honk_storage::Attributes;
use honk_testkit::harness::{SMALL_PARTS, SOURCE_BUCKET, TARGET_BUCKET};
use honk_testkit::tls::{Authority, Identity};
use honk_testkit::{Harness, Options, PATIENCE, Receiver, Service};
use serde_json::json;

/// A server that asks everybody who speaks TLS for a certificate. The test itself does not speak it.
async fn harness(authority: &Authority) -> Harness {
    let Identity { certificate, key } = authority.issue("localhost");
    let (certificate, key, ca) = (text(&certificate), text(&key), authority.ca());
    let nats_config = format!(
        "allow_non_tls: true\ntls {{ cert_file: \"{certificate}\", key_file: \"{key}\", ca_file: \"{}\", verify: true }}\n",
        text(&ca)
    );
    Harness::with(Options { nats_config: Some(nats_config), ..Options::default() }).await
}

fn encrypted(harness: &Harness) -> String {
    harness.nats_url().replace("nats://127.0.0.1", "tls://localhost")
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test]
async fn a_migration_goes_over_tls_to_nats_to_the_stores_and_to_the_receiver() {
    let authority = Authority::new();
    let harness = harness(&authority).await;
    let (ca, own, url) = (authority.ca(), authority.issue("honk"), encrypted(&harness));
    let variables = [
        ("HONK_NATS__URL", url.as_str()),
        ("HONK_NATS__CA", text(&ca)),
        ("HONK_NATS__CERTIFICATE", text(&own.certificate)),
        ("HONK_NATS__KEY", text(&own.key)),
        ("SSL_CERT_FILE", text(&ca)),
    ];
    let receiver = Receiver::start().await;
    let webhooks = authority.before(receiver.url()).await;
    harness.import("team", "Group", &json!({ "honk/notify-url": webhooks.url() }), &json!({})).await;
    let (near, far) = (authority.before(&harness.s3.url()).await, authority.before(&harness.s3.url()).await);
    let inside = harness.dataset_between("inside", 5, (near.url(), near.url())).await;
    let between = harness.dataset_between("between", 5, (near.url(), far.url())).await;
    let large = bytes::Bytes::from(vec![7; 20 << 20]);
    harness.store(SOURCE_BUCKET).await.put_small("between/large", large, &Attributes::default()).await.unwrap();

    let _others =
        [Service::Intake, Service::Validate, Service::Notify].map(|service| harness.spawn(service, &variables));
    let _migrate = harness.spawn(Service::Migrate, &[&variables[..], &SMALL_PARTS].concat());
    let runs = [harness.migrate(&inside).await, harness.migrate(&between).await];
    harness.succeed(&runs, PATIENCE).await;
    harness.assert_migrated(&inside, &runs[0]).await;
    harness.assert_migrated(&between, &runs[1]).await;
    let large = harness.store(TARGET_BUCKET).await.head("between/large").await.unwrap();
    assert_eq!(large.etag.parts(), Some(4), "it was sent in parts");
    assert_eq!(receiver.received().len(), 2, "one webhook for each");
    harness.finish().await;
}

#[tokio::test]
async fn whoever_does_not_know_the_authority_or_is_not_known_is_told_what_to_set() {
    let authority = Authority::new();
    let harness = harness(&authority).await;
    let (ca, own, url) = (authority.ca(), authority.issue("honk"), encrypted(&harness));
    let [url, ca, certificate] = [
        ("HONK_NATS__URL", url.as_str()),
        ("HONK_NATS__CA", text(&ca)),
        ("HONK_NATS__CERTIFICATE", text(&own.certificate)),
    ];
    let cases: [(&[(&str, &str)], &str); 4] = [
        (&[url], "`ca` names the file of the authority"),
        (&[url, ca], "`certificate` and `key` name its files"),
        (&[url, ca, certificate], "`certificate` and `key` belong together"),
        (&[url, ("HONK_NATS__CA", "/nowhere/ca.pem")], "/nowhere/ca.pem: No such file"),
    ];
    for (variables, told) in cases {
        let mut intake = harness.spawn(Service::Intake, variables);
        let ended = intake.ended(PATIENCE).await;
        assert!(!ended.success() && intake.log().contains(told), "{variables:?}: {ended}: {}", intake.log());
    }
    harness.finish().await;
}
