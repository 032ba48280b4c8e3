//! How a command ends: the documented exit codes, and what a person is told when it did not do what was asked:
//! what failed, why, and what to do about it.

use std::error::Error;
use std::fmt;
use std::process::ExitCode;

/// How a command ended, the worst last. The numbers are documented in `honk --help` and do not change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exit {
    /// It did what was asked.
    Done = 0,
    /// It ran, and what was asked for failed: a run, a document, a check.
    Failed = 1,
    /// It was called wrongly, and did nothing.
    Usage = 2,
    /// The API did not answer.
    Unreachable = 3,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command gave up.
#[derive(Debug)]
pub(crate) enum CliError {
    /// Whoever read standard output has seen enough, as in `honk run list | head`.
    StdoutClosed,
    /// Something to tell.
    Told(Box<Told>),
}

/// What a person is told.
#[derive(Debug)]
pub(crate) struct Told {
    exit: Exit,
    what: String,
    causes: Vec<String>,
    hint: Option<String>,
}

impl CliError {
    /// What was asked for failed.
    pub(crate) fn failed(what: impl Into<String>) -> Self {
        Self::new(Exit::Failed, what)
    }

    /// The command was called wrongly.
    pub(crate) fn usage(what: impl Into<String>) -> Self {
        Self::new(Exit::Usage, what)
    }

    /// The API did not answer.
    pub(crate) fn unreachable(what: impl Into<String>) -> Self {
        Self::new(Exit::Unreachable, what)
    }

    fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self::Told(Box::new(Told { exit, what: what.into(), causes: Vec::new(), hint: None }))
    }

    /// Adds the reason, in words.
    #[must_use]
    pub(crate) fn because(self, cause: impl Into<String>) -> Self {
        self.change(|told| told.causes.push(cause.into()))
    }

    /// Adds the reason and the reasons below it.
    #[must_use]
    pub(crate) fn caused_by(self, error: &(dyn Error + 'static)) -> Self {
        self.change(|told| {
            let chain = std::iter::successors(Some(error), |error| (*error).source());
            told.causes.extend(chain.map(ToString::to_string));
        })
    }

    /// Adds what the person can do about it.
    #[must_use]
    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        self.change(|told| told.hint = Some(hint.into()))
    }

    fn change(mut self, change: impl FnOnce(&mut Told)) -> Self {
        if let Self::Told(told) = &mut self {
            change(told);
        }
        self
    }

    /// The code to leave with. Nobody is left to be told that standard output is closed, so that is no failure.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::StdoutClosed => Exit::Done,
            Self::Told(told) => told.exit,
        }
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Told(told) = self else { return f.write_str("standard output is closed") };
        write!(f, "error: {}", told.what)?;
        for cause in &told.causes {
            write!(f, "\n  caused by: {}", cause.replace('\n', "\n    "))?;
        }
        told.hint.as_ref().map_or(Ok(()), |hint| write!(f, "\nhint: {}", hint.replace('\n', "\n      ")))
    }
}

/// Failures of a service that runs inside this process, such as those of `honk dev`.
impl From<honk_service::Failure> for CliError {
    fn from(failure: honk_service::Failure) -> Self {
        let error = Self::failed(failure.to_string());
        match failure.hint() {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_failed_why_and_what_to_do() {
        let cause = std::io::Error::other("no space left");
        let error = CliError::failed("cannot save the file").caused_by(&cause).hint("remove something");
        let text = "error: cannot save the file\n  caused by: no space left\nhint: remove something";
        assert_eq!((error.to_string().as_str(), error.exit()), (text, Exit::Failed));
    }

    #[test]
    fn what_the_api_says_cannot_pass_for_a_line_of_its_own() {
        let error = CliError::failed("cannot").because("a\nerror: b").hint("c\nhint: d");
        assert_eq!(error.to_string(), "error: cannot\n  caused by: a\n    error: b\nhint: c\n      hint: d");
    }

    #[test]
    fn a_closed_standard_output_is_no_failure() {
        assert_eq!(CliError::StdoutClosed.hint("nobody reads this").exit(), Exit::Done);
    }
}
