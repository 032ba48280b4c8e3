//! Every reachable pair of states, every event, every fence: the edge, or the refusal.
//!
//! The job under test, `a`, stands between `before` and `after`; `other` keeps the run going or does not. A cell is the
//! run's and the job's next states and the effects, or `already`, `fenced` or `no` (not allowed); `-` cannot occur.

use super::*;

/// Events of an attempt, by its fence: an older attempt, the one on record, a newer one of the same dispatch, and one
/// of a dispatch that was never made.
const ATTEMPTS: &str = include_str!("attempts.txt");

/// Events without a fence. `lost` is by its dispatch; `superseded` and `parked` are by whether the record names that run.
const OTHERS: &str = include_str!("others.txt");

/// What people do to a whole run.
const CONTROL: &str = include_str!("control.txt");

const RUN_STATES: [RunState; 7] = [
    RunState::Waiting,
    RunState::Running,
    RunState::Success,
    RunState::Failure,
    RunState::Error,
    RunState::Timeout,
    RunState::Cancelled,
];

const JOB_STATES: [JobState; 9] = [
    JobState::Pending,
    JobState::Ready,
    JobState::Running,
    JobState::Fanned,
    JobState::Success,
    JobState::Dead,
    JobState::Failed,
    JobState::Skipped,
    JobState::Cancelled,
];

/// Whether a run in this state can have a job in that one.
pub(super) fn is_reachable(run: RunState, job: JobState) -> bool {
    use JobState as J;
    match run {
        RunState::Waiting => job == J::Pending,
        RunState::Running => job != J::Cancelled,
        RunState::Success => matches!(job, J::Success | J::Failed | J::Skipped),
        RunState::Failure | RunState::Error => matches!(job, J::Success | J::Dead | J::Failed | J::Skipped),
        RunState::Timeout | RunState::Cancelled => job.is_ended(),
    }
}

/// A record in which the run and job `a` are in these states, with the neighbours that this takes.
fn record(run_state: RunState, state: JobState) -> Run {
    use JobState as J;
    let (mut run, _) = create(&[("before", &[]), ("a", &["before"]), ("after", &["a"]), ("other", &[])], true);
    let is_running = run_state == RunState::Running;
    let is_given_up = run_state == RunState::Cancelled;
    let other = if is_running {
        J::Ready
    } else if is_given_up {
        J::Cancelled
    } else {
        J::Success
    };
    let (before, after, other) = match state {
        J::Pending if is_running => (J::Ready, J::Pending, J::Success),
        J::Pending => (J::Pending, J::Pending, J::Pending),
        J::Ready | J::Running | J::Fanned => (J::Success, J::Pending, J::Success),
        J::Success if is_running => (J::Success, J::Ready, J::Success),
        J::Success | J::Failed if run_state == RunState::Success => (J::Success, J::Success, J::Success),
        J::Success if is_given_up => (J::Success, J::Cancelled, J::Cancelled),
        J::Success => (J::Success, J::Dead, J::Success),
        J::Dead | J::Failed => (J::Success, J::Skipped, other),
        J::Skipped if run_state == RunState::Success => (J::Success, J::Skipped, J::Success),
        J::Skipped => (J::Dead, J::Skipped, other),
        J::Cancelled => (J::Cancelled, J::Cancelled, J::Cancelled),
    };
    run.state = run_state;
    for (job, state) in run.jobs.iter_mut().zip([before, state, after, other]) {
        job.state = state;
        let dispatched = !matches!(state, J::Pending | J::Skipped | J::Cancelled);
        job.generation = u32::from(dispatched);
    }
    if run.jobs[1].generation > 0 {
        (run.jobs[1].generation, run.jobs[1].attempt) = (2, 2);
    }
    run.jobs[1].tolerated = state == J::Failed && run_state == RunState::Success;
    if state == J::Fanned {
        run.jobs[1].fan = Some(Fan { items: 2, max_parallel: None, fail_fast: true, rejoins: false });
        run.jobs[1].items = vec![run.jobs[0].clone(), run.jobs[0].clone()];
        for (number, item) in (0..).zip(&mut run.jobs[1].items) {
            (item.name, item.state) = (name("a").item(number), J::Ready);
        }
    }
    match run_state {
        RunState::Running => run.successor = Some(run_id("known")),
        RunState::Cancelled => run.superseded_by = Some(run_id("known")),
        _ => {}
    }
    run.finished_at = run_state.is_finished().then_some(NOW);
    run
}

