//! `honk bench`.

use crate::arguments::{BenchArguments, BenchCommand};
use crate::bench;
use crate::error::{CliError, Exit};
use crate::output::Output;

/// Runs the command.
pub(crate) async fn run(arguments: BenchArguments, output: &Output) -> Result<Exit, CliError> {
    match arguments.command {
        BenchCommand::Chains(arguments) => output.data(&bench::chains(&arguments).await?, bench::Report::text)?,
        BenchCommand::Steps(arguments) => output.data(&bench::steps(&arguments).await?, bench::StepsReport::text)?,
    }
    Ok(Exit::Done)
}
