//! Every reachable pair of states, every event, every fence: the edge, or the refusal.
//!
//! The job under test, `a`, stands between `before` and `after`; `other` keeps the run going or does not. A cell is the
//! run's and the job's next states and the effects, or `already`, `fenced` or `no` (not allowed); `-` cannot occur.

use super::*;

/// Events of an attempt, by its fence: an older attempt, the one on record, a newer one of the same dispatch, and one
/// of a dispatch that was never made.
const ATTEMPTS: &str = "
    run       job       event     older   same                          newer                         ahead
    waiting   pending   each      -       no                            no                            no
    running   pending   each      -       no                            no                            no
    running   ready     started   fenced  running/running               running/running               no
    running   ready     returned  fenced  running/ready                 running/ready                 no
    running   ready     retrying  fenced  running/ready                 running/ready                 no
    running   ready     completed fenced  running/success+after.1       running/success+after.1       no
    running   ready     died      fenced  timeout/dead+finished+promote timeout/dead+finished+promote no
    running   running   started   fenced  already                       running/running               no
    running   running   returned  fenced  running/running               running/running               no
    running   running   retrying  fenced  running/running               running/running               no
    running   running   completed fenced  running/success+after.1       running/success+after.1       no
    running   running   died      fenced  timeout/dead+finished+promote timeout/dead+finished+promote no
    running   success   each      fenced  already                       already                       already
    running   dead      each      fenced  already                       already                       already
    running   failed    each      fenced  already                       already                       already
    running   skipped   each      -       no                            no                            no
    success   success   each      fenced  already                       already                       already
    failure   success   each      fenced  already                       already                       already
    failure   dead      each      fenced  already                       already                       already
    failure   failed    each      fenced  already                       already                       already
    failure   skipped   each      -       no                            no                            no
    error     success   each      fenced  already                       already                       already
    error     dead      each      fenced  already                       already                       already
    error     failed    each      fenced  already                       already                       already
    error     skipped   each      -       no                            no                            no
    timeout   success   each      fenced  already                       already                       already
    timeout   dead      each      fenced  already                       already                       already
    timeout   failed    each      fenced  already                       already                       already
    timeout   skipped   each      -       no                            no                            no
    cancelled cancelled each      -       already                       already                       already
";

/// Events without a fence. `lost` is by its dispatch; `superseded` and `parked` are by whether the record names that run.
const OTHERS: &str = "
    run       job       replayed          discarded      lost-older lost-same       lost-ahead promoted           superseded-same     superseded-new      parked-same parked-new
    waiting   pending   no                no             no         no              no         running/pending+before.1+other.1 cancelled/cancelled+finished cancelled/cancelled+finished no no
    running   pending   no                no             no         no              no         already            no                  no                  already     running/pending
    running   ready     already           no             already    running/ready+a.3 already  already            no                  no                  already     running/ready
    running   running   already           no             already    running/ready+a.3 already  already            no                  no                  already     running/running
    running   success   no                no             already    already         already    already            no                  no                  already     running/success
    running   dead      running/ready+a.3 running/failed already    already         already    already            no                  no                  already     running/dead
    running   failed    no                already        already    already         already    already            no                  no                  already     running/failed
    running   skipped   no                no             no         no              no         already            no                  no                  already     running/skipped
    success   success   no                no             already    already         already    already            no                  no                  no          no
    failure   success   no                no             already    already         already    already            no                  no                  no          no
    failure   dead      running/ready+a.3 failure/failed already    already         already    already            no                  no                  no          no
    failure   failed    no                already        already    already         already    already            no                  no                  no          no
    failure   skipped   no                no             no         no              no         already            no                  no                  no          no
    error     success   no                no             already    already         already    already            no                  no                  no          no
    error     dead      running/ready+a.3 error/failed   already    already         already    already            no                  no                  no          no
    error     failed    no                already        already    already         already    already            no                  no                  no          no
    error     skipped   no                no             no         no              no         already            no                  no                  no          no
    timeout   success   no                no             already    already         already    already            no                  no                  no          no
    timeout   dead      running/ready+a.3 timeout/failed already    already         already    already            no                  no                  no          no
    timeout   failed    no                already        already    already         already    already            no                  no                  no          no
    timeout   skipped   no                no             no         no              no         already            no                  no                  no          no
    cancelled cancelled no                no             already    already         already    no                 already             no                  no          no