/// What came of it, in the words of the table.
fn outcome(run: &Run, event: &RunEvent) -> String {
    let (next, effects) = match run.apply(event, NOW) {
        Ok(moved) => moved,
        Err(Refusal::Already) => return "already".into(),
        Err(Refusal::NotAllowed { .. }) => return "no".into(),
        Err(Refusal::Fenced(known)) => {
            assert_eq!(known, run.jobs[1].fence());
            return "fenced".into();
        }
    };
    let mut words = vec![format!("{}/{}", next.state, next.jobs[1].state)];
    words.extend(effects.into_iter().map(|effect| match effect {
        Effect::Dispatch { job, generation, .. } => format!("{job}.{generation}"),
        Effect::Finished => "finished".into(),
        Effect::Promote(_) => "promote".into(),
    }));
    words.join("+")
}

/// The rows of a table that is read as text: its words, by line.
fn rows(table: &'static str) -> Vec<Vec<&'static str>> {
    let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    rows.filter(|row| !row.is_empty()).collect()
}

/// The one row of `run` and `job`, and of `event` if the table has a column for it.
fn row<'t>(rows: &'t [Vec<&'static str>], run: RunState, job: JobState, event: Option<&str>) -> &'t [&'static str] {
    let found: Vec<_> = rows
        .iter()
        .filter(|row| row[0] == run.word() && row[1] == job.word())
        .filter(|row| event.is_none_or(|event| row[2] == event || row[2] == "each"))
        .collect();
    let exact = found.iter().find(|row| event.is_some_and(|event| row[2] == event));
    exact.or(found.first()).unwrap_or_else(|| panic!("no row of {run}, {job}, {event:?}"))
}

fn attempt_event(word: &str, fence: Fence) -> RunEvent {
    let job = name("a");
    match word {
        "started" => RunEvent::Started { job, fence, agent: "agent".into() },
        "returned" => RunEvent::HandedBack { job, fence },
        "retrying" => RunEvent::Retrying { job, fence, failure: failure(Fault::Error), counts: true },
        "completed" => RunEvent::Completed { job, fence, outputs: Outputs::new() },
        "skipped" => RunEvent::Skipped { job, fence },
        "fanned" => RunEvent::FannedOut {
            job,
            fence,
            fan: Fan { items: 2, max_parallel: Some(1), fail_fast: true, rejoins: false },
        },
        "split" => {
            let fan = Fan { items: 2, max_parallel: None, fail_fast: false, rejoins: true };
            RunEvent::Split { job, fence, fan, memo: Outputs::new() }
        }
        "postponed" => RunEvent::Postponed { job, fence, memo: Outputs::new() },
        "shelved" => RunEvent::Shelved { job, fence },
        "died" => RunEvent::Died { job, fence, failure: failure(Fault::Timeout) },
        other => panic!("no event {other}"),
    }
}

fn fences(known: Fence) -> [Vec<Fence>; 4] {
    let Fence { generation, attempt } = known;
    let of = |generation, attempt| Fence { generation, attempt };
    let older =
        if generation == 0 { vec![] } else { vec![of(generation, attempt - 1), of(generation - 1, attempt + 9)] };
    let newer = vec![of(generation, attempt + 1), of(generation, attempt + 9)];
    [older, vec![known], newer, vec![of(generation + 1, 0), of(generation + 1, attempt)]]
}

fn other_event(word: &str, generation: u32) -> RunEvent {
    let job = name("a");
    match word {
        "replayed" => RunEvent::Replayed { job },
        "discarded" => RunEvent::Discarded { job },
        "lost-older" => RunEvent::Lost { job, generation: generation.saturating_sub(1) },
        "lost-same" => RunEvent::Lost { job, generation },
        "lost-ahead" => RunEvent::Lost { job, generation: generation + 1 },
        "promoted" => RunEvent::Promoted,
        "superseded-same" => RunEvent::Superseded { by: run_id("known") },
        "superseded-new" => RunEvent::Superseded { by: run_id("new") },
        "parked-same" => RunEvent::Parked { successor: run_id("known") },
        "parked-new" => RunEvent::Parked { successor: run_id("new") },
        "cancelled" => RunEvent::Cancelled,
        "expired" => RunEvent::Expired,
        "paused" => RunEvent::Paused,
        "resumed" => RunEvent::Resumed,
        "retried" => RunEvent::Retried { failed_only: false },
        "retried-failed" => RunEvent::Retried { failed_only: true },
        other => panic!("no event {other}"),
    }
}

fn reachable() -> impl Iterator<Item = (RunState, JobState)> {
    let pairs = RUN_STATES.into_iter().flat_map(|run| JOB_STATES.into_iter().map(move |job| (run, job)));
    pairs.filter(|(run, job)| is_reachable(*run, *job))
}

const ATTEMPT_EVENTS: [&str; 10] =
    ["started", "returned", "retrying", "completed", "skipped", "fanned", "split", "postponed", "shelved", "died"];

#[test]
fn events_of_attempts_move_a_record_along_the_edges_of_the_table_alone() {
    let table = rows(ATTEMPTS);
    let mut used = std::collections::BTreeSet::new();
    for (run_state, job_state) in reachable() {
        let record = record(run_state, job_state);
        for word in ATTEMPT_EVENTS {
            let row = row(&table, run_state, job_state, Some(word));
            used.insert(row[..3].to_vec());
            let columns = fences(record.jobs[1].fence());
            for ((fences, cell), column) in columns.iter().zip(&row[3..]).zip(&table[0][3..]) {
                assert_eq!(fences.is_empty(), *cell == "-", "{run_state}/{job_state} {word} {column}");
                for fence in fences {
                    let found = outcome(&record, &attempt_event(word, *fence));
                    assert_eq!(found, *cell, "{run_state}/{job_state} {word} {column}");
                }
            }
        }
    }
    assert_eq!(table.len(), 1 + used.len(), "a row that no pair of states reaches");
}

#[test]
fn other_events_move_a_record_along_the_edges_of_the_tables_alone() {
    for table in [rows(OTHERS), rows(CONTROL)] {
        for (run_state, job_state) in reachable() {
            let record = record(run_state, job_state);
            let expected = &row(&table, run_state, job_state, None)[2..];
            assert_eq!(expected.len(), table[0].len() - 2, "{run_state}/{job_state}");
            for (cell, word) in expected.iter().zip(&table[0][2..]) {
                let found = outcome(&record, &other_event(word, record.jobs[1].generation));
                assert_eq!(found, *cell, "{run_state}/{job_state} {word}");
            }
        }
        assert_eq!(table.len(), 1 + reachable().count(), "a row that no pair of states reaches");
    }
}

#[test]
fn a_job_that_the_run_does_not_have_moves_nothing() {
    let record = record(RunState::Running, JobState::Ready);
    let event =
        RunEvent::Completed { job: name("b"), fence: Fence { generation: 1, attempt: 1 }, outputs: Outputs::new() };
    assert_eq!(outcome(&record, &event), "no");
}

#[test]
fn a_job_at_its_first_dispatch_was_not_replayed_before() {
    let (run, _) = create(&[("a", &[])], false);
    assert!(matches!(run.apply(&RunEvent::Replayed { job: name("a") }, NOW), Err(Refusal::NotAllowed { .. })));
}

#[test]
fn the_gravest_fault_is_the_runs_result() {
    for (faults, expected) in [
        ([Fault::Failure, Fault::Failure], RunState::Failure),
        ([Fault::Failure, Fault::Timeout], RunState::Timeout),
        ([Fault::Error, Fault::Timeout], RunState::Error),
    ] {
        let (mut run, _) = create(&[("a", &[]), ("b", &[])], false);
        for (job, fault) in ["a", "b"].into_iter().zip(faults) {
            let fence = Fence { generation: 1, attempt: 1 };
            run = run.apply(&RunEvent::Died { job: name(job), fence, failure: failure(fault) }, NOW).expect("dies").0;
        }
        assert_eq!(run.state, expected, "{faults:?}");
    }
}
