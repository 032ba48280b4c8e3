//! `docs/schemas/` is made from the contract's types, and every sample of `docs/MESSAGES.md` and every record of `docs/conformance/` is
//! valid by it. Run with `UPDATE_DOCS=1` to write the schemas anew.

#![expect(clippy::expect_used, reason = "a test fails by panicking, also in its helpers")]

use std::path::{Path, PathBuf};

use jsonschema::Validator;
use serde_json::{Value, json};

/// Which samples of the page are of which schema: those that stand below this heading, in their order.
const SAMPLES: [(&str, &[&str]); 7] = [
    ("Event", &["event", "event"]),
    ("Job", &["job"]),
    ("Wish", &["wish"]),
    ("Location", &["location"]),
    ("Live", &["progress"]),
    ("Notice", &["notice"]),
    ("Log", &["log"]),
];

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs")
}

/// A schema as people read it: links between the types of the code are plain words in it.
fn plain(schema: Value) -> Value {
    match schema {
        Value::String(text) => text.replace("[`", "`").replace("`]", "`").into(),
        Value::Array(values) => values.into_iter().map(plain).collect(),
        Value::Object(fields) => fields.into_iter().map(|(name, value)| (name, plain(value))).collect(),
        other => other,
    }
}

fn validator(name: &str) -> Validator {
    let (_, schema) = honk_protocol::schema::all().into_iter().find(|(known, _)| *known == name).expect(name);
    jsonschema::validator_for(&schema.to_value()).expect("a schema")
}

fn assert_valid(schema: &str, value: &Value) {
    let faults: Vec<String> =
        validator(schema).iter_errors(value).map(|fault| format!("{}: {fault}", fault.instance_path())).collect();
    assert!(faults.is_empty(), "by {schema}: {faults:#?}\n{value:#}");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a switch for developers, read by no service")]
fn schemas_are_what_the_types_say() {
    for (name, schema) in honk_protocol::schema::all() {
        let path = docs().join("schemas").join(format!("{name}.json"));
        let text = format!("{}\n", serde_json::to_string_pretty(&plain(schema.to_value())).expect("JSON"));
        if std::env::var("UPDATE_DOCS").is_ok() {
            std::fs::write(&path, &text).expect("the schema can be written");
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(
            written, text,
            "docs/schemas/{name}.json is not what the types say; write it anew with UPDATE_DOCS=1"
        );
    }
}

/// What stands below a heading of the second level.
fn section<'p>(page: &'p str, heading: &str) -> &'p str {
    page.split("\n## ").find(|section| section.starts_with(&format!("{heading}\n"))).expect(heading)
}

/// The rows of a section's table of two columns, as an object.
fn table(page: &str, heading: &str) -> Value {
    let rows = section(page, heading)
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.strip_suffix("` |")?.split_once("` | `"));
    rows.map(|(name, value)| (name.to_owned(), Value::from(value))).collect::<serde_json::Map<_, _>>().into()
}

/// The JSON blocks of a section.
fn blocks(page: &str, heading: &str) -> Vec<Value> {
    let blocks =
        section(page, heading).split("```json\n").skip(1).map(|rest| rest.split("\n```").next().unwrap_or_default());
    blocks.map(|block| serde_json::from_str(block).expect("JSON")).collect()
}

#[test]
fn every_sample_of_the_page_is_valid_by_its_schema() {
    let page = std::fs::read_to_string(docs().join("MESSAGES.md")).expect("the page");
    for (heading, schemas) in SAMPLES {
        let blocks = blocks(&page, heading);
        assert_eq!(blocks.len(), schemas.len(), "{heading}");
        blocks.iter().zip(schemas).for_each(|(block, schema)| assert_valid(schema, block));
    }
    assert_valid("run", &blocks(&page, "Job")[0]["run"]);
    assert_valid("dead-letter-headers", &table(&page, "Dead letter"));
}

#[test]
fn every_record_that_agents_are_checked_against_is_valid() {
    let text = std::fs::read_to_string(docs().join("conformance/moves.json")).expect("the moves");
    let moves: Value = serde_json::from_str(&text).expect("JSON");
    let run = validator("run");
    for case in moves["moves"].as_array().expect("a list") {
        for record in [&case["before"], &case["after"]].into_iter().filter(|record| !record.is_null()) {
            assert!(run.is_valid(record), "{:?}: {record:#}", run.iter_errors(record).next());
        }
    }
}

#[test]
fn what_an_agent_must_refuse_is_not_valid() {
    for (schema, value) in [
        ("job", json!({ "v": 2, "run": {}, "revision": 1, "job": "a", "generation": 1 })),
        ("event", json!({ "type": "dataset_onboard", "payload": { "dataset_name": "a b" } })),
        ("event", json!({ "specversion": "0.3", "id": "1", "source": "s", "type": "dataset_onboard", "data": {} })),
        ("wish", json!("perhaps")),
        ("dead-letter-headers", json!({ "Honk-Reason": "no-such-reason" })),
    ] {
        assert!(!validator(schema).is_valid(&value), "{schema} takes {value}");
    }
}
