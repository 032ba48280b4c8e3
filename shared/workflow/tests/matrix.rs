//! Matrices: which items a job is done for.

#![expect(clippy::expect_used, reason = "helpers of tests fail the test")]

use honk_protocol::name::JobName;
use honk_workflow::model::MatrixError;
use honk_workflow::{Strategy, Workflow, parse};
use proptest::prelude::*;
use serde_json::{Value, json};

/// The strategy of a job that needs `plan`.
fn strategy(matrix: &str) -> Strategy {
    let text = format!(
        "name: w\non: dataset_onboard\njobs:\n  plan: {{steps: [run: x]}}\n  copy:\n    needs: plan\n    strategy:\n      matrix: {matrix}\n    steps: [run: x]\n"
    );
    let parsed = parse(&text).expect("is a workflow");
    let read = Workflow::from_json(&parsed.workflow.to_json()).expect("reads back");
    assert_eq!(read, parsed.workflow);
    read.job(&JobName::new("copy").expect("is a name")).and_then(|job| job.strategy.clone()).expect("has a matrix")
}

fn items(matrix: &str, outputs: &Value) -> Result<Vec<Value>, MatrixError> {
    let values = json!({"input": {"n": 7}, "jobs": {"plan": {"outputs": outputs}}});
    Ok(strategy(matrix).items(&values)?.into_iter().map(Value::Object).collect())
}

#[test]
fn several_keys_are_all_combinations_in_the_order_of_the_file() {
    assert_eq!(
        items("{size: [s, l], part: [1, '{{ input.n }}']}", &json!({})).expect("has items"),
        [
            json!({"size": "s", "part": 1}),
            json!({"size": "s", "part": 7}),
            json!({"size": "l", "part": 1}),
            json!({"size": "l", "part": 7}),
        ]
    );
}

#[test]
fn exclude_takes_away_and_include_adds_as_github_does() {
    // The example of GitHub's own documentation.
    let matrix = "
        fruit: [apple, pear]
        animal: [cat, dog]
        include:
          - color: green
          - color: pink
            animal: cat
          - fruit: apple
            shape: circle
          - fruit: banana
          - fruit: banana
            animal: cat";
    assert_eq!(
        items(matrix, &json!({})).expect("has items"),
        [
            json!({"fruit": "apple", "animal": "cat", "color": "pink", "shape": "circle"}),
            json!({"fruit": "apple", "animal": "dog", "color": "green", "shape": "circle"}),
            json!({"fruit": "pear", "animal": "cat", "color": "pink"}),
            json!({"fruit": "pear", "animal": "dog", "color": "green"}),
            json!({"fruit": "banana"}),
            json!({"fruit": "banana", "animal": "cat"}),
        ]
    );
    let excluded = "{a: [1, 2], b: [3, 4], exclude: [{a: 1}, {a: 2, b: '{{ 2 + 1 }}'}]}";
    assert_eq!(items(excluded, &json!({})).expect("has items"), [json!({"a": 2, "b": 4})]);
    let included = items("{include: [{a: 1}, {b: 2}]}", &json!({}));
    assert_eq!(included.expect("has items"), [json!({"a": 1}), json!({"b": 2})]);
}

#[test]
fn a_list_can_be_an_output_of_an_earlier_job() {
    let (axis, whole) = ("{part: '{{ jobs.plan.outputs.items }}'}", "'{{ jobs.plan.outputs.items }}'");
    assert_eq!(
        items(axis, &json!({"items": "[\"a\", {\"b\": 1}]"})).expect("has items"),
        [json!({"part": "a"}), json!({"part": {"b": 1}})]
    );
    assert_eq!(items(axis, &json!({"items": [1]})).expect("has items"), [json!({"part": 1})]);
    assert_eq!(items(axis, &json!({"items": "[]"})).expect("has none"), [] as [Value; 0]);
    assert_eq!(
        items(whole, &json!({"items": "[{\"a\": 1}, {\"b\": 2}]"})).expect("has items"),
        [json!({"a": 1}), json!({"b": 2})]
    );
    let error = |matrix, outputs| items(matrix, &outputs).expect_err("has no items").to_string();
    insta::assert_snapshot!(error(axis, json!({"items": "a,b"})), @r#"`{{ jobs.plan.outputs.items }}` of the matrix must be a list, or JSON text of one, but is `"a,b"`"#);
    insta::assert_snapshot!(error(axis, json!({"items": 3})), @"`{{ jobs.plan.outputs.items }}` of the matrix must be a list, or JSON text of one, but is `3`");
    insta::assert_snapshot!(error(whole, json!({"items": [{}, 1]})), @"item 1 of the matrix must be a mapping, but is `1`");
    insta::assert_snapshot!(error(whole, json!({})), @"`{{ jobs.plan.outputs.items }}` uses `jobs.plan.outputs.items`, which is not there");
    insta::assert_snapshot!(error(axis, json!({"items": vec![1; 2_001]})), @"the matrix has 2001 items, and at most 2000 are allowed");
    insta::assert_snapshot!(error(whole, json!({"items": vec![json!({}); 2_001]})), @"the matrix has 2001 items, and at most 2000 are allowed");
    assert_eq!(items(axis, &json!({"items": vec![1; 2_000]})).expect("has items").len(), 2_000);
}

#[test]
fn what_a_strategy_says_of_its_items_is_read() {
    let text = "name: w\non: dataset_onboard\njobs:\n  a:\n    strategy: {max-parallel: 4, fail-fast: false, matrix: {x: [1]}}\n    steps: [run: 'x {{ matrix.x }}']\n";
    let workflow = parse(text).expect("is a workflow").workflow;
    let strategy = workflow.jobs[0].strategy.as_ref().expect("has one");
    assert_eq!((strategy.max_parallel, strategy.fail_fast), (Some(4), false));
    insta::assert_snapshot!(serde_json::to_string(strategy).expect("is JSON"), @r#"{"matrix":{"axes":{"axes":[{"name":"x","values":[1]}]}},"max_parallel":4,"fail_fast":false}"#);
}

proptest! {
    #[test]
    fn there_are_as_many_items_as_combinations_and_none_twice(sizes in prop::collection::vec(1_usize..6, 1..5)) {
        let axis = |(index, size): (usize, &usize)| format!("k{index}: {:?}", (0..*size).collect::<Vec<_>>());
        let matrix = format!("{{{}}}", sizes.iter().enumerate().map(axis).collect::<Vec<_>>().join(", "));
        let items = items(&matrix, &json!({})).expect("has items");
        prop_assert_eq!(items.len(), sizes.iter().product::<usize>());
        let distinct: std::collections::BTreeSet<String> = items.iter().map(Value::to_string).collect();
        prop_assert_eq!(distinct.len(), items.len());
    }
}
