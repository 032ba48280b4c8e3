//! `docs/LINT.md` is made from the list of codes, and `workflows/workflow.schema.json` from types, so that they cannot say something else. Run with `UPDATE_DOCS=1` to write them anew.

#![expect(clippy::expect_used, reason = "helpers of tests fail the test")]

use std::fmt::Write;
use std::path::Path;

use honk_workflow::diagnostic::CODES;

#[test]
fn codes_are_documented_as_the_crate_has_them() {
    let mut text = String::from(
        "# What is wrong with a workflow\n\nEvery code that `honk lint` and `honk register` can show. An error refuses the workflow; a warning does \
         not, unless `honk lint --strict`\nis asked. Each diagnostic has its line and column, and what to write instead.\n\n\
         This page is made from `shared/workflow/src/diagnostic/codes.rs`; `shared/workflow/tests/documents.rs` compares the two.\n\n\
         | code | | what is wrong | what to do |\n|---|---|---|---|\n",
    );
    for code in CODES {
        writeln!(text, "| `{}` | {} | {} | {} |", code.name, code.severity, code.meaning, code.advice)
            .expect("a string takes text");
    }
    compare("docs/LINT.md", &text);
}

#[test]
fn codes_are_in_order_and_each_is_shown_in_a_test() {
    assert!(CODES.is_sorted_by_key(|code| code.name));
    let tests = [
        include_str!("diagnostics/expressions.rs"),
        include_str!("diagnostics/keys.rs"),
        include_str!("diagnostics/lint.rs"),
        include_str!("diagnostics/text.rs"),
        include_str!("limits.rs"),
    ]
    .concat();
    for code in CODES {
        let is_shown = tests.contains(&format!("{}[{}]", code.severity, code.name))
            || tests.contains(&format!("[\"{}\"]", code.name));
        assert!(is_shown, "no test shows {}[{}]", code.severity, code.name);
    }
}

#[test]
fn the_schema_for_editors_is_made_from_its_types() {
    compare("workflows/workflow.schema.json", &honk_workflow::schema::json());
}

#[expect(clippy::disallowed_methods, reason = "a switch for developers, read by no service")]
fn compare(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name);
    if std::env::var("UPDATE_DOCS").is_ok() {
        std::fs::write(&path, text).expect("the page can be written");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(written, text, "{name} is not what the crate says; write it anew with UPDATE_DOCS=1");
}
