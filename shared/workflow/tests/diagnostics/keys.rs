//! Values of the keys that a workflow has.

use crate::{jobs, report};

#[test]
fn triggers() {
    let on = |on: &str| report(&format!("name: w\n{on}\njobs: {{a: {{steps: [run: x]}}}}\ntimeout: 1h\n"));
    insta::assert_snapshot!(on("on: []"), @"
        w.yml:2:1: error[event-missing]: `on` names no event
          help: write `on: dataset_onboard`
    ");
    insta::assert_snapshot!(on("on:"), @"
        w.yml:2:1: error[event-missing]: `on` names no event
          help: write `on: dataset_onboard`
    ");
    insta::assert_snapshot!(on("on: [dataset_onboard, dataset_onboard, a.b]"), @"
        w.yml:2:23: error[event-duplicate]: the event `dataset_onboard` is here twice
          help: remove one of them
        w.yml:2:40: error[event-invalid]: `a.b` is no type of event
          help: a type is a letter, then letters, digits, `_` or `-`, at most 63 in all, like `dataset_onboard`
    ");
    insta::assert_snapshot!(on("on: dataset_onbaord"), @"
        w.yml:2:5: warning[event-similar]: Honk itself has no event `dataset_onbaord`
          help: did you mean `dataset_onboard`?
    ");
    insta::assert_snapshot!(on("on: {trigger: {typ: dataset_onboard}}"), @"
        w.yml:2:16: error[key-unknown]: unknown key `typ` in `trigger`
          help: did you mean `type`?
    ");
    insta::assert_snapshot!(on("on: {push: {branches: [main]}}"), @"
        w.yml:2:5: error[key-missing]: `on` has no `trigger`
          help: write `on: dataset_onboard`
        w.yml:2:6: error[key-unknown]: unknown key `push` in `on`
          help: the keys of `on` are `trigger` and `schedule`
    ");
}

#[test]
fn durations_and_counts() {
    insta::assert_snapshot!(jobs(
        "  a:\n    timeout: 8d\n    retry_count: 101\n    backoff: {initial: 10m, factor: 0.5, mx: 1}\n    steps: [run: x]\n  b:\n    timeout: 1 hour\n    retry_count: -1\n    backoff: {factor: 1e400}\n    steps: [run: x]\n"
    ), @"
        w.yml:5:14: error[duration-range]: `timeout` must be between 1s and 7d, but is `8d`
        w.yml:6:18: error[retry-count]: `retry_count` must be a whole number from 0 to 100, but is `101`
        w.yml:7:5: error[backoff]: the first delay (10m) is longer than the longest one (5m)
          help: write `max: 10m` or more, or a shorter `initial`
        w.yml:7:37: error[backoff]: `factor` must be a number from 1 to 100, but is `0.5`
        w.yml:7:42: error[key-unknown]: unknown key `mx` in `backoff`
          help: the keys of `backoff` are `initial`, `factor` and `max`
        w.yml:10:14: error[duration]: `1 hour` of `timeout` is not a duration
          help: write a duration like `500ms`, `30s`, `10m` or `1h30m`, or a number of seconds
        w.yml:11:18: error[retry-count]: `retry_count` must be a whole number from 0 to 100, but is `-1`
        w.yml:12:23: error[backoff]: `factor` must be a number from 1 to 100, but is `1e400`
    ");
}

#[test]
fn keys_of_the_workflow_as_a_whole() {
    let with = |keys: &str| {
        report(&format!("name: w\non: dataset_onboard\n{keys}\njobs: {{a: {{steps: [run: x]}}}}\ntimeout: 1h\n"))
    };
    insta::assert_snapshot!(with("deadline: 31d\ninclude: [../x, /etc/*, 'a[', '', lib/**]"), @"
        w.yml:3:11: error[duration-range]: `deadline` must be between 1s and 30d, but is `31d`
        w.yml:4:11: error[include]: `../x` leads out of the workflow's folder
          help: write paths below the folder of the workflow, like `include: [lib/**, requirements.txt]`
        w.yml:4:17: error[include]: `/etc/*` leads out of the workflow's folder
          help: write paths below the folder of the workflow, like `include: [lib/**, requirements.txt]`
        w.yml:4:25: error[include]: `a[` is no glob: unclosed character class; missing ']'
          help: write paths below the folder of the workflow, like `include: [lib/**, requirements.txt]`
        w.yml:4:31: error[include]: `` is empty
          help: write paths below the folder of the workflow, like `include: [lib/**, requirements.txt]`
    ");
    insta::assert_snapshot!(with("reject_codes: [2, 0, 75, 256, x]"), @"
        w.yml:3:19: error[reject-code]: `0` is no exit status of a failure
          help: write statuses from 1 to 255, like `reject_codes: [2, 64]`
        w.yml:3:22: error[reject-code]: exit status 75 always asks for another attempt, and cannot reject
          help: remove it, and let the program end with another status
        w.yml:3:26: error[reject-code]: `256` is no exit status of a failure
          help: write statuses from 1 to 255, like `reject_codes: [2, 64]`
        w.yml:3:31: error[reject-code]: `x` is no exit status of a failure
          help: write statuses from 1 to 255, like `reject_codes: [2, 64]`
    ");
    insta::assert_snapshot!(with("reject_codes:"), @"w.yml:3:1: error[type]: `reject_codes` must be a list, but is empty");
    insta::assert_snapshot!(with("env: {A: '{{ jobs.a.result }}', B: '{{ matrix.x }}', C: '{{ input.x }}'}"), @"
        w.yml:3:10: error[expression-shared]: `jobs.a.result` is not known in all jobs
          help: move the variable to the `env` of the jobs that use it
        w.yml:3:36: error[expression-shared]: `matrix.x` is not known in all jobs
          help: move the variable to the `env` of the jobs that use it
    ");
}

#[test]
fn limits_and_schedules() {
    let with = |keys: &str| report(&format!("name: w\n{keys}\njobs: {{a: {{steps: [run: x]}}}}\ntimeout: 1h\n"));
    insta::assert_snapshot!(with("on: dataset_onboard\nrate: 10/day\nconcurrency: {cancel-in-progress: 1}"), @"
        w.yml:3:7: error[rate]: `10/day` is no rate
          help: write how many runs may begin in which time, like `10/min` (`s`, `min` or `h`; 1 to 1000000)
        w.yml:4:14: error[key-missing]: `concurrency` has no `group`
          help: write `concurrency: { group: 'warehouse-{{ input.warehouse }}' }`
        w.yml:4:35: error[type]: `cancel-in-progress` must be `true` or `false`, but is `1`
    ");
    insta::assert_snapshot!(with("on: dataset_onboard\nrate: 0/s\nconcurrency: 'x-{{ run.id }}{{ dataset.a'"), @"
        w.yml:3:7: error[rate]: `0/s` is no rate
          help: write how many runs may begin in which time, like `10/min` (`s`, `min` or `h`; 1 to 1000000)
        w.yml:4:14: error[expression-unclosed]: the expression that begins with `{{ dataset.a` is not closed
          help: close it with `}}`; braces that are meant literally are written `{{ '{{' }}`
    ");
    insta::assert_snapshot!(with("on: dataset_onboard\nrate: 100 / h\nconcurrency: 'x-{{ run.id }}'"), @"
        w.yml:4:14: error[concurrency]: `run.id` is not known before a run begins
          help: a group can be made of `input` and `dataset`
    ");
    insta::assert_snapshot!(with("on: {schedule: []}"), @"
        w.yml:2:16: error[event-missing]: `schedule` is empty
          help: write `schedule: [{ cron: '0 2 * * *', timezone: Europe/Berlin, selector: 'owner=data-team' }]`
    ");
    insta::assert_snapshot!(with("on: {schedule: [{}, {cron: '0 2 * *'}, {cron: '0 0 30 2 *', timezone: Mars, selector: ownr}]}"), @"
        w.yml:2:17: error[key-missing]: the schedule has no `cron`
          help: write `schedule: [{ cron: '0 2 * * *', timezone: Europe/Berlin, selector: 'owner=data-team' }]`
        w.yml:2:28: error[schedule]: `0 2 * *` is no cron pattern: Invalid pattern: Pattern must have 5 fields when seconds are disallowed.
          help: write minute, hour, day of the month, month and day of the week, like `0 2 * * *`
        w.yml:2:71: error[schedule]: there is no time zone `Mars`
          help: write a name of the IANA's database, like `Europe/Berlin` or `UTC`
        w.yml:2:87: error[selector]: `ownr` is no selection of datasets: `ownr` is no key; the keys are owner, lifecycle, system, type, name, tag, annotation.NAME, label.NAME
          help: write `KEY=VALUE`, several with commas, like `owner=data-team,lifecycle=production`
    ");
    insta::assert_snapshot!(with("on: {schedule: [{cron: '0 0 30 2 *'}]}\nschedule: x"), @"
        w.yml:2:24: error[schedule]: `0 0 30 2 *` never comes
          help: write minute, hour, day of the month, month and day of the week, like `0 2 * * *`
        w.yml:3:1: error[key-unknown]: unknown key `schedule` in a workflow
          help: write `on:` and below it `schedule:`
    ");
    let fine = "on: {trigger: {type: dataset_onboard}, schedule: [{cron: '0 2 * * *', timezone: Europe/Berlin, selector: 'owner=data-team'}]}";
    assert_eq!(with(&format!("{fine}\nrate: 10/min\nconcurrency: 'w-{{{{ input.warehouse }}}}'")), "");
    assert_eq!(with("on: {schedule: [{cron: '@daily'}]}"), "");
}
