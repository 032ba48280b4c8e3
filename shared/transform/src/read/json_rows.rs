//! Cuts JSON text into rows without holding more than one: the lines of JSON lines, or the elements of one array. Only brackets and
//! strings are understood here; whether a row is good JSON is its decoder's business.

use std::io::BufRead;

use honk_protocol::reason::Reason;

use crate::fault::{Fault, truncated};
use crate::input::InputFile;
use crate::read::at_line;

const BOM: &[u8] = b"\xef\xbb\xbf";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Unknown,
    Lines,
    Array,
    Ended,
}

/// The rows of one object.
pub struct JsonRows {
    file: InputFile,
    input: Box<dyn BufRead + Send>,
    limit: u64,
    mode: Mode,
    next_line: u64,
    /// The present row.
    pub row: Vec<u8>,
    /// The line that it begins at.
    pub line: u64,
}

/// Where in an element of an array the text is.
#[derive(Debug, Default)]
struct Depth {
    open: usize,
    in_string: bool,
    escaped: bool,
}

impl Depth {
    /// Takes a byte; whether it ends the element, and is not part of it.
    fn ends_at(&mut self, byte: u8) -> bool {
        if self.in_string {
            self.in_string = self.escaped || byte != b'"';
            self.escaped = !self.escaped && byte == b'\\';
            return false;
        }
        match byte {
            b',' | b']' if self.open == 0 => return true,
            b'"' => self.in_string = true,
            b'{' | b'[' => self.open += 1,
            b'}' | b']' => self.open = self.open.saturating_sub(1),
            _ => {}
        }
        false
    }
}

/// How many lines end in these bytes.
fn lines(bytes: &[u8]) -> u64 {
    bytes.iter().map(|byte| u64::from(*byte == b'\n')).sum()
}

impl JsonRows {
    /// The rows of `input`, which is the text of `file`, each of at most `limit` bytes.
    pub fn new(file: &InputFile, input: Box<dyn BufRead + Send>, limit: u64) -> Self {
        Self { file: file.clone(), input, limit, mode: Mode::Unknown, next_line: 1, row: Vec::new(), line: 1 }
    }

    /// Goes to the next row; false at the end.
    pub fn advance(&mut self) -> Result<bool, Fault> {
        self.row.clear();
        if self.mode == Mode::Unknown {
            self.mode = self.begin()?;
        }
        match self.mode {
            Mode::Array => self.element(),
            Mode::Ended | Mode::Unknown => self.end().map(|()| false),
            Mode::Lines => self.text_line(),
        }
    }

    /// Looks at the first character.
    fn begin(&mut self) -> Result<Mode, Fault> {
        if self.fill()?.starts_with(BOM) {
            self.input.consume(BOM.len());
        }
        self.skip_space()?;
        Ok(match self.fill()?.first() {
            None => Mode::Ended,
            Some(b'[') => {
                self.input.consume(1);
                Mode::Array
            }
            Some(_) => Mode::Lines,
        })
    }

    fn text_line(&mut self) -> Result<bool, Fault> {
        while self.row.iter().all(u8::is_ascii_whitespace) {
            self.row.clear();
            self.line = self.next_line;
            if !self.one_line()? {
                return Ok(!self.row.iter().all(u8::is_ascii_whitespace));
            }
        }
        Ok(true)
    }

    /// Takes the rest of a line; false where the text ends with it.
    fn one_line(&mut self) -> Result<bool, Fault> {
        loop {
            let buffer = self.input.fill_buf().map_err(|error| self.file.broken(&error))?;
            if buffer.is_empty() {
                return Ok(false);
            }
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let taken = end.unwrap_or(buffer.len());
            self.row.extend_from_slice(&buffer[..taken]);
            self.input.consume(taken + usize::from(end.is_some()));
            self.within_limit()?;
            if end.is_some() {
                self.next_line += 1;
                return Ok(true);
            }
        }
    }

    fn element(&mut self) -> Result<bool, Fault> {
        self.skip_space()?;
        self.line = self.next_line;
        let mut depth = Depth::default();
        loop {
            let buffer = self.input.fill_buf().map_err(|error| self.file.broken(&error))?;
            if buffer.is_empty() {
                return Err(truncated(self.file.key(), "the JSON array has no end"));
            }
            let end = buffer.iter().position(|byte| depth.ends_at(*byte));
            let taken = &buffer[..end.unwrap_or(buffer.len())];
            self.next_line += lines(taken);
            self.row.extend_from_slice(taken);
            let (taken, last) = (taken.len(), end.map(|end| buffer[end]));
            self.input.consume(taken + usize::from(end.is_some()));
            self.within_limit()?;
            if let Some(last) = last {
                return self.ended_by(last);
            }
        }
    }

