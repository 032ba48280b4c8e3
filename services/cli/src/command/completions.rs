//! `honk completions`: the script that a shell reads.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::arguments::Arguments;
use crate::error::{CliError, Exit};
use crate::output::Output;

pub(super) fn run(shell: Shell, output: &Output) -> Result<Exit, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "honk", &mut script);
    output.bytes(&script)?;
    Ok(Exit::Done)
}
