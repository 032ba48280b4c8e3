//! The `honk-transform` process: one request on standard input, JSON lines on standard output, what it logs on standard error.

use std::io::{BufRead as _, Read as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use honk_protocol::reason::Reason;
use honk_protocol::transform::{TransformReply, TransformRequest};
use honk_transform::{Fault, Watch, transform};

/// How often it says how far it is.
const PERIOD: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).json().init();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return said(&failure(Fault::of_machine("starting threads", &error))),
    };
    let last = match request() {
        Ok(request) => runtime.block_on(work(request)),
        Err(fault) => failure(fault),
    };
    // Threads that still read are of no use any more.
    runtime.shutdown_background();
    said(&last)
}

/// One line, so that what comes after it can be the end.
fn request() -> Result<TransformRequest, Fault> {
    let mut text = String::new();
    let mut input = std::io::stdin().lock();
    let invalid = |error: serde_json::Error| {
        let message = format!("the request on standard input: {error}; docs/TRANSFORM.md has its form");
        Fault::new(Reason::InputInvalid, message)
    };
    let failed = |error| Fault::of_machine("reading the request", &error);
    input.read_line(&mut text).map_err(failed)?;
    match serde_json::from_str(&text) {
        Err(error) if error.is_eof() => input.read_to_string(&mut text).map(drop).map_err(failed)?,
        request => return request.map_err(invalid),
    }
    serde_json::from_str(&text).map_err(invalid)
}

/// Works until it is done, or until the agent that asked for it is gone.
async fn work(request: TransformRequest) -> TransformReply {
    let watch = Watch::default();
    let mut period = tokio::time::interval(PERIOD);
    let mut untied = Box::pin(untied(request.tethered));
    let mut working = Box::pin(transform(request, &watch));
    loop {
        tokio::select! {
            done = &mut working => return done.map_or_else(failure, |done| TransformReply::Result(Box::new(done))),
            () = &mut untied => return failure(Fault { again: true, ..Fault::new(Reason::AgentLost, "the agent is gone") }),
            _tick = period.tick() => drop(said(&TransformReply::Progress(watch.progress()))),
        }
    }
}

/// Waits for the end of standard input, where it means anything.
async fn untied(tethered: bool) {
    if !tethered {
        return std::future::pending().await;
    }
    let (ended, end) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let rest = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        tracing::info!(?rest, "standard input has ended");
        ended.send(())
    });
    drop(end.await);
}

fn failure(fault: Fault) -> TransformReply {
    tracing::warn!(reason = %fault.reason, "{fault}");
    TransformReply::Failure(fault.into())
}

/// Writes a line. Nobody listens any more: then nothing is left to do but end.
fn said(reply: &TransformReply) -> ExitCode {
    let line = serde_json::to_string(reply).unwrap_or_default();
    let written = writeln!(std::io::stdout().lock(), "{line}");
    if written.is_ok() && matches!(reply, TransformReply::Result(_)) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
