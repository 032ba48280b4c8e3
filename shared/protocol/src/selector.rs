//! A selection of datasets: `owner=data-team,lifecycle!=experimental,tag`. One parser for the command line, the API and schedules.
//!
//! Parts are separated by commas and all must hold. A part is a key that is there (`tag`), that is not there (`!tag`), that has a value
//! (`owner=data-team`) or has not (`owner!=data-team`). A value with a comma, a quote or space at its ends stands in double quotes, inside
//! which `\"` is a quote and `\\` a backslash.

use std::fmt;
use std::str::FromStr;

use serde_json::Value;

use crate::entity::{Entity, EntityRef};

/// What a key may be, for errors and help.
pub const KEYS: &str = "owner, lifecycle, system, type, name, tag, annotation.NAME, label.NAME";

/// A selection of datasets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    key: Key,
    test: Test,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Key {
    Owner,
    Lifecycle,
    System,
    Type,
    Name,
    Tag,
    Annotation(String),
    Label(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Test {
    Is(String),
    IsNot(String),
    IsThere,
    IsAbsent,
}

/// Why a text is no selection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectorError {
    /// Nothing, or nothing between two commas.
    #[error(
        "a part of the selection is empty; write KEY=VALUE, several with commas, like `owner=data-team,lifecycle=production`"
    )]
    Empty,
    /// Not one of [`KEYS`].
    #[error("`{0}` is no key; the keys are {KEYS}")]
    UnknownKey(String),
    /// An operator without a value.
    #[error("`{0}` has no value; write `{0}=VALUE`, `{0}!=VALUE`, or `{0}` alone if it only has to be there")]
    NoValue(String),
    /// A quote that does not end, or text around it.
    #[error("the quotes of `{0}` are not right; write the whole value in double quotes, and a quote inside as `\\\"`")]
    Quotes(String),
    /// `!` before a comparison.
    #[error("`!{0}` says that a key is not there, and so has no value; write `{0}!=VALUE` if you mean another value")]
    AbsentValue(String),
}

impl Selector {
    /// Whether the entity is a dataset that is selected.
    pub fn matches(&self, entity: &Entity) -> bool {
        entity.is_dataset() && self.0.iter().all(|part| part.holds(entity))
    }
}

impl Part {
    fn holds(&self, entity: &Entity) -> bool {
        match &self.test {
            Test::Is(value) => self.key.has(entity, value),
            Test::IsNot(value) => !self.key.has(entity, value),
            Test::IsThere => self.key.is_there(entity),
            Test::IsAbsent => !self.key.is_there(entity),
        }
    }
}

impl Key {
    fn has(&self, entity: &Entity, value: &str) -> bool {
        match self {
            // `data-team`, `group:data-team` and `group:default/data-team` are one owner.
            Self::Owner => same_entity(entity, "owner", "group", value),
            Self::System => same_entity(entity, "system", "system", value),
            Self::Lifecycle => spec(entity, "lifecycle") == Some(value),
            Self::Type => spec(entity, "type").is_some_and(|found| found.eq_ignore_ascii_case(value)),
            Self::Name => is_like(entity.metadata.name.as_str(), value),
            Self::Tag => entity.metadata.tags.iter().any(|tag| tag == value),
            Self::Annotation(key) => entity.annotation(key) == Some(value),
            Self::Label(key) => entity.metadata.labels.get(key).is_some_and(|found| found == value),
        }
    }

    fn is_there(&self, entity: &Entity) -> bool {
        match self {
            Self::Owner => spec(entity, "owner").is_some(),
            Self::System => spec(entity, "system").is_some(),
            Self::Lifecycle => spec(entity, "lifecycle").is_some(),
            Self::Type => spec(entity, "type").is_some(),
            Self::Name => true,
            Self::Tag => !entity.metadata.tags.is_empty(),
            Self::Annotation(key) => entity.annotation(key).is_some(),
            Self::Label(key) => entity.metadata.labels.contains_key(key),
        }
    }

    fn parse(text: &str) -> Result<Self, SelectorError> {
        let named = |name: &str| -> Result<String, SelectorError> {
            if is_name(name) { Ok(name.to_owned()) } else { Err(SelectorError::UnknownKey(text.to_owned())) }
        };
        match text {
            "owner" => Ok(Self::Owner),
            "lifecycle" => Ok(Self::Lifecycle),
            "system" => Ok(Self::System),
            "type" => Ok(Self::Type),
            "name" => Ok(Self::Name),
            "tag" => Ok(Self::Tag),
            _ => match text.split_once('.') {
                Some(("annotation", name)) => named(name).map(Self::Annotation),
                Some(("label", name)) => named(name).map(Self::Label),
                _ => Err(SelectorError::UnknownKey(text.to_owned())),
            },
        }
    }
}