    fn ended_by(&mut self, last: u8) -> Result<bool, Fault> {
        let is_empty = self.row.iter().all(u8::is_ascii_whitespace);
        if last == b']' {
            self.mode = Mode::Ended;
            if is_empty {
                return self.end().map(|()| false);
            }
        }
        Ok(true)
    }

    /// After the array there must be nothing.
    fn end(&mut self) -> Result<(), Fault> {
        self.skip_space()?;
        if self.fill()?.is_empty() {
            return Ok(());
        }
        let at = at_line(self.file.key(), self.next_line);
        Err(Fault::new(Reason::TransformValue, format!("{at}: there is more text after the end of the JSON array")))
    }

    fn skip_space(&mut self) -> Result<(), Fault> {
        loop {
            let buffer = self.fill()?;
            let space = buffer.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            let lines = lines(&buffer[..space]);
            if space == 0 {
                return Ok(());
            }
            self.next_line += lines;
            self.input.consume(space);
        }
    }

    fn fill(&mut self) -> Result<&[u8], Fault> {
        let file = &self.file;
        self.input.fill_buf().map_err(|error| file.broken(&error))
    }

    fn within_limit(&self) -> Result<(), Fault> {
        if self.row.len() as u64 <= self.limit {
            return Ok(());
        }
        let message = format!("{}: the row is longer than {} bytes", at_line(self.file.key(), self.line), self.limit);
        Err(Fault::new(Reason::TransformRowTooLong, message))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Cursor};

    use serde_json::Value;

    use super::*;

    fn rows(text: &[u8], buffer: usize) -> Result<Vec<(u64, Vec<u8>)>, Fault> {
        let input = BufReader::with_capacity(buffer, Cursor::new(text.to_vec()));
        let mut rows = JsonRows::new(&InputFile::sample("a.json"), Box::new(input), 1 << 20);
        let mut found = Vec::new();
        while rows.advance()? {
            found.push((rows.line, rows.row.trim_ascii().to_vec()));
        }
        Ok(found)
    }

    #[test]
    fn lines_are_counted_through_elements_and_between_them() {
        let found = rows(b"\n[\n{\"a\":\n1},\n\n{\"a\":\"]\\\"\"}]\n", 3).unwrap();
        let lines: Vec<_> = found.iter().map(|(line, _)| *line).collect();
        assert_eq!((lines.as_slice(), found[1].1.as_slice()), (&[3, 6][..], &b"{\"a\":\"]\\\"\"}"[..]));
        assert_eq!(rows(b"", 3).unwrap(), []);
        assert_eq!(rows(b" [ ] ", 3).unwrap(), []);
        assert!(rows(b"[1] 2", 3).unwrap_err().message.contains("after the end"));
        assert!(rows(b"[1,", 3).is_err());
    }

    #[test]
    fn rows_are_cut_alike_however_the_bytes_arrive() {
        const LETTERS: [char; 11] = ['[', ']', '{', '}', ',', ':', '"', '\\', ' ', 'é', '\n'];
        let mut random = fastrand::Rng::with_seed(7);
        for _case in 0..500 {
            let letter = |random: &mut fastrand::Rng| *random.choice(&LETTERS).unwrap();
            let text =
                |random: &mut fastrand::Rng| (0..random.usize(0..12)).map(|_| letter(random)).collect::<String>();
            let values: Vec<Value> = (0..random.usize(1..8))
                .map(|_| serde_json::json!({ "k": [text(&mut random), { text(&mut random): 1 }] }))
                .collect();
            let lines: Vec<String> = values.iter().map(Value::to_string).collect();
            for text in [format!("[{}]", lines.join(" ,\n")), lines.join("\n")] {
                let found = rows(text.as_bytes(), random.usize(3..40)).unwrap();
                let found: Vec<Value> = found.iter().map(|(_, row)| serde_json::from_slice(row).unwrap()).collect();
                assert_eq!(found, values);
            }
        }
    }
}
