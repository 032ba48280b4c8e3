//! What is allowed but probably not meant.

use honk_workflow::{Diagnostic, parse};

use crate::{jobs, report, step};

#[test]
fn later_stages_without_needs() {
    insta::assert_snapshot!(jobs(
        "  validate:\n    steps: [uses: honk/validate]\n  migrate:\n    steps: [uses: honk/migrate]\n  notify:\n    steps: [uses: honk/notify]\n"
    ), @"
        w.yml:6:3: warning[needs-missing]: the job `migrate` has no `needs`, so it starts at once and does not wait for `validate`
          help: add the line `needs: [validate]` to the job `migrate`
        w.yml:8:3: warning[needs-missing]: the job `notify` has no `needs`, so it starts at once and does not wait for `validate` and `migrate`
          help: add the line `needs: [validate, migrate]` to the job `notify`
    ");
    // A job that others wait for on purpose is where it belongs.
    assert_eq!(jobs("  notify:\n    steps: [run: x]\n  migrate:\n    needs: notify\n    steps: [run: x]\n"), "");
    assert_eq!(jobs("  notify:\n    steps: [run: x]\n"), "");
}

#[test]
fn later_stages_by_their_pool() {
    insta::assert_snapshot!(jobs(
        "  check:\n    runs-on: validate\n    steps: [run: x]\n  copy:\n    runs-on: migrate\n    steps: [run: x]\n  tell:\n    runs-on: notify\n    steps: [run: x]\n"
    ), @"
        w.yml:7:3: warning[needs-missing]: the job `copy` has no `needs`, so it starts at once and does not wait for `check`
          help: add the line `needs: [check]` to the job `copy`
        w.yml:10:3: warning[needs-missing]: the job `tell` has no `needs`, so it starts at once and does not wait for `check` and `copy`
          help: add the line `needs: [check, copy]` to the job `tell`
    ");
}

#[test]
fn jobs_and_steps_that_are_never_done() {
    let text = "  a:
    if: false
    steps: [run: x]
  b:
    needs: a
    steps: [run: x]
  c:
    needs: [d, b]
    steps: [run: x]
  d:
    if: failure()
    steps: [run: x]
  e:
    needs: a
    if: always()
    steps:
      - if: success()
        run: x
  f:
    needs: e
    if: failure()
    steps:
      - if: failure()
        run: x
      - if: '1 > 2'
        run: x
      - if: failure()
        run: x
";
    insta::assert_snapshot!(jobs(text), @"
        w.yml:5:5: warning[job-unreachable]: the job `a` is never started, as its `if` cannot hold
          help: correct the condition, or remove the job
        w.yml:8:5: warning[job-unreachable]: the job `b` is never started, as `a`, which it needs, is not
          help: correct `a`, or add `if: always()` to the job `b`
        w.yml:11:5: warning[job-unreachable]: the job `c` is never started, as `d`, which it needs, is not
          help: correct `d`, or add `if: always()` to the job `c`
        w.yml:14:5: warning[job-unreachable]: the job `d` is never started, as its `if` cannot hold
          help: correct the condition, or remove the job
        w.yml:26:9: warning[step-unreachable]: the step is never done, as its `if` cannot hold
          help: correct the condition, or remove the step
        w.yml:28:9: warning[step-unreachable]: the step is never done, as its `if` cannot hold
          help: correct the condition, or remove the step
    ");
}

#[test]
fn timeouts_that_are_nowhere() {
    let of = |rest: &str| report(&format!("name: w\non: dataset_onboard\n{rest}"));
    insta::assert_snapshot!(of("jobs: {a: {steps: [run: x]}, b: {steps: [run: x]}}"), @"
        w.yml:3:1: warning[timeout-missing]: no job has a `timeout`, so a program that hangs is ended only after 1h
          help: add `timeout: 10m` to the workflow, or to each job
    ");
    assert_eq!(of("jobs: {a: {steps: [run: x], timeout: 2h}, b: {steps: [run: x]}}"), "");
    assert_eq!(of("deadline: 2h\njobs: {a: {steps: [run: x]}}"), "");
    assert_eq!(of("jobs: {validate: {steps: [uses: honk/validate]}}"), "");
}

#[test]
fn pools_that_are_nearly_built_in() {
    insta::assert_snapshot!(jobs("  a:\n    runs-on: migrte\n    steps: [run: x]\n  b:\n    runs-on: gpu\n    steps: [run: x]\n"), @"
        w.yml:5:14: warning[pool-similar]: the pool `migrte` is none of those that every installation has
          help: did you mean `migrate`?
    ");
}

#[test]
fn secrets_in_the_text() {
    let text = "  a:
    env:
      DB_PASSWORD: hunter2
      API_KEY: 0123456789abcdef0123
      SORT_KEY: customer_id
      TOKEN_FILE: /run/secrets/token
      USE_TOKEN: true
      TOKENIZERS: many
      TOKEN: '{{ input.token }}'
      WHO: AKIAIOSFODNN7EXAMPLE
      EMPTY_SECRET: \"\"
    steps:
      - run: [curl, -H, 'Authorization: Bearer ghp_0123456789abcdefghijklmnopqrstuvwxyz', x]
      - run: echo SAKIAIOSFODNN7EXAMPLEX
";
    insta::assert_snapshot!(jobs(text), @"
        w.yml:6:20: warning[secret]: the value of `DB_PASSWORD` looks like a secret, which would be stored and shown with the workflow
          help: remove it, set the variable where the agents are started, and name it in `pass_env` of their `[steps]` settings
        w.yml:7:16: warning[secret]: the value of `API_KEY` looks like a secret, which would be stored and shown with the workflow
          help: remove it, set the variable where the agents are started, and name it in `pass_env` of their `[steps]` settings
        w.yml:13:12: warning[secret]: the value of `WHO` looks like a secret, which would be stored and shown with the workflow
          help: remove it, set the variable where the agents are started, and name it in `pass_env` of their `[steps]` settings
        w.yml:16:25: warning[secret]: a part of `run` looks like a secret, which would be stored and shown with the workflow
          help: remove it, set the variable where the agents are started, and name it in `pass_env` of their `[steps]` settings
    ");
}

#[test]
fn commands_that_need_a_shell() {
    insta::assert_snapshot!(step("run: a | b"), @"
        w.yml:6:14: warning[run-without-shell]: without a shell, `|` is an argument like any other
          help: add `shell: bash`, or make a step of each command
    ");
    insta::assert_snapshot!(step("run: |\n  a\n  b"), @"
        w.yml:7:11: warning[run-without-shell]: without a shell, all lines are one command
          help: add `shell: bash`, or make a step of each command
    ");
    insta::assert_snapshot!(step("run: echo it's"), @"
        w.yml:6:14: error[run-quote]: a quote (') is not closed
          help: close the quote, write `run` as a list of arguments, or add `shell: bash`
    ");
    insta::assert_snapshot!(step("run: \"a\\0b\""), @"w.yml:6:14: error[nul]: this text contains a NUL character, which no program can be given");
}

#[test]
fn actions() {
    insta::assert_snapshot!(step("uses: actions/checkout@v4"), @"
        w.yml:6:15: error[action-name]: `actions/checkout@v4` is no action
          help: an action is `OWNER/NAME` in lower case, without a version, like `honk/migrate`
    ");
    insta::assert_snapshot!(step("uses: honk/migrat"), @"
        w.yml:6:15: warning[action-unknown]: Honk itself has no action `honk/migrat`
          help: did you mean `honk/migrate`?
    ");
    insta::assert_snapshot!(step("uses: honk/teleport"), @"
        w.yml:6:15: warning[action-unknown]: Honk itself has no action `honk/teleport`
          help: Honk's actions are `honk/validate`, `honk/plan`, `honk/migrate`, `honk/rollback`, `honk/retire` and `honk/notify`
    ");
    insta::assert_snapshot!(step("uses: honk/migrate"), @"
        w.yml:6:15: warning[action-elsewhere]: the agents of the pool `default` do not bring `honk/migrate`
          help: add `runs-on: migrate` to the job
    ");
}

#[test]
fn whoever_is_strict_takes_warnings_for_errors() {
    let questionable = parse("name: w\non: dataset_onboard\njobs: {a: {steps: [run: x]}}\n").expect("is allowed");
    let faults = questionable.clone().strict().expect_err("is not without warnings");
    assert_eq!(faults.len(), questionable.warnings.len());
    assert!(faults.iter().all(Diagnostic::is_error));
    let fine =
        parse("name: w\non: dataset_onboard\njobs: {validate: {steps: [uses: honk/validate]}}\n").expect("is allowed");
    assert!(fine.strict().is_ok());
}
