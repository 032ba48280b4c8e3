//! What a step costs over a bare start of the same program: `cargo run --release -p honk-step --example step_bench [-- STEPS]`.
//!
//! Processor time of this process and of the programs, as the system counts it in clock ticks; take a thousand steps or more. Both
//! ways start `sh -c 'echo one; echo two'` one after the other and read what it prints.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::process::Stdio;
use std::time::Instant;

use honk_step::{Command, Limits, Listener, Masks, run};
use rustix::param::clock_ticks_per_second;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

const SCRIPT: &str = "echo one; echo two";

#[tokio::main]
async fn main() {
    let steps: u32 = std::env::args().nth(1).map_or(1000, |steps| steps.parse().unwrap());
    let path = "/usr/bin:/bin";
    let masks = Masks::new((0..10).map(|n| format!("a secret with the number {n}")));
    let text = "2026-01-02T03:04:05Z INFO copied s3://source/data/part-00042.parquet in 12.5 ms\n".repeat(100_000);
    let begun = Instant::now();
    assert_eq!(masks.apply(&text).len(), text.len());
    let mebibytes = f64::from(u32::try_from(text.len() >> 20).unwrap());
    println!("masks: {:.0} MiB/s of ordinary lines", mebibytes / begun.elapsed().as_secs_f64());
    for round in 0..2 {
        let bare = measure(steps, async || {
            let output = std::process::Command::new("/bin/sh")
                .args(["-c", SCRIPT])
                .env_clear()
                .env("PATH", path)
                .stdin(Stdio::null())
                .output()
                .unwrap();
            assert_eq!(output.stdout.len(), 8);
        })
        .await;
        let step = measure(steps, async || {
            let command = Command {
                argv: ["sh", "-c", SCRIPT].map(str::to_owned).to_vec(),
                env: [("PATH".to_owned(), path.to_owned())].into(),
                folder: "/".into(),
            };
            let (sender, mut lines) = mpsc::channel(64);
            let listener = Listener { lines: sender, now: || jiff::Timestamp::UNIX_EPOCH };
            run(&command, &Limits::default(), &masks, listener, &CancellationToken::new()).await.unwrap();
            assert!(lines.recv().await.is_some() && lines.recv().await.is_some());
        })
        .await;
        println!("round {round}: bare {bare:.2} ms, step {step:.2} ms, overhead {:.2} ms of CPU", step - bare);
    }
}

/// Milliseconds of processor time per step.
async fn measure(steps: u32, one: impl AsyncFn()) -> f64 {
    let (begun, ticks) = (Instant::now(), ticks());
    for _ in 0..steps {
        one().await;
    }
    let used = self::ticks() - ticks;
    println!("  {:.2} ms by the clock", begun.elapsed().as_secs_f64() * 1000.0 / f64::from(steps));
    used * 1000.0 / f64::from(steps)
}

/// Seconds that this process and its ended children have used.
fn ticks() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields = stat[stat.rfind(')').unwrap() + 2..].split(' ').skip(11).take(4);
    let ticks: u64 = fields.map(|field| field.parse::<u64>().unwrap()).sum();
    f64::from(u32::try_from(ticks).unwrap()) / f64::from(u32::try_from(clock_ticks_per_second()).unwrap())
}
