//! A document to an [`Entity`], reporting every fault on the way.

use serde_json::{Map, Value};

use super::kind::{KINDS, Kind};
use super::{DEFAULT_NAMESPACE, Entity, EntityProblem, WORKFLOW, rule};
use crate::name::WorkflowName;

/// The only keys that a document may have; `status` and `relations` are for Backstage alone to write.
const ROOT_KEYS: [&str; 4] = ["apiVersion", "kind", "metadata", "spec"];

/// A document may have as many faults as bytes, and nobody reads more than the first ones.
const MAX_FAULTS: usize = 50;

/// How much of a text is shown in a message, in characters.
const SHOWN: usize = 60;

/// The faults that were found so far.
#[derive(Default)]
pub(super) struct Faults(Vec<EntityProblem>);

impl Faults {
    pub(super) fn add(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.push(EntityProblem::new(path, message));
    }

    pub(super) fn add_with_fix(&mut self, path: impl Into<String>, message: impl Into<String>, fix: impl Into<String>) {
        self.push(EntityProblem::new(path, message).with_fix(fix));
    }

    fn push(&mut self, problem: EntityProblem) {
        if self.0.len() < MAX_FAULTS {
            self.0.push(problem);
        }
    }
}

pub(super) fn document(document: Value) -> Result<Entity, Vec<EntityProblem>> {
    let mut faults = Faults::default();
    match document.as_object() {
        Some(root) => check_root(root, &mut faults),
        None => faults.add_with_fix(
            "",
            format!("the document is {}, not an entity", kind_of(&document)),
            "an entity begins with `apiVersion:`",
        ),
    }
    if faults.0.is_empty() {
        // A shape that the checks above do not look at, such as a link's `title` that is a list.
        serde_json::from_value(document).map_err(|error| vec![EntityProblem::new("", error.to_string())])
    } else {
        Err(faults.0)
    }
}

fn check_root(root: &Map<String, Value>, faults: &mut Faults) {
    for key in root.keys().filter(|key| !ROOT_KEYS.contains(&key.as_str())) {
        let fix = "only `apiVersion`, `kind`, `metadata` and `spec` are allowed here";
        faults.add_with_fix(show(key), "is not a key of an entity", fix);
    }
    let kind = check_kind(root, faults);
    let metadata = member(root, "metadata", faults);
    let empty = Map::new();
    check_metadata(metadata.unwrap_or(&empty), metadata.is_some(), faults);
    let namespace = metadata.and_then(|metadata| metadata.get("namespace")).and_then(Value::as_str);
    let namespace = namespace.filter(|text| rule::is_namespace(text)).unwrap_or(DEFAULT_NAMESPACE);
    if let (Some(spec), Some(kind)) = (member(root, "spec", faults), kind) {
        kind.check(spec, namespace, faults);
    }
}

fn check_kind(root: &Map<String, Value>, faults: &mut Faults) -> Option<&'static Kind> {
    let version = word(root, "apiVersion", "", "add `apiVersion: backstage.io/v1alpha1`", faults);
    let name = word(root, "kind", "", "add `kind: Component`", faults)?;
    let Some(kind) = KINDS.iter().find(|kind| kind.name == name) else {
        let similar = KINDS.iter().find(|kind| kind.name.eq_ignore_ascii_case(name));
        let known = || format!("one of {}", KINDS.iter().map(|kind| kind.name).collect::<Vec<_>>().join(", "));
        let fix = similar.map_or_else(known, |kind| format!("write `kind: {}`", kind.name));
        let message = if rule::is_kind(name) { "is not a kind that Backstage knows" } else { rule::KIND };
        faults.add_with_fix("kind", format!("`{}` {message}", show(name)), fix);
        return None;
    };
    if let Some(version) = version.filter(|version| !kind.versions.contains(version)) {
        let problem = if rule::is_api_version(version) { "is not a version of this kind" } else { rule::API_VERSION };
        let message = format!("`{}` {problem}", show(version));
        faults.add_with_fix("apiVersion", message, format!("write `apiVersion: {}`", kind.versions[0]));
    }
    Some(kind)
}

fn check_metadata(metadata: &Map<String, Value>, present: bool, faults: &mut Faults) {
    if !present {
        return;
    }
    if let Some(name) = word(metadata, "name", "metadata.", "add `name: my-dataset` under `metadata`", faults) {
        form("metadata.name", name, rule::is_name, rule::NAME, faults);
    }
    let known = ["namespace", "title", "description"].into_iter().filter(|key| metadata.contains_key(*key));
    for key in known {
        let path = format!("metadata.{key}");
        let text = match &metadata[key] {
            Value::String(text) if key == "description" => Some(text.as_str()),
            value => a_text(&path, value, faults),
        };
        if let Some(text) = text.filter(|_| key == "namespace") {
            form(&path, text, rule::is_namespace, rule::NAMESPACE, faults);
        }
    }
    check_pairs(metadata, "labels", faults);
    check_pairs(metadata, "annotations", faults);
    check_tags(metadata, faults);
    check_links(metadata, faults);
}

