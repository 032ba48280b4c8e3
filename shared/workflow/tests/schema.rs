//! The JSON Schema agrees with the checks: what they accept, it accepts; what it refuses, they refuse.

#![expect(clippy::expect_used, reason = "helpers of tests fail the test")]

use honk_workflow::{parse, schema};
use jsonschema::Validator;
use serde_json::Value;

fn validator() -> Validator {
    let schema: Value = serde_json::from_str(&schema::json()).expect("is JSON");
    jsonschema::validator_for(&schema).expect("is a schema")
}

fn agree(yaml: &str) -> bool {
    let value: Value = serde_saphyr::from_str(yaml).expect("is YAML");
    let faults: Vec<String> =
        validator().iter_errors(&value).map(|fault| format!("{}: {fault}", fault.instance_path())).collect();
    let is_accepted = parse(yaml).is_ok();
    assert!(!is_accepted || faults.is_empty(), "the schema refuses what is fine: {faults:?}\n{yaml}");
    assert!(is_accepted || !faults.is_empty() || !yaml.contains("# both"), "only the checks refuse it:\n{yaml}");
    is_accepted
}

#[test]
fn what_is_shipped_is_valid() {
    assert!(agree(include_str!("../../../workflows/migrate-dataset.yml")));
}

#[test]
fn every_way_to_write_a_key_is_valid() {
    for top in [
        "on: dataset_onboard",
        "on: [dataset_onboard, other]",
        "on: {trigger: {type: dataset_onboard}}",
        "on: {trigger: {type: [a, b]}, schedule: [{cron: '0 2 * * *', timezone: Europe/Berlin, selector: 'owner=data-team'}]}",
        "on: {schedule: [{cron: '@daily'}]}",
        "on: a\ntimeout: 90\ndeadline: 1h30m\nretry_count: 3\nreject_codes: 2",
        "on: a\nbackoff: {initial: 500ms, factor: 1.5, max: 10}\nreject_codes: [2, 64]\ninclude: lib/**",
        "on: a\nconcurrency: 'x-{{ input.y }}'\nrate: 10/min\ninclude: [a, b]",
        "on: a\nconcurrency: {group: x, cancel-in-progress: true}\nenv: {A: 1.10, B: true, C: x}",
    ] {
        let yaml = format!("name: w\n{top}\njobs: {{a: {{steps: [run: x]}}}}\n");
        assert!(agree(&yaml), "{:?}\n{yaml}", parse(&yaml));
    }
    for job in [
        "{name: 3, needs: b, if: true, runs-on: gpu, steps: [run: x], env: {A: ''}, timeout: 2h, continue-on-error: false}",
        "{needs: [b], if: '{{ always() }}', steps: [{run: [x, 1, true, ''], reject_codes: [], continue-on-error: true}]}",
        "{steps: [{name: n, if: failure(), run: x, shell: python}, {uses: honk/validate, with: {a: [1, {b: ~}]}}]}",
        "{strategy: {matrix: {a: [1, x], b: '{{ input.b }}', include: [{a: 1, c: 2}], exclude: [{a: x}]}, max-parallel: 2}, steps: [run: x]}",
        "{strategy: {matrix: '{{ input.items }}', fail-fast: false}, steps: [run: x]}",
    ] {
        let yaml = format!("name: w\non: a\njobs:\n  b: {{steps: [run: x]}}\n  a: {job}\n");
        assert!(agree(&yaml), "{:?}\n{yaml}", parse(&yaml));
    }
}

#[test]
fn what_a_schema_can_know_to_be_wrong_it_refuses() {
    for wrong in [
        "name: w",
        "name: w\non: a\njobs: {}",
        "name: a b\non: a\njobs: {a: {steps: [run: x]}}",
        "name: w\non: a\ntimout: 3\njobs: {a: {steps: [run: x]}}",
        "name: w\non: a\ntimeout: soon\njobs: {a: {steps: [run: x]}}",
        "name: w\non: a\nretry_count:\njobs: {a: {steps: [run: x]}}",
        "name: w\non: a\nreject_codes: 75\njobs: {a: {steps: [run: x]}}",
        "name: w\non: a\njobs: {a: {steps: []}}",
        "name: w\non: a\njobs: {a: {steps: [{}]}}",
        "name: w\non: a\njobs: {a: {steps: [{run: x, uses: a/b}]}}",
        "name: w\non: a\njobs: {a: {steps: [{run: x, shell: zsh}]}}",
        "name: w\non: a\njobs: {a: {strategy: {matrix: {a: []}}, steps: [run: x]}}",
        "name: w\non: a\nenv: {1A: x}\njobs: {a: {steps: [run: x]}}",
    ] {
        assert!(!agree(&format!("{wrong} # both\n")), "{wrong}");
    }
}