/// The keys of annotations and labels, as Backstage has them: a name, with a domain and a `/` before it or without.
fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./".contains(&b))
}

fn spec<'e>(entity: &'e Entity, field: &str) -> Option<&'e str> {
    entity.spec.get(field).and_then(Value::as_str)
}

fn same_entity(entity: &Entity, field: &str, kind: &str, value: &str) -> bool {
    let parse = |text| EntityRef::parse(text, Some(kind), entity.namespace()).ok();
    let Some(found) = spec(entity, field) else { return false };
    found == value || parse(found).is_some_and(|found| parse(value) == Some(found))
}

/// Whether `name` is as `pattern` says, in which `*` stands for any characters and `?` for one. Names differ by more than the case of their
/// letters, so the case does not count.
fn is_like(name: &str, pattern: &str) -> bool {
    let (name, pattern) = (name.to_ascii_lowercase().into_bytes(), pattern.to_ascii_lowercase().into_bytes());
    let (mut at, mut expected) = (0, 0);
    let mut last_star: Option<(usize, usize)> = None;
    while at < name.len() {
        match pattern.get(expected) {
            Some(b'*') => {
                last_star = Some((at, expected));
                expected += 1;
            }
            Some(byte) if *byte == b'?' || *byte == name[at] => (at, expected) = (at + 1, expected + 1),
            // The star before takes one more byte.
            _ => match last_star {
                Some((from, star)) => {
                    last_star = Some((from + 1, star));
                    (at, expected) = (from + 1, star + 1);
                }
                None => return false,
            },
        }
    }
    pattern[expected..].iter().all(|byte| *byte == b'*')
}

impl FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        split(text).into_iter().map(str::parse).collect::<Result<_, _>>().map(Self)
    }
}

impl FromStr for Part {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(SelectorError::Empty);
        }
        let Some((before, value)) = text.split_once('=') else {
            return Ok(match text.strip_prefix('!') {
                Some(key) => Self { key: Key::parse(key.trim())?, test: Test::IsAbsent },
                None => Self { key: Key::parse(text)?, test: Test::IsThere },
            });
        };
        if let Some(key) = before.strip_prefix('!') {
            return Err(SelectorError::AbsentValue(key.trim().to_owned()));
        }
        let negated = before.strip_suffix('!');
        let name = negated.unwrap_or(before).trim();
        let key = Key::parse(name)?;
        let value = read_value(value.trim())?;
        if value.is_empty() {
            return Err(SelectorError::NoValue(name.to_owned()));
        }
        Ok(Self { key, test: if negated.is_some() { Test::IsNot(value) } else { Test::Is(value) } })
    }
}

/// The parts between commas that are not inside quotes.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut from, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' if !quoted => {
                parts.push(&text[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[from..]);
    parts
}

fn read_value(text: &str) -> Result<String, SelectorError> {
    let wrong = || SelectorError::Quotes(text.to_owned());
    let Some(inside) = text.strip_prefix('"') else {
        return if text.contains('"') { Err(wrong()) } else { Ok(text.to_owned()) };
    };
    let (mut value, mut rest) = (String::new(), inside.chars());
    loop {
        match rest.next().ok_or_else(wrong)? {
            '"' => break,
            '\\' => value.push(rest.next().filter(|c| ['"', '\\'].contains(c)).ok_or_else(wrong)?),
            other => value.push(other),
        }
    }
    if rest.as_str().is_empty() { Ok(value) } else { Err(wrong()) }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, Part { key, test }) in self.0.iter().enumerate() {
            f.write_str(if place == 0 { "" } else { "," })?;
            match test {
                Test::Is(value) => write!(f, "{key}={}", written(value))?,
                Test::IsNot(value) => write!(f, "{key}!={}", written(value))?,
                Test::IsThere => write!(f, "{key}")?,
                Test::IsAbsent => write!(f, "!{key}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Owner => f.write_str("owner"),
            Self::Lifecycle => f.write_str("lifecycle"),
            Self::System => f.write_str("system"),
            Self::Type => f.write_str("type"),
            Self::Name => f.write_str("name"),
            Self::Tag => f.write_str("tag"),
            Self::Annotation(name) => write!(f, "annotation.{name}"),
            Self::Label(name) => write!(f, "label.{name}"),
        }
    }
}

