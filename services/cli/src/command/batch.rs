//! Several things asked for at once: one that fails does not keep the others from being done.

use std::ops::ControlFlow;

use crate::error::{CliError, Exit};
use crate::output::Output;

/// What became of the things.
#[derive(Debug)]
pub(super) struct Batch<T> {
    /// The results of those that were done.
    pub(super) done: Vec<T>,
    /// The worst of what became of them.
    pub(super) exit: Exit,
}

impl<T> Batch<T> {
    /// Nothing is done, and nothing has failed yet.
    pub(super) const fn new() -> Self {
        Self { done: Vec::new(), exit: Exit::Done }
    }

    /// Takes the result of one; a failure is told at once. When the API is unreachable, there is no use in going on.
    pub(super) fn take(&mut self, result: Result<T, CliError>, output: &Output) -> ControlFlow<()> {
        match result {
            Ok(done) => self.done.push(done),
            Err(error) => {
                output.error(&error);
                self.exit = self.exit.max(error.exit());
            }
        }
        if self.exit == Exit::Unreachable { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}
