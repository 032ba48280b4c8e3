//! The agent in Python, as a real process between agents in Rust: what holds for Honk's own agents holds for one that was written from
//! `docs/MESSAGES.md`. Delivered twice, killed at every point, frozen, stopped, rejected, retried, cancelled, paused, with items.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, also in its helpers")]

#[path = "python_agent/setting.rs"]
mod setting;

use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;

use honk_bus::Publication;
use honk_protocol::reason::Reason;
use honk_protocol::run::{JobState, Run, RunState};
use honk_testkit::binaries::example;
use honk_testkit::runs::{job, show};
use honk_testkit::{Harness, PATIENCE, Process, eventually};
use serde_json::{Map, json};

use self::setting::{Setting, interpreter, root};

const KILL: i32 = 9;

async fn stop(mut agent: Process) {
    agent.sigterm();
    assert!(agent.ended(PATIENCE).await.success(), "an idle agent stops in order: {}", agent.log());
}

/// The middle job came to its end once, and both sides of it saw what they should.
fn assert_chain(run: &Run) {
    assert_eq!(run.state, RunState::Success, "{}", show(run));
    assert!(run.jobs.iter().all(|job| job.generation == 1), "a crash needs no second dispatch: {}", show(run));
    let middle = &job(run, "middle").outputs;
    let expected =
        json!({ "key": format!("{}.middle", run.id), "before": { "rows": "7" }, "with": { "note": "hello" } });
    assert_eq!(json!(middle), expected);
    assert!(job(run, "after").outputs["key"].as_str().unwrap().contains(run.id.as_str()), "{}", show(run));
}

