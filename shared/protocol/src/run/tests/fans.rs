//! Jobs with a matrix, whatever the order in which their items end: each item is dispatched once, never more of them at a time than
//! may be, and the job ends with the last one.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

/// A run of `plan`, `copy` with a matrix, and `join`, in which `copy` was just fanned out.
fn fanned(fan: Fan) -> (Run, Vec<Effect>) {
    let (run, _) = create(&[("plan", &[]), ("copy", &["plan"]), ("join", &["copy"])], false);
    let run = run.apply(&completed("plan", 1), NOW).expect("plan is done").0;
    let first = Fence { generation: 1, attempt: 1 };
    run.apply(&RunEvent::FannedOut { job: name("copy"), fence: first, fan }, NOW).expect("copy is fanned out")
}

fn completed(job: &str, generation: u32) -> RunEvent {
    RunEvent::Completed { job: name(job), fence: Fence { generation, attempt: 1 }, outputs: output(job) }
}

fn output(job: &str) -> Outputs {
    Outputs::from_iter([("by".to_owned(), job.into())])
}

fn died(job: &str, generation: u32) -> RunEvent {
    let fence = Fence { generation, attempt: 1 };
    RunEvent::Died { job: name(job), fence, failure: failure(Fault::Failure) }
}

fn jobs_of(effects: &[Effect]) -> Vec<String> {
    let dispatched = |effect: &Effect| match effect {
        Effect::Dispatch { job, .. } => Some(job.to_string()),
        _ => None,
    };
    effects.iter().filter_map(dispatched).collect()
}

fn state(run: &Run, job: &str) -> JobState {
    run.job(&name(job)).expect("it is the run's").state
}

fn all_at_once(items: u32) -> Fan {
    Fan { items, max_parallel: None, fail_fast: true, rejoins: false }
}

proptest! {
    #[test]
    fn the_last_item_ends_the_job_and_no_item_is_dispatched_twice(
        items in 1u32..40, limit in prop::option::of(1u32..6), order in prop::collection::vec(any::<Index>(), 40),
    ) {
        let (mut run, effects) = fanned(Fan { items, max_parallel: limit, fail_fast: true, rejoins: false });
        let mut due = jobs_of(&effects);
        let mut seen: BTreeSet<String> = due.iter().cloned().collect();
        for pick in order.iter().take(items as usize) {
            prop_assert!(due.len() <= limit.unwrap_or(items) as usize);
            prop_assert_eq!(state(&run, "copy"), JobState::Fanned);
            let item = due.swap_remove(pick.index(due.len()));
            let (next, effects) = run.apply(&completed(&item, 1), NOW).expect("the item is due");
            prop_assert_eq!(next.apply(&completed(&item, 1), NOW), Err(Refusal::Already));
            for job in jobs_of(&effects) {
                prop_assert!(seen.insert(job.clone()), "{job} was dispatched twice");
                due.push(job);
            }
            run = next;
        }
        prop_assert_eq!(due, ["join"]);
        prop_assert_eq!(seen.len(), items as usize + 1);
        let by: Vec<String> = (0..items).map(|item| format!("copy:{item}")).collect();
        prop_assert_eq!(&run.job(&name("copy")).expect("it is there").outputs["by"], &serde_json::json!(by));
    }
}

#[test]
fn the_first_dead_item_ends_the_others_and_its_replay_takes_them_up_again() {
    let (run, effects) = fanned(Fan { max_parallel: Some(2), ..all_at_once(4) });
    assert_eq!(jobs_of(&effects), ["copy:0", "copy:1"]);
    let run = run.apply(&completed("copy:0", 1), NOW).expect("done").0;
    let (run, effects) = run.apply(&died("copy:1", 1), NOW).expect("dies");
    assert_eq!((run.state, effects), (RunState::Failure, vec![Effect::Finished]));
    let states = |run: &Run| run.jobs[1].items.iter().map(|item| item.state).collect::<Vec<_>>();
    assert_eq!(states(&run), [JobState::Success, JobState::Dead, JobState::Cancelled, JobState::Cancelled]);
    assert!(run.jobs[1].failure.as_ref().expect("why").message.starts_with("copy:1: "));
    let late = run.apply(&completed("copy:2", 1), NOW);
    assert!(matches!(late, Err(Refusal::NotAllowed { .. })), "an item that was ended does not come back: {late:?}");

    let (run, effects) = run.apply(&RunEvent::Replayed { job: name("copy:1") }, NOW).expect("is replayed");
    assert_eq!(jobs_of(&effects), ["copy:1", "copy:2"]);
    assert_eq!((state(&run, "copy"), state(&run, "join")), (JobState::Fanned, JobState::Pending));
}

