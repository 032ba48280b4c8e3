//! `docs/WORKFLOWS.md`: every example on it is accepted, or gives the message that is shown with it, and no key is without one. Run with
//! `UPDATE_DOCS=1` to write the messages anew.

#![expect(clippy::expect_used, reason = "helpers of tests fail the test")]

use std::collections::BTreeSet;
use std::path::PathBuf;

use honk_workflow::expr::{FILTERS, TESTS};
use honk_workflow::{parse, schema};
use serde_json::Value;

/// What an example may leave out. It is added at the end, so that lines stay where they are.
const REST: [(&str, &str); 4] = [
    ("name:", "name: w\n"),
    ("on:", "on: dataset_onboard\n"),
    ("jobs:", "jobs: {validate: {steps: [uses: honk/validate]}}\n"),
    ("timeout:", "timeout: 1h\n"),
];

struct Block {
    /// What stands after the three ticks.
    kind: String,
    text: String,
    /// The line of its first line, from 0.
    line: usize,
}

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/WORKFLOWS.md")
}

fn page() -> String {
    std::fs::read_to_string(path()).expect("the page can be read")
}

fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (number, line) in page.lines().enumerate() {
        match (line.strip_prefix("```"), open.as_mut()) {
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(kind), None) => open = Some(Block { kind: kind.to_owned(), text: String::new(), line: number + 1 }),
            (None, Some(block)) => block.text.extend([line, "\n"]),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block is not closed");
    blocks
}

fn completed(text: &str) -> String {
    let lacks = |key: &str| !text.lines().any(|line| line.starts_with(key));
    REST.iter().filter(|(key, _)| lacks(key)).fold(text.to_owned(), |text, (_, rest)| text + rest)
}

fn said_of(text: &str) -> String {
    let found = parse(&completed(text)).map_or_else(|faults| faults, |parsed| parsed.warnings);
    found.iter().map(|found| found.at("workflow.yml").to_string()).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_example_is_accepted_or_gives_the_message_that_is_shown() {
    let page = page();
    let blocks = blocks(&page);
    let mut lines: Vec<String> = page.lines().map(str::to_owned).collect();
    let mut seen = 0;
    for (index, block) in blocks.iter().enumerate().rev() {
        match block.kind.as_str() {
            "yaml" => assert_eq!(said_of(&block.text), "", "the example in line {}:\n{}", block.line, block.text),
            "yaml wrong" => {
                let shown = blocks.get(index + 1).filter(|shown| shown.kind == "text").expect("a message follows");
                let said = said_of(&block.text);
                assert!(!said.is_empty(), "nothing is wrong with the example in line {}", block.line);
                let end = shown.line + shown.text.lines().count();
                lines.splice(shown.line..end, said.lines().map(str::to_owned));
            }
            "text" => continue,
            other => panic!("a block of `{other}` in line {}", block.line),
        }
        seen += 1;
    }
    assert!(seen > 20, "only {seen} examples were found");
    compare(&page, &(lines.join("\n") + "\n"));
}

#[test]
fn every_key_filter_and_test_is_on_the_page() {
    let page = page();
    let examples: String =
        blocks(&page).iter().filter(|block| block.kind == "yaml").map(|block| block.text.as_str()).collect();
    let schema: Value = serde_json::from_str(&schema::json()).expect("is JSON");
    let forms = schema["$defs"].as_object().expect("has forms").values().chain([&schema]);
    let keys: BTreeSet<&String> =
        forms.filter_map(|form| form["properties"].as_object()).flat_map(|keys| keys.keys()).collect();
    for key in keys {
        assert!(examples.contains(&format!("{key}:")), "no example has `{key}`");
    }
    for word in FILTERS.iter().chain(&TESTS) {
        assert!(page.contains(&format!("`{word}`")), "`{word}` is not on the page");
    }
}

#[test]
fn every_example_fits_the_schema() {
    let schema: Value = serde_json::from_str(&schema::json()).expect("is JSON");
    let validator = jsonschema::validator_for(&schema).expect("is a schema");
    for block in blocks(&page()).iter().filter(|block| block.kind == "yaml") {
        let value: Value = serde_saphyr::from_str(&completed(&block.text)).expect("is YAML");
        let faults: Vec<String> = validator.iter_errors(&value).map(|fault| fault.to_string()).collect();
        assert!(faults.is_empty(), "{faults:?} in line {}", block.line);
    }
}

#[expect(clippy::disallowed_methods, reason = "a switch for developers, read by no service")]
fn compare(page: &str, right: &str) {
    if std::env::var("UPDATE_DOCS").is_ok() {
        std::fs::write(path(), right).expect("the page can be written");
    } else {
        assert_eq!(page, right, "docs/WORKFLOWS.md shows other messages; write them anew with UPDATE_DOCS=1");
    }
}
