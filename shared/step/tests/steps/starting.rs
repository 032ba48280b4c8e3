//! What a program is given, and what is said if it cannot be started.

use honk_protocol::log::LogStream;
use honk_step::{COOKIE, Exit, StartError};

use crate::stage::{Stage, texts};

const PRINT_ARGUMENTS: &str = "import sys, json; print(json.dumps(sys.argv[1:]))";

#[tokio::test]
async fn every_argument_arrives_byte_for_byte() {
    let arguments = [
        "",
        " ",
        "a b",
        "line\nfeed",
        "'",
        "\"",
        "`id`",
        "$(touch canary)",
        "; touch canary",
        "| touch canary",
        "&& touch canary",
        "*",
        "~",
        "$HOME",
        "\\",
        "\\n",
        "{{ input }}",
        "%s",
        "-n",
        "--",
        "häß🪿",
        "\u{7f}\u{1b}[31m",
        "\t\r",
    ];
    let stage = Stage::new();
    let argv: Vec<&str> = ["python3", "-c", PRINT_ARGUMENTS].into_iter().chain(arguments).collect();
    let (ended, lines) = stage.run(&argv).await.expect("starts");
    assert_eq!(ended.exit, Exit::Code(0));
    let arrived: Vec<String> = serde_json::from_str(&lines[0].text).expect("JSON");
    assert_eq!(arrived, arguments);
    assert!(!stage.path().join("canary").exists());
}

#[tokio::test]
async fn the_environment_is_what_was_given_and_the_cookie() {
    let mut stage = Stage::new();
    stage.env.insert("HONK_RUN".to_owned(), "a=b\nc".to_owned());
    let (_, lines) = stage.run(&["env", "-0"]).await.expect("starts");
    // NUL comes as U+FFFD, and the line feed in the value is one.
    let text = lines.iter().map(|line| line.text.as_str()).collect::<Vec<_>>().join("\n");
    let mut names: Vec<&str> = text.split('\u{fffd}').filter_map(|entry| Some(entry.split_once('=')?.0)).collect();
    names.sort_unstable();
    assert_eq!(names, ["HONK_RUN", COOKIE, "PATH"]);
    assert!(text.contains("HONK_RUN=a=b\nc\u{fffd}"), "{text:?}");
}

#[tokio::test]
async fn it_runs_in_its_folder_in_its_own_group_with_nothing_to_read() {
    let stage = Stage::new();
    let script =
        "import os, sys; print(os.getcwd()); print(os.getpid() == os.getpgrp()); print(repr(sys.stdin.read()))";
    let (_, lines) = stage.python(script).await;
    let folder = stage.path().canonicalize().expect("folder");
    assert_eq!(texts(&lines, LogStream::Stdout), [folder.to_str().expect("text"), "True", "''"]);
}

#[tokio::test]
async fn a_program_is_found_in_the_given_path_or_relative_to_the_folder() {
    let mut stage = Stage::new();
    stage.write("tool", "#!/bin/sh\necho \"$0\"\n", 0o755);
    let (_, lines) = stage.run(&["./tool"]).await.expect("starts");
    assert!(lines[0].text.ends_with("tool"));

    let path = format!("/nowhere:{}", stage.path().display());
    stage.env.insert("PATH".to_owned(), path);
    let (ended, _) = stage.run(&["tool"]).await.expect("starts");
    assert_eq!(ended.exit, Exit::Code(0));
    assert!(matches!(stage.run(&["sh", "-c", ":"]).await, Err(StartError::Missing { .. })));

    stage.env.remove("PATH");
    assert!(stage.run(&["sh", "-c", ":"]).await.is_ok(), "the system's own path");
}

#[tokio::test]
async fn what_cannot_be_started_says_why_and_whose_fault_it_is() {
    let stage = Stage::new();
    stage.write("plain.py", "print(1)\n", 0o644);
    stage.write("headless", "echo 1\n", 0o755);
    stage.write("lost", "#!/opt/python9 -u\n", 0o755);
    stage.write("windows", "#!/bin/sh\r\necho\r\n", 0o755);
    let cases: [(&[&str], &str); 10] = [
        (&[], "the command is empty"),
        (&[""], "the command is empty"),
        (&["honk-no-such-program"], "there is no program `honk-no-such-program` on the agent's PATH"),
        (&["plain.py"], "`./plain.py` names"),
        (&["./none.py"], "there is no program `./none.py` in the work directory"),
        (&["./plain.py"], "`./plain.py` may not be executed: make it executable (`chmod +x`)"),
        (&["/usr"], "`/usr` may not be executed: it is a directory"),
        (&["./headless"], "`./headless` is no program of this machine: begin a script with a line such as `#!/bin/sh`"),
        (&["./lost"], "`./lost` names the interpreter `/opt/python9`, which is not there"),
        (&["./windows"], "names the interpreter `/bin/sh\\r`"),
    ];
    for (argv, expected) in cases {
        let error = stage.run(argv).await.expect_err("cannot start");
        assert!(error.to_string().contains(expected), "{argv:?}: {error}");
        assert!(error.is_the_jobs(), "{argv:?}");
    }
    let error = stage.run(&["sh", "-c", "a\0b"]).await.expect_err("NUL");
    assert!(error.to_string().starts_with("argument 2 has a NUL byte"), "{error}");
}

#[tokio::test]
async fn more_than_the_system_hands_over_is_the_jobs_fault_and_a_lost_folder_the_machines() {
    let stage = Stage::new();
    let large = "x".repeat(256 * 1024);
    let error = stage.run(&["sh", "-c", ":", &large]).await.expect_err("too large");
    assert!(error.is_the_jobs() && error.to_string().contains("hand large values over in a file"), "{error}");

    std::fs::remove_dir(stage.path()).expect("removed");
    let error = stage.run(&["sh", "-c", ":"]).await.expect_err("no folder");
    assert!(!error.is_the_jobs() && error.to_string().starts_with("cannot use the work directory"), "{error}");
}

#[tokio::test]
async fn a_script_that_was_written_a_moment_ago_starts_while_others_start_too() {
    let stage = Stage::new();
    for round in 0..20 {
        let others: Vec<_> = (0..4).map(|_| stage.start(&["true"])).collect();
        let name = format!("script{round}");
        stage.write(&name, "#!/bin/sh\nexit 7\n", 0o755);
        let (ended, _) = stage.run(&[&format!("./{name}")]).await.expect("starts");
        assert_eq!(ended.exit, Exit::Code(7));
        for other in others {
            other.finish().await.expect("starts");
        }
    }
}
