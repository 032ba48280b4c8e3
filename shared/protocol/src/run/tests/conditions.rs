//! Jobs that are done whatever became of others, jobs whose failure does not matter, and runs that people hold.

use super::*;

const FIRST: Fence = Fence { generation: 1, attempt: 1 };

/// `a`, then `b` which needs it.
fn pair(change: impl Fn(&mut Job, &mut Job)) -> Run {
    let (mut run, _) = create(&[("a", &[]), ("b", &["a"])], false);
    let [a, b] = &mut run.jobs[..] else { panic!("two jobs") };
    change(a, b);
    run
}

fn died(job: &str) -> RunEvent {
    RunEvent::Died { job: name(job), fence: FIRST, failure: failure(Fault::Failure) }
}

fn completed(job: &str) -> RunEvent {
    RunEvent::Completed { job: name(job), fence: FIRST, outputs: Outputs::new() }
}

fn states(run: &Run) -> Vec<JobState> {
    run.jobs.iter().map(|job| job.state).collect()
}

#[test]
fn a_job_that_asks_how_its_needs_ended_is_started_after_a_failure() {
    let run = pair(|_, b| b.regardless = true).apply(&died("a"), NOW).expect("dies").0;
    assert_eq!((run.state, states(&run)), (RunState::Running, vec![JobState::Dead, JobState::Ready]));
    assert_eq!(run.status_before(&name("b")), Status { failure: true, cancelled: false });
    let run = run.apply(&completed("b"), NOW).expect("done").0;
    assert_eq!(run.state, RunState::Failure, "what was done about a failure does not undo it");

    let (again, effects) = run.apply(&RunEvent::Replayed { job: name("a") }, NOW).expect("is replayed");
    assert_eq!((states(&again), effects.len()), (vec![JobState::Ready, JobState::Pending], 1));
}

#[test]
fn a_tolerated_failure_counts_as_a_success_and_leaves_no_dead_job() {
    let run = pair(|a, _| a.tolerated = true).apply(&died("a"), NOW).expect("fails").0;
    assert_eq!((run.state, states(&run)), (RunState::Running, vec![JobState::Failed, JobState::Ready]));
    assert_eq!(run.status_before(&name("b")), Status::default());
    assert_eq!(run.apply(&completed("b"), NOW).expect("done").0.state, RunState::Success);
}

#[test]
fn a_job_whose_condition_does_not_hold_is_skipped_with_what_needs_it() {
    let run = pair(|_, _| ()).apply(&RunEvent::Skipped { job: name("a"), fence: FIRST }, NOW).expect("skipped").0;
    assert_eq!((run.state, states(&run)), (RunState::Success, vec![JobState::Skipped; 2]));
}

#[test]
fn nothing_starts_in_a_paused_run_and_what_runs_goes_on() {
    let run = pair(|_, _| ()).apply(&RunEvent::Paused, NOW).expect("is paused").0;
    let (run, effects) = run.apply(&completed("a"), NOW).expect("what runs goes on");
    assert_eq!((states(&run), effects.len()), (vec![JobState::Success, JobState::Pending], 0));
    let (run, effects) = run.apply(&RunEvent::Resumed, NOW).expect("goes on");
    assert_eq!((states(&run), effects.len()), (vec![JobState::Success, JobState::Ready], 1));
}

#[test]
fn a_delivery_that_a_pause_kept_from_beginning_is_dispatched_anew_afterwards() {
    let run = pair(|_, _| ()).apply(&RunEvent::Paused, NOW).expect("is paused").0;
    let (run, effects) = run.apply(&RunEvent::Shelved { job: name("a"), fence: FIRST }, NOW).expect("is put aside");
    assert_eq!((states(&run), effects.len()), (vec![JobState::Pending; 2], 0));
    let (run, effects) = run.apply(&RunEvent::Resumed, NOW).expect("goes on");
    let again = Effect::Dispatch { job: name("a"), pool: PoolName::default_pool(), generation: 2 };
    assert_eq!((states(&run), effects), (vec![JobState::Ready, JobState::Pending], vec![again]));
}

#[test]
fn the_time_of_a_run_counts_from_its_beginning() {
    let (mut run, _) = create(&[("a", &[])], true);
    run.limit_ms = Some(60_000);
    assert_eq!(run.deadline, None);
    let run = run.apply(&RunEvent::Promoted, NOW).expect("its turn").0;
    assert_eq!(run.deadline, Some(NOW + jiff::SignedDuration::from_secs(60)));
}
