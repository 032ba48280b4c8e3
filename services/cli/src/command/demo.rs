//! `honk demo`.

use crate::arguments::DemoArguments;
use crate::error::{CliError, Exit};
use crate::output::Output;

/// Runs the command.
#[expect(clippy::unused_async, reason = "the commands that start a system all have one shape")]
pub(crate) async fn run(_arguments: DemoArguments, _output: &Output) -> Result<Exit, CliError> {
    Err(CliError::failed("cannot run the demo").because("this build of `honk` does not contain the services"))
}
