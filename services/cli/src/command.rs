//! The commands, each in a file of its own, and what is common to them: from the arguments to the exit code.

mod batch;
mod bench;
mod catalog;
mod completions;
mod consumer;
mod dataset;
mod demo;
mod dev;
mod dlq;
mod doctor;
mod files;
mod lint;
mod logs;
mod migrate;
mod plan;
mod provision;
mod register;
mod run;
mod workflow;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

pub(crate) use self::workflow::Diff;
use crate::api::{Api, Doing};
use crate::arguments::{Arguments, Command, GlobalArguments};
use crate::error::{CliError, Exit};
use crate::output::Output;

/// Runs the command that the arguments ask for.
pub(crate) async fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help for who asked is data on standard output. If nobody reads it, there is nobody to tell.
            error.print().ok();
            return if error.use_stderr() { Exit::Usage.into() } else { Exit::Done.into() };
        }
    };
    let output = Output::new(arguments.global.output);
    match dispatch(arguments, &output).await {
        Ok(exit) => exit.into(),
        Err(error) => {
            output.error(&error);
            error.exit().into()
        }
    }
}

async fn dispatch(Arguments { global, command }: Arguments, output: &Output) -> Result<Exit, CliError> {
    match command {
        Command::Dev(arguments) => Box::pin(dev::run(arguments, output)).await,
        Command::Demo(arguments) => Box::pin(demo::run(arguments, output)).await,
        Command::Provision(arguments) => Box::pin(provision::run(arguments, output)).await,
        Command::Bench(arguments) => Box::pin(bench::run(arguments, output)).await,
        Command::Lint(arguments) => lint::run(&arguments, output),
        Command::Completions { shell } => completions::run(shell, output),
        Command::Register(arguments) => register::run(&arguments, &api(&global)?, output).await,
        Command::Workflow(command) => workflow::run(command, &api(&global)?, output).await,
        Command::Catalog(command) => catalog::run(&command, &api(&global)?, output).await,
        Command::Dataset(command) => dataset::run(command, &api(&global)?, output).await,
        Command::Consumer(command) => consumer::run(command, &api(&global)?, output).await,
        Command::Plan(arguments) => plan::run(arguments, &api(&global)?, output).await,
        Command::Migrate(arguments) => migrate::run(arguments, &api(&global)?, output).await,
        Command::Run(command) => run::run(command, &api(&global)?, output).await,
        Command::Dlq(command) => dlq::run(command, &api(&global)?, output).await,
        Command::Doctor(arguments) => doctor::run(&arguments, &api(&global)?, output).await,
    }
}

fn api(global: &GlobalArguments) -> Result<Api, CliError> {
    Api::new(&global.api_url).doing("prepare to talk to the API")
}

/// Says that a list is cut.
fn note_more(more: bool, output: &Output) {
    if more {
        output.note("there are more; show them with a higher --limit");
    }
}
