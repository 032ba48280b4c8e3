//! Expressions: what they become, what they refuse, and that none of them can hurt whoever evaluates it.

#![expect(clippy::expect_used, reason = "helpers of tests fail the test")]

use honk_workflow::expr::{Condition, ExprError, MAX_LENGTH, MAX_RESULT, RenderError, Status, Template, fill};
use proptest::prelude::*;
use serde_json::{Value, json};

fn values() -> Value {
    json!({
        "input": {"dataset_name": "my-dataset", "dry-run": true, "rows": 12, "ratio": 0.5, "tags": ["a", "b"], "empty": "",
                  "note": null, "looks": "{{ input.rows }}", "target": {"bucket": "new"}},
        "dataset": {"metadata": {"name": "my-dataset"}, "spec": {"owner": "group:data"}},
        "location": {"format": "parquet"},
        "jobs": {"build-index": {"result": "success", "outputs": {"rows": "34", "items": "[1, 2]"}},
                 "old": {"result": "failure", "outputs": {}}},
        "run": {"id": "r1", "attempt": 2},
        "matrix": {"part": 3},
    })
}

fn render(text: &str) -> Result<String, RenderError> {
    Template::parse(text).expect("is a template").render(&values())
}

fn value(text: &str) -> Value {
    Template::parse(text).expect("is a template").value(&values()).expect("has a value")
}

fn refused(text: &str) -> (&'static str, String) {
    let error = Template::parse(text).expect_err("is refused");
    (error.code(), format!("{error}; {}", error.help()))
}

