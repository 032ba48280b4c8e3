//! Lines of a log as people see them: when, which job, what. What a step prints may be anything, so escape sequences are taken out, and
//! what is left of control characters is shown instead of obeyed.

use honk_api::wire::LogItem;
use honk_protocol::log::LogStream;

use crate::output::inline;

/// How colours are switched on and off (ECMA-48, Select Graphic Rendition).
const DIM: &str = "\u{1b}[2m";
const YELLOW: &str = "\u{1b}[33m";
const CYAN: &str = "\u{1b}[36m";
const PLAIN: &str = "\u{1b}[0m";

/// Shows lines one after the other.
#[derive(Debug)]
pub(crate) struct LogView {
    colours: bool,
    /// The longest name of a job so far, in characters, so that texts are below each other.
    width: usize,
}

impl LogView {
    /// With or without colours.
    pub(crate) const fn new(colours: bool) -> Self {
        Self { colours, width: 0 }
    }

    /// `HH:MM:SS job │ text`, with `!` in place of the bar for what went to standard error, and `*` for the agent's own words. The attempt
    /// follows the job's name if it is not the first.
    pub(crate) fn line(&mut self, line: &LogItem) -> String {
        let attempt = if line.attempt > 1 { format!(".{}", line.attempt) } else { String::new() };
        let job = format!("{}{attempt}", line.job);
        self.width = self.width.max(job.chars().count());
        let (mark, colour) = match line.stream {
            LogStream::Stdout => ("│", ""),
            LogStream::Stderr => ("!", YELLOW),
            LogStream::Agent => ("*", CYAN),
        };
        let (time, width) = (line.at.strftime("%H:%M:%S"), self.width);
        let more = if line.continued { "…" } else { "" };
        let text = harmless(&line.text);
        if self.colours {
            format!("{DIM}{time} {job:<width$}{PLAIN} {colour}{mark} {text}{more}{PLAIN}\n")
        } else {
            format!("{time} {job:<width$} {mark} {text}{more}\n").trim_end().to_owned() + "\n"
        }
    }
}

/// The text without escape sequences. A carriage return, as progress bars use it, stays visible.
fn harmless(text: &str) -> String {
    let parts: Vec<String> =
        text.split('\r').map(|part| strip_ansi_escapes::strip_str(part.replace('\t', "    "))).collect();
    inline(parts.join("\r").trim_end_matches('\r'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(stream: LogStream, attempt: u32, text: &str) -> LogItem {
        LogItem {
            run: "r0123456789abcdef0123".parse().unwrap(),
            job: "check".parse().unwrap(),
            attempt,
            step: 1,
            title: "python check.py".into(),
            agent: "agent-1".into(),
            at: "2026-01-02T03:04:05.678Z".parse().unwrap(),
            stream,
            text: text.into(),
            continued: false,
            cursor: "1.1".into(),
        }
    }

    #[test]
    fn what_a_terminal_would_obey_is_taken_out_or_shown() {
        for (text, shown) in [
            ("plain ünïcödé 数据", "plain ünïcödé 数据"),
            ("\u{1b}[31mred\u{1b}[0m", "red"),
            ("\u{1b}]0;title\u{7}after", "after"),
            ("a\tb", "a    b"),
            ("10%\r20%\r", "10%\\r20%"),
            ("\u{202e}backwards", "\\u{202e}backwards"),
            ("windows\r", "windows"),
        ] {
            assert_eq!(harmless(text), shown, "{text:?}");
        }
        assert!(!harmless("a\u{9b}31mb\u{0}c\u{8}").contains(char::is_control));
    }

    #[test]
    fn streams_and_attempts_are_told_apart_without_colours() {
        let mut view = LogView::new(false);
        assert_eq!(view.line(&item(LogStream::Stdout, 1, "a")), "03:04:05 check │ a\n");
        assert_eq!(view.line(&item(LogStream::Stderr, 12, "b")), "03:04:05 check.12 ! b\n");
        assert_eq!(view.line(&item(LogStream::Agent, 1, "c")), "03:04:05 check    * c\n");
        assert_eq!(
            view.line(&LogItem { continued: true, ..item(LogStream::Stdout, 1, "") }),
            "03:04:05 check    │ …\n"
        );
    }

    #[test]
    fn colours_end_with_their_line() {
        let line = LogView::new(true).line(&item(LogStream::Stderr, 1, "a\u{1b}[1m"));
        assert!(line.contains(YELLOW) && line.ends_with("a\u{1b}[0m\n"), "{line:?}");
    }
}
