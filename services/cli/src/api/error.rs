//! What can go wrong between this command and the API, and how a person is told.

use honk_api::wire::{Fault, Problem};

use crate::error::CliError;

/// What to do when nobody answers.
pub(crate) const UNREACHABLE_HINT: &str =
    "start Honk with `honk dev`, or say where it is with --api-url or HONK_API_URL";

/// Why a request did not get the answer that it asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    /// The request could not even be made.
    #[error("{0}")]
    Unsent(String),
    /// Nobody answered.
    #[error("{url} does not answer: {cause}")]
    Unreachable {
        /// Whom it asked.
        url: String,
        /// What happened instead.
        cause: String,
    },
    /// The API said no.
    #[error("{problem}")]
    Refused {
        /// Why.
        problem: Box<Problem>,
        /// The whole answer, which can say more.
        body: Vec<u8>,
    },
    /// Somebody answered who is not Honk's API, or one of another version.
    #[error("{url} answered {status}, but not as Honk's API does: {cause}")]
    Strange {
        /// Whom it asked.
        url: String,
        /// The HTTP status.
        status: u16,
        /// What is strange about it.
        cause: String,
    },
}

/// Says what failed, where the API's error says why.
pub(crate) trait Doing<T> {
    /// `what` completes the sentence "cannot …".
    fn doing(self, what: &str) -> Result<T, CliError>;
}

impl<T> Doing<T> for Result<T, ApiError> {
    fn doing(self, what: &str) -> Result<T, CliError> {
        self.map_err(|error| error.told(what))
    }
}

impl ApiError {
    /// Whether what was asked for does not exist.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { problem, .. } if problem.status == 404)
    }

    /// Whether nobody answered, so that asking for more is no use.
    pub(crate) fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }

    /// Whether asking again later may help: the API restarts, or has lost NATS.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused { problem, .. } => problem.status == 429 || problem.status >= 500,
            Self::Strange { status, .. } => matches!(status, 502..=504),
            Self::Unsent(_) => false,
        }
    }

    /// The error as a person is told it; `what` completes the sentence "cannot …".
    pub(crate) fn told(self, what: &str) -> CliError {
        let what = format!("cannot {what}");
        match self {
            Self::Unsent(_) => CliError::failed(what).because(self.to_string()),
            Self::Unreachable { .. } => CliError::unreachable(what).because(self.to_string()).hint(UNREACHABLE_HINT),
            Self::Refused { problem, .. } => refused(&what, &problem),
            Self::Strange { .. } => CliError::failed(what)
                .because(self.to_string())
                .hint("look at --api-url or HONK_API_URL, and whether API and `honk` are of one version"),
        }
    }
}

fn refused(what: &str, problem: &Problem) -> CliError {
    let code = if problem.code.is_empty() { problem.status.to_string() } else { problem.code.clone() };
    let mut told = CliError::failed(what).because(format!("{problem} [{code}]"));
    for fault in &problem.errors {
        told = told.because(with_help(fault));
    }
    match &problem.help {
        Some(help) => told.hint(help),
        None => told,
    }
}

/// A fault with what to write instead.
pub(crate) fn with_help(fault: &Fault) -> String {
    match &fault.help {
        Some(help) => format!("{fault} ({help})"),
        None => fault.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Exit;

    fn refused(status: u16) -> ApiError {
        let problem = Problem { title: "No".into(), status, code: "no".into(), ..Problem::default() };
        ApiError::Refused { problem: Box::new(problem), body: Vec::new() }
    }

    #[test]
    fn what_passes_is_tried_again_and_what_does_not_is_told() {
        assert!(refused(503).is_passing() && refused(429).is_passing());
        assert!(!refused(404).is_passing() && refused(404).is_not_found());
        assert_eq!(refused(404).told("show it").to_string(), "error: cannot show it\n  caused by: No [no]");
    }

    #[test]
    fn nobody_answering_is_the_only_thing_called_unreachable() {
        let unreachable = || ApiError::Unreachable { url: "http://h".into(), cause: "refused".into() };
        assert_eq!(unreachable().told("list").exit(), Exit::Unreachable);
        assert_eq!(refused(503).told("list").exit(), Exit::Failed);
        assert!(unreachable().told("list").to_string().contains("hint: "));
    }
}
