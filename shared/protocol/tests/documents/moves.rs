//! `docs/conformance/moves.json`: what [`Run::apply`] does with hundreds of small records, for agents in other languages to be compared
//! with. The walks through the graph are chosen at random, from a seed that stays the same for ever.

use honk_protocol::name::{JobName, PoolName, RunId, WorkflowHash};
use honk_protocol::reason::Reason;
use honk_protocol::run::{
    Effect, EventRef, Failure, Fan, Fault, Fence, Job, NewJob, NewRun, Outputs, Refusal, Run, RunEvent, WorkflowRef,
};
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// Walks, each over a graph of its own, and the most moves of one.
const WALKS: u32 = 30;
const MOST_MOVES: u32 = 14;

/// Moves that are tried of a run that has ended.
const MOVES_AFTER_THE_END: u32 = 2;

/// Numbers that look random and are the same everywhere, whatever version a crate has.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 += 1;
        let digest = Sha256::digest(self.0.to_le_bytes());
        usize::from(u16::from_le_bytes([digest[0], digest[1]])) % limit
    }

    fn one_in(&mut self, chance: usize) -> bool {
        self.below(chance) == 0
    }
}

/// The page's content.
pub(crate) fn page() -> String {
    let mut numbers = Numbers(0);
    let moves: Vec<Value> = (0..WALKS).flat_map(|walk| walk_through(walk, &mut numbers)).collect();
    // One move a line, so that a change of the contract shows as the moves that it changes.
    let lines: Vec<String> = moves.iter().map(ToString::to_string).collect();
    let about = "Moves of a run record: `after` and `effects` follow from `before`, `event` and `now`, or the event is `refused`; `due` is all that \
                 is due by `after`. Without `before`, it is the record as the moves above left it.";
    format!("{{\"about\": {},\n\"moves\": [\n{}\n]}}\n", json!(about), lines.join(",\n"))
}

fn walk_through(walk: u32, numbers: &mut Numbers) -> Vec<Value> {
    let second = |number: u32| Timestamp::from_second(1_800_000_000 + i64::from(number)).expect("a time");
    let waiting = numbers.one_in(4);
    let (mut run, _) = Run::create(graph(walk, numbers), waiting, second(0));
    let (mut moves, mut shown, mut left) = (Vec::new(), None, MOVES_AFTER_THE_END);
    for number in 1..=MOST_MOVES {
        let now = second(number);
        if run.state.is_finished() {
            let Some(fewer) = left.checked_sub(1) else { break };
            left = fewer;
        } else if numbers.one_in(12) {
            // A person's wish is no move of an agent's, but agents meet what it leaves.
            let wish = if run.paused { RunEvent::Resumed } else { RunEvent::Paused };
            run = run.apply(&wish, now).expect("a run that is not finished can be held").0;
        }
        let event = event(&run, numbers, now);
        let outcome = run.apply(&event, now);
        let before = Some(&run).filter(|run| shown.as_ref() != Some(*run));
        moves.push(case(before, &event, now, &outcome));
        if let Ok((after, _)) = outcome {
            run = after;
        }
        shown = Some(run.clone());
    }
    moves
}

/// Up to six jobs, which need any of those before them.
fn graph(walk: u32, numbers: &mut Numbers) -> NewRun {
    let names: Vec<JobName> =
        ["a", "b", "c", "d", "e", "f"].iter().map(|name| name.parse().expect("a job's name")).collect();
    let count = 2 + numbers.below(5);
    let jobs = (0..count).map(|index| NewJob {
        name: names[index].clone(),
        pool: PoolName::built_in(["default", "migrate"][numbers.below(2)]).expect("a pool"),
        needs: (0..index).filter(|_| numbers.one_in(3)).map(|need| names[need].clone()).collect(),
        regardless: numbers.one_in(5),
        tolerated: numbers.one_in(5),
    });
    let jobs = jobs.collect();
    NewRun {
        id: RunId::of_event("moves", &walk.to_string()),
        dataset: "d".parse().expect("a dataset's name"),
        workflow: WorkflowRef { name: "w".parse().expect("a workflow's name"), hash: WorkflowHash::of(b"w") },
        event: EventRef { source: "moves".into(), id: walk.to_string() },
        trace: String::new(),
        input: serde_json::Map::new(),
        limit_ms: numbers.one_in(4).then_some(90_000),
        gate: None,
        jobs,
    }
}