#[test]
fn its_records_move_as_the_originals_do() {
    let Some(interpreter) = interpreter() else { return };
    let test = root().join("examples/python-agent/test_honk_record.py");
    let output = Command::new(interpreter).arg("-B").arg(test).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn killed_at_every_point_between_agents_in_rust_it_loses_and_doubles_nothing() {
    let Some(setting) = Setting::start().await else { return };
    let points = ["before-work", "after-work", "after-record", "after-publish", "after-ack"];
    for (done, point) in (1..).zip(points) {
        let mut victim = setting.spawn(&[("DIES_AT", point)]);
        let run = setting.begin("effect").await;
        let died = victim.ended(PATIENCE).await;
        assert_eq!(died.signal(), Some(KILL), "it was to be killed at {point}: {}", victim.log());
        let next = setting.spawn(&[]);
        let record = setting.harness.succeed(std::slice::from_ref(&run), PATIENCE).await.remove(0);
        assert_chain(&record);
        let worked: &[u32] = match point {
            "before-work" => &[2],
            "after-work" => &[1, 2],
            _ => &[1],
        };
        assert_eq!(setting.effects(&run), worked, "after {point}");
        assert_eq!(setting.dispatches().await, 3 * done, "each job is dispatched once, after {point}");
        setting.harness.nothing_is_pending().await;
        stop(next).await;
    }
    let _last = setting.spawn(&[]);
    setting.harness.finish().await;
}

#[tokio::test]
async fn delivered_twice_because_an_acknowledgement_was_lost_it_does_the_work_once() {
    let Some(setting) = Setting::start().await else { return };
    let agent = setting.spawn(&[("LOSES_ACKS", "1")]);
    // The next job is still at work when the message comes again: to publish it a second time would be to do it twice.
    let run = setting.begin_and_end("effect", 4).await;
    let record = setting.harness.finished(&run).await;
    assert_chain(&record);
    // Ends when the lost acknowledgement was made up for.
    setting.harness.nothing_is_pending().await;
    assert_eq!((setting.effects(&run), setting.dispatches().await), (vec![1], 3));
    assert_eq!(setting.harness.runs().await[&run], record, "the second delivery changes nothing");
    stop(agent).await;
    setting.harness.finish().await;
}

#[tokio::test]
async fn what_it_cannot_do_and_what_fails_ends_with_its_reason() {
    let Some(setting) = Setting::start().await else { return };
    let _agent = setting.spawn(&[]);
    let uses = |action: &str| format!("[{{uses: acme/{action}}}]");
    let cases = [
        ("rejects", "", uses("reject"), Reason::ActionRejected, "no rows", 1),
        ("defect", "", uses("defect"), Reason::JobPanicked, "ValueError('a defect')", 2),
        ("huge", "", uses("huge"), Reason::OutputsInvalid, "bytes", 1),
        ("slow", "timeout: 1s\n    retry_count: 0", uses("slow"), Reason::JobTimeout, "within 1.0 s", 1),
        ("unknown", "", uses("unknown"), Reason::ActionUnknown, "acme/row-count", 1),
        ("programs", "", "[{run: [echo, hello]}]".into(), Reason::ActionUnknown, "`run`", 1),
        ("condition", "if: always()", uses("effect"), Reason::ActionUnknown, "`if`", 1),
        ("matrix", "strategy: {matrix: {n: [1, 2]}}", uses("effect"), Reason::ActionUnknown, "`strategy`", 1),
        (
            "expression",
            "",
            "[{uses: acme/effect, with: {a: '{{ input.dataset_name }}'}}]".into(),
            Reason::ActionUnknown,
            "{{ … }}",
            1,
        ),
    ];
    for (name, more, steps, reason, says, attempts) in &cases {
        let policy = "retry_count: 1\ntimeout: 1m\nbackoff: {initial: 10ms, max: 20ms}";
        let text = format!(
            "name: {name}\non: dataset_onboard\n{policy}\njobs:\n  only:\n    runs-on: checks\n    {more}\n    steps: {steps}\n"
        );
        setting.harness.register(&text).await;
        let run = setting.harness.run_workflow(name, name, Map::new()).await;
        let run = setting.harness.finished(&run).await;
        let only = job(&run, "only");
        let failure = only.failure.as_ref().unwrap_or_else(|| panic!("{}", show(&run)));
        assert_eq!((only.state, failure.reason, only.attempt), (JobState::Dead, *reason, *attempts), "{}", show(&run));
        assert!(failure.message.contains(says), "{name}: {}", failure.message);
    }
    let letters = setting.harness.dead_letters().await;
    let rejected = letters.iter().find(|letter| letter.reason == Reason::ActionRejected).unwrap();
    assert!(rejected.error.starts_with("no rows Honk-Reason: none"), "{rejected:?}");
    setting.harness.finish_with(&cases.map(|case| case.3)).await;
}

#[tokio::test]
async fn killed_between_dead_letter_and_record_there_is_one_dead_letter_and_the_run_ends() {
    let Some(setting) = Setting::start().await else { return };
    let mut victim = setting.spawn(&[("DIES_AT", "after-dead-letter")]);
    let run = setting.begin("reject").await;
    assert_eq!(victim.ended(PATIENCE).await.signal(), Some(KILL));
    let _next = setting.spawn(&[]);
    let record = setting.harness.finished(&run).await;
    assert_eq!((record.state, job(&record, "after").state), (RunState::Failure, JobState::Skipped));
    setting.harness.finish_with(&[Reason::ActionRejected]).await;
}

#[tokio::test]
async fn an_action_that_asks_for_another_try_gets_it_and_then_succeeds() {
    let Some(setting) = Setting::start().await else { return };
    let _agent = setting.spawn(&[]);
    let run = setting.begin("flaky").await;
    let record = setting.harness.finished(&run).await;
    let middle = job(&record, "middle");
    assert_eq!((record.state, middle.attempt), (RunState::Success, 3), "{}", show(&record));
    assert_eq!(middle.failure.as_ref().unwrap().message, "not at 2");
    setting.harness.finish().await;
}

#[tokio::test]
async fn a_message_that_kills_it_every_time_is_dead_lettered_from_the_count_alone() {
    let Some(setting) = Setting::start().await else { return };
    let run = setting.begin("effect").await;
    // The workflow grants four attempts.
    for _ in 0..4 {
        let mut victim = setting.spawn(&[("DIES_AT", "before-work")]);
        assert_eq!(victim.ended(PATIENCE).await.signal(), Some(KILL));
    }
    let _last = setting.spawn(&[("DIES_AT", "before-work")]);
    let record = setting.harness.finished(&run).await;
    assert_eq!(job(&record, "middle").failure.as_ref().unwrap().reason, Reason::AgentLost, "{}", show(&record));
    setting.harness.finish_with(&[Reason::AgentLost]).await;
}

#[tokio::test]
async fn frozen_while_another_took_its_job_over_it_changes_nothing() {
    let Some(setting) = Setting::start().await else { return };
    let frozen = setting.spawn(&[]);
    let run = setting.begin("slow").await;
    setting.harness.run_when(&run, "is at work", |run| job(run, "middle").state == JobState::Running).await;
    frozen.sigstop();
    let _next = setting.spawn(&[("SLOW", "0.01")]);
    let record = setting.harness.finished(&run).await;
    assert_eq!((record.state, job(&record, "middle").attempt), (RunState::Success, 2), "{}", show(&record));
    setting.harness.nothing_is_pending().await;
    frozen.sigcont();
    eventually("it learns that it was fenced off", PATIENCE, || async {
        if frozen.log().contains("fenced") { Ok(()) } else { Err(frozen.log()) }
    })
    .await;
    assert_eq!(setting.harness.runs().await[&run], record);
    setting.harness.finish().await;
}

#[tokio::test]
async fn a_stop_finishes_what_is_at_work_or_hands_it_back() {
    let Some(setting) = Setting::start().await else { return };
    let at_work = |run: &Run| job(run, "middle").state == JobState::Running;
    let agent = setting.spawn(&[("SLOW", "3")]);
    let run = setting.begin("slow").await;
    setting.harness.run_when(&run, "is at work", at_work).await;
    stop(agent).await;
    let record = setting.harness.finished(&run).await;
    assert_eq!((record.state, job(&record, "middle").attempt), (RunState::Success, 1), "{}", show(&record));

    let agent = setting.spawn(&[("HONK_DRAIN__SECONDS", "1")]);
    let run = setting.begin("slow").await;
    setting.harness.run_when(&run, "is at work", at_work).await;
    stop(agent).await;
    let _next = setting.spawn(&[("SLOW", "0.01")]);
    let record = setting.harness.finished(&run).await;
    let middle = job(&record, "middle");
    assert_eq!((record.state, middle.attempt, middle.handed_back), (RunState::Success, 2, 1), "{}", show(&record));
    setting.harness.finish().await;
}

#[tokio::test]
async fn a_run_that_is_paused_is_not_begun_and_one_that_is_cancelled_is_ended_also_after_the_server_was_gone() {
    let Some(setting) = Setting::start().await else { return };
    let run = setting.begin("slow").await;
    setting.harness.run_when(&run, "comes to Python", |run| job(run, "middle").state == JobState::Ready).await;
    setting.ledger().pause(&run).await.unwrap();
    let agent = setting.spawn(&[]);
    setting.harness.run_when(&run, "is put aside", |run| job(run, "middle").state == JobState::Pending).await;
    assert!(setting.effects(&run).is_empty(), "nothing of a paused run is begun");
    setting.harness.crash_nats().await;
    eventually("the run goes on", PATIENCE, || async {
        setting.ledger().resume(&run).await.map_err(|error| error.to_string())
    })
    .await;
    setting.harness.run_when(&run, "is at work", |run| job(run, "middle").state == JobState::Running).await;
    setting.ledger().cancel(&run).await.unwrap();
    eventually("its work is ended", PATIENCE, || async {
        if agent.log().contains("stopping the work: not-allowed") { Ok(()) } else { Err(agent.log()) }
    })
    .await;
    assert_eq!(setting.harness.finished(&run).await.state, RunState::Cancelled);
    setting.harness.finish().await;
}

#[tokio::test]
async fn items_that_an_agent_in_rust_has_made_are_done_and_joined() {
    let Some(setting) = Setting::start().await else { return };
    std::fs::write(setting.data.path().join("d.csv"), "name\na\nb\n").unwrap();
    let folder = setting.data.path().to_str().unwrap();
    setting
        .harness
        .register(&format!(
            "name: items\non: dataset_onboard\ntimeout: 1m\njobs:\n  each:\n    runs-on: checks\n    strategy: {{matrix: {{n: [1, 2, 3]}}, max-parallel: 2}}\n    \
             steps: [{{uses: acme/row-count, with: {{folder: {folder}}}}}]\n  joined:\n    needs: [each]\n    steps: [{{uses: honk/noop}}]\n"
        ))
        .await;
    let rust = example("row_count");
    let mut reader =
        setting.harness.spawn_binary(&rust, &[("HONK_FAIL_POINT", "after-publish"), ("HONK_AGENT__SLOTS", "1")]);
    let run = setting.harness.run_workflow("items", "d", Map::new()).await;
    assert_eq!(reader.ended(PATIENCE).await.signal(), Some(KILL), "it was to die when the items are published");
    let _agent = setting.spawn(&[]);
    let record = setting.harness.finished(&run).await;
    assert_eq!(record.state, RunState::Success, "{}", show(&record));
    assert_eq!(job(&record, "each").outputs["rows"], json!([2, 2, 2]));
    assert_eq!(setting.dispatches().await, 5, "one for the job, three for its items, one for the next");
    setting.harness.finish().await;
}

async fn publish(harness: &Harness, subject: &str, payload: &str) {
    harness.publish_once(Publication::new(subject, payload.to_owned())).await.unwrap();
}

#[tokio::test]
async fn what_is_no_job_is_dead_lettered_by_its_message() {
    let Some(setting) = Setting::start().await else { return };
    let _agent = setting.spawn(&[]);
    let subject = |number: u32| format!("honk.job.checks.r0123456789abcdef0123.x.{number}");
    publish(&setting.harness, &subject(1), "no JSON").await;
    publish(&setting.harness, &subject(2), r#"{"v":2,"run":{"v":1}}"#).await;
    publish(&setting.harness, "honk.job.checks.odd", "[]").await;
    let letters = setting.harness.dead_letters_when(3).await;
    let read_by_rust = letters.iter().all(|letter| letter.subject.id().starts_with("message."));
    assert!(read_by_rust, "{letters:#?}");
    setting.harness.finish_with(&[Reason::MessageMalformed, Reason::MessageVersion, Reason::MessageMalformed]).await;
}

#[tokio::test]
async fn a_run_that_waits_for_its_dataset_is_promoted_by_it() {
    let Some(setting) = Setting::start().await else { return };
    let _agent = setting.spawn(&[("SLOW", "3")]);
    let text =
        "name: last\non: dataset_onboard\ntimeout: 1m\njobs: {only: {runs-on: checks, steps: [{uses: acme/slow}]}}\n";
    setting.harness.register(text).await;
    let first = setting.harness.run_workflow("last", "d", Map::new()).await;
    setting.harness.run_when(&first, "is live", |run| run.state == RunState::Running).await;
    let second = setting.harness.run_workflow("last", "d", Map::new()).await;
    let records = setting.harness.succeed(&[first, second], PATIENCE).await;
    let ended = records[0].finished_at.unwrap();
    assert!(job(&records[1], "only").started_at.unwrap() >= ended, "one at a time");
    assert!(records[0].successor.is_some(), "the first promotes the second");
    setting.harness.finish().await;
}

#[tokio::test]
async fn without_its_pool_it_says_how_the_pool_is_made() {
    let Some(interpreter) = interpreter() else { return };
    let harness = Harness::start().await;
    let (library, script) = (root().join("examples/python-agent"), root().join("examples/python-agent/row_count.py"));
    let variables = [("PYTHONPATH", library.to_str().unwrap()), ("PYTHONDONTWRITEBYTECODE", "1")];
    let mut agent = harness.spawn_with(&interpreter, &[&script], &variables);
    assert_eq!(agent.ended(PATIENCE).await.code(), Some(1));
    assert!(agent.log().contains("honk provision --pool checks"), "{}", agent.log());
    harness.finish().await;
}
