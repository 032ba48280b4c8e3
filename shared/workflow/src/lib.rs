//! Workflows: YAML to a checked graph of jobs, with errors that name line, column and the fix.
//!
//! The order of the modules is the order of the data: [`parse`] reads text into a small tree that knows where every
//! node stands (`tree`, within limits), checks that tree into a [`Workflow`] while collecting every fault (`check`,
//! `graph`), and nothing behind it needs to check again. No I/O; the text comes from whoever read it.

mod check;
pub mod diagnostic;
mod duration;
pub mod expr;
mod graph;
pub mod model;
mod scalar;
pub mod schema;
mod tree;
pub mod words;

pub use diagnostic::{Diagnostic, Severity};
pub use model::{
    BundleRef, Concurrency, FromJsonError, Job, Rate, Run, Schedule, ScheduleError, Step, StepAction, Strategy,
    Trigger, Workflow,
};

/// What a text without errors holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Parsed {
    /// The checked workflow.
    pub workflow: Workflow,
    /// What is allowed but probably not meant, in the order of the text.
    pub warnings: Vec<Diagnostic>,
}

impl Parsed {
    /// For who wants no questionable workflow either.
    ///
    /// # Errors
    /// The warnings, as errors.
    pub fn strict(self) -> Result<Self, Vec<Diagnostic>> {
        if self.warnings.is_empty() {
            return Ok(self);
        }
        Err(self.warnings.into_iter().map(Diagnostic::into_error).collect())
    }
}

/// Reads and checks the YAML of a workflow.
///
/// # Errors
/// The faults of the text in its order, the warnings among them; of very many the first ones. A fault of the YAML
/// itself hides what follows it.
pub fn parse(text: &str) -> Result<Parsed, Vec<Diagnostic>> {
    check::text(text)
}
