//! `honk dev`: the whole system in one process, until it is asked to stop.

use std::net::{Ipv4Addr, SocketAddr};

use honk_service::Context;
use honk_service::config::{DEFAULT_LOG_FILTER, NoSettings};
use honk_service::lifecycle::Signals;

use crate::arguments::DevArguments;
use crate::error::{CliError, Exit};
use crate::output::Output;
use crate::system::{Addresses, Logs, System, SystemOptions, context};

/// Runs the command.
pub(crate) async fn run(arguments: DevArguments, output: &Output) -> Result<Exit, CliError> {
    let context = context(DEFAULT_LOG_FILTER)?;
    let signals = Signals::listen().map_err(|error| CliError::failed("cannot listen to signals").caused_by(&error))?;
    let logs = Logs::start(&context.common.telemetry).await?;
    let options = SystemOptions {
        state: arguments.state,
        listen: arguments.listen,
        s3_listen: arguments.s3_listen.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
        nats: arguments.nats,
    };
    let served = Box::pin(serve(options, context, signals, output)).await;
    logs.flush().await;
    served.map(|()| Exit::Done)
}

async fn serve(
    options: SystemOptions,
    context: Context<NoSettings>,
    signals: Signals,
    output: &Output,
) -> Result<(), CliError> {
    let lifecycle = context.lifecycle.clone();
    let stops = lifecycle.supervise_signals(signals, context.common.drain.limit());
    tokio::pin!(stops);
    let mut system = tokio::select! {
        system = System::start(options, context) => system?,
        () = &mut stops => return Ok(()),
    };
    output.data(&system.addresses, text)?;
    let ended = tokio::select! {
        biased;
        () = lifecycle.soft_stop().cancelled() => Ok(()),
        () = &mut stops => Ok(()),
        failure = system.services.first_failure() => {
            // Else it was asked to end, and was faster than this task.
            if lifecycle.soft_stop().is_cancelled() { Ok(()) } else { Err(failure.into()) }
        }
    };
    let stopping = system.stop();
    tokio::pin!(stopping);
    tokio::select! {
        () = &mut stopping => {}
        // After a hard stop the agents hand back what they have, and that is waited for.
        () = &mut stops => stopping.await,
    }
    ended
}

fn text(addresses: &Addresses) -> String {
    let Addresses { api, s3, nats, s3_access_key, state, .. } = addresses;
    format!(
        "Honk is ready.\n  API    {api}\n  S3     {s3} (access key `{s3_access_key}`, secret in {}/keys.json)\n  NATS   {nats}\n\
         Next: honk --api-url {api} register workflows/migrate-dataset.yml",
        state.display()
    )
}
