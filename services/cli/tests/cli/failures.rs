//! What a person is told when the API cannot be reached, says no, or is something else.

use std::net::SocketAddr;

use insta::assert_snapshot;
use serde_json::json;
use tokio::net::TcpSocket;

use super::stub::{Stub, command, run, show};

/// An address that nobody listens on, and that nobody else can take while the socket lives.
fn deaf() -> (TcpSocket, SocketAddr) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _guard = runtime.enter();
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

#[test]
fn an_api_that_does_not_answer_is_told_with_what_to_do() {
    let (_socket, address) = deaf();
    let output = run(&mut command(&format!("run list --api-url http://{address}")), "");
    assert_snapshot!(show(&output).replace(&address.to_string(), "[api]"), @r#"
    exit 3
    --- stdout
    --- stderr
    error: cannot list the runs
      caused by: http://[api] does not answer: Connection refused (os error 111)
    hint: start Honk with `honk dev`, or say where it is with --api-url or HONK_API_URL
    "#);
}

#[test]
fn every_command_that_needs_the_api_leaves_with_3_without_it() {
    let (_socket, address) = deaf();
    let workflow = concat!(env!("CARGO_MANIFEST_DIR"), "/../../workflows/migrate-dataset.yml");
    let register = format!("register {workflow}");
    for arguments in [
        register.as_str(),
        "catalog import -",
        "dataset list",
        "dataset show d",
        "dataset location d",
        "dataset location d --source s3://old/d --target s3://new/d",
        "migrate a b",
        "migrate a b --wait",
        "run list",
        "run show r0123456789abcdef0123",
        "run watch r0123456789abcdef0123",
        "run logs r0123456789abcdef0123",
        "run logs r0123456789abcdef0123 --follow",
        "workflow list",
        "workflow show w",
        "workflow history w",
        "workflow diff w",
        "workflow rollback w",
        "workflow delete w x",
        "workflow logs d",
        "dlq list",
        "dlq show x",
        "dlq replay x y",
        "dlq replay --all --yes",
        "dlq discard x",
        "doctor",
    ] {
        let output = run(command(arguments).env("HONK_API_URL", format!("http://{address}")), "");
        assert_eq!(output.status.code(), Some(3), "{arguments}: {}", show(&output));
    }
}

#[test]
fn what_the_api_says_is_wrong_is_told_with_all_its_faults_and_help() {
    let problem = json!({"type": "urn:honk:problem:location-invalid", "title": "Invalid", "status": 422, "code": "location-invalid",
        "detail": "the location is not valid", "help": "name another\u{1b}[2J bucket",
        "errors": [{"message": "is the source", "path": "target.s3.bucket", "help": "choose another"}]});
    let api = Stub::new().on("PUT /api/datasets/d/location", 422, &problem);
    assert_snapshot!(api.honk("dataset location d --source s3://same/d --target s3://same/d"), @r#"
    exit 1
    --- stdout
    --- stderr
    error: cannot set the location of d
      caused by: the location is not valid [location-invalid]
      caused by: target.s3.bucket: is the source (choose another)
    hint: name another\u{1b}[2J bucket
    "#);
}

#[test]
fn something_that_is_not_honks_api_is_recognised() {
    let api = Stub::new().on_text("GET /api/runs?limit=50", "text/html", "<html>It works!</html>");
    assert_snapshot!(api.honk("run list"), @r#"
    exit 1
    --- stdout
    --- stderr
    error: cannot list the runs
      caused by: http://[api] answered 200, but not as Honk's API does: expected value at line 1 column 1
    hint: look at --api-url or HONK_API_URL, and whether API and `honk` are of one version
    "#);
}

#[test]
fn a_file_that_is_not_there_is_told_before_anything_is_sent() {
    let api = Stub::new();
    assert_snapshot!(api.honk("catalog import - no-such-file.yaml"), @r#"
    exit 1
    --- stdout
    --- stderr
    error: cannot read no-such-file.yaml
      caused by: No such file or directory (os error 2)
    "#);
    assert_snapshot!(api.honk("catalog import - -"), @r#"
    exit 2
    --- stdout
    --- stderr
    error: standard input (`-`) can be read only once
    "#);
    assert!(api.requests().is_empty());
}
