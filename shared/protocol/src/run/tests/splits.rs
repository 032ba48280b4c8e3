//! Jobs that split their own work: when all parts have succeeded, whatever their order, the job is dispatched exactly once more, with what
//! they left; and jobs that wait for a person before their last step.

use serde_json::json;

use super::*;

const FIRST: Fence = Fence { generation: 1, attempt: 1 };

fn memo(round: u32) -> Outputs {
    Outputs::from_iter([("round".to_owned(), round.into())])
}

/// A run whose only job has split its work.
fn split(parts: u32) -> (Run, Vec<Effect>) {
    let (run, _) = create(&[("copy", &[])], false);
    let fan = Fan { items: parts, max_parallel: None, fail_fast: false, rejoins: true };
    run.apply(&RunEvent::Split { job: name("copy"), fence: FIRST, fan, memo: memo(1) }, NOW).expect("is split")
}

fn done(part: u32) -> RunEvent {
    let outputs = Outputs::from_iter([("bytes".to_owned(), part.into())]);
    RunEvent::Completed { job: name(&format!("copy:{part}")), fence: Fence { generation: 1, attempt: 1 }, outputs }
}

fn copy(run: &Run) -> &Job {
    run.job(&name("copy")).expect("it is the run's")
}

#[test]
fn the_last_part_dispatches_the_job_once_more_with_what_all_have_left() {
    let (mut run, effects) = split(3);
    assert_eq!(effects.len(), 3);
    for part in [2, 0] {
        let (next, effects) = run.apply(&done(part), NOW).expect("the part is due");
        assert_eq!((copy(&next).state, effects), (JobState::Fanned, vec![]));
        run = next;
    }
    let (run, effects) = run.apply(&done(1), NOW).expect("the part is due");
    let pool = copy(&run).pool.clone();
    assert_eq!(effects, [Effect::Dispatch { job: name("copy"), pool, generation: 2 }]);
    let job = copy(&run);
    assert_eq!((job.state, job.items.len(), job.fan, job.outputs.len()), (JobState::Ready, 0, None, 0));
    assert_eq!(json!(job.memo), json!({ "round": 1, "parts": { "bytes": [0, 1, 2] } }));
    let fence = Fence { generation: 2, attempt: 1 };
    let last = RunEvent::Completed { job: name("copy"), fence, outputs: Outputs::new() };
    let (run, _) = run.apply(&last, NOW).expect("the job is due");
    assert_eq!(run.state, RunState::Success);
}

#[test]
fn parts_of_a_second_round_are_published_under_subjects_of_their_own() {
    let (run, _) = split(1);
    let run = run.apply(&done(0), NOW).expect("done").0;
    let fan = Fan { items: 1, max_parallel: None, fail_fast: false, rejoins: true };
    let fence = Fence { generation: 2, attempt: 1 };
    let (run, effects) =
        run.apply(&RunEvent::Split { job: name("copy"), fence, fan, memo: memo(2) }, NOW).expect("is split again");
    assert!(matches!(&effects[..], [Effect::Dispatch { generation: 2, .. }]), "{effects:?}");
    let outputs = Outputs::new();
    let part = RunEvent::Completed { job: name("copy:0"), fence, outputs };
    let (run, effects) = run.apply(&part, NOW).expect("done");
    assert!(matches!(&effects[..], [Effect::Dispatch { generation: 3, .. }]), "{effects:?}");
    assert_eq!(copy(&run).memo["round"], 2);
}

#[test]
fn a_paused_run_rejoins_when_it_goes_on() {
    let (run, _) = split(1);
    let run = run.apply(&RunEvent::Paused, NOW).expect("a running run").0;
    let (run, effects) = run.apply(&done(0), NOW).expect("done");
    assert_eq!((copy(&run).state, effects), (JobState::Pending, vec![]));
    let (run, effects) = run.apply(&RunEvent::Resumed, NOW).expect("a paused run");
    assert_eq!((copy(&run).state, effects.len()), (JobState::Ready, 1));
    assert_eq!(copy(&run).memo[PARTS]["bytes"], json!([0]));
}

#[test]
fn a_dead_part_is_replayed_and_then_the_job_rejoins() {
    let (run, _) = split(2);
    let run = run.apply(&done(0), NOW).expect("done").0;
    let died = RunEvent::Died { job: name("copy:1"), fence: FIRST, failure: failure(Fault::Error) };
    let run = run.apply(&died, NOW).expect("dies").0;
    assert_eq!((copy(&run).state, run.state), (JobState::Dead, RunState::Error));
    let run = run.apply(&RunEvent::Replayed { job: name("copy:1") }, NOW).expect("is replayed").0;
    let part = run.job(&name("copy:1")).expect("it is there").fence();
    let fence = Fence { attempt: 1, ..part };
    let again = RunEvent::Completed { job: name("copy:1"), fence, outputs: Outputs::new() };
    let (run, effects) = run.apply(&again, NOW).expect("done");
    assert_eq!((copy(&run).state, effects.len()), (JobState::Ready, 1));
}

#[test]
fn a_lost_dispatch_keeps_the_memo_and_a_replay_forgets_it() {
    let (run, _) = split(1);
    let run = run.apply(&done(0), NOW).expect("done").0;
    let run = run.apply(&RunEvent::Lost { job: name("copy"), generation: 2 }, NOW).expect("was lost").0;
    assert_eq!((copy(&run).generation, copy(&run).memo["round"].as_u64()), (3, Some(1)));
    let fence = Fence { generation: 3, attempt: 1 };
    let died = RunEvent::Died { job: name("copy"), fence, failure: failure(Fault::Failure) };
    let run = run.apply(&died, NOW).expect("dies").0;
    let run = run.apply(&RunEvent::Replayed { job: name("copy") }, NOW).expect("is replayed").0;
    assert!(copy(&run).memo.is_empty());
}

#[test]
fn what_is_put_off_waits_for_a_person_and_remembers() {
    let (run, _) = create(&[("copy", &[])], false);
    let put_off = RunEvent::Postponed { job: name("copy"), fence: FIRST, memo: memo(4) };
    let (run, effects) = run.apply(&put_off, NOW).expect("is put off");
    assert_eq!((run.paused, copy(&run).state, effects), (true, JobState::Pending, vec![]));
    let (run, effects) = run.apply(&RunEvent::Resumed, NOW).expect("a paused run");
    assert_eq!((copy(&run).state, effects.len(), copy(&run).memo["round"].as_u64()), (JobState::Ready, 1, Some(4)));
}