#[test]
fn values_are_filled_in_once() {
    for (text, expected) in [
        ("a {{ input.dataset_name }} b{{input.target.bucket}}", "a my-dataset bnew"),
        ("{{ input.looks }}", "{{ input.rows }}"),
        ("--format '{{ '{{.Id}}' }}' {{ \"}}\" }}", "--format '{{.Id}}' }}"),
        ("a } b }} c { d", "a } b }} c { d"),
        ("", ""),
    ] {
        assert_eq!(render(text).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn a_value_is_text_as_it_is_and_anything_else_as_json() {
    for (text, expected) in [
        ("{{ input.rows }} {{ input.ratio }} {{ input['dry-run'] }}", "12 0.5 true"),
        ("{{ input.tags }}", r#"["a","b"]"#),
        ("{{ input.target }}", r#"{"bucket":"new"}"#),
        ("{{ input.empty }}", ""),
        ("{{ run.id }}.{{ run.attempt }} {{ matrix.part }} {{ location.format }}", "r1.2 3 parquet"),
        ("{{ dataset.spec.owner | replace('group:', '') | upper }}", "DATA"),
        ("{{ jobs.build-index.outputs.rows }} {{ jobs.build-index.result }}", "34 success"),
        ("{{ jobs['build-index'].outputs['rows'] | int + 1 }}", "35"),
        ("{{ input.rows - 2 }} {{ 7 // 2 }} {{ 'x' ~ input.rows }}", "10 3 x12"),
        ("{{ input.tags | join(', ') }} {{ input.tags | last }} {{ input.tags | length }}", "a, b b 2"),
        ("{{ 'big' if input.rows > 10 else 'small' }}", "big"),
        ("{{ (jobs.build-index.outputs.items | fromjson)[1] }}", "2"),
        ("{{ [{'a': 1}, {'a': 2}] | map(attribute='a') | list }}", "[1,2]"),
        ("{{ {'a': {'b': input.rows}} }}", r#"{"a":{"b":12}}"#),
    ] {
        assert_eq!(render(text).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn one_expression_alone_keeps_its_type() {
    assert_eq!(value("{{ input.rows }}"), json!(12));
    assert_eq!(value(" {{ input.tags }}\n"), json!(["a", "b"]));
    assert_eq!(value("{{ input.note }}"), Value::Null);
    assert_eq!(value("{{ input.rows }}0"), json!("120"));
    let with = [("n".to_owned(), json!({"a": ["{{ input.rows }}", 1.5, "x{{ input.rows }}"]}))].into();
    let filled = fill(&with, &values()).expect("has its values");
    assert_eq!(filled["n"], json!({"a": [12, 1.5, "x12"]}));
}

#[test]
fn a_name_that_is_not_there_is_an_error_that_names_it() {
    for (text, missing) in [
        ("{{ input.tag }}", "input.tag"),
        ("{{ input.target.key }}", "input.target.key"),
        ("{{ input.tag == 'x' }}", "input.tag"),
        ("{{ 'a' if input.tag else 'b' }}", "input.tag"),
        ("{{ input.rows }}{{ jobs.old.outputs.rows | int }}", "jobs.old.outputs.rows"),
        ("{{ [input.tag] }}", "input.tag"),
        ("{{ input.note.x == 'y' }}", "input.note.x"),
        ("{{ input.dataset_name.x == 'y' }}", "input.dataset_name.x"),
        ("{{ input.note.x.z is true }}", "input.note.x.z"),
        ("{{ jobs.other.outputs.rows }}", "jobs.other.outputs.rows"),
        ("{{ 'x' in input.tag }}", "input.tag"),
    ] {
        let error = render(text).expect_err("is not there");
        assert!(matches!(&error, RenderError::Undefined { name, .. } if name == missing), "{text}: {error}");
    }
    assert!(matches!(render("a{{ input.note }}"), Err(RenderError::Null(_))));
    let failed = render("{{ input.rows + 'x' }}").expect_err("cannot be added");
    insta::assert_snapshot!(failed, @"`{{ input.rows + 'x' }}` cannot be evaluated: tried to use + operator on unsupported types number and string");
}

#[test]
fn who_asks_first_need_not_have_it() {
    for (text, expected) in [
        ("{{ input.tag | default('none') }}", "none"),
        ("{{ input.empty | default('none', true) }}", "none"),
        ("{{ input.tag is defined }}", "false"),
        ("{{ input.tag is defined and input.tag == 'x' }}", "false"),
        ("{{ 'x' if input.tag is not defined else input.tag }}", "x"),
        ("{{ input.rows > 1 or input.tag == 'x' }}", "true"),
        ("{{ input.note is not none and input.note.x == 'y' }}", "false"),
        ("{{ input.note.x | default('none') }}", "none"),
        ("{{ input.note.x is defined }}", "false"),
        ("{{ input.rows is number and 'a' in input.tags }}", "true"),
    ] {
        assert_eq!(render(text).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn what_is_no_expression_is_refused_with_its_reason() {
    let all: Vec<String> = [
        "{{ github.actor }}",
        "{{ nput.name }}",
        "{{ run.sha }}",
        "{{ run.trace }}",
        "{{ jobs.a.output.rows }}",
        "{{ input.x | uper }}",
        "{{ input.x is definde }}",
        "{{ range(10) }}",
        "{{ input.x.items() }}",
        "{{ success() }}",
        "{{ input.a && input.b }}",
        "{{ input.a || 'b' }}",
        "{{ !input.a }}",
        "{{ 'a' * 100 }}",
        "{{ input.a b }}",
        "{{ }}",
        "a {{ input.x b\nc",
        "{{ input.x {{ input.y }}",
        "{{ 'x }}",
        "${{ input.x }}",
        "{{ input. }}",
        "{{ input.ä }}",
    ]
    .iter()
    .map(|text| {
        let (code, message) = refused(text);
        format!("{code}: {message}")
    })
    .collect();
    insta::assert_snapshot!(all.join("\n"), @"
        expression-unknown: `{{ github.actor }}` uses the name `github`, which does not exist; the names are `input`, `dataset`, `location`, `jobs`, `run` and `matrix`, like `{{ input.dataset_name }}`; a text is put in quotes
        expression-unknown: `{{ nput.name }}` uses the name `nput`, which does not exist; did you mean `input`?
        expression-unknown: `{{ run.sha }}` uses the name `run.sha`, which does not exist; `run` has `id`, `dataset`, `workflow`, `attempt`, `trace_id` and `created_at`
        expression-unknown: `{{ run.trace }}` uses the name `run.trace`, which does not exist; did you mean `run.trace_id`?
        expression-unknown: `{{ jobs.a.output.rows }}` uses the name `jobs.a.output`, which does not exist; did you mean `jobs.a.outputs`?
        expression-unknown: `{{ input.x | uper }}` uses the filter `uper`, which does not exist; did you mean `upper`?
        expression-unknown: `{{ input.x is definde }}` uses the test `definde`, which does not exist; did you mean `defined`?
        expression-unknown: `{{ range(10) }}` uses the function `range`, which does not exist; there are no functions; filters are written after `|`, like `{{ input.name | lower }}`
        expression-unknown: `{{ input.x.items() }}` uses the function `items`, which does not exist; there are no functions; filters are written after `|`, like `{{ input.name | lower }}`
        expression-unknown: `{{ success() }}` uses the function `success`, which does not exist; `success()` can only be asked in an `if:`
        expression-operator: `{{ input.a && input.b }}` has `&&`, which is no operator here; write `and`
        expression-operator: `{{ input.a || 'b' }}` has `||`, which is no operator here; write `or`; for a default write `| default('…')`
        expression-operator: `{{ !input.a }}` has `!`, which is no operator here; write `not`
        expression-operator: `{{ 'a' * 100 }}` has `*`, which is no operator here; compute the value in a step, and use that step's output
        expression-unknown: `{{ input.a b }}` uses the name `b`, which does not exist; the names are `input`, `dataset`, `location`, `jobs`, `run` and `matrix`, like `{{ input.dataset_name }}`; a text is put in quotes
        expression-syntax: the expression is empty; write an expression like `{{ input.dataset_name }}`
        expression-unclosed: the expression that begins with `{{ input.x b` is not closed; close it with `}}`; braces that are meant literally are written `{{ '{{' }}`
        expression-unclosed: the expression that begins with `{{ input.x {{ input.y }}` is not closed; close it with `}}`; braces that are meant literally are written `{{ '{{' }}`
        expression-unclosed: the expression that begins with `{{ 'x }}` is not closed; close it with `}}`; braces that are meant literally are written `{{ '{{' }}`
        expression-dollar: an expression begins with `{{`, not with `${{`; remove the `$`
        expression-syntax: `{{ input. }}` is not an expression: unexpected end of input, expected identifier or integer; expressions are written as in Jinja, like `{{ input.dataset_name }}`; braces that are meant literally are written `{{ '{{' }}`
        expression-syntax: `{{ input.ä }}` is not an expression: unexpected character; expressions are written as in Jinja, like `{{ input.dataset_name }}`; braces that are meant literally are written `{{ '{{' }}`
    ");
}

#[test]
fn a_condition_implies_success_unless_it_asks_for_something_else() {
    let status = |failure, cancelled| Status { failure, cancelled };
    let (good, bad, ended) = (status(false, false), status(true, false), status(false, true));
    for (text, when) in [
        ("input.rows > 3", [true, false, false]),
        ("{{ input.rows > 3 }}", [true, false, false]),
        ("input.rows < 3", [false; 3]),
        ("true", [true, false, false]),
        ("always()", [true; 3]),
        ("failure()", [false, true, false]),
        ("cancelled() or failure()", [false, true, true]),
        ("not cancelled() and input.rows > 3", [true, true, false]),
        ("success() and input.rows > 3", [true, false, false]),
        ("always() and input.rows < 3", [false; 3]),
        // What was not reached is not asked for.
        ("success() and jobs.old.outputs.rows == '1' or failure()", [false, true, false]),
    ] {
        let condition = Condition::parse(text).expect("is a condition");
        if text.starts_with("success() and jobs") {
            assert!(condition.eval(&values(), good).is_err());
            assert_eq!(condition.eval(&values(), bad), Ok(true));
            continue;
        }
        let held = [good, bad, ended].map(|status| condition.eval(&values(), status).expect("has an answer"));
        assert_eq!(held, when, "{text}");
        assert_eq!(
            condition.is_regardless(),
            text.contains("always") || text.contains("failure") || text.contains("cancelled")
        );
    }
    for (text, code) in [
        ("input.a && input.b", "expression-operator"),
        ("${{ always() }}", "expression-dollar"),
        ("{{ input.a }} and {{ input.b }}", "expression-syntax"),
        ("a {{ input.b }}", "expression-syntax"),
        ("{{ input.b", "expression-unclosed"),
        ("", "expression-syntax"),
        ("alway()", "expression-unknown"),
        ("always", "expression-unknown"),
        ("input.always()", "expression-unknown"),
    ] {
        assert_eq!(Condition::parse(text).map_err(|error| error.code()), Err(code), "{text}");
    }
}

#[test]
fn no_expression_becomes_longer_than_it_may() {
    let values = json!({"input": {"many": vec!["x"; 10_000], "long": "x".repeat(100_000)}});
    for text in [
        "{{ input.long ~ input.long ~ input.long }}",
        "{{ input.long }}{{ input.long }}{{ input.long }}",
        "{{ input.many | join(input.long) }}",
        "{{ input.long | replace('', input.long) }}",
        "{{ input.long | replace('x', 'xx') | replace('x', 'xx') | replace('x', 'xx') }}",
    ] {
        assert!(Template::parse(text).expect("is a template").render(&values).is_err(), "{text}");
    }
    let fits = Template::parse("{{ input.long ~ input.long }}").expect("is a template");
    assert!(fits.render(&values).is_ok_and(|text| text.len() <= MAX_RESULT));
}

#[test]
fn nesting_that_would_exhaust_the_stack_is_refused_or_done() {
    for nested in ["not ", "-", "(", "[", "1+", "1~", "1 if 1 else ", "{1:", "1|abs|", "a.", "a[", "1<"] {
        for times in [10, 100, MAX_LENGTH / nested.len()] {
            let text = format!("{{{{ {}1 }}}}", nested.repeat(times));
            if let Ok(template) = Template::parse(&text) {
                template.render(&json!({})).ok();
            }
        }
    }
    let long = format!("{{{{ {}1 }}}}", "1+".repeat(MAX_LENGTH));
    assert!(matches!(Template::parse(&long), Err(ExprError::TooLong(_))));
}

proptest! {
    #[test]
    fn no_text_makes_it_panic_and_text_without_braces_stays_itself(
        text in ".{0,40}", braces in r#"[{}' a.$input()\[\]|"=<\-~,:0é]{0,40}"#
    ) {
        if let Ok(template) = Template::parse(&braces) {
            template.render(&values()).ok();
        }
        Condition::parse(&braces).ok();
        if !text.contains("{{") {
            prop_assert_eq!(render(&text), Ok(text));
        }
    }

    #[test]
    fn an_expression_of_parts_never_makes_it_panic(parts in prop::collection::vec(prop::sample::select(vec![
        "input", ".", "x", "rows", "[", "]", "(", ")", "|", "default", "join", "is", "defined", "not", "and", "or", "==", "<", "+", "-", "~",
        "'a'", "1", "2.5", ",", "{", "}", ":", "if", "else", "in", "tags", "first", "sort", "map", "attribute", "=", "tojson", "split",
    ]), 0..14)) {
        let text = format!("{{{{ {} }}}}", parts.join(" "));
        if let Ok(template) = Template::parse(&text) {
            template.render(&values()).ok();
        }
    }

    #[test]
    fn any_value_arrives_as_it_is(value in any::<String>()) {
        let values = json!({"input": {"x": value}});
        prop_assert_eq!(Template::parse("{{ input.x }}").expect("is a template").render(&values), Ok(value));
    }
}
