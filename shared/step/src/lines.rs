//! Bytes of one stream → lines of text with secrets masked.
//!
//! A line ends at a line feed; a carriage return before it goes with it. What is no UTF-8 becomes U+FFFD, and so does NUL; other control
//! characters stay, for whoever shows the text to deal with. A line longer than [`MAX_LINE_BYTES`] is cut into pieces, never inside of a
//! secret: a piece is cut only when enough of what follows it is known to recognise any secret that begins in it, and if one lies across
//! the cut, or what it was recognised by, the cut moves behind it.

use std::mem;
use std::ops::Range;

use honk_protocol::log::MAX_LINE_BYTES;

use crate::masks::{MASK, Masks, Spans};

/// A line, or a part of a long one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) text: String,
    pub(crate) continued: bool,
}

/// What of a stream has not become lines yet.
pub(crate) struct Lines<'a> {
    masks: &'a Masks,
    /// The line that has not ended, without the pieces that were cut off it.
    text: String,
    /// The beginning of a character whose end has not been read.
    partial: Vec<u8>,
    /// Whether pieces were cut off the line.
    cut: bool,
    spans: Spans,
}

impl<'a> Lines<'a> {
    pub(crate) fn new(masks: &'a Masks) -> Self {
        Self { masks, text: String::new(), partial: Vec::new(), cut: false, spans: Spans::default() }
    }

    /// Takes what was read, and adds the lines that it ends to `pieces`.
    pub(crate) fn push(&mut self, bytes: &[u8], pieces: &mut Vec<Piece>) {
        let mut parts = bytes.split(|byte| *byte == b'\n');
        // There is always a last part, which no line feed has ended, though it may be empty.
        let unended = parts.next_back().unwrap_or_default();
        for part in parts {
            self.append(part);
            self.end_line(pieces);
        }
        self.append(unended);
        while self.text.len() >= self.window() {
            self.cut(pieces);
        }
    }

    /// The stream has ended, and with it the last line, if it has any text.
    pub(crate) fn finish(&mut self, pieces: &mut Vec<Piece>) {
        if !self.text.is_empty() || !self.partial.is_empty() || self.cut {
            self.end_line(pieces);
        }
    }

    /// How much text must be known before a piece of it can be cut off.
    fn window(&self) -> usize {
        MAX_LINE_BYTES + self.masks.overlap()
    }

    fn append(&mut self, bytes: &[u8]) {
        if self.partial.is_empty() {
            decode(bytes, &mut self.text, &mut self.partial);
        } else {
            let mut joined = mem::take(&mut self.partial);
            joined.extend_from_slice(bytes);
            decode(&joined, &mut self.text, &mut self.partial);
        }
    }

    fn end_line(&mut self, pieces: &mut Vec<Piece>) {
        if !mem::take(&mut self.partial).is_empty() {
            self.text.push(char::REPLACEMENT_CHARACTER);
        }
        if self.text.ends_with('\r') {
            self.text.pop();
        }
        while self.text.len() > MAX_LINE_BYTES {
            self.cut(pieces);
        }
        let text = mem::take(&mut self.text);
        let spans = self.spans.of_line(self.masks, &text);
        emit(text, &spans, false, pieces);
        self.spans.line_ends();
        self.cut = false;
    }

    /// Cuts one piece off the beginning of the line.
    fn cut(&mut self, pieces: &mut Vec<Piece>) {
        let window = &self.text[..self.text.floor_char_boundary(self.window())];
        let (spans, matches) = self.spans.of_line_part(self.masks, window);
        let mut at = window.floor_char_boundary(MAX_LINE_BYTES);
        if let Some(across) = matches.iter().find(|found| found.start < at && at < found.end) {
            at = across.end;
        }
        let inside = at == window.len() && spans.last().is_some_and(|span| span.end == at);
        let kept: Vec<Range<usize>> = spans.into_iter().filter(|span| span.end <= at).collect();
        let rest = self.text.split_off(at);
        let piece = mem::replace(&mut self.text, rest);
        self.spans.consumed(&piece, inside);
        self.cut = true;
        emit(piece, &kept, true, pieces);
    }
}

/// Adds the text with its secrets masked: as one piece, or as several if the masks have made it too long.
fn emit(text: String, spans: &[Range<usize>], continued: bool, pieces: &mut Vec<Piece>) {
    let mut text = masked(text, spans);
    while text.len() > MAX_LINE_BYTES {
        let rest = text.split_off(text.floor_char_boundary(MAX_LINE_BYTES));
        pieces.push(Piece { text: mem::replace(&mut text, rest), continued: true });
    }
    pieces.push(Piece { text, continued });
}

fn masked(text: String, spans: &[Range<usize>]) -> String {
    if spans.is_empty() {
        return text;
    }
    let mut masked = String::with_capacity(text.len());
    let mut from = 0;
    for span in spans {
        masked.push_str(&text[from..span.start]);
        masked.push_str(MASK);
        from = span.end;
    }
    masked.push_str(&text[from..]);
    masked
}

/// Adds the bytes as text, and puts an unfinished character at their end into `partial`.
fn decode(bytes: &[u8], text: &mut String, partial: &mut Vec<u8>) {
    let mut end = 0;
    for chunk in bytes.utf8_chunks() {
        push_without_nul(chunk.valid(), text);
        end += chunk.valid().len() + chunk.invalid().len();
        if chunk.invalid().is_empty() {
            continue;
        }
        let unfinished = std::str::from_utf8(chunk.invalid()).is_err_and(|error| error.error_len().is_none());
        if unfinished && end == bytes.len() {
            partial.extend_from_slice(chunk.invalid());
        } else {
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
}

fn push_without_nul(valid: &str, text: &mut String) {
    for (index, part) in valid.split('\0').enumerate() {
        if index > 0 {
            text.push(char::REPLACEMENT_CHARACTER);
        }
        text.push_str(part);
    }
}
