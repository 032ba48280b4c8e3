//! The forms of Backstage's words, as its validators enforce them; where its documentation differs, the code counts.

use crate::name::DatasetName;

pub(super) const API_VERSION: &str = "must be a version, with or without a DNS name and `/` before it";
pub(super) const KIND: &str = "must be a letter, then letters or digits, at most 63 in all";
pub(super) const NAME: &str = "must be 1 to 63 letters, digits, `-`, `_` or `.`, with a letter or digit at both ends";
pub(super) const NAMESPACE: &str =
    "must be 1 to 63 lower-case letters, digits or `-`, with a letter or digit at both ends";
pub(super) const KEY: &str =
    "is not a key: it must be a name, or a lower-case DNS name, one `/` and a name, such as `honk/workflow`";
pub(super) const LABEL_VALUE: &str =
    "must be empty, or 1 to 63 letters, digits, `-`, `_` or `.`, with a letter or digit at both ends";
pub(super) const TAG: &str =
    "must be 1 to 63 lower-case letters, digits, `:`, `+` or `#`, in words that are separated by single `-`";

const MAX_WORD: usize = 63;
const MAX_DNS_NAME: usize = 253;

pub(super) fn is_name(text: &str) -> bool {
    DatasetName::new(text).is_ok()
}

pub(super) fn is_kind(text: &str) -> bool {
    text.len() <= MAX_WORD && text.starts_with(|c: char| c.is_ascii_alphabetic()) && is_alphanumeric(text)
}

pub(super) fn is_namespace(text: &str) -> bool {
    is_dns_label(text)
}

pub(super) fn is_api_version(text: &str) -> bool {
    let (prefix, version) = text.split_once('/').map_or((None, text), |(prefix, version)| (Some(prefix), version));
    prefix.is_none_or(is_dns_name) && !version.is_empty() && version.len() <= MAX_WORD && is_alphanumeric(version)
}

/// A key of a label or an annotation.
pub(super) fn is_key(text: &str) -> bool {
    let (prefix, name) = text.split_once('/').map_or((None, text), |(prefix, name)| (Some(prefix), name));
    prefix.is_none_or(is_dns_name) && is_name(name)
}

pub(super) fn is_label_value(text: &str) -> bool {
    text.is_empty() || is_name(text)
}

pub(super) fn is_tag(text: &str) -> bool {
    let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, ':' | '+' | '#');
    let word = |word: &str| !word.is_empty() && word.chars().all(letter);
    text.len() <= MAX_WORD && text.split('-').all(word)
}

/// Whether a browser's `new URL(text)` would take it, as far as links need: a scheme, and a host where the web needs one.
pub(super) fn is_url(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    let scheme_fits = scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(letter);
    let web = matches!(scheme.to_ascii_lowercase().as_str(), "http" | "https");
    let host = rest.strip_prefix("//").and_then(|rest| rest.split(['/', '?', '#']).next()).unwrap_or_default();
    let host_fits = !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || c.is_control());
    scheme_fits && !rest.is_empty() && (!web || host_fits)
}

fn is_alphanumeric(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric())
}

fn is_dns_name(text: &str) -> bool {
    text.len() <= MAX_DNS_NAME && text.split('.').all(is_dns_label)
}

fn is_dns_label(text: &str) -> bool {
    let bytes = text.as_bytes();
    let letter = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let ends = [bytes.first(), bytes.last()].iter().all(|end| end.is_some_and(letter));
    ends && bytes.len() <= MAX_WORD && bytes.iter().all(|b| letter(b) || *b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agrees(rule: fn(&str) -> bool, good: &[&str], bad: &[&str]) {
        for text in good {
            assert!(rule(text), "`{text}` should pass");
        }
        for text in bad {
            assert!(!rule(text), "`{text}` should not pass");
        }
    }

    #[test]
    fn words_follow_backstages_validators() {
        let (long, longer) = ("x".repeat(63), "x".repeat(64));
        agrees(is_kind, &["Component", "a", "A1", &long], &["", "1a", "a-b", "a.b", &longer]);
        agrees(is_namespace, &["default", "a-b", "a--b", "1"], &["", "Default", "a_b", "-a", "a-", &longer]);
        agrees(
            is_api_version,
            &["v1", "backstage.io/v1alpha1", "scaffolder.backstage.io/v1beta3"],
            &["", "/v1", "a/", "a/b/c", "Backstage.io/v1", "a/v-1"],
        );
        agrees(
            is_key,
            &["honk/workflow", "workflow", "a.b-c/d_E.f"],
            &["", "honk/a/b", "Honk/a", "honk/", "/a", "a b", "a..b/c"],
        );
        agrees(is_label_value, &["", "a", "A_b.c"], &["a/b", "a:b", "a b", "-a"]);
        agrees(is_tag, &["c++", "c#", "a-b", "a:b", "1"], &["", "A", "a--b", "-a", "a_b", &longer]);
        agrees(
            is_url,
            &["https://a.b/c?d", "http://a", "mailto:a@b", "slack://channel"],
            &["", "a", "/a", "https:", "https://", "http:///a", "1a:b", "http://a b/"],
        );
    }
}