fn event(run: &Run, numbers: &mut Numbers, now: Timestamp) -> RunEvent {
    let all: Vec<&Job> = run.jobs.iter().flat_map(|job| std::iter::once(job).chain(&job.items)).collect();
    let due: Vec<&Job> = all.iter().copied().filter(|job| job.is_due()).collect();
    if due.is_empty() && !run.state.is_finished() && numbers.one_in(2) {
        return RunEvent::Promoted;
    }
    let choice = if due.is_empty() || numbers.one_in(10) { &all } else { &due };
    let known = choice[numbers.below(choice.len())];
    let job = known.name.clone();
    // Mostly the attempt that would come next, sometimes one that is on record or older, or of a dispatch that never was.
    let attempt = [known.attempt + 1, known.attempt + 1, known.attempt.max(1), 1][numbers.below(4)];
    let generation = known.generation.max(1) + u32::from(numbers.one_in(15));
    let fence = Fence { generation, attempt };
    let fault = [Fault::Failure, Fault::Timeout, Fault::Error][numbers.below(3)];
    let failure = Failure { reason: Reason::ActionFailed, fault, message: "no".into(), attempt, at: now };
    match numbers.below(16) {
        0 | 1 => RunEvent::Started { job, fence, agent: "checks@host:7".into() },
        2 => RunEvent::HandedBack { job, fence },
        3 | 4 => RunEvent::Retrying { job, fence, failure, counts: !numbers.one_in(3) },
        5 => RunEvent::Shelved { job, fence },
        10 if job.item_number().is_none() => {
            let items = 1 + u32::try_from(numbers.below(3)).unwrap_or(0);
            let fan = Fan { items, max_parallel: None, fail_fast: false, rejoins: true };
            RunEvent::Split { job, fence, fan, memo: outputs(numbers) }
        }
        11 if numbers.one_in(4) => RunEvent::Postponed { job, fence, memo: outputs(numbers) },
        6 => RunEvent::Died { job, fence, failure },
        7 => RunEvent::Skipped { job, fence },
        8 | 9 if job.item_number().is_none() => {
            let max_parallel = numbers.one_in(2).then_some(2);
            let fan = Fan {
                items: u32::try_from(numbers.below(4)).unwrap_or(0),
                max_parallel,
                fail_fast: numbers.one_in(2),
                rejoins: false,
            };
            RunEvent::FannedOut { job, fence, fan }
        }
        _ => RunEvent::Completed { job, fence, outputs: outputs(numbers) },
    }
}

fn outputs(numbers: &mut Numbers) -> Outputs {
    let names = ["rows", "files"].into_iter().filter(|_| numbers.one_in(2));
    names.map(|name| (name.to_owned(), name.len().into())).collect()
}

type Moved = Result<(Run, Vec<Effect>), Refusal>;

fn case(before: Option<&Run>, event: &RunEvent, now: Timestamp, moved: &Moved) -> Value {
    let (after, effects, refused) = match moved {
        Ok((after, effects)) => (Some(after), effects.iter().map(|effect| shown(effect, after)).collect(), None),
        Err(Refusal::Already) => (None, Vec::new(), Some("already")),
        Err(Refusal::Fenced(_)) => (None, Vec::new(), Some("fenced")),
        Err(Refusal::NotAllowed { .. }) => (None, Vec::new(), Some("not-allowed")),
    };
    let due: Option<Vec<Value>> = after.map(|after| after.due().iter().map(|effect| shown(effect, after)).collect());
    let mut case = json!({ "event": as_json(event), "now": now, "after": after, "effects": effects, "due": due, "refused": refused });
    if let (Some(before), Some(fields)) = (before, case.as_object_mut()) {
        fields.insert("before".into(), json!(before));
    }
    case
}

fn shown(effect: &Effect, run: &Run) -> Value {
    match effect {
        Effect::Dispatch { job, pool, generation } => {
            json!({ "dispatch": { "job": job, "pool": pool, "generation": generation } })
        }
        Effect::Promote(run) => json!({ "promote": run }),
        Effect::Finished => json!({ "finished": run.state }),
    }
}

/// An agent's event, by the names that `docs/MESSAGES.md` gives them.
pub(crate) fn as_json(event: &RunEvent) -> Value {
    let attempt = |kind: &str, job: &JobName, fence: &Fence, more: Value| {
        let mut event = json!({ "type": kind, "job": job, "generation": fence.generation, "attempt": fence.attempt });
        if let (Some(event), Value::Object(more)) = (event.as_object_mut(), more) {
            event.extend(more);
        }
        event
    };
    match event {
        RunEvent::Started { job, fence, agent } => attempt("started", job, fence, json!({ "agent": agent })),
        RunEvent::HandedBack { job, fence } => attempt("handed_back", job, fence, Value::Null),
        RunEvent::Retrying { job, fence, failure, counts } => {
            attempt("retrying", job, fence, json!({ "failure": failure, "counts": counts }))
        }
        RunEvent::Completed { job, fence, outputs } => attempt("completed", job, fence, json!({ "outputs": outputs })),
        RunEvent::Skipped { job, fence } => attempt("skipped", job, fence, Value::Null),
        RunEvent::FannedOut { job, fence, fan } => attempt("fanned_out", job, fence, json!({ "fan": fan })),
        RunEvent::Split { job, fence, fan, memo } => attempt("split", job, fence, json!({ "fan": fan, "memo": memo })),
        RunEvent::Postponed { job, fence, memo } => attempt("postponed", job, fence, json!({ "memo": memo })),
        RunEvent::Shelved { job, fence } => attempt("shelved", job, fence, Value::Null),
        RunEvent::Died { job, fence, failure } => attempt("died", job, fence, json!({ "failure": failure })),
        RunEvent::Promoted => json!({ "type": "promoted" }),
        other => panic!("{other:?} is no move of an agent's"),
    }
}
