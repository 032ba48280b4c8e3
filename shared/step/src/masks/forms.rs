//! The forms in which a known secret may be printed.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::SHORTEST;

/// What `encodeURIComponent` and most libraries leave as it is.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// What may stay as it is in a path, which is also what Python's `quote` leaves.
const PATH: &AsciiSet = &UNRESERVED.remove(b'/');

/// The shortest inner part of an encoded secret that is looked for by itself; shorter ones occur by chance.
const SHORTEST_INNER: usize = 8;

/// Every form of every secret.
pub(super) fn of_all<S: AsRef<str>>(secrets: impl IntoIterator<Item = S>) -> BTreeSet<String> {
    let mut forms = BTreeSet::new();
    for secret in secrets {
        let secret = secret.as_ref();
        of_one(secret, &mut forms);
        for line in secret.lines().map(str::trim) {
            of_one(line, &mut forms);
        }
    }
    forms
}

fn of_one(secret: &str, forms: &mut BTreeSet<String>) {
    if secret.chars().count() < SHORTEST {
        return;
    }
    forms.insert(secret.to_owned());
    for set in [NON_ALPHANUMERIC, UNRESERVED, PATH] {
        let encoded = utf8_percent_encode(secret, set).to_string();
        for encoded in [lower_case_escapes(&encoded), encoded] {
            forms.insert(encoded.replace("%20", "+"));
            forms.insert(encoded);
        }
    }
    for ascii in [false, true] {
        let escaped = json(secret, ascii);
        forms.insert(escaped.replace('/', "\\/"));
        forms.insert(escaped);
    }
    for encoded in base64(secret.as_bytes()) {
        forms.insert(encoded.replace('+', "-").replace('/', "_"));
        forms.insert(encoded);
    }
}

/// `%2F` as `%2f`, which some programs write.
fn lower_case_escapes(encoded: &str) -> String {
    let mut parts = encoded.split('%');
    let mut lower = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (escape, rest) = part.split_at(part.len().min(2));
        lower.push('%');
        lower.push_str(&escape.to_ascii_lowercase());
        lower.push_str(rest);
    }
    lower
}

/// As it stands between the quotes of a JSON string; with `ascii` as Python writes it, everything beyond ASCII escaped.
fn json(secret: &str, ascii: bool) -> String {
    let quoted = serde_json::Value::from(secret).to_string();
    let inner = quoted.get(1..quoted.len() - 1).unwrap_or_default();
    if !ascii {
        return inner.to_owned();
    }
    let mut escaped = String::with_capacity(inner.len());
    for character in inner.chars() {
        if character.is_ascii() {
            escaped.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            // Writing to a string cannot fail.
            write!(escaped, "\\u{unit:04x}").ok();
        }
    }
    escaped
}

/// Base64 of the secret alone, without padding; and what is certain of it when other text stands before and behind it, for each of the
/// three offsets that it can then have.
fn base64(secret: &[u8]) -> Vec<String> {
    let whole = STANDARD.encode(secret);
    let mut found = vec![whole.trim_end_matches('=').to_owned()];
    for offset in 0..3 {
        let encoded = STANDARD.encode([&[0; 3][..offset], secret].concat());
        // A character of base64 is six bits: those that the text before has a part in, and those that the text behind has, are left out.
        let first = (offset * 8).div_ceil(6);
        let last = (offset + secret.len()) * 8 / 6;
        if last >= first + SHORTEST_INNER {
            found.push(encoded[first..last].to_owned());
        }
    }
    found
}
