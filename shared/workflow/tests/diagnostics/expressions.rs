//! Expressions, conditions and matrices, and values in scripts.

use crate::{jobs, step};

#[test]
fn expressions() {
    insta::assert_snapshot!(step("run: python x.py {{ input.name"), @"
        w.yml:6:14: error[expression-unclosed]: the expression that begins with `{{ input.name` is not closed
          help: close it with `}}`; braces that are meant literally are written `{{ '{{' }}`
    ");
    insta::assert_snapshot!(step("run: python x.py {{ github.actor }}"), @"
        w.yml:6:14: error[expression-unknown]: `{{ github.actor }}` uses the name `github`, which does not exist
          help: the names are `input`, `dataset`, `location`, `jobs`, `run` and `matrix`, like `{{ input.dataset_name }}`; a text is put in quotes
    ");
    insta::assert_snapshot!(step("run: python x.py ${{ input.name }}"), @"
        w.yml:6:14: error[expression-dollar]: an expression begins with `{{`, not with `${{`
          help: remove the `$`
    ");
    insta::assert_snapshot!(step("run: [x, '{{ input.name + }}']"), @"
        w.yml:6:14: error[expression-syntax]: `{{ input.name + }}` is not an expression: unexpected end of input, expected expression
          help: expressions are written as in Jinja, like `{{ input.dataset_name }}`; braces that are meant literally are written `{{ '{{' }}`
    ");
    insta::assert_snapshot!(step("run: [x, '{{ nput.name }}']"), @"
        w.yml:6:14: error[expression-unknown]: `{{ nput.name }}` uses the name `nput`, which does not exist
          help: did you mean `input`?
    ");
    insta::assert_snapshot!(step("uses: honk/validate\nwith: {a: [{b: '{{ x }}'}], n: .inf}"), @"
        w.yml:6:15: warning[action-elsewhere]: the agents of the pool `default` do not bring `honk/validate`
          help: add `runs-on: validate` to the job
        w.yml:7:24: error[expression-unknown]: `{{ x }}` uses the name `x`, which does not exist
          help: the names are `input`, `dataset`, `location`, `jobs`, `run` and `matrix`, like `{{ input.dataset_name }}`; a text is put in quotes
        w.yml:7:40: error[number]: JSON has no infinite and undefined numbers
          help: put it in quotes, as text
    ");
    insta::assert_snapshot!(step("run: x\nenv: {A: '{{ x }}', 1B: y, C: , D: [z]}"), @r#"
        w.yml:7:18: error[expression-unknown]: `{{ x }}` uses the name `x`, which does not exist
          help: the names are `input`, `dataset`, `location`, `jobs`, `run` and `matrix`, like `{{ input.dataset_name }}`; a text is put in quotes
        w.yml:7:29: error[env-name]: `1B` is no name of a variable
          help: a name is a letter or `_`, then letters, digits or `_`, like `DATASET_NAME`
        w.yml:7:36: error[type]: the variable `C` has no value
          help: write `""` for an empty value
        w.yml:7:44: error[type]: the variable `D` must be text, but is a list
    "#);
}

#[test]
fn outputs_of_jobs_that_are_not_waited_for() {
    let text = "  plan:
    steps:
      - run: plan {{ jobs.plan.outputs.x }}
  build-it:
    needs: plan
    steps:
      - run: build {{ jobs.plan.outputs.items }}
  test:
    needs: [build-it]
    env: {ROWS: '{{ jobs.paln.outputs.rows }}', ITEMS: '{{ jobs.plan.outputs.items }}'}
    steps:
      - run: [test, '{{ jobs.other.result }}', '{{ jobs.build-it.result }}']
      - run: echo '{{ jobs.nothing }}' is no expression
        shell: bash
  other:
    steps: [run: x]
";
    insta::assert_snapshot!(jobs(text), @r#"
        w.yml:6:14: error[expression-needs]: `jobs.plan.outputs.x` is not known before the job `plan` has ended
          help: use it in a job that needs this one
        w.yml:13:17: error[expression-job]: `jobs.paln.outputs.rows` names the job `paln`, which does not exist
          help: did you mean `plan`?
        w.yml:15:21: error[expression-needs]: `jobs.other.result` is used by the job `test`, which does not wait for `other`
          help: add `other` to the `needs` of the job `test`
        w.yml:16:14: error[shell-expression]: `{{ jobs.nothing }}` in a script would run its value as code
          help: add `env: { NOTHING: '{{ jobs.nothing }}' }` to the step and write `"$NOTHING"` in the script
    "#);
}

#[test]
fn conditions() {
    let text = "  a:
    if: input.x && input.y
    continue-on-error: yes
    steps:
      - if: ${{ always() }}
        run: x
      - if:
        run: x
      - if: sucess()
        run: x
  b:
    if: jobs.a.result == 'success'
    steps:
      - if: matrix.part > 1
        continue-on-error: true
        run: x
";
    insta::assert_snapshot!(jobs(text), @"
        w.yml:5:9: error[expression-operator]: `{{ input.x && input.y }}` has `&&`, which is no operator here
          help: write `and`
        w.yml:6:24: error[type]: `continue-on-error` must be `true` or `false`, but is `yes`
        w.yml:8:13: error[expression-dollar]: an expression begins with `{{`, not with `${{`
          help: remove the `$`
        w.yml:10:9: error[type]: `if` must be text, but is empty
        w.yml:12:13: error[expression-unknown]: `{{ sucess() }}` uses the function `sucess`, which does not exist
          help: did you mean `success`?
        w.yml:15:9: error[expression-needs]: `jobs.a.result` is used by the job `b`, which does not wait for `a`
          help: add `a` to the `needs` of the job `b`
        w.yml:17:13: error[expression-matrix]: `matrix.part` is used by the job `b`, which has no matrix
          help: add `strategy: { matrix: … }` to the job `b`
    ");
}

#[test]
fn matrices_that_cannot_be() {
    let strategy = |strategy: &str| {
        jobs(&format!("  a:\n    strategy: {strategy}\n    steps: [run: 'x {{{{ matrix.prat }}}}']\n"))
    };
    insta::assert_snapshot!(strategy("{max-parallel: 0, fail-fast: maybe}"), @"
        w.yml:5:5: error[key-missing]: `strategy` has no `matrix`
          help: write `matrix: { part: [1, 2, 3] }` or `matrix: { part: '{{ jobs.plan.outputs.parts }}' }`
        w.yml:5:30: error[number-range]: `max-parallel` must be a whole number from 1 to 2000, but is `0`
        w.yml:5:44: error[type]: `fail-fast` must be `true` or `false`, but is `maybe`
    ");
    insta::assert_snapshot!(strategy("{matrix: {}, mat: x}"), @"
        w.yml:5:16: error[matrix-empty]: `matrix` has no keys
          help: write `matrix: { part: [1, 2, 3] }` or `matrix: { part: '{{ jobs.plan.outputs.parts }}' }`
        w.yml:5:28: error[key-unknown]: unknown key `mat` in `strategy`
          help: did you mean `matrix`?
        w.yml:6:18: error[expression-matrix]: `matrix.prat` names `prat`, which the matrix of the job `a` does not have
          help: the matrix has none
    ");
    insta::assert_snapshot!(strategy("{matrix: {part: [], 1x: [1], b: text, c: {d: e}}}"), @"
        w.yml:5:31: error[matrix-empty]: `part` of the matrix is an empty list, so the job would never be done
          help: list at least one value, or remove the job
        w.yml:5:35: error[matrix-key]: `1x` is no key of a matrix
          help: a key is a letter or `_`, then letters, digits, `-` or `_`, like `part`
        w.yml:5:47: error[type]: `b` of the matrix must be a list or an expression, but is `text`
          help: write `matrix: { part: [1, 2, 3] }` or `matrix: { part: '{{ jobs.plan.outputs.parts }}' }`
        w.yml:5:56: error[type]: `c` of the matrix must be a list or an expression, but is a mapping
          help: write `matrix: { part: [1, 2, 3] }` or `matrix: { part: '{{ jobs.plan.outputs.parts }}' }`
        w.yml:6:18: error[expression-matrix]: `matrix.prat` names `prat`, which the matrix of the job `a` does not have
          help: did you mean `matrix.part`?
    ");
    insta::assert_snapshot!(strategy("{matrix: {part: [1], exclude: [{prat: 1}, x], include: x}}"), @"
        w.yml:5:45: error[matrix-key]: `exclude` has `prat`, which is no key of the matrix
          help: did you mean `part`?
        w.yml:5:57: error[type]: each item of `exclude` must be a mapping (`key: value`), but is `x`
        w.yml:5:70: error[type]: `include` must be a list of mappings, but is `x`
        w.yml:6:18: error[expression-matrix]: `matrix.prat` names `prat`, which the matrix of the job `a` does not have
          help: did you mean `matrix.part`?
    ");
    insta::assert_snapshot!(strategy("{matrix: text}"), @"
        w.yml:5:24: error[type]: `matrix` must be a list or an expression, but is `text`
          help: write `matrix: { part: [1, 2, 3] }` or `matrix: { part: '{{ jobs.plan.outputs.parts }}' }`
    ");
    insta::assert_snapshot!(strategy("{matrix: '{{ input.items }}'}"), @"");
    let many = vec!["1"; 50].join(",");
    insta::assert_snapshot!(strategy(&format!("{{matrix: {{prat: [{many}], b: [{many}]}}}}")), @"
        w.yml:5:16: error[matrix-size]: the matrix has 2500 items, and at most 2000 are allowed
          help: make several jobs of it
    ");
    insta::assert_snapshot!(strategy("{matrix: {prat: ['{{ matrix.prat }}']}}"), @"
        w.yml:5:32: error[expression-matrix]: `matrix.prat` is not known before the items of the job `a` are
          help: use it in the `if` of a step
    ");
    insta::assert_snapshot!(jobs("  a:\n    if: matrix.x\n    env: {A: '{{ matrix.x }}'}\n    steps: [run: x]\n"), @"
        w.yml:5:9: error[expression-matrix]: `matrix.x` is not known before the items of the job `a` are
          help: use it in the `if` of a step
        w.yml:6:14: error[expression-matrix]: `matrix.x` is used by the job `a`, which has no matrix
          help: add `strategy: { matrix: … }` to the job `a`
    ");
}

#[test]
fn values_in_scripts() {
    insta::assert_snapshot!(step(
        "run: |\n  echo start\n  python x.py --dataset {{ input.dataset_name }}\nshell: bash"
    ), @r#"
        w.yml:7:11: error[shell-expression]: `{{ input.dataset_name }}` in a script would run its value as code
          help: add `env: { DATASET_NAME: '{{ input.dataset_name }}' }` to the step and write `"$DATASET_NAME"` in the script
    "#);
    insta::assert_snapshot!(step("run: bash -c \"echo {{ input.dataset_name }}\""), @r#"
        w.yml:6:14: error[shell-expression]: `{{ input.dataset_name }}` in a script would run its value as code
          help: add `env: { DATASET_NAME: '{{ input.dataset_name }}' }` to the step and write `"$DATASET_NAME"` in the script
    "#);
    insta::assert_snapshot!(step("run: [/bin/sh, -eu, -c, 'echo {{ input.x }}']"), @r#"
        w.yml:6:14: error[shell-expression]: `{{ input.x }}` in a script would run its value as code
          help: add `env: { X: '{{ input.x }}' }` to the step and write `"$X"` in the script
    "#);
    insta::assert_snapshot!(step("run: print({{ input.x }})\nshell: python"), @"
        w.yml:6:14: error[shell-expression]: `{{ input.x }}` in a script would run its value as code
          help: add `env: { X: '{{ input.x }}' }` to the step and write `os.environ['X']` in the script
    ");
    insta::assert_snapshot!(step("run: echo {{ matrix.part }}\nshell: sh"), @r#"
        w.yml:6:14: error[shell-expression]: `{{ matrix.part }}` in a script would run its value as code
          help: add `env: { PART: '{{ matrix.part }}' }` to the step and write `"$PART"` in the script
    "#);
    insta::assert_snapshot!(step("run: echo ${{ github.sha }}\nshell: sh"), @"
        w.yml:6:14: error[expression-dollar]: an expression begins with `{{`, not with `${{`
          help: a script has no expressions; set a variable with `env:`
    ");
}

#[test]
fn scripts_and_commands_that_are_fine() {
    for fine in [
        "run: docker inspect --format '{{.Id}}' x\nshell: bash",
        "run: docker inspect --format \"{{ '{{.Id}}' }}\" x",
        "run: python migrate.py -e '{{ input.x }}'",
        "run: [python, -m, migrate, -c, '{{ input.x }}']",
        "run: true",
        "run: |\n  python x.py \\\n    --dataset {{ input.dataset_name }}",
        "run: echo \"$NAME\" | wc\nshell: bash\nenv: {NAME: '{{ input.dataset_name }}', PORT: 8080, DEBUG: false}",
    ] {
        assert_eq!(step(fine), "", "{fine}");
    }
}
