//! Whole workflows: what their jobs become, and that storing one keeps its hash.

#![expect(clippy::expect_used, reason = "helpers of tests fail the test")]

use honk_protocol::name::JobName;
use honk_protocol::retry::RetryPolicy;
use honk_workflow::{FromJsonError, Job, Run, StepAction, Workflow, parse};
use serde_json::json;

fn workflow(text: &str) -> Workflow {
    let parsed = parse(text).expect("is a workflow");
    assert_eq!(parsed.warnings, [], "nothing is questionable");
    parsed.workflow
}

fn job<'a>(workflow: &'a Workflow, name: &str) -> &'a Job {
    workflow.job(&JobName::new(name).expect("is a name")).expect("exists")
}

#[test]
fn the_shipped_workflow_is_a_chain_of_the_three_stages() {
    let workflow = workflow(include_str!("../../../workflows/migrate-dataset.yml"));
    assert!(workflow.on.fires_on("dataset_onboard") && !workflow.on.fires_on("other"));
    let chain: Vec<_> =
        workflow.jobs.iter().map(|job| (job.name.as_str(), job.pool.as_str(), job.needs.len())).collect();
    assert_eq!(chain, [("validate", "validate", 0), ("migrate", "migrate", 1), ("notify", "notify", 1)]);
    assert_eq!(
        workflow.jobs[2].retry,
        RetryPolicy { retry_count: 30, initial_ms: 5_000, factor: 2.0, max_ms: 3_600_000 }
    );
    assert_eq!(workflow.jobs[0].retry.retry_count, 5);
}

#[test]
fn what_is_shipped_for_after_a_migration_runs_where_its_actions_are() {
    for text in [
        include_str!("../../../workflows/rollback-dataset.yml"),
        include_str!("../../../workflows/retire-dataset.yml"),
        include_str!("../../../workflows/retire-datasets.yml"),
    ] {
        let workflow = workflow(text);
        assert_eq!(workflow.jobs.iter().map(|job| job.pool.as_str()).collect::<Vec<_>>(), ["migrate"]);
    }
}

