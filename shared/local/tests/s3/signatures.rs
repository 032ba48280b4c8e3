//! Who may ask.

use std::time::Duration;

use aws_sdk_s3::presigning::PresigningConfig;

use crate::fixture::{BUCKET, Fixture, client, code, on_both_storages, raw};

on_both_storages!(
    a_wrong_secret_and_an_unknown_key_are_refused,
    an_unsigned_request_is_refused,
    a_presigned_url_works_until_it_is_changed,
);

async fn a_wrong_secret_and_an_unknown_key_are_refused(s3: &Fixture) {
    s3.put("k", "x").await;
    let wrong = client(&s3.server.url(), "honk", "another secret");
    assert_eq!(code(wrong.get_object().bucket(BUCKET).key("k").send().await), "SignatureDoesNotMatch");
    let put = wrong.put_object().bucket(BUCKET).key("new").body(b"x".to_vec().into()).send().await;
    assert_eq!(code(put), "SignatureDoesNotMatch");
    let unknown = client(&s3.server.url(), "goose", "a secret");
    assert_eq!(code(unknown.list_buckets().send().await), "InvalidAccessKeyId");
    assert_eq!(s3.keys().await, ["k"]);
}

async fn an_unsigned_request_is_refused(s3: &Fixture) {
    s3.put("k", "x").await;
    let answer = raw(&s3.server, "GET /data/k HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    assert!(answer.contains("<Code>AccessDenied</Code>"), "{answer}");
}

async fn a_presigned_url_works_until_it_is_changed(s3: &Fixture) {
    s3.put("k", "presigned body").await;
    let config = PresigningConfig::expires_in(Duration::from_mins(1)).unwrap();
    let signed = s3.client.get_object().bucket(BUCKET).key("k").presigned(config).await.unwrap();
    let target = signed.uri().strip_prefix(&s3.server.url()).unwrap().to_owned();
    let host = s3.server.address();
    let ask = |target: String| format!("GET {target} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    let answer = raw(&s3.server, &ask(target.clone())).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("presigned body"), "{answer}");
    let answer = raw(&s3.server, &ask(target.replace("/k?", "/other?"))).await;
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
}
