//! What steps printed: of a run, of a dataset's newest run, followed.

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::fixtures::{RUN, end, run, succeeded};
use super::stub::Stub;

fn line(number: u32, job: &str, attempt: u32, stream: &str, text: &str) -> Value {
    json!({"run": RUN, "job": job, "attempt": attempt, "step": 1, "title": "python check.py", "agent": "agent-1",
        "at": format!("2026-01-02T03:04:{number:02}.5Z"), "stream": stream, "text": text, "cursor": format!("{number}.1")})
}

fn page(items: &[Value], next: Option<&str>) -> Value {
    let mut page = json!({"run": RUN, "items": items});
    if let Some(next) = next {
        page["next"] = json!(next);
    }
    page
}

fn logs() -> String {
    format!("GET /api/runs/{RUN}/logs")
}

#[test]
fn the_pages_of_a_log_are_shown_one_after_the_other_and_nothing_steers_the_terminal() {
    let first =
        [line(1, "check", 1, "stdout", "\u{1b}[32m12 columns\u{1b}[0m"), line(2, "check", 1, "stderr", "no\tkey\u{7}")];
    let second = [line(3, "check", 1, "agent", "ended with exit status 1"), line(4, "check", 2, "stdout", "again")];
    let api = Stub::new().on(&format!("{}?job=check&since=10m", logs()), 200, &page(&first, Some("3.0"))).on(
        &format!("{}?after=3.0&job=check&since=10m", logs()),
        200,
        &page(&second, None),
    );
    assert_snapshot!(api.honk(&format!("run logs {RUN} --job check --since 10m")), @r"
    exit 0
    --- stdout
    03:04:01 check │ 12 columns
    03:04:02 check ! no    key
    03:04:03 check * ended with exit status 1
    03:04:04 check.2 │ again
    --- stderr
    ");
}

#[test]
fn a_program_reads_the_untouched_text_one_line_a_line() {
    let lines = [line(1, "check", 1, "stdout", "\u{1b}[32mgreen\u{1b}[0m\t\r")];
    let api = Stub::new().on(&logs(), 200, &page(&lines, None));
    assert_eq!(api.json(&format!("run logs {RUN} -o json")), lines[0]);
}

#[test]
fn a_dataset_shows_the_log_of_its_newest_run() {
    let api = Stub::new()
        .on("GET /api/datasets/my-dataset/logs?limit=1", 200, &page(&[line(1, "check", 1, "stdout", "a")], Some("2.0")))
        .on(&format!("{}?attempt=1", logs()), 200, &page(&[line(1, "check", 1, "stdout", "a")], None));
    assert_snapshot!(api.honk("workflow logs my-dataset --attempt 1"), @r"
    exit 0
    --- stdout
    03:04:01 check │ a
    --- stderr
    the newest run of my-dataset is r0123456789abcdef0123
    ");
    let none = json!({"title": "There is no such thing", "status": 404, "code": "run-none",
        "detail": "there is no run of the dataset `new`", "help": "Migrate it: `honk migrate new`, or publish its event."});
    let api = Stub::new().on("GET /api/datasets/new/logs?limit=1", 404, &none);
    assert_snapshot!(api.honk("workflow logs new"), @r"
    exit 1
    --- stdout
    --- stderr
    error: cannot show the logs of the dataset new
      caused by: there is no run of the dataset `new` [run-none]
    hint: Migrate it: `honk migrate new`, or publish its event.
    ");
}

#[test]
fn a_log_without_lines_says_what_may_be_the_reason() {
    let show = format!("GET /api/runs/{RUN}");
    let api = Stub::new().on(&logs(), 200, &page(&[], None)).on(&show, 200, &succeeded());
    assert_snapshot!(api.honk(&format!("run logs {RUN}")), @r"
    exit 0
    --- stdout
    --- stderr
    no lines: the steps of the run r0123456789abcdef0123 printed nothing (those that call an action, with `uses`, print nothing), or it was more than 14 days ago
    ");
    let api = Stub::new().on(&logs(), 200, &page(&[], None)).on(&show, 200, &run("running", 0, Some("running")));
    assert!(api.honk(&format!("run logs {RUN}")).contains("has printed anything yet"));
    let api = Stub::new().on(&format!("{}?job=check", logs()), 200, &page(&[], None)).on(&show, 200, &succeeded());
    assert!(api.honk(&format!("run logs {RUN} --job check")).contains("as asked for"));
}

#[test]
fn a_followed_log_goes_on_over_a_broken_connection_without_a_line_twice() {
    let (first, second) = (line(1, "check", 1, "stdout", "a"), line(2, "check", 1, "stdout", "b"));
    let api = Stub::new().on_events(&format!("{}?job=check", logs()), &[("line", &first)]).on_events(
        &format!("{}?after=1.1&job=check", logs()),
        &[("later-invention", &json!({})), ("line", &second), ("end", &end("success"))],
    );
    assert_snapshot!(api.honk(&format!("run logs {RUN} --follow --job check")), @r"
    exit 0
    --- stdout
    03:04:01 check │ a
    03:04:02 check │ b
    --- stderr
    ");
}
