//! Separated values: the header's names, and the simplest type that fits all sampled values of a column.

use super::Column;

/// Rows that are looked at.
const ROWS: usize = 1_000;

/// What may stand between values; of equals the first.
const DELIMITERS: [u8; 4] = [b',', b'\t', b';', b'|'];

/// What all values of a column were so far. Each is a special case of the one that both become together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Null,
    Boolean,
    Integer,
    Number,
    Date,
    Timestamp,
    Text,
}

impl Kind {
    fn of(value: &str) -> Self {
        if value.is_empty() {
            Self::Null
        } else if value.eq_ignore_ascii_case("true") || value.eq_ignore_ascii_case("false") {
            Self::Boolean
        } else if is_integer(value) {
            Self::Integer
        } else if is_number(value) {
            Self::Number
        } else if value.parse::<jiff::civil::Date>().is_ok() && value.len() == "2026-01-02".len() {
            Self::Date
        } else if value.parse::<jiff::Timestamp>().is_ok() || value.parse::<jiff::civil::DateTime>().is_ok() {
            Self::Timestamp
        } else {
            Self::Text
        }
    }

    fn with(self, other: Self) -> Self {
        match (self, other) {
            (one, other) if one == other => one,
            (Self::Null, kind) | (kind, Self::Null) => kind,
            (Self::Integer, Self::Number) | (Self::Number, Self::Integer) => Self::Number,
            (Self::Date, Self::Timestamp) | (Self::Timestamp, Self::Date) => Self::Timestamp,
            _ => Self::Text,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Date => "date",
            Self::Timestamp => "timestamp",
            Self::Text => "text",
        }
    }
}

fn is_integer(value: &str) -> bool {
    !is_code(value) && value.parse::<i64>().is_ok()
}

/// Words such as `inf` are text here, though Rust reads them.
fn is_number(value: &str) -> bool {
    let begins = value.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'));
    begins && !is_code(value) && value.parse::<f64>().is_ok_and(f64::is_finite)
}

/// Digits with a leading zero are a code, such as a postal one, and no number.
fn is_code(value: &str) -> bool {
    let digits = value.strip_prefix('-').unwrap_or(value).as_bytes();
    matches!(digits, [b'0', b'0'..=b'9', ..])
}

/// The columns; nothing if it is no text or has no header. Of a text that is cut off, the last line is left out.
pub(super) fn columns(bytes: &[u8], whole: bool) -> Option<Vec<Column>> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let bytes = if whole { bytes } else { &bytes[..=bytes.iter().rposition(|byte| *byte == b'\n')?] };
    let header = bytes.split(|byte| *byte == b'\n').next()?;
    let delimiter = DELIMITERS.into_iter().rev().max_by_key(|one| header.split(|byte| byte == one).count())?;
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(bytes);
    let names: Vec<String> = reader.headers().ok()?.iter().map(str::to_owned).collect();
    if names.iter().all(String::is_empty) {
        return None;
    }
    let mut kinds = vec![(Kind::Null, false); names.len()];
    for row in reader.records().take(ROWS) {
        // A line that is no text at all says nothing about the columns; the migration will look at every line.
        let Ok(row) = row else { continue };
        for (index, (kind, nullable)) in kinds.iter_mut().enumerate() {
            let value = row.get(index).unwrap_or_default().trim();
            *kind = kind.with(Kind::of(value));
            *nullable |= value.is_empty();
        }
    }
    let column = |(name, (kind, nullable)): (String, (Kind, bool))| Column { name, kind: kind.name().into(), nullable };
    Some(names.into_iter().zip(kinds).map(column).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, whole: bool) -> Vec<String> {
        let columns = columns(text.as_bytes(), whole).unwrap();
        let shown = columns
            .into_iter()
            .map(|column| format!("{}:{}{}", column.name, column.kind, if column.nullable { "?" } else { "" }));
        shown.collect()
    }

    #[test]
    fn the_simplest_type_that_fits_all_values_is_found() {
        let text = "\u{feff}id,price,at,day,zip,ok,note,none\n1,2,2026-01-02T03:04:05Z,2026-01-02,01234,true,\"a,\nb\",\n\
                    2,2.5,2026-01-02 03:04:05,2026-01-03,99999,FALSE,,\n";
        let wanted = [
            "id:integer",
            "price:number",
            "at:timestamp",
            "day:date",
            "zip:text",
            "ok:boolean",
            "note:text?",
            "none:null?",
        ];
        assert_eq!(shown(text, true), wanted);
    }

    #[test]
    fn other_delimiters_and_ragged_or_cut_off_lines_are_no_obstacle() {
        assert_eq!(shown("a\tb\n1\tx\n2\n3\ty\tz\n", true), ["a:integer", "b:text?"]);
        assert_eq!(shown("a;b\n1;2\n3;nonsen", false), ["a:integer", "b:integer"]);
        assert_eq!(shown("a;b\n1;2\n3;text", true), ["a:integer", "b:text"]);
    }

    #[test]
    fn what_has_no_header_has_no_columns() {
        assert_eq!(columns(b"", true), None);
        assert_eq!(columns(b"one line without an end", false), None);
        assert_eq!(columns(b"\n1,2\n", true).map(|columns| columns.len()), Some(2), "the reader skips empty lines");
    }
}
