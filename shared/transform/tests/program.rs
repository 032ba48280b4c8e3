//! The program itself, as a person may run it: what it says of a request that it cannot read.
//!
//! Also the reason why `cargo test --workspace` builds the program, and builds it once: `honk_testkit::binaries::transform` names this test.

use std::io::Write as _;
use std::process::{Command, Stdio};

use honk_protocol::reason::Reason;
use honk_protocol::transform::TransformReply;

#[test]
fn a_request_that_cannot_be_read_is_answered_with_its_reason() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_honk-transform"));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"{\"source\": 1}\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8(output.stdout).unwrap();
    match serde_json::from_str(said.lines().last().unwrap()).unwrap() {
        TransformReply::Failure(failure) => {
            assert_eq!((failure.reason, failure.again), (Reason::InputInvalid, false), "{}", failure.message);
        }
        other => panic!("{other:?}"),
    }
}
