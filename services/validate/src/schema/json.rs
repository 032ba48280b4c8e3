//! JSON: the keys of the sampled objects, in the order of their names, and what their values are.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::Column;

/// Documents that are looked at.
const DOCUMENTS: usize = 1_000;

/// The columns of documents that stand one a line; nothing if one is no object. A last line that is cut off is left out.
pub(super) fn columns_of_lines(bytes: &[u8], whole: bool) -> Option<Vec<Column>> {
    let bytes = if whole { bytes } else { &bytes[..=bytes.iter().rposition(|byte| *byte == b'\n')?] };
    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
    let documents: Option<Vec<_>> =
        lines.take(DOCUMENTS).map(|line| serde_json::from_slice::<Map<String, Value>>(line).ok()).collect();
    columns(&documents?)
}

/// The columns of an array of objects. One that was not read to its end is no JSON, and has none.
pub(super) fn columns_of_array(bytes: &[u8]) -> Option<Vec<Column>> {
    let documents: Vec<Map<String, Value>> = serde_json::from_slice(bytes).ok()?;
    columns(&documents[..documents.len().min(DOCUMENTS)])
}

fn columns(documents: &[Map<String, Value>]) -> Option<Vec<Column>> {
    let mut kinds: BTreeMap<&str, (&str, usize)> = BTreeMap::new();
    for (name, value) in documents.iter().flatten() {
        let (kind, values) = kinds.entry(name).or_insert(("null", 0));
        *kind = together(kind, kind_of(value));
        *values += usize::from(!value.is_null());
    }
    let column = |(name, (kind, values)): (&str, (&str, usize))| Column {
        name: name.to_owned(),
        kind: kind.to_owned(),
        nullable: values < documents.len(),
    };
    (!kinds.is_empty()).then(|| kinds.into_iter().map(column).collect())
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "text",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    }
}

/// The type of values of two types.
fn together<'k>(one: &'k str, other: &'k str) -> &'k str {
    match (one, other) {
        (one, other) if one == other => one,
        ("null", kind) | (kind, "null") => kind,
        ("integer", "number") | ("number", "integer") => "number",
        _ => "mixed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(columns: Option<Vec<Column>>) -> Vec<String> {
        let shown = columns
            .unwrap()
            .into_iter()
            .map(|column| format!("{}:{}{}", column.name, column.kind, if column.nullable { "?" } else { "" }));
        shown.collect()
    }

    #[test]
    fn keys_of_all_lines_are_told_with_what_they_hold() {
        let lines = b"{\"b\":1,\"a\":\"x\",\"n\":null}\n\n{\"b\":2.5,\"c\":[1],\"a\":\"y\"}\n{\"b\":3,\"a\":true,\"cut";
        assert_eq!(shown(columns_of_lines(lines, false)), ["a:text", "b:number", "c:list?", "n:null?"]);
        assert_eq!(columns_of_lines(lines, true), None, "a broken line is no JSON");
        assert_eq!(columns_of_lines(b"[1]\n", true), None);
    }

    #[test]
    fn an_array_of_objects_is_a_table_too() {
        assert_eq!(shown(columns_of_array(br#"[{"a":1},{"a":"x","b":{}}]"#)), ["a:mixed", "b:object?"]);
        for other in [&b"[{\"a\":1}"[..], b"{}", b"[1]", b"[]"] {
            assert_eq!(columns_of_array(other), None);
        }
    }
}