#[test]
fn a_how_to_with_scripts_is_read_and_the_early_notification_pointed_out() {
    let text = "\
name: move-dataset
on:
  trigger:
    type: dataset_onboard
jobs:
  validate:
    steps:
      - run: python check.py
  migrate:
    needs: [validate]
    steps:
      - run: python move.py --dataset '{{ input.dataset_name }}'
  notify:
    steps:
      - run: python tell.py
timeout: 1h
";
    let parsed = parse(text).expect("is a workflow");
    let [warning] = parsed.warnings.as_slice() else { panic!("one warning: {:?}", parsed.warnings) };
    insta::assert_snapshot!(warning.at("move-dataset.yml"), @"
        move-dataset.yml:13:3: warning[needs-missing]: the job `notify` has no `needs`, so it starts at once and does not wait for `migrate`
          help: add the line `needs: [migrate]` to the job `notify`
    ");
    let migrate = job(&parsed.workflow, "migrate");
    assert_eq!((migrate.pool.as_str(), migrate.timeout_ms), ("migrate", 3_600_000));
    assert_eq!(migrate.retry, RetryPolicy::default());
    let StepAction::Run { run: Run::Text(command), shell: None } = &migrate.steps[0].action else {
        panic!("a command")
    };
    let words = honk_workflow::words::split(command).expect("was checked");
    let argv: Vec<_> = words
        .iter()
        .map(|word| word.render(&json!({"input": {"dataset_name": "a b'; #"}})).expect("is there"))
        .collect();
    assert_eq!(argv, ["python", "move.py", "--dataset", "a b'; #"]);
}

const FULL: &str = "\
name: full.example
on: [dataset_onboard, dataset_refresh]
env: {LEVEL: workflow, W: 1.10}
retry_count: 7
timeout: 90
backoff: {initial: 500ms, factor: 1.5}
jobs:
  check:
    name: Check everything
    steps:
      - run: [python, check.py, '{{ input.dataset_name }}', 3]
  copy:
    needs: check
    runs-on: gpu-pool
    retry_count: 0
    timeout: 1h30m
    backoff: {max: 10m}
    env: {LEVEL: job, J: yes}
    steps:
      - name: Copy it
        uses: acme/copy
        with: {z: {b: 1, a: [1.5, true, ~, '1']}, target: '{{ input.target.bucket }}'}
        env: {LEVEL: step, S: \"\"}
      - run: |
          set -eu
          echo done
        shell: bash
  validate:
    needs: [copy, check]
    steps: [uses: honk/validate]
";

#[test]
fn jobs_inherit_from_the_workflow_and_say_otherwise() {
    let workflow = workflow(FULL);
    let (check, copy) = (job(&workflow, "check"), job(&workflow, "copy"));
    assert_eq!((check.display_name(), copy.display_name()), ("Check everything", "copy"));
    assert_eq!(
        (check.pool.as_str(), copy.pool.as_str(), job(&workflow, "validate").pool.as_str()),
        ("default", "gpu-pool", "validate")
    );
    assert_eq!((check.timeout_ms, copy.timeout_ms), (90_000, 5_400_000));
    assert_eq!(check.retry, RetryPolicy { retry_count: 7, initial_ms: 500, factor: 1.5, max_ms: 300_000 });
    assert_eq!(copy.retry, RetryPolicy { retry_count: 0, initial_ms: 500, factor: 1.5, max_ms: 600_000 });
    let needs: Vec<_> = job(&workflow, "validate").needs.iter().map(JobName::as_str).collect();
    assert_eq!(needs, ["copy", "check"]);
}

#[test]
fn exit_statuses_that_reject_are_the_innermost_ones() {
    let text = "name: w\non: dataset_onboard\ndeadline: 2d\ninclude: lib/**\nreject_codes: [64, 2]\njobs:\n  a:\n    steps:\n      - run: x\n      - run: y\n        reject_codes: []\n  b:\n    if: always()\n    continue-on-error: true\n    reject_codes: 3\n    steps: [run: z]\n";
    let workflow = workflow(text);
    assert_eq!((workflow.deadline_ms, workflow.include.as_slice()), (Some(172_800_000), &["lib/**".to_owned()][..]));
    let (a, b) = (job(&workflow, "a"), job(&workflow, "b"));
    assert_eq!(a.reject_codes(&a.steps[0]), [2, 64]);
    assert!(a.reject_codes(&a.steps[1]).is_empty());
    assert_eq!(b.reject_codes(&b.steps[0]), [3]);
    assert!((b.regardless() && b.continue_on_error) && !(a.regardless() || a.continue_on_error));
    assert_eq!(Workflow::from_json(&workflow.to_json()).expect("reads back"), workflow);
}

#[test]
fn a_step_sees_the_innermost_value_of_each_variable() {
    let workflow = workflow(FULL);
    let copy = job(&workflow, "copy");
    let environment: Vec<_> = workflow.environment(copy, &copy.steps[0]).into_iter().collect();
    assert_eq!(environment, [("J", "yes"), ("LEVEL", "step"), ("S", ""), ("W", "1.10")]);
    assert_eq!(workflow.environment(copy, &copy.steps[1])["LEVEL"], "job");
}

#[test]
fn the_canonical_json_stays_as_it_is() {
    let workflow = workflow(FULL);
    insta::assert_snapshot!(serde_json::to_string_pretty(job(&workflow, "copy")).expect("is JSON"), @r#"
        {
          "name": "copy",
          "needs": [
            "check"
          ],
          "pool": "gpu-pool",
          "steps": [
            {
              "name": "Copy it",
              "action": {
                "uses": {
                  "action": "acme/copy",
                  "with": {
                    "target": "{{ input.target.bucket }}",
                    "z": {
                      "a": [
                        1.5,
                        true,
                        null,
                        "1"
                      ],
                      "b": 1
                    }
                  }
                }
              },
              "env": {
                "LEVEL": "step",
                "S": ""
              }
            },
            {
              "action": {
                "run": {
                  "run": "set -eu\necho done\n",
                  "shell": "bash"
                }
              }
            }
          ],
          "retry": {
            "retry_count": 0,
            "initial_ms": 500,
            "factor": 1.5,
            "max_ms": 600000
          },
          "timeout_ms": 5400000,
          "env": {
            "J": "yes",
            "LEVEL": "job"
          }
        }
    "#);
    insta::assert_snapshot!(workflow.hash(), @"494776b18fa6d8367cd4bee6fb34dd6c5bd9ed147086227af5f59e9560be4743");
    let read = Workflow::from_json(&workflow.to_json()).expect("reads back");
    assert_eq!(read, workflow);
    assert_eq!(read.hash(), workflow.hash());
}

#[test]
fn the_hash_is_of_the_meaning_not_of_the_text() {
    let plain = workflow(
        "name: w\non: dataset_onboard\njobs: {validate: {steps: [{uses: honk/validate, with: {a: 1, b: {c: 2, d: 3}}}]}}\n",
    );
    let same = workflow(
        "# Other order, other style.\njobs:\n  validate:\n    timeout: 60m\n    steps:\n      - with: {b: {d: 3, c: 2}, a: 1}\n        uses: 'honk/validate'\non: {trigger: {type: [dataset_onboard]}}\nname: w\n",
    );
    let other =
        workflow("name: w\non: dataset_onboard\njobs: {validate: {steps: [{uses: honk/validate, with: {a: 2}}]}}\n");
    assert_eq!(plain.hash(), same.hash());
    assert_ne!(plain.hash(), other.hash());
}

#[test]
fn a_stored_workflow_whose_graph_is_not_sound_is_refused() {
    let stored = |needs: serde_json::Value| {
        let retry = RetryPolicy::default();
        let job = json!({"name": "a", "needs": needs, "pool": "default", "steps": [], "retry": retry, "timeout_ms": 1});
        let workflow = json!({"name": "w", "on": {"events": ["e"]}, "jobs": [job]});
        Workflow::from_json(workflow.to_string().as_bytes())
    };
    assert!(stored(json!([])).is_ok());
    assert!(matches!(stored(json!(["a"])), Err(FromJsonError::Graph(_))));
    assert!(matches!(stored(json!(["b"])), Err(FromJsonError::Graph(_))));
    assert!(matches!(stored(json!(["no name"])), Err(FromJsonError::Json(_))));
    assert!(matches!(Workflow::from_json(b"{"), Err(FromJsonError::Json(_))));
}
