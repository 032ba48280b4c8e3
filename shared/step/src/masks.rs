//! Keeps secrets out of what is printed: those that are known by their value, and those that look like one.
//!
//! A known secret is also masked as it looks in a URL, in base64 (at each of the three offsets it can have in encoded text) and in
//! JSON; of one with several lines, every line is masked by itself. Values of fewer than [`SHORTEST`] characters are not: they would mask
//! half of every text. Patterns (`patterns`) catch the usual credentials that nobody has told us of; they would rather mask too much.
//!
//! Both are found by one search each for fixed strings, so that an ordinary line costs no regular expression.

mod forms;
mod patterns;

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use aho_corasick::AhoCorasick;

/// What stands in place of a secret.
pub const MASK: &str = "***";

/// The shortest value that is masked, in characters.
pub const SHORTEST: usize = 4;

/// How much text after a place is looked at before it is held that no credential of the usual forms begins there, in bytes.
const PATTERN_OVERLAP: usize = 4096;

/// What is to be masked. Made once, and cheap to clone.
#[derive(Clone, Default)]
pub struct Masks {
    known: Option<Arc<AhoCorasick>>,
    longest: usize,
}

impl Masks {
    /// Masks the given values, beside what looks like a credential.
    pub fn new<S: AsRef<str>>(secrets: impl IntoIterator<Item = S>) -> Self {
        let needles = forms::of_all(secrets);
        if needles.is_empty() {
            return Self::default();
        }
        let longest = needles.iter().map(String::len).max().unwrap_or(0);
        match AhoCorasick::new(&needles) {
            Ok(known) => Self { known: Some(Arc::new(known)), longest },
            // More than four gigabytes of secrets, which no environment can hold.
            Err(error) => {
                tracing::error!(%error, "the known secrets are too many to be masked");
                Self::default()
            }
        }
    }

    /// A text, with its secrets masked. For text that is whole: an error, an output.
    pub fn apply<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut spans = Spans::default();
        let mut masked = String::new();
        let mut copied = 0;
        let mut start = 0;
        for line in text.split_inclusive('\n') {
            for span in spans.of_line(self, line.trim_end_matches(['\n', '\r'])) {
                masked.push_str(&text[copied..start + span.start]);
                masked.push_str(MASK);
                copied = start + span.end;
            }
            spans.line_ends();
            start += line.len();
        }
        if copied == 0 {
            return Cow::Borrowed(text);
        }
        masked.push_str(&text[copied..]);
        Cow::Owned(masked)
    }

    /// How many bytes must be known after a place to tell whether a secret begins there.
    pub(crate) fn overlap(&self) -> usize {
        self.longest.max(PATTERN_OVERLAP)
    }

    fn known(&self, text: &str, found: &mut Found) {
        if let Some(known) = &self.known {
            known.find_overlapping_iter(text).for_each(|hit| found.add(hit.range()));
        }
    }
}

impl fmt::Debug for Masks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = self.known.as_ref().map_or(0, |known| known.patterns_len());
        f.debug_struct("Masks").field("known", &known).finish_non_exhaustive()
    }
}

/// Finds the secrets in the lines of one stream, one after the other.
#[derive(Debug, Default)]
pub(crate) struct Spans {
    /// Between the first and the last line of a private key.
    in_key: bool,
    /// The part of the line before this one ended inside of a secret.
    in_secret: bool,
    found: Found,
}

/// What a search has found, in whatever order.
#[derive(Debug, Default)]
struct Found {
    /// What is to be masked.
    secrets: Vec<Range<usize>>,
    /// By what it was recognised, itself included: `password=…`.
    matches: Vec<Range<usize>>,
}

impl Found {
    /// A secret that is recognised by itself.
    fn add(&mut self, secret: Range<usize>) {
        self.secrets.push(secret.clone());
        self.matches.push(secret);
    }
}

impl Spans {
    /// The secrets in a line, or in its last part: sorted and apart from each other.
    pub(crate) fn of_line(&mut self, masks: &Masks, line: &str) -> Vec<Range<usize>> {
        self.find(masks, line);
        self.in_key = patterns::in_key_after(line, self.in_key);
        merge(&mut self.found.secrets)
    }

    /// The secrets in a part of a line that goes on, and by what they were recognised, where it must not be cut. What was taken of
    /// it must be said by [`Spans::consumed`].
    pub(crate) fn of_line_part(&mut self, masks: &Masks, part: &str) -> (Vec<Range<usize>>, Vec<Range<usize>>) {
        self.find(masks, part);
        (merge(&mut self.found.secrets), merge(&mut self.found.matches))
    }

    /// A part of a line has become a piece of its own; `inside` says whether it ended in the middle of a secret.
    pub(crate) fn consumed(&mut self, part: &str, inside: bool) {
        self.in_key = patterns::in_key_after(part, self.in_key);
        self.in_secret = inside;
    }

    /// The next text is another line.
    pub(crate) fn line_ends(&mut self) {
        self.in_secret = false;
    }

    fn find(&mut self, masks: &Masks, text: &str) {
        self.found.secrets.clear();
        self.found.matches.clear();
        masks.known(text, &mut self.found);
        patterns::find(text, self.in_key, &mut self.found);
        if self.in_secret {
            self.found.add(0..text.find(patterns::ends_secret).unwrap_or(text.len()));
        }
    }
}

/// Sorted, what touches or overlaps as one, without what is empty.
fn merge(spans: &mut Vec<Range<usize>>) -> Vec<Range<usize>> {
    if spans.is_empty() {
        return Vec::new();
    }
    spans.sort_unstable_by_key(|span| span.start);
    let mut merged: Vec<Range<usize>> = Vec::with_capacity(spans.len());
    for span in spans.drain(..).filter(|span| !span.is_empty()) {
        match merged.last_mut() {
            Some(last) if span.start <= last.end => last.end = last.end.max(span.end),
            _ => merged.push(span),
        }
    }
    merged
}

#[cfg(test)]
mod tests;