/// A value in quotes if it needs them.
fn written(value: &str) -> String {
    if value.contains([',', '"']) || value.trim() != value {
        return format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""));
    }
    value.to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn entity() -> Entity {
        let document = json!({
            "apiVersion": "backstage.io/v1alpha1", "kind": "Resource",
            "metadata": {
                "name": "Sales.eu-1", "tags": ["nightly", "eu"], "labels": {"tier": "gold"},
                "annotations": {"honk/workflow": "migrate", "acme.org/note": "a, \"b\" "},
            },
            "spec": {"type": "dataset", "lifecycle": "production", "owner": "data-team", "system": "warehouse"},
        });
        Entity::check(document).expect("an entity")
    }

    #[test]
    fn a_dataset_is_selected_if_every_part_holds() {
        for (selector, selected) in [
            ("owner=data-team", true),
            ("owner=group:default/Data-Team", true),
            ("owner=user:data-team", false),
            ("owner!=data-team", false),
            ("system=system:warehouse, lifecycle = production", true),
            ("lifecycle=production,owner=other", false),
            ("type=dataset", true),
            ("name=sales.*", true),
            ("name=*.EU-?", true),
            ("name=sales", false),
            ("name=*u-?1", false),
            ("tag", true),
            ("tag=eu,tag=nightly", true),
            ("tag!=eu", false),
            ("!tag", false),
            ("annotation.honk/workflow=migrate", true),
            ("annotation.acme.org/note=\"a, \\\"b\\\" \"", true),
            ("!annotation.honk/do-not-migrate", true),
            ("annotation.honk/do-not-migrate!=true", true),
            ("label.tier", true),
            ("label.tier=silver", false),
        ] {
            let parsed: Selector = selector.parse().unwrap_or_else(|error| panic!("{selector}: {error}"));
            assert_eq!(parsed.matches(&entity()), selected, "{selector}");
        }
    }

    #[test]
    fn what_is_no_selection_is_refused_with_what_to_write() {
        for (text, says) in [
            ("", "is empty"),
            ("owner=a,,tag", "is empty"),
            ("ownr=a", "the keys are owner, lifecycle"),
            ("annotation.=a", "`annotation.` is no key"),
            ("owner=", "write `owner=VALUE`"),
            ("owner!=", "write `owner=VALUE`"),
            ("!owner=a", "write `owner!=VALUE`"),
            ("name=\"a", "double quotes"),
            ("name=a\"b", "double quotes"),
            ("name=\"a\"b", "double quotes"),
            ("Group", "is no key"),
        ] {
            let error = text.parse::<Selector>().expect_err(text).to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    fn keys() -> impl Strategy<Value = Key> {
        let name = "[a-z][a-z./_-]{0,12}";
        prop_oneof![
            prop::sample::select(vec![Key::Owner, Key::Lifecycle, Key::System, Key::Type, Key::Name, Key::Tag]),
            name.prop_map(Key::Annotation),
            name.prop_map(Key::Label),
        ]
    }

    fn tests() -> impl Strategy<Value = Test> {
        let value = "[ -~é\\n\\\\\",=!]{1,12}";
        prop_oneof![value.prop_map(Test::Is), value.prop_map(Test::IsNot), Just(Test::IsThere), Just(Test::IsAbsent)]
    }

    proptest! {
        #[test]
        fn a_selection_reads_back_as_it_is_written(parts in prop::collection::vec((keys(), tests()), 1..5)) {
            let selector = Selector(parts.into_iter().map(|(key, test)| Part { key, test }).collect());
            prop_assert_eq!(selector.to_string().parse::<Selector>(), Ok(selector));
        }

        #[test]
        fn no_text_is_taken_for_another_selection(text in "[a-z.,=!\"\\\\ ]{0,30}") {
            if let Ok(selector) = text.parse::<Selector>() {
                prop_assert_eq!(selector.to_string().parse::<Selector>(), Ok(selector));
            }
        }

        #[test]
        fn a_star_stands_for_anything(before in "[a-z]{0,5}", between in "[a-z]{0,9}", after in "[a-z]{0,5}") {
            let (name, pattern) = (format!("{before}{between}{after}"), format!("{before}*{after}"));
            prop_assert!(is_like(&name, &pattern));
            let anything = "?".repeat(name.len());
            prop_assert!(is_like(&name, &anything));
        }
    }
}
