//! The same command on a terminal: a bar that moves and leaves nothing behind, and nothing from the server that could steer it.

use std::fs::File;
use std::io::Read as _;
use std::process::Command;

use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use serde_json::json;

use super::fixtures::{RUN, accepted, end, failed, run as record, succeeded};
use super::stub::Stub;

/// Wide enough for a bar beside its text.
const SIZE: Winsize = Winsize { ws_row: 40, ws_col: 140, ws_xpixel: 0, ws_ypixel: 0 };

/// Runs a program on a new terminal, to its end; everything that it wrote there, movements of the cursor and all.
pub(crate) fn run(mut program: Command) -> String {
    let screen = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&screen).unwrap();
    unlockpt(&screen).unwrap();
    tcsetwinsize(&screen, SIZE).unwrap();
    let name = ptsname(&screen, Vec::new()).unwrap();
    let line = open(name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty()).unwrap();
    program.env("TERM", "xterm-256color").stdin(line.try_clone().unwrap());
    let mut child = program.stdout(line.try_clone().unwrap()).stderr(line).spawn().unwrap();
    // It has the line open too, which would then never be closed.
    drop(program);
    let mut written = Vec::new();
    // Linux answers with EIO once nobody has the line open any more.
    File::from(screen).read_to_end(&mut written).ok();
    child.wait().unwrap();
    String::from_utf8(written).unwrap()
}

#[test]
fn a_bar_says_how_far_a_migration_is_and_gives_way_to_its_outcome() {
    let progress = json!({"run": RUN, "job": "migrate", "attempt": 1, "agent": "migrate-1",
        "objects": 50, "objects_total": 100, "bytes": 512, "bytes_total": 1_024});
    let api = Stub::new()
        .on("POST /events", 202, &accepted())
        .on_watch(
            RUN,
            &[
                ("run", &record("running", 1, Some("running"))),
                ("progress", &progress),
                ("run", &succeeded()),
                ("end", &end("success")),
            ],
        )
        .on(&format!("GET /api/runs/{RUN}"), 200, &succeeded());
    let shown = api.honk_on_terminal("migrate my-dataset --wait");
    let bar = shown.lines().find(|line| line.contains("50 of 100 objects") && line.contains('━'));
    assert!(bar.is_some_and(|bar| bar.contains("my-dataset") && bar.contains(" 50%")), "{shown}");
    let after_the_bar = shown.rsplit('━').next().unwrap();
    assert!(after_the_bar.contains("OBJECTS") && after_the_bar.contains("40.0 KiB"), "{shown}");
    assert!(!api.honk("migrate my-dataset --wait").contains('━'), "a log has no bars");
}

#[test]
fn what_the_server_says_cannot_steer_the_terminal() {
    let api = Stub::new()
        .on("POST /events", 202, &accepted())
        .on_watch(RUN, &[("run", &failed()), ("end", &end("failure"))])
        .on(&format!("GET /api/runs/{RUN}"), 200, &failed());
    let shown = api.honk_on_terminal("migrate my-dataset --wait");
    assert!(shown.contains("is not there"), "{shown}");
    assert!(!shown.contains("\u{1b}[31mis not there"), "{shown:?}");
}
