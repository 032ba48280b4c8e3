//! Every measurement of `honk bench`, so small that its figures say nothing: it comes to its end, and has measured what it was asked for.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, also in its helpers")]

use std::process::Command;

use honk_testkit::users::nats_server;
use serde_json::Value;

/// What the command prints.
async fn bench(arguments: &[&str]) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_honk"));
    command.args(["-o", "json", "bench"]).args(arguments).env("NATS_SERVER", nats_server().await);
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn assert_positive(figure: &Value) {
    assert!(figure.as_f64().is_some_and(|number| number > 0.0), "{figure}");
}

#[tokio::test]
async fn chains_are_measured_beside_their_bare_messages() {
    let report = bench(&["chains", "--runs", "20", "--agents", "2"]).await;
    for figures in [&report, &report["bare"]] {
        assert_eq!(figures["runs"], 20, "{report}");
        for figure in ["chains_per_s", "p50_ms", "p99_ms", "cpu_us_per_chain", "honk_cpu_us_per_chain"] {
            assert_positive(&figures[figure]);
        }
    }
}

#[tokio::test]
async fn steps_are_measured_beside_bare_starts_of_their_program() {
    let report = bench(&["steps", "--steps", "50"]).await;
    assert_eq!(report["steps"], 50, "{report}");
    for figure in ["step_us", "step_program_us", "bare_us", "bare_program_us", "step_ms", "bare_ms"] {
        assert_positive(&report[figure]);
    }
}

#[tokio::test]
async fn copies_are_measured_inside_one_endpoint_and_between_two() {
    let sizes = ["--objects", "20", "--object-size", "100", "--large", "1", "--large-mib", "1", "--rounds", "1"];
    let report = bench(&[&["copy"], sizes.as_slice()].concat()).await;
    let cases = report["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 4, "{report}");
    for case in cases {
        assert_positive(&case["objects_per_s"]);
    }
}

#[tokio::test]
async fn a_fleet_is_measured_with_every_number_of_agents() {
    let arguments = ["fleet", "--objects", "40", "--agents", "1,2", "--latency-ms", "1"];
    let report = bench(&arguments).await;
    let sizes = report["sizes"].as_array().unwrap();
    assert_eq!(sizes.iter().map(|size| &size["agents"]).collect::<Vec<_>>(), [1, 2], "{report}");
}
