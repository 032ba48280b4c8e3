//! What is wrong with a workflow, where, and what to write instead. The path of the file is only known to whoever
//! read it, so it is given when the diagnostic is shown.

mod codes;

use std::fmt;

use serde::Serialize;

pub use self::codes::{CODES, Code};

/// Whether a workflow with this fault is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Refused.
    Error,
    /// Accepted, but probably not meant.
    Warning,
}

/// One fault of a workflow's text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// Stable name of the kind of fault, like `needs-unknown`.
    pub code: &'static str,
    /// Whether the workflow is refused.
    pub severity: Severity,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong, in one line.
    pub message: String,
    /// What to write instead, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

/// A place in the text; line and column begin at 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pos {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl Pos {
    pub(crate) const START: Self = Self { line: 1, column: 1 };
}

impl Diagnostic {
    pub(crate) fn error(code: &'static str, pos: Pos, message: impl Into<String>) -> Self {
        debug_assert!(CODES.iter().any(|known| known.name == code), "{code} is not in the list of codes");
        let Pos { line, column } = pos;
        Self { code, severity: Severity::Error, line, column, message: message.into(), help: None }
    }

    pub(crate) fn warning(code: &'static str, pos: Pos, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, pos, message) }
    }

    pub(crate) fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The diagnostic as a compiler prints it, `PATH:LINE:COLUMN: error[CODE]: MESSAGE` and a line of help.
    pub const fn at<'a>(&'a self, path: &'a str) -> impl fmt::Display + 'a {
        Located { path, diagnostic: self }
    }

    /// For who takes warnings for errors.
    #[must_use]
    pub fn into_error(self) -> Self {
        Self { severity: Severity::Error, ..self }
    }

    /// Whether the workflow is refused.
    pub const fn is_error(&self) -> bool {
        matches!(self.severity, Severity::Error)
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code, severity, line, column, message, .. } = self;
        write!(f, "{line}:{column}: {severity}[{code}]: {message}")?;
        self.help.as_ref().map_or(Ok(()), |help| write!(f, "\n  help: {help}"))
    }
}

struct Located<'a> {
    path: &'a str,
    diagnostic: &'a Diagnostic,
}

impl fmt::Display for Located<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.path, self.diagnostic)
    }
}

/// Text from the file, fit for a message: without control characters, and cut at 60 characters.
pub(crate) fn quote(text: &str) -> String {
    let mut shown: String = text.chars().take(60).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(60).is_some() {
        shown.push('…');
    }
    format!("`{shown}`")
}

/// What was found so far. A text may have as many faults as characters, and nobody reads more than the first ones.
#[derive(Debug, Default)]
pub(crate) struct Report {
    found: Vec<Diagnostic>,
    has_errors: bool,
}

impl Report {
    /// No more errors than this are kept, and no more warnings.
    pub(crate) const MAX: usize = 100;

    pub(crate) fn push(&mut self, diagnostic: Diagnostic) {
        self.has_errors |= diagnostic.is_error();
        let alike = self.found.iter().filter(|found| found.severity == diagnostic.severity).count();
        // An alias repeats its faults.
        if alike < Self::MAX && !self.found.contains(&diagnostic) {
            self.found.push(diagnostic);
        }
    }

    /// The candidate that `word` was probably meant to be. Comparing with each is slow, so it ends when enough was found.
    pub(crate) fn similar<'a>(&self, word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
        if self.found.len() >= Self::MAX {
            return None;
        }
        similar(word, candidates)
    }

    pub(crate) const fn has_errors(&self) -> bool {
        self.has_errors
    }

    /// All of them in the order of the text.
    pub(crate) fn into_sorted(mut self) -> Vec<Diagnostic> {
        self.found.sort_by_key(|diagnostic| (diagnostic.line, diagnostic.column));
        self.found
    }
}

/// The candidate that `word` was probably meant to be.
pub(crate) fn similar<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A name longer than any name is a slip of no name.
    if word.chars().nth(64).is_some() {
        return None;
    }
    let fold = |word: &str| word.to_lowercase().replace('_', "-");
    let folded = fold(word);
    candidates
        .into_iter()
        .map(|candidate| (likeness(&folded, &fold(candidate)), candidate))
        .filter(|(score, _)| *score > 0.8)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}

/// From 0 to 1. A single slip is enough even in a short word, like `rnu` for `run`.
fn likeness(word: &str, candidate: &str) -> f64 {
    let one_slip = word.len() >= 3 && strsim::osa_distance(word, candidate) <= 1;
    strsim::jaro_winkler(word, candidate).max(if one_slip { 0.9 } else { 0.0 })
}

/// Names for a message: `a`, `b` and `c`.
pub(crate) fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let mut quoted: Vec<String> = names.into_iter().map(quote).collect();
    match quoted.pop() {
        None => "none".to_owned(),
        Some(only) if quoted.is_empty() => only,
        Some(last) => format!("{} and {last}", quoted.join(", ")),
    }
}