/// Labels and annotations.
fn check_pairs(metadata: &Map<String, Value>, field: &str, faults: &mut Faults) {
    let Some(value) = metadata.get(field) else { return };
    let path = format!("metadata.{field}");
    let Some(pairs) = value.as_object() else {
        faults.add_with_fix(path, "must be a map of keys to texts", "write one `key: \"value\"` a line");
        return;
    };
    for (key, value) in pairs {
        let path = format!("{path}.{}", show(key));
        if !rule::is_key(key) {
            faults.add(&path, rule::KEY);
        }
        let Value::String(text) = value else {
            let message = format!("must be a text, and is {}", kind_of(value));
            faults.add_with_fix(&path, message, format!("quote it: `\"{}\"`", show(&value.to_string())));
            continue;
        };
        if field == "labels" && !rule::is_label_value(text) {
            faults.add(&path, format!("`{}` {}", show(text), rule::LABEL_VALUE));
        }
        if field == "annotations" && key == WORKFLOW && WorkflowName::new(text.as_str()).is_err() {
            faults.add(&path, format!("`{}` {}", show(text), rule::NAME));
        }
    }
}

fn check_tags(metadata: &Map<String, Value>, faults: &mut Faults) {
    let Some(tags) = metadata.get("tags") else { return };
    let Some(tags) = tags.as_array() else {
        faults.add_with_fix("metadata.tags", "must be a list", "write `[one, two]`");
        return;
    };
    for (index, tag) in tags.iter().enumerate() {
        let path = format!("metadata.tags[{index}]");
        if let Some(text) = a_text(&path, tag, faults) {
            form(&path, text, rule::is_tag, rule::TAG, faults);
        }
    }
}

fn check_links(metadata: &Map<String, Value>, faults: &mut Faults) {
    let Some(links) = metadata.get("links") else { return };
    let Some(links) = links.as_array() else {
        faults.add_with_fix("metadata.links", "must be a list", "write `- url: https://…` for each link");
        return;
    };
    for (index, link) in links.iter().enumerate() {
        let path = format!("metadata.links[{index}]");
        let Some(link) = link.as_object() else {
            faults.add_with_fix(path, "must be a map with a `url`", "write `- url: https://…`");
            continue;
        };
        let url = word(link, "url", &format!("{path}."), "add `url: https://…`", faults);
        if let Some(url) = url.filter(|url| !rule::is_url(url)) {
            let message = format!("`{}` is not a URL", show(url));
            faults.add_with_fix(format!("{path}.url"), message, "such as `https://wiki.example.com/page`");
        }
        for key in ["title", "icon"].into_iter().filter(|key| link.contains_key(*key)) {
            let _ = a_text(&format!("{path}.{key}"), &link[key], faults);
        }
    }
}

/// A required map.
fn member<'v>(root: &'v Map<String, Value>, key: &str, faults: &mut Faults) -> Option<&'v Map<String, Value>> {
    match root.get(key) {
        Some(Value::Object(map)) => return Some(map),
        Some(other) => faults.add(key, format!("must be a map, and is {}", kind_of(other))),
        None => faults.add_with_fix(key, "is missing", format!("add `{key}:` with its fields below it")),
    }
    None
}

/// A required non-empty text.
fn word<'v>(map: &'v Map<String, Value>, key: &str, at: &str, fix: &str, faults: &mut Faults) -> Option<&'v str> {
    let path = format!("{at}{key}");
    let Some(value) = map.get(key) else {
        faults.add_with_fix(path, "is missing", fix);
        return None;
    };
    a_text(&path, value, faults)
}

/// A non-empty text.
pub(super) fn a_text<'v>(path: &str, value: &'v Value, faults: &mut Faults) -> Option<&'v str> {
    match value {
        Value::String(text) if text.trim().is_empty() => faults.add(path, "must not be empty"),
        Value::String(text) => return Some(text),
        Value::Null => faults.add(path, "must not be empty"),
        Value::Bool(_) | Value::Number(_) => {
            let message = format!("must be a text, and is {}", kind_of(value));
            faults.add_with_fix(path, message, format!("quote it: `\"{value}\"`"));
        }
        Value::Array(_) | Value::Object(_) => faults.add(path, format!("must be a text, and is {}", kind_of(value))),
    }
    None
}

fn form(path: &str, text: &str, rule: fn(&str) -> bool, says: &str, faults: &mut Faults) {
    if !rule(text) {
        faults.add(path, format!("`{}` {says}", show(text)));
    }
}

const fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "empty",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}

/// Text from outside, fit for a message.
fn show(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests;
