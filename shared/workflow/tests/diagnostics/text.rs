//! The text as YAML, its structure, names and steps.

use crate::{jobs, report, step};

#[test]
fn all_faults_are_reported_at_once_in_the_order_of_the_text() {
    insta::assert_snapshot!(report(
        "nmae: w\non: dataset_onboard\ntimeout: soon\njobs:\n  a:\n    needs: [c]\n    steps:\n      - rnu: x\n  b: {}\n"
    ), @"
        w.yml:1:1: error[key-unknown]: unknown key `nmae` in a workflow
          help: did you mean `name`?
        w.yml:3:10: error[duration]: `soon` of `timeout` is not a duration
          help: write a duration like `500ms`, `30s`, `10m` or `1h30m`, or a number of seconds
        w.yml:6:13: error[needs-unknown]: the job `a` needs `c`, which does not exist
          help: the other jobs are `b`
        w.yml:8:9: error[key-unknown]: unknown key `rnu` in a step
          help: did you mean `run`?
        w.yml:9:3: error[steps-missing]: the job `b` has no steps
          help: add `steps:` and below it a line like `- uses: honk/validate` or `- run: python validate.py`
    ");
}

#[test]
fn nothing_at_all() {
    insta::assert_snapshot!(report(""), @"
        w.yml:1:1: error[empty]: there is no workflow in this text
          help: a workflow has at least `name`, `on` and `jobs`
    ");
    insta::assert_snapshot!(report("# only a comment\n---\n~\n"), @"
        w.yml:1:1: error[empty]: there is no workflow in this text
          help: a workflow has at least `name`, `on` and `jobs`
    ");
}

#[test]
fn several_documents() {
    insta::assert_snapshot!(report("name: w\n---\nname: x\n"), @"
        w.yml:2:1: error[documents]: a second YAML document begins here
          help: write each workflow into a file of its own
    ");
}

#[test]
fn no_yaml() {
    insta::assert_snapshot!(report("name: w\njobs: [a\non: x\n"), @"w.yml:3:3: error[syntax]: this is not YAML: illegal placement of ':' indicator");
    insta::assert_snapshot!(report("name: w\n\ton: x\n"), @"w.yml:1:7: error[syntax]: this is not YAML: while scanning a plain scalar, found a tab");
    insta::assert_snapshot!(report("name: *nowhere\n"), @"w.yml:1:7: error[syntax]: this is not YAML: while parsing node, found unknown anchor");
}

#[test]
fn tags_keys_and_aliases_that_no_workflow_has() {
    insta::assert_snapshot!(report("name: !!str w\n"), @"
        w.yml:1:7: error[tag]: a workflow has no YAML tags (`!…`)
          help: remove the tag; put the value in quotes if it is to be text
    ");
    insta::assert_snapshot!(report("name: w\non: dataset_onboard\n? [a]\n: b\njobs: {a: {steps: [{run: x}]}}\n"), @"w.yml:3:3: error[key-type]: a key must be text, not a list or mapping");
    insta::assert_snapshot!(report("name: &a [*a]\n"), @"w.yml:1:11: error[alias-recursive]: this alias stands inside of what it repeats");
}

#[test]
fn a_workflow_that_is_something_else() {
    insta::assert_snapshot!(report("hello"), @"w.yml:1:1: error[type]: a workflow must be a mapping (`key: value`), but is `hello`");
    insta::assert_snapshot!(report("- a\n"), @"w.yml:1:1: error[type]: a workflow must be a mapping (`key: value`), but is a list");
    insta::assert_snapshot!(report("{}"), @"
        w.yml:1:1: error[key-missing]: the workflow has no `name`
          help: add a line like `name: migrate-dataset`
        w.yml:1:1: error[key-missing]: the workflow has no `on`
          help: add the line `on: dataset_onboard`
        w.yml:1:1: error[key-missing]: the workflow has no `jobs`
          help: add `jobs:` and below it, for each job, its name with its `steps`
    ");
}

#[test]
fn duplicate_names() {
    insta::assert_snapshot!(jobs("  a:\n    steps: [run: x]\n  a:\n    steps: [run: y]\n"), @"
        w.yml:6:3: error[key-duplicate]: `a` is here twice, first in line 4
          help: rename or remove one of them
    ");
}

#[test]
fn ill_formed_names() {
    insta::assert_snapshot!(report(
        "name: my workflow\non: dataset_onboard\njobs:\n  9a:\n    runs-on: GPU\n    steps: [run: x]\n"
    ), @"
        w.yml:1:7: error[workflow-name]: workflow name `my workflow` must be 1 to 63 letters, digits, `-`, `_` or `.`, with a letter or digit at both ends
        w.yml:4:3: error[job-name]: job name `9a` must be a letter or `_`, then letters, digits, `-` or `_`, at most 63 in all
        w.yml:5:14: error[pool-name]: pool name `GPU` must be 1 to 63 lower-case letters, digits or `-`, beginning with a letter
    ");
}

#[test]
fn wrong_types() {
    insta::assert_snapshot!(report("name: [w]\non: {trigger: x}\nenv: a\nretry_count: many\njobs: [a]\n"), @"
        w.yml:1:7: error[type]: `name` must be text, but is a list
        w.yml:2:15: error[type]: `trigger` must be a mapping (`key: value`), but is `x`
        w.yml:3:6: error[type]: `env` must be a mapping (`key: value`), but is `a`
        w.yml:4:14: error[retry-count]: `retry_count` must be a whole number from 0 to 100, but is `many`
        w.yml:5:7: error[type]: `jobs` must be a mapping (`key: value`), but is a list
    ");
    insta::assert_snapshot!(jobs("  a: b\n  c:\n    steps: run\n  d:\n    steps: [python x.py]\n  e:\n"), @"
        w.yml:4:6: error[type]: the job `a` must be a mapping (`key: value`), but is `b`
        w.yml:6:12: error[type]: `steps` must be a list, but is `run`
          help: begin each step with `- `, like `- run: python validate.py`
        w.yml:8:13: error[type]: a step must be a mapping (`key: value`), but is `python x.py`
        w.yml:9:3: error[type]: the job `e` must be a mapping (`key: value`), but is empty
    ");
}

#[test]
fn no_jobs_and_no_steps() {
    insta::assert_snapshot!(jobs("  {}\n"), @"w.yml:3:1: error[jobs-missing]: the workflow has no jobs");
    insta::assert_snapshot!(jobs("  a: {}\n  b:\n    steps: []\n  c:\n    steps:\n"), @"
        w.yml:4:3: error[steps-missing]: the job `a` has no steps
          help: add `steps:` and below it a line like `- uses: honk/validate` or `- run: python validate.py`
        w.yml:6:5: error[steps-missing]: the job `b` has no steps
          help: add `steps:` and below it a line like `- uses: honk/validate` or `- run: python validate.py`
        w.yml:8:5: error[steps-missing]: the job `c` has no steps
          help: add `steps:` and below it a line like `- uses: honk/validate` or `- run: python validate.py`
    ");
}

#[test]
fn unknown_keys() {
    insta::assert_snapshot!(jobs(
        "  a:\n    retries: 3\n    depends_on: [b]\n    timeout-minutes: 3\n    colour: red\n    step: []\n    steps: [run: x]\n  b:\n    <<: {}\n    steps: [run: x]\n"
    ), @"
        w.yml:5:5: error[key-unknown]: unknown key `retries` in the job `a`
          help: write `retry_count:`
        w.yml:6:5: error[key-unknown]: unknown key `depends_on` in the job `a`
          help: write `needs:`
        w.yml:7:5: error[key-unknown]: unknown key `timeout-minutes` in the job `a`
          help: write `timeout:` with a unit, like `timeout: 30m`
        w.yml:8:5: error[key-unknown]: unknown key `colour` in the job `a`
          help: the keys of the job `a` are `name`, `needs`, `if`, `runs-on`, `strategy`, `steps`, `env`, `retry_count`, `timeout`, `backoff`, `reject_codes` and `continue-on-error`
        w.yml:9:5: error[key-unknown]: unknown key `step` in the job `a`
          help: did you mean `steps`?
        w.yml:12:5: error[key-unknown]: unknown key `<<` in the job `b`
          help: there are no merge keys; repeat an alias per key instead, like `env: *shared`
    ");
}

#[test]
fn needs_that_cannot_be() {
    insta::assert_snapshot!(jobs(
        "  validate:\n    steps: [run: x]\n  migrate:\n    needs: [valdate, validate, validate, migrate, zzz]\n    steps: [run: x]\n"
    ), @"
        w.yml:7:13: error[needs-unknown]: the job `migrate` needs `valdate`, which does not exist
          help: did you mean `validate`?
        w.yml:7:32: error[needs-duplicate]: `validate` is in `needs` twice
          help: remove one of them
        w.yml:7:42: error[needs-self]: the job `migrate` needs itself
          help: remove it from `needs`
        w.yml:7:51: error[needs-unknown]: the job `migrate` needs `zzz`, which does not exist
          help: the other jobs are `validate`
    ");
    insta::assert_snapshot!(jobs("  only:\n    needs: other\n    steps: [run: x]\n"), @"
        w.yml:5:12: error[needs-unknown]: the job `only` needs `other`, which does not exist
          help: it is the only job: remove `needs`
    ");
}

#[test]
fn circles() {
    insta::assert_snapshot!(jobs(
        "  a:\n    needs: [b]\n    steps: [run: x]\n  b:\n    needs:\n      - d\n      - c\n    steps: [run: x]\n  c:\n    needs: a\n    steps: [run: x]\n  d:\n    steps: [run: x]\n"
    ), @"
        w.yml:5:13: error[needs-cycle]: jobs wait for each other in a circle: `a` needs `b` needs `c` needs `a`
          help: remove one of these `needs`
    ");
}

#[test]
fn steps_that_do_nothing_or_too_much() {
    insta::assert_snapshot!(step("name: x"), @"
        w.yml:6:9: error[step-empty]: the step has neither `run` nor `uses`
          help: add `uses: honk/validate`, or `run:` with a command
    ");
    insta::assert_snapshot!(step("run: x\nuses: honk/migrate"), @"
        w.yml:6:9: error[step-both]: the step has both `run` and `uses`
          help: make two steps of it
    ");
    insta::assert_snapshot!(step("run: ''"), @"
        w.yml:6:9: error[run-empty]: `run` is empty
          help: write the command to run
    ");
    insta::assert_snapshot!(step("run: []"), @"
        w.yml:6:9: error[run-empty]: `run` is empty
          help: write the command to run
    ");
    insta::assert_snapshot!(step("run: ['', [a], ~]"), @r#"
        w.yml:6:14: error[run-empty]: the program to run is empty
        w.yml:6:19: error[type]: each argument of `run` must be text, but is a list
          help: write `""` for an empty argument
        w.yml:6:24: error[type]: each argument of `run` must be text, but is empty
          help: write `""` for an empty argument
    "#);
    insta::assert_snapshot!(step("run: x\nwith: {a: b}"), @"
        w.yml:7:9: error[step-with]: `with` belongs to `uses`, but this step has `run`
          help: give the program its values by `env:`
    ");
    insta::assert_snapshot!(step("uses: honk/migrate\nshell: bash"), @"
        w.yml:6:15: warning[action-elsewhere]: the agents of the pool `default` do not bring `honk/migrate`
          help: add `runs-on: migrate` to the job
        w.yml:7:9: error[step-shell]: `shell` belongs to `run`, but this step has `uses`
          help: remove `shell`
    ");
    insta::assert_snapshot!(step("run: [x]\nshell: bash"), @"
        w.yml:6:14: error[step-shell]: a `shell` reads a script, but `run` is a list of arguments
          help: remove `shell`, or write `run` as text
    ");
    insta::assert_snapshot!(step("run: x\nshell: powershell"), @"
        w.yml:7:16: error[shell-unknown]: `powershell` is no shell that a step can have
          help: the shells are `bash`, `sh` and `python`; start other programs with `run` itself
    ");
}

#[test]
fn hostile_text_is_shown_without_control_characters_and_cut() {
    let report = report(&format!("name: w\n\"\\e[31m{}\": x\n", "k".repeat(500)));
    assert!(!report.contains('\u{1b}'), "{report}");
    assert!(report.lines().all(|line| line.chars().count() < 200), "{report}");
}

#[test]
fn columns_are_characters() {
    insta::assert_snapshot!(report("name: w\non: dataset_onboard\njobs: {\"ä\\u00f6\": {ü: 1}, a: {x: 1}}\n"), @"
        w.yml:3:8: error[job-name]: job name `äö` must be a letter or `_`, then letters, digits, `-` or `_`, at most 63 in all
        w.yml:3:8: error[steps-missing]: the job `äö` has no steps
          help: add `steps:` and below it a line like `- uses: honk/validate` or `- run: python validate.py`
        w.yml:3:20: error[key-unknown]: unknown key `ü` in the job `äö`
          help: the keys of the job `äö` are `name`, `needs`, `if`, `runs-on`, `strategy`, `steps`, `env`, `retry_count`, `timeout`, `backoff`, `reject_codes` and `continue-on-error`
        w.yml:3:27: error[steps-missing]: the job `a` has no steps
          help: add `steps:` and below it a line like `- uses: honk/validate` or `- run: python validate.py`
        w.yml:3:31: error[key-unknown]: unknown key `x` in the job `a`
          help: the keys of the job `a` are `name`, `needs`, `if`, `runs-on`, `strategy`, `steps`, `env`, `retry_count`, `timeout`, `backoff`, `reject_codes` and `continue-on-error`
    ");
}
