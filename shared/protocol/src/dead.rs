//! A dead letter: the original bytes as they were, and in headers why they lie there.

use jiff::Timestamp;

use crate::reason::Reason;
use crate::run::Fault;
use crate::subject::DeadSubject;

/// Header: the stable reason code.
pub const HEADER_REASON: &str = "Honk-Reason";
/// Header: `failure`, `timeout` or `error`.
pub const HEADER_FAULT: &str = "Honk-Fault";
/// Header: the last error, on one line.
pub const HEADER_ERROR: &str = "Honk-Error";
/// Header: how often it was delivered.
pub const HEADER_ATTEMPTS: &str = "Honk-Attempts";
/// Header: the subject that the original was stored under.
pub const HEADER_SUBJECT: &str = "Honk-Subject";
/// Header: the original's sequence in its stream.
pub const HEADER_SEQUENCE: &str = "Honk-Sequence";
/// Header: the dataset, where it is known.
pub const HEADER_DATASET: &str = "Honk-Dataset";
/// Header of W3C trace context, in lower case as the specification has it.
pub const HEADER_TRACEPARENT: &str = "traceparent";

/// The longest error that is kept, in bytes.
const MAX_ERROR_BYTES: usize = 2_000;

/// A dead letter without its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Where it is kept.
    pub subject: DeadSubject,
    /// The stable code.
    pub reason: Reason,
    /// Whose fault.
    pub fault: Fault,
    /// The last error.
    pub error: String,
    /// How often the original was delivered.
    pub attempts: u32,
    /// The subject that the original was stored under.
    pub original_subject: String,
    /// The original's sequence in its stream.
    pub original_sequence: u64,
    /// The dataset, where it is known.
    pub dataset: Option<String>,
    /// W3C `traceparent` of the original; empty if it had none.
    pub trace: String,
}

/// A dead letter as it is read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredDeadLetter {
    /// What is known of it.
    pub letter: DeadLetter,
    /// Its sequence in the dead-letter stream.
    pub sequence: u64,
    /// When it was stored.
    pub time: Timestamp,
}

impl DeadLetter {
    /// The headers that carry it.
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        let mut headers = vec![
            (HEADER_REASON, self.reason.code().to_owned()),
            (HEADER_FAULT, fault_word(self.fault).to_owned()),
            (HEADER_ERROR, one_line(&self.error)),
            (HEADER_ATTEMPTS, self.attempts.to_string()),
            (HEADER_SUBJECT, self.original_subject.clone()),
            (HEADER_SEQUENCE, self.original_sequence.to_string()),
        ];
        headers.extend(self.dataset.clone().map(|dataset| (HEADER_DATASET, dataset)));
        if !self.trace.is_empty() {
            headers.push((HEADER_TRACEPARENT, self.trace.clone()));
        }
        headers
    }

    /// Reads it back from the subject and headers of a stored message; `None` if they are not a dead letter's.
    pub fn from_headers<'h>(subject: &str, header: impl Fn(&str) -> Option<&'h str>) -> Option<Self> {
        Some(Self {
            subject: subject.parse().ok()?,
            reason: header(HEADER_REASON)?.parse().ok()?,
            fault: parse_fault(header(HEADER_FAULT)?)?,
            error: header(HEADER_ERROR).unwrap_or_default().to_owned(),
            attempts: header(HEADER_ATTEMPTS)?.parse().ok()?,
            original_subject: header(HEADER_SUBJECT)?.to_owned(),
            original_sequence: header(HEADER_SEQUENCE)?.parse().ok()?,
            dataset: header(HEADER_DATASET).map(ToOwned::to_owned),
            trace: header(HEADER_TRACEPARENT).unwrap_or_default().to_owned(),
        })
    }
}

const fn fault_word(fault: Fault) -> &'static str {
    match fault {
        Fault::Failure => "failure",
        Fault::Timeout => "timeout",
        Fault::Error => "error",
    }
}

fn parse_fault(word: &str) -> Option<Fault> {
    [Fault::Failure, Fault::Timeout, Fault::Error].into_iter().find(|fault| fault_word(*fault) == word)
}

/// A header's value is one line of printable text.
fn one_line(text: &str) -> String {
    let mut line = String::new();
    for c in text.chars().map(|c| if c.is_control() { ' ' } else { c }) {
        if line.len() + c.len_utf8() > MAX_ERROR_BYTES {
            break;
        }
        line.push(c);
    }
    line.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(error: &str) -> DeadLetter {
        DeadLetter {
            subject: "honk.dead.migrate.r0123456789abcdef0123.copy".parse().expect("subject"),
            reason: Reason::SourceMissing,
            fault: Fault::Failure,
            error: error.into(),
            attempts: 4,
            original_subject: "honk.job.migrate.r0123456789abcdef0123.copy.1".into(),
            original_sequence: 9,
            dataset: Some("d".into()),
            trace: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into(),
        }
    }

    fn read_back(letter: &DeadLetter) -> Option<DeadLetter> {
        let headers = letter.headers();
        let find = |name: &str| headers.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_str());
        DeadLetter::from_headers(&letter.subject.to_string(), find)
    }

    #[test]
    fn a_dead_letter_reads_back_from_its_headers() {
        let letter = letter("no such bucket");
        assert_eq!(read_back(&letter), Some(letter));
    }

    #[test]
    fn an_error_of_many_lines_cannot_make_a_header_of_its_own() {
        let stored = read_back(&letter(&format!("a\r\nHonk-Reason: x{}", "é".repeat(3_000)))).expect("reads back");
        assert!(stored.error.starts_with("a  Honk-Reason: x"), "{}", stored.error);
        assert!(stored.error.len() <= MAX_ERROR_BYTES);
    }
}