#[test]
fn without_fail_fast_the_others_go_on_and_the_job_is_dead_in_the_end() {
    let (run, _) = fanned(Fan { fail_fast: false, ..all_at_once(2) });
    let run = run.apply(&died("copy:0", 1), NOW).expect("dies").0;
    assert_eq!((run.state, state(&run, "copy:1")), (RunState::Running, JobState::Ready));
    let run = run.apply(&completed("copy:1", 1), NOW).expect("done").0;
    assert_eq!(
        (run.state, state(&run, "copy"), state(&run, "join")),
        (RunState::Failure, JobState::Dead, JobState::Skipped)
    );
    let run = run.apply(&RunEvent::Discarded { job: name("copy:0") }, NOW).expect("is given up").0;
    assert_eq!(state(&run, "copy"), JobState::Failed);
}

#[test]
fn a_matrix_without_items_skips_its_job() {
    let (run, effects) = fanned(all_at_once(0));
    assert_eq!((run.state, effects), (RunState::Success, vec![Effect::Finished]));
    assert_eq!((state(&run, "copy"), state(&run, "join")), (JobState::Skipped, JobState::Skipped));
}

#[test]
fn only_the_failed_items_are_done_again_where_only_these_are_asked_for() {
    let (run, _) = fanned(Fan { fail_fast: false, ..all_at_once(3) });
    let run = run.apply(&completed("copy:0", 1), NOW).expect("done").0;
    let run = run.apply(&died("copy:1", 1), NOW).expect("dies").0;
    let run = run.apply(&completed("copy:2", 1), NOW).expect("done").0;
    let again = |failed_only| jobs_of(&run.apply(&RunEvent::Retried { failed_only }, NOW).expect("again").1);
    assert_eq!(again(true), ["copy:1"]);
    assert_eq!(again(false), ["plan"]);
}

#[test]
fn items_of_a_job_that_is_done_again_have_generations_of_their_own() {
    let (run, effects) = fanned(all_at_once(2));
    let mut used: BTreeSet<String> = effects.iter().map(|effect| format!("{effect:?}")).collect();
    // One item is lost twice, so that it is further than its job.
    let lost = |run: Run, generation| {
        run.apply(&RunEvent::Lost { job: name("copy:1"), generation }, NOW).expect("is dispatched again")
    };
    let (run, first) = lost(run, 1);
    let (run, second) = lost(run, 2);
    used.extend(first.iter().chain(&second).map(|effect| format!("{effect:?}")));
    let run = run.apply(&completed("copy:0", 1), NOW).expect("done").0;
    let run = run.apply(&completed("copy:1", 3), NOW).expect("done").0;
    let run = run.apply(&completed("join", 1), NOW).expect("done").0;
    let run = run.apply(&RunEvent::Retried { failed_only: false }, NOW).expect("again").0;
    let run = run.apply(&completed("plan", 2), NOW).expect("done").0;
    let fence = Fence { generation: run.job(&name("copy")).expect("it is the run's").generation, attempt: 1 };
    let (_, effects) =
        run.apply(&RunEvent::FannedOut { job: name("copy"), fence, fan: all_at_once(3) }, NOW).expect("is fanned out");
    assert_eq!(jobs_of(&effects), ["copy:0", "copy:1", "copy:2"]);
    assert!(effects.iter().all(|effect| used.insert(format!("{effect:?}"))), "{effects:?} were dispatched before");
}

#[test]
fn what_carries_an_item_leaves_the_others_out() {
    let (run, _) = fanned(all_at_once(3));
    let mut carried = run.without_items();
    carried.carry_item(run.job(&name("copy:1")).expect("an item").clone());
    assert_eq!(carried.job(&name("copy:1")), run.job(&name("copy:1")));
    assert_eq!((carried.job(&name("copy:0")), carried.jobs[1].items.len()), (None, 1));
}
