//! A whole process from start to exit code. The test binary runs itself again as the service, so that signals, stderr
//! and the exit code are those of a real process.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStderr, Command, ExitCode, Stdio};

use honk_service::config::NoSettings;
use honk_service::{Context, Failure};
use rustix::process::{Pid, Signal, kill_process};

/// What the child prints on stderr once its signals are caught and its work has begun.
const WORKING: &str = "working";

#[test]
#[ignore = "the service that the other tests run as a process of its own"]
#[expect(clippy::exit, reason = "the exit code of the process is what is tested")]
fn service() {
    let code = honk_service::main("honk-sample", serve);
    std::process::exit(i32::from(code != ExitCode::SUCCESS));
}

async fn serve(context: Context<NoSettings>) -> Result<(), Failure> {
    let mode = context.environment.get("SAMPLE_MODE").unwrap_or_default().to_owned();
    if mode == "refuse" {
        return Err(Failure::new("the moon is not full").with_hint("wait a while"));
    }
    context.health.set_ready("sample", true, "");
    tracing::info_span!("process", run = "r1", trace_id = "t1").in_scope(|| tracing::info!(objects = 3, "{WORKING}"));
    context.lifecycle.soft_stop().cancelled().await;
    tracing::info!("draining now");
    match mode.as_str() {
        "stuck" => std::future::pending().await,
        "slow" => context.lifecycle.hard_stop().cancelled().await,
        _ => {}
    }
    Ok(())
}

struct Process {
    child: Child,
    stderr: BufReader<ChildStderr>,
}

impl Process {
    fn start(variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "service", "--ignored", "--nocapture"]);
        command.envs(variables.iter().copied()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        Self { child, stderr }
    }

    /// Reads stderr up to a line with that text.
    fn wait_for(&mut self, text: &str) -> String {
        let mut line = String::new();
        while !line.contains(text) {
            line.clear();
            assert!(self.stderr.read_line(&mut line).unwrap() > 0, "ended before it said `{text}`");
        }
        line
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// The exit code and the rest of stderr.
    fn end(mut self) -> (i32, String) {
        let mut rest = String::new();
        self.stderr.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap().code().unwrap(), rest)
    }
}

#[test]
fn sigterm_drains_and_exits_0() {
    let mut process = Process::start(&[]);
    process.wait_for(WORKING);
    process.signal(Signal::TERM);
    let (code, rest) = process.end();
    assert_eq!(code, 0, "{rest}");
    assert!(rest.contains("draining now"), "{rest}");
}

#[test]
fn a_second_signal_ends_a_slow_drain_at_once() {
    let mut process = Process::start(&[("SAMPLE_MODE", "slow")]);
    process.wait_for(WORKING);
    process.signal(Signal::TERM);
    process.wait_for("draining now");
    process.signal(Signal::INT);
    let (code, rest) = process.end();
    assert_eq!(code, 0, "{rest}");
    assert!(rest.contains("second request to stop"), "{rest}");
}

#[test]
fn work_that_ignores_both_stops_is_dropped_and_exits_1() {
    let mut process = Process::start(&[("SAMPLE_MODE", "stuck"), ("HONK_DRAIN__SECONDS", "1")]);
    process.wait_for(WORKING);
    process.signal(Signal::TERM);
    let (code, rest) = process.end();
    assert_eq!(code, 1, "{rest}");
    assert!(rest.ends_with("honk-sample: stopped: the drain had not finished\n"), "{rest}");
}

#[test]
fn a_service_that_cannot_start_says_why_once_and_what_to_do() {
    let (code, rest) = Process::start(&[("SAMPLE_MODE", "refuse")]).end();
    assert_eq!((code, rest.as_str()), (1, "honk-sample: cannot start: the moon is not full\nhint: wait a while\n"));
}

#[test]
fn all_faults_of_the_configuration_stop_the_start() {
    let (code, rest) = Process::start(&[("HONK_DRAIN__SECONDS", "x"), ("HONK_NATS__URI", "nats://x")]).end();
    assert_eq!(code, 1);
    assert!(rest.starts_with("honk-sample: cannot start: 2 faults in the configuration\n  HONK_DRAIN__SECONDS: "));
    assert!(rest.contains("\n  HONK_NATS__URI: unknown setting; did you mean HONK_NATS__URL?\nhint: "), "{rest}");
}

#[test]
fn a_taken_admin_port_stops_the_start() {
    let taken = std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, rest) = Process::start(&[("HONK_ADMIN__LISTEN", &address)]).end();
    assert_eq!(code, 1);
    assert!(rest.contains(&format!("hint: admin.listen is {address}")), "{rest}");
}

#[test]
fn json_logs_carry_the_fields_of_the_event_and_of_the_spans_around_it_on_one_level() {
    let mut process = Process::start(&[("HONK_TELEMETRY__LOG_FORMAT", "json")]);
    let line = process.wait_for(WORKING);
    let json: serde_json::Value = serde_json::from_str(&line).unwrap();
    let fields = ["message", "run", "trace_id", "span", "level"].map(|key| json[key].as_str().unwrap_or_default());
    assert_eq!(fields, [WORKING, "r1", "t1", "process", "INFO"]);
    assert_eq!(json["objects"], 3);
    process.signal(Signal::TERM);
    assert_eq!(process.end().0, 0);
}
