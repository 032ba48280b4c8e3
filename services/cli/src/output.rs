//! The only place that writes to the terminal: data to standard output, everything else to standard error. What comes
//! from the server passes through [`neutral()`], so that a name or an error cannot steer the terminal.

mod neutral;
mod table;

use std::io::{self, IsTerminal, Write};

use indicatif::{MultiProgress, ProgressDrawTarget};
use serde::Serialize;

pub(crate) use self::neutral::{inline, neutral};
pub(crate) use self::table::Table;
use crate::error::CliError;

/// How data is printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Tables and lines, for people
    #[default]
    Text,
    /// One JSON value a line, for programs
    Json,
}

/// Where a command writes.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    format: Format,
    bars: MultiProgress,
}

impl Output {
    /// Standard output and standard error, with data in `format`.
    pub(crate) fn new(format: Format) -> Self {
        let target =
            if io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Self { format, bars: MultiProgress::with_draw_target(target) }
    }

    /// Whether a program reads the data.
    pub(crate) fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Whether a person sees standard error as it is written, so that progress bars make sense.
    pub(crate) fn is_live(&self) -> bool {
        !self.bars.is_hidden()
    }

    /// Whether a person sees standard output as it is written, and wants colours there (<https://no-color.org>).
    pub(crate) fn has_colours(&self) -> bool {
        !self.is_json() && io::stdout().is_terminal() && honk_service::environment().get("NO_COLOR").is_none()
    }

    /// Progress bars on standard error; lines of [`Output::note`] appear above them.
    pub(crate) fn bars(&self) -> &MultiProgress {
        &self.bars
    }

    /// Prints data: as one line of JSON, or as `text` makes it, where an empty text is nothing at all.
    pub(crate) fn data<T: Serialize + ?Sized>(
        &self,
        value: &T,
        text: impl FnOnce(&T) -> String,
    ) -> Result<(), CliError> {
        if self.is_json() { self.json(value) } else { self.text(&text(value)) }
    }

    /// Prints data as one line of JSON.
    pub(crate) fn json<T: Serialize + ?Sized>(&self, value: &T) -> Result<(), CliError> {
        let json = serde_json::to_string(value)
            .map_err(|error| CliError::failed("cannot print the result as JSON").caused_by(&error))?;
        self.bytes(format!("{}\n", neutral::json(&json)).as_bytes())
    }

    /// Prints data as lines of text.
    pub(crate) fn text(&self, text: &str) -> Result<(), CliError> {
        if text.is_empty() { Ok(()) } else { self.bytes(format!("{}\n", neutral(text.trim_end())).as_bytes()) }
    }

    /// Prints bytes that Honk itself made, as they are.
    pub(crate) fn bytes(&self, bytes: &[u8]) -> Result<(), CliError> {
        self.bars
            .suspend(|| {
                let mut stdout = io::stdout().lock();
                stdout.write_all(bytes).and_then(|()| stdout.flush())
            })
            .map_err(|error| match error.kind() {
                io::ErrorKind::BrokenPipe => CliError::StdoutClosed,
                _ => CliError::failed("cannot write to standard output").caused_by(&error),
            })
    }

    /// Tells the person something that is not data. If standard error is gone, there is nobody to tell.
    pub(crate) fn note(&self, text: &str) {
        let text = neutral(text.trim_end());
        self.bars.suspend(|| writeln!(io::stderr().lock(), "{text}").ok());
    }

    /// Tells the person why the command gave up.
    pub(crate) fn error(&self, error: &CliError) {
        if matches!(error, CliError::Told(_)) {
            self.note(&error.to_string());
        }
    }

    /// Asks a yes-or-no question; `None` if nobody is there to answer it.
    pub(crate) fn confirm(&self, question: &str) -> Option<bool> {
        if !io::stdin().is_terminal() {
            return None;
        }
        let question = neutral(question);
        self.bars.suspend(|| {
            let mut stderr = io::stderr().lock();
            write!(stderr, "{question} [y/N] ").and_then(|()| stderr.flush()).ok()?;
            let mut answer = String::new();
            io::stdin().read_line(&mut answer).ok()?;
            Some(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
        })
    }
}
