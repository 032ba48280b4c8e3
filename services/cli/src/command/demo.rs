//! `honk demo`: the main job, from nothing to verified, in one command.

use honk_service::lifecycle::Signals;

use crate::arguments::DemoArguments;
use crate::demo::{self, Summary};
use crate::error::{CliError, Exit};
use crate::output::Output;
use crate::system::{Logs, System, SystemOptions, context};

/// Runs the command.
pub(crate) async fn run(arguments: DemoArguments, output: &Output) -> Result<Exit, CliError> {
    let samples = match arguments.datasets {
        Some(count) => demo::many(count.get())?,
        None => demo::showcase()?,
    };
    let temporary = tempfile::Builder::new().prefix("honk-demo-").tempdir();
    let temporary = temporary.map_err(|error| CliError::failed("cannot make a temporary folder").caused_by(&error))?;
    let state = arguments.state.clone().unwrap_or_else(|| temporary.path().to_owned());
    let context = context("warn")?;
    let signals = Signals::listen().map_err(|error| CliError::failed("cannot listen to signals").caused_by(&error))?;
    let logs = Logs::start(&context.common.telemetry).await?;
    let lifecycle = context.lifecycle.clone();
    let stops = lifecycle.supervise_signals(signals, context.common.drain.limit());
    tokio::pin!(stops);
    output.note("Starting nats-server, two S3 stores and all services …");
    let mut system = System::start(SystemOptions::on_free_ports(state), context).await?;
    let outcome = tokio::select! {
        outcome = demo::run(&mut system, samples, output) => outcome,
        () = &mut stops => Err(CliError::failed("the demo was interrupted")),
        () = lifecycle.soft_stop().cancelled() => Err(CliError::failed("the demo was interrupted")),
    };
    if let Ok(summary) = &outcome {
        output.data(summary, Summary::text)?;
        output.note(&where_to_look(&system, arguments.keep));
        if arguments.keep {
            tokio::select! {
                () = &mut stops => {}
                () = lifecycle.soft_stop().cancelled() => {}
            }
        }
    }
    system.stop().await;
    logs.flush().await;
    outcome.map(|summary| if summary.is_right() { Exit::Done } else { Exit::Failed })
}

fn where_to_look(system: &System, keep: bool) -> String {
    let api = &system.addresses.api;
    if keep {
        format!(
            "The system keeps running until Ctrl-C. Look around with\n  export HONK_API_URL={api}\n  honk run list\n  \
             honk dataset show us-transport\n  honk dlq list"
        )
    } else {
        "Look around yourself: `cargo run --release -- demo --keep` leaves the system running.".to_owned()
    }
}
