//! Text from outside made harmless: escape sequences can recolour, rewrite or retitle a terminal, and direction marks
//! can make a line read as another. They are shown, as `\u{1b}`, rather than obeyed.

use std::fmt::Write;

/// The text with everything but line breaks that a terminal would obey shown instead.
pub(crate) fn neutral(text: &str) -> String {
    escape(text, |c| c != '\n' && is_hostile(c), |c, out| write!(out, "{}", c.escape_unicode()))
}

/// The same for a value that stands inside a line: it cannot begin a new one either.
pub(crate) fn inline(text: &str) -> String {
    escape(text, is_hostile, |c, out| match c {
        '\n' | '\r' | '\t' => write!(out, "{}", c.escape_default()),
        _ => write!(out, "{}", c.escape_unicode()),
    })
}

/// JSON with the same characters written as JSON escapes. They occur only inside of strings there.
pub(super) fn json(json: &str) -> String {
    escape(json, is_hostile, |c, out| write!(out, "\\u{:04x}", u32::from(c)))
}

fn escape(text: &str, hostile: fn(char) -> bool, show: fn(char, &mut String) -> std::fmt::Result) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        // Writing to a string cannot fail; if it did, the character would stay away.
        if !(hostile(c) && show(c, &mut out).is_ok()) {
            out.push(c);
        }
    }
    out
}

/// Control characters, and those that change the direction of writing (Unicode's Bidirectional Algorithm, section 2) or
/// break lines. All lie below U+10000, so that one JSON escape holds each.
fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_shown_instead() {
        assert_eq!(neutral("a\u{1b}[31mb\u{9b}c\nd"), "a\\u{1b}[31mb\\u{9b}c\nd");
        assert_eq!(inline("a\nb\tc\r\u{7f}\u{202e}"), "a\\nb\\tc\\r\\u{7f}\\u{202e}");
        assert_eq!(inline("naïve 数据 🪿"), "naïve 数据 🪿");
    }

    #[test]
    fn json_stays_the_same_value() {
        let value = "a\u{1b}\u{7f}\u{9b}\u{202e}\n数";
        let shown = json(&serde_json::to_string(value).unwrap());
        assert!(!shown.chars().any(is_hostile), "{shown}");
        assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), value);
    }
}
