//! The JSON registry: what is written down about a dataset, as programs find it in `<dataset>.meta.json`, and what they change there.
//!
//! The file holds `name`, `source` and `target`, which are Honk's, and everything that programs and people have added. What a step changed is
//! put into the registry as changes, key by key at every level, so that two jobs that change different things do not undo each other.

use honk_protocol::dataset::Location;
use honk_protocol::name::DatasetName;
use honk_protocol::reason::Reason;
use honk_protocol::settle::Failed;
use serde_json::{Map, Value, json};

/// The most bytes that the file may have when a program leaves it.
pub(super) const MAX_METADATA: u64 = 256 * 1024;

/// The most that may be written down about one dataset, in bytes of indented JSON: the file has what is Honk's beside it.
pub const MAX_NOTES: u64 = MAX_METADATA - 8 * 1024;

/// What nobody but Honk writes there: the location has commands of its own, with checks.
pub const RESERVED: [&str; 3] = ["name", "source", "target"];

/// The file's name.
pub(super) fn file_name(dataset: &DatasetName) -> String {
    format!("{dataset}.meta.json")
}

/// The file's content.
pub(super) fn document(
    dataset: &DatasetName,
    location: Option<&Location>,
    notes: &Map<String, Value>,
) -> Map<String, Value> {
    let mut document = notes.clone();
    document.insert("name".to_owned(), json!(dataset));
    for (key, place) in [("source", location.map(|it| &it.spec.source)), ("target", location.map(|it| &it.spec.target))]
    {
        match place {
            Some(place) => document.insert(key.to_owned(), json!(place)),
            None => document.remove(key),
        };
    }
    document
}

/// What a program changed between `before` and the file that it `left`: an RFC 7396 merge patch, empty if nothing.
///
/// # Errors
/// The file is no JSON object, is too large, or has other values for what is Honk's.
pub(super) fn changes(before: &Map<String, Value>, left: &[u8], file: &str) -> Result<Map<String, Value>, Failed> {
    let invalid = |problem: String| Failed::reject(Reason::MetadataInvalid, format!("`{file}` {problem}"));
    if left.len() as u64 > MAX_METADATA {
        return Err(invalid(format!("has more than {MAX_METADATA} bytes")));
    }
    let left: Value = serde_json::from_slice(left).map_err(|error| invalid(format!("is not JSON: {error}")))?;
    let Value::Object(left) = left else { return Err(invalid("is not a JSON object".to_owned())) };
    if let Some(key) = RESERVED.into_iter().find(|key| before.get(*key) != left.get(*key)) {
        let help = "only `honk dataset location` changes where a dataset lies";
        return Err(invalid(format!("has another `{key}` than Honk wrote there; {help}")));
    }
    Ok(patch(before, &left))
}

/// The merge patch from `before` to `after`: what is gone is null.
fn patch(before: &Map<String, Value>, after: &Map<String, Value>) -> Map<String, Value> {
    let gone = before.keys().filter(|key| !after.contains_key(*key)).map(|key| (key.clone(), Value::Null));
    let new = after.iter().filter(|(key, value)| before.get(*key) != Some(value)).map(|(key, value)| {
        let change = match (before.get(key), value) {
            (Some(Value::Object(before)), Value::Object(after)) => Value::Object(patch(before, after)),
            _ => value.clone(),
        };
        (key.clone(), change)
    });
    gone.chain(new).collect()
}

/// Applies a merge patch (RFC 7396, section 2).
pub(crate) fn merge(into: &mut Map<String, Value>, patch: &Map<String, Value>) {
    for (key, change) in patch {
        match change {
            Value::Null => drop(into.remove(key)),
            Value::Object(change) => {
                let inner = into.entry(key.clone()).or_insert_with(|| json!({}));
                if !inner.is_object() {
                    *inner = json!({});
                }
                if let Value::Object(inner) = inner {
                    merge(inner, change);
                }
            }
            value => drop(into.insert(key.clone(), value.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn object(value: &Value) -> Map<String, Value> {
        value.as_object().expect("an object").clone()
    }

    #[test]
    fn only_what_a_program_changed_is_merged() {
        let before = object(&json!({ "name": "d", "status": "new", "counts": { "rows": 1, "bytes": 2 }, "old": true }));
        let left = br#"{"name":"d","status":"migrated","counts":{"rows":7,"bytes":2}}"#;
        let changes = changes(&before, left, "d.meta.json").expect("is an object");
        assert_eq!(
            Value::Object(changes.clone()),
            json!({ "status": "migrated", "counts": { "rows": 7 }, "old": null })
        );
        let mut meanwhile =
            object(&json!({ "status": "new", "counts": { "rows": 1, "files": 3 }, "old": true, "owner": "x" }));
        merge(&mut meanwhile, &changes);
        assert_eq!(
            Value::Object(meanwhile),
            json!({ "status": "migrated", "counts": { "rows": 7, "files": 3 }, "owner": "x" })
        );
    }

    #[test]
    fn nonsense_and_what_is_honks_is_refused() {
        let before = object(&json!({ "name": "d", "source": { "s3": { "bucket": "a" } } }));
        let large = format!("{{\"name\":\"d\",\"x\":\"{}\"}}", "x".repeat(300_000));
        for (left, word) in [
            ("nonsense", "not JSON"),
            ("[]", "not a JSON object"),
            (r#"{"name":"e","source":{"s3":{"bucket":"a"}}}"#, "another `name`"),
            (r#"{"name":"d","source":{"s3":{"bucket":"b"}}}"#, "another `source`"),
            (r#"{"name":"d"}"#, "another `source`"),
            (large.as_str(), "bytes"),
        ] {
            let failed = changes(&before, left.as_bytes(), "d.meta.json").expect_err(word);
            assert!(failed.message.contains(word), "{}", failed.message);
            assert_eq!(failed.reason, Reason::MetadataInvalid);
        }
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            "[a-c]{0,2}".prop_map(Value::from)
        ];
        leaf.prop_recursive(3, 20, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map("[a-c]", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    fn objects() -> impl Strategy<Value = Map<String, Value>> {
        prop::collection::btree_map("[a-c]", values(), 0..4).prop_map(|map| map.into_iter().collect())
    }

    proptest! {
        #[test]
        fn a_patch_leads_from_what_was_to_what_is(before in objects(), after in objects()) {
            let mut merged = before.clone();
            merge(&mut merged, &patch(&before, &after));
            prop_assert_eq!(merged, after);
        }
    }
}
