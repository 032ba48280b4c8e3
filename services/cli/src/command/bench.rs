//! `honk bench`.

use crate::arguments::{BenchArguments, BenchCommand};
use crate::bench;
use crate::error::{CliError, Exit};
use crate::output::{Format, Output};

/// Runs the command.
pub(crate) async fn run(arguments: BenchArguments, output: &Output) -> Result<Exit, CliError> {
    match arguments.command {
        BenchCommand::Chains(arguments) => output.data(&bench::chains(&arguments).await?, bench::Report::text)?,
        BenchCommand::Steps(arguments) => output.data(&bench::steps(&arguments).await?, bench::StepsReport::text)?,
        BenchCommand::Copy(arguments) => {
            output.data(&Box::pin(bench::copy(&arguments, output)).await?, bench::CopyReport::text)?;
        }
        BenchCommand::Store => bench::store(&Output::new(Format::Json)).await?,
        BenchCommand::Mover => Box::pin(bench::mover(&Output::new(Format::Json))).await?,
    }
    Ok(Exit::Done)
}
