//! A job that is fanned out a thousand ways between two others, on agents that are killed at random: every item is done, none of them
//! takes effect twice, and the join is exact.

use std::collections::BTreeSet;
use std::time::Duration;

use honk_protocol::run::{JobState, RunState};
use honk_testkit::runs::{job, show};
use honk_testkit::{Harness, Process, Service, eventually};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

/// Items of the matrix.
const ITEMS: usize = 1_000;
/// Agents that are killed while the items are done.
const KILLS: usize = 12;
/// How long the whole may take, in a debug build on a loaded machine.
const LIMIT: Duration = Duration::from_mins(8);

/// The effect of an item is a folder, which can be made once; whoever comes second finds it done. Every start leaves a line.
const EFFECT: &str = r#"
echo "$HONK_JOB $HONK_ATTEMPT" >> "$1/starts"
mkdir "$1/effects/$2" 2>/dev/null || echo "$HONK_JOB" >> "$1/repeats"
echo "item=$2" >> "$HONK_OUTPUT"
"#;

fn runner(harness: &Harness) -> Process {
    harness.spawn(Service::Runner, &[("HONK_RUNNER__SLOTS", "4")])
}

#[tokio::test]
async fn a_thousand_items_are_done_once_each_while_agents_are_killed() {
    let harness = Harness::start().await;
    let _intake = harness.spawn(Service::Intake, &[]);
    let marks = TempDir::new().unwrap();
    std::fs::create_dir(marks.path().join("effects")).unwrap();
    let plan = format!("echo \"items=$(seq -s, 0 {} | sed 's/^/[/; s/$/]/')\" >> $HONK_OUTPUT", ITEMS - 1);
    let effect = json!(["sh", "-c", EFFECT, "item", marks.path(), "{{ matrix.number }}"]);
    let workflow = format!(
        "name: wide\non: dataset_onboard\nretry_count: 30\nbackoff: {{initial: 50ms, max: 200ms}}\njobs:\n  plan:\n    steps: [{{run: {}}}]\n  item:\n    needs: [plan]\n    strategy:\n      matrix: {{number: '{{{{ jobs.plan.outputs.items }}}}'}}\n      \
         fail-fast: false\n    steps: [{{run: {effect}}}]\n  join:\n    needs: [item]\n    steps: [{{run: [sh, -c, 'echo \"count=$0\" >> $HONK_OUTPUT', '{{{{ jobs.item.outputs.item | length }}}}']}}]\n",
        json!(["sh", "-c", plan]),
    );
    harness.register(&workflow).await;
    let id = harness.run_workflow("wide", "d", Map::new()).await;
    let mut agents: Vec<Process> = (0..3).map(|_| runner(&harness)).collect();
    let done = || std::fs::read_dir(marks.path().join("effects")).unwrap().count();
    for kill in 1..=KILLS {
        let share = kill * ITEMS / (KILLS + 1);
        eventually(&format!("{share} items are done"), LIMIT, || async {
            let done = done();
            if done >= share { Ok(()) } else { Err(format!("{done}")) }
        })
        .await;
        let victim = fastrand::usize(..agents.len());
        agents[victim].kill9().await;
        agents[victim] = runner(&harness);
    }
    let run = harness.succeed(std::slice::from_ref(&id), LIMIT).await.remove(0);
    assert_eq!(run.state, RunState::Success, "{}", show(&run));
    let item = job(&run, "item");
    assert!(item.items.iter().all(|item| item.state == JobState::Success));
    let left = item.outputs["item"].as_array().unwrap();
    let numbers: Vec<Value> = (0..ITEMS).map(|number| json!(number.to_string())).collect();
    assert_eq!(left, &numbers, "every item left its own output, in its place");
    assert_eq!(job(&run, "join").outputs["count"], ITEMS.to_string());
    assert_eq!(job(&run, "join").generation, 1, "the join was dispatched once");

    let starts = std::fs::read_to_string(marks.path().join("starts")).unwrap();
    let distinct: BTreeSet<&str> = starts.lines().filter_map(|line| line.split(' ').next()).collect();
    let repeats = std::fs::read_to_string(marks.path().join("repeats")).unwrap_or_default().lines().count();
    let redelivered = starts.lines().filter(|line| !line.ends_with(" 1")).count();
    println!(
        "{KILLS} kills, {} starts of {ITEMS} items, {redelivered} of them after a kill, {repeats} found done",
        starts.lines().count()
    );
    assert_eq!((distinct.len(), done()), (ITEMS, ITEMS));
    assert!(redelivered > 0, "no kill hit an item at work: the test has shown nothing");
    harness.finish().await;
}
