//! In a container, the leader of the session often is outside of it: its number is 0 inside, and belongs to no process.

use std::process::Command;

/// Runs tests of this program once more, as the first process of a namespace of its own.
#[test]
fn steps_end_the_same_where_the_session_began_outside() {
    let unshare = ["--user", "--map-root-user", "--pid", "--fork", "--mount-proc", "--kill-child"];
    let allowed = Command::new("unshare").args(unshare).arg("true").output();
    if !allowed.is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: this machine lets nobody make a namespace of processes (`unshare` of util-linux)");
        return;
    }
    let tests =
        ["a_daemon_is_gone_when_the_program_has_ended", "what_a_program_leaves_running_is_gone_when_it_has_ended"];
    let output = Command::new("unshare")
        .args(unshare)
        .arg(std::env::current_exe().expect("this program"))
        .arg("--exact")
        .args(tests.map(|test| format!("endings::{test}")))
        .output()
        .expect("unshare starts");
    let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && text.contains("2 passed"), "{text}{errors}");
}
