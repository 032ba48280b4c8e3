//! `honk bench`.

use crate::arguments::{BenchArguments, BenchCommand};
use crate::bench;
use crate::error::{CliError, Exit};
use crate::output::Output;

/// Runs the command.
pub(crate) async fn run(arguments: BenchArguments, output: &Output) -> Result<Exit, CliError> {
    let BenchCommand::Chains(arguments) = arguments.command;
    let report = bench::chains(&arguments).await?;
    output.data(&report, bench::Report::text)?;
    Ok(Exit::Done)
}
