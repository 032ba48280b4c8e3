//! Texts that are meant to hurt are refused, quickly, with the reason.

#![expect(clippy::expect_used, reason = "helpers of tests fail the test")]

use std::fmt::Write;

use honk_workflow::parse;

fn codes(text: &str) -> Vec<&'static str> {
    parse(text).expect_err("is refused").iter().map(|fault| fault.code).collect()
}

fn workflow(jobs: &str) -> String {
    format!("name: w\non: dataset_onboard\njobs:\n{jobs}")
}

#[test]
fn ten_thousand_levels_are_refused() {
    assert_eq!(codes(&"[".repeat(10_000)), ["too-deep"]);
    assert_eq!(codes(&"{a: ".repeat(10_000)), ["too-deep"]);
    assert_eq!(codes(&"- ".repeat(10_000)), ["too-deep"]);
    let indented = (0..2_000).fold(String::new(), |text, level| text + &" ".repeat(level.min(400)) + "a:\n");
    assert!(!codes(&indented).is_empty());
}

#[test]
fn sixty_four_levels_are_read() {
    let nested = |levels: usize| {
        let value = format!("{}x{}", "[".repeat(levels), "]".repeat(levels));
        workflow(&format!("  validate: {{steps: [{{uses: honk/validate, with: {{a: {value}}}}}]}}\n"))
    };
    // The workflow, its jobs, the job, its steps, the step and `with` are the other levels.
    assert!(parse(&nested(58)).is_ok());
    assert_eq!(codes(&nested(59)), ["too-deep"]);
}

#[test]
fn a_billion_laughs_are_refused() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        writeln!(text, "a{level}: &a{level} [{aliases}]").expect("writes to a string");
    }
    assert_eq!(codes(&text), ["too-large"]);
}

#[test]
fn few_aliases_of_a_long_text_are_refused() {
    let text = format!("a: &a \"{}\"\nb: [{}]\n", "x".repeat(500_000), vec!["*a"; 100].join(", "));
    assert_eq!(codes(&text), ["too-large"]);
}

#[test]
fn aliases_in_moderation_are_read() {
    let text = "name: w\non: dataset_onboard\njobs:\n  a:\n    env: &env {A: b}\n    steps: &steps\n      - run: x\n  b:\n    env: *env\n    steps: *steps\n";
    let workflow = parse(text).expect("is a workflow").workflow;
    assert_eq!(workflow.jobs[0].steps, workflow.jobs[1].steps);
    assert_eq!(workflow.jobs[1].env["A"], "b");
}

#[test]
fn a_text_over_a_mebibyte_is_refused() {
    assert_eq!(codes(&"#".repeat(1024 * 1024 + 1)), ["too-large"]);
}

#[test]
fn a_workflow_that_fits_no_message_is_refused() {
    let script = "\\u0001".repeat(160_000);
    let text = workflow(&format!("  a:\n    steps:\n      - run: \"{script}\"\n        shell: bash\n"));
    assert_eq!(codes(&text), ["too-large"]);
}

#[test]
fn jobs_and_steps_are_counted() {
    let job = |name: usize| format!("  j{name}: {{steps: [run: x]}}\n");
    let jobs = |count: usize| workflow(&(0..count).map(job).collect::<String>());
    assert_eq!(parse(&jobs(256)).expect("is a workflow").workflow.jobs.len(), 256);
    assert_eq!(codes(&jobs(257)), ["jobs-too-many"]);
    let steps = |count: usize| workflow(&format!("  a:\n    steps: [{}]\n", vec!["run: x"; count].join(", ")));
    assert!(parse(&steps(64)).is_ok());
    assert_eq!(codes(&steps(65)), ["steps-too-many"]);
}

#[test]
fn schedules_are_counted() {
    let text = |count: usize| {
        let all = vec!["{cron: '@daily'}"; count].join(", ");
        format!("name: w\non: {{schedule: [{all}]}}\njobs: {{a: {{steps: [run: x]}}}}\n")
    };
    assert_eq!(parse(&text(16)).expect("is a workflow").workflow.on.schedule.len(), 16);
    assert_eq!(codes(&text(17)), ["schedule"]);
}

#[test]
fn ten_thousand_nodes_are_enough() {
    assert_eq!(codes(&format!("[{}]", "x,".repeat(10_000))), ["too-large"]);
}

#[test]
fn of_very_many_faults_the_first_ones_are_reported() {
    let unknown = (0..4_000).fold(String::new(), |text, key| text + &format!("key{key}: x\n"));
    assert_eq!(codes(&unknown).len(), 100);
    // Each of these would be compared with each job.
    let needs = (0..30).map(|need| format!("unknown{need}")).collect::<Vec<_>>().join(", ");
    let jobs =
        (0..256).fold(String::new(), |text, job| text + &format!("  j{job}: {{needs: [{needs}], steps: [run: x]}}\n"));
    assert_eq!(codes(&workflow(&jobs)).len(), 100);
}