";

const RUN_STATES: [RunState; 7] = [
    RunState::Waiting,
    RunState::Running,
    RunState::Success,
    RunState::Failure,
    RunState::Error,
    RunState::Timeout,
    RunState::Cancelled,
];

const JOB_STATES: [JobState; 8] = [
    JobState::Pending,
    JobState::Ready,
    JobState::Running,
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
        RunState::Success => job == J::Success,
        RunState::Failure | RunState::Error | RunState::Timeout => {
            matches!(job, J::Success | J::Dead | J::Failed | J::Skipped)
        }
        RunState::Cancelled => job == J::Cancelled,
    }
}

/// A record in which the run and job `a` are in these states, with the neighbours that this takes.
fn record(run_state: RunState, state: JobState) -> Run {
    use JobState as J;
    let (mut run, _) = create(&[("before", &[]), ("a", &["before"]), ("after", &["a"]), ("other", &[])], true);
    let is_running = run_state == RunState::Running;
    let (before, after, other) = match state {
        J::Pending if is_running => (J::Ready, J::Pending, J::Success),
        J::Pending => (J::Pending, J::Pending, J::Pending),
        J::Ready | J::Running => (J::Success, J::Pending, J::Success),
        J::Success if is_running => (J::Success, J::Ready, J::Success),
        J::Success if run_state == RunState::Success => (J::Success, J::Success, J::Success),
        J::Success => (J::Success, J::Dead, J::Success),
        J::Dead | J::Failed => (J::Success, J::Skipped, if is_running { J::Ready } else { J::Success }),
        J::Skipped => (J::Dead, J::Skipped, if is_running { J::Ready } else { J::Success }),
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
    assert_eq!(found.len(), 1, "rows of {run}, {job}, {event:?}");
    found[0]
}

fn attempt_event(word: &str, fence: Fence) -> RunEvent {
    let job = name("a");
    match word {
        "started" => RunEvent::Started { job, fence, agent: "agent".into() },
        "returned" => RunEvent::HandedBack { job, fence },
        "retrying" => RunEvent::Retrying { job, fence, failure: failure(Fault::Error) },
        "completed" => RunEvent::Completed { job, fence, outputs: Outputs::new() },
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
        other => panic!("no event {other}"),
    }
}

fn reachable() -> impl Iterator<Item = (RunState, JobState)> {
    let pairs = RUN_STATES.into_iter().flat_map(|run| JOB_STATES.into_iter().map(move |job| (run, job)));
    pairs.filter(|(run, job)| is_reachable(*run, *job))
}

#[test]
fn events_of_attempts_move_a_record_along_the_edges_of_the_table_alone() {
    let table = rows(ATTEMPTS);
    for (run_state, job_state) in reachable() {
        let record = record(run_state, job_state);
        for word in ["started", "returned", "retrying", "completed", "died"] {
            let expected = &row(&table, run_state, job_state, Some(word))[3..];
            let columns = fences(record.jobs[1].fence());
            for ((fences, cell), column) in columns.iter().zip(expected).zip(&table[0][3..]) {
                assert_eq!(fences.is_empty(), *cell == "-", "{run_state}/{job_state} {word} {column}");
                for fence in fences {
                    let found = outcome(&record, &attempt_event(word, *fence));
                    assert_eq!(found, *cell, "{run_state}/{job_state} {word} {column}");
                }
            }
        }
    }
    assert_eq!(table.len(), 1 + reachable().count() + 2 * 4, "a row that no pair of states reaches");
}

#[test]
fn other_events_move_a_record_along_the_edges_of_the_table_alone() {
    let table = rows(OTHERS);
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
