//! Random graphs, in random orders: whatever happens when, every job is dispatched once after all that it needs.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::Index;

use super::table::is_reachable;
use super::*;

/// A graph and the order in which its jobs end.
#[derive(Debug, Clone)]
struct Plan {
    needs: Vec<Vec<usize>>,
    /// Which of the jobs that are due ends next.
    order: Vec<Index>,
    /// Jobs whose first dispatch dies.
    dying: Vec<bool>,
}

/// A run that is played through, with what was dispatched.
struct Play {
    run: Run,
    due: Vec<(JobName, u32)>,
    dispatched: BTreeMap<JobName, u32>,
    finished: u32,
}

fn plans() -> impl Strategy<Value = Plan> {
    let needs = prop::collection::vec(prop::collection::vec(any::<Index>(), 0..4), 1..9);
    let order = prop::collection::vec(any::<Index>(), 64);
    (needs, order, prop::collection::vec(prop::bool::weighted(0.2), 9)).prop_map(|(needs, order, dying)| {
        let needs = needs.into_iter().enumerate().map(|(job, picks)| {
            let mut needs: Vec<usize> = picks.iter().filter(|_| job > 0).map(|pick| pick.index(job)).collect();
            needs.sort_unstable();
            needs.dedup();
            needs
        });
        Plan { needs: needs.collect(), order, dying }
    })
}

fn job_name(job: usize) -> String {
    format!("j{job}")
}

impl Plan {
    fn start(&self) -> Play {
        let names: Vec<String> = (0..self.needs.len()).map(job_name).collect();
        let needs: Vec<Vec<&str>> =
            self.needs.iter().map(|needs| needs.iter().map(|need| names[*need].as_str()).collect()).collect();
        let jobs: Vec<(&str, &[&str])> =
            names.iter().map(String::as_str).zip(needs.iter().map(Vec::as_slice)).collect();
        let (run, effects) = create(&jobs, false);
        let mut play = Play { run, due: Vec::new(), dispatched: BTreeMap::new(), finished: 0 };
        play.take(effects);
        play
    }

    /// Whether the job's first dispatch dies, or that of one which it needs, directly or not.
    fn is_lost(&self, job: usize) -> bool {
        self.dying[job] || self.needs[job].iter().any(|need| self.is_lost(*need))
    }
}

impl Play {
    fn take(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Dispatch { job, generation, .. } => {
                    let needs = &self.run.job(&job).expect("it is the run's").needs;
                    let done = |need: &JobName| self.run.job(need).is_some_and(|need| need.state == JobState::Success);
                    assert!(needs.iter().all(done), "{job} was dispatched before what it needs was done");
                    *self.dispatched.entry(job.clone()).or_default() += 1;
                    self.due.push((job, generation));
                }
                Effect::Finished => self.finished += 1,
                Effect::Promote(_) => panic!("nothing waits for this run"),
            }
        }
    }

    fn apply(&mut self, event: &RunEvent) {
        let (run, effects) = self.run.apply(event, NOW).expect("an allowed edge");
        self.run = run;
        self.take(effects);
        for job in &self.run.jobs {
            assert!(is_reachable(self.run.state, job.state), "{}/{} after {event:?}", self.run.state, job.state);
        }
        assert!(
            matches!(self.run.apply(event, NOW), Err(Refusal::Already)) || matches!(event, RunEvent::Retrying { .. })
        );
    }

    /// Ends whatever is due, in the plan's order, until nothing is.
    fn play(&mut self, plan: &Plan) {
        for pick in plan.order.iter().cycle() {
            if self.due.is_empty() {
                return;
            }
            let (job, generation) = self.due.swap_remove(pick.index(self.due.len()));
            let index: usize = job.as_str()[1..].parse().expect("a number");
            let first = Fence { generation, attempt: 1 };
            self.apply(&RunEvent::Started { job: job.clone(), fence: first, agent: "agent".into() });
            let fence = Fence { generation, attempt: 2 };
            self.apply(&RunEvent::Retrying {
                job: job.clone(),
                fence: first,
                failure: failure(Fault::Error),
                counts: true,
            });
            if plan.dying[index] && generation == 1 {
                self.apply(&RunEvent::Died { job, fence, failure: failure(Fault::Failure) });
            } else {
                self.apply(&RunEvent::Completed { job, fence, outputs: Outputs::new() });
            }
        }
    }

    fn states(&self) -> Vec<JobState> {
        self.run.jobs.iter().map(|job| job.state).collect()
    }
}

proptest! {
    #[test]
    fn whatever_the_order_every_job_is_dispatched_once_after_its_needs(plan in plans()) {
        let plan = Plan { dying: vec![false; 9], ..plan };
        let mut play = plan.start();
        play.play(&plan);
        prop_assert_eq!((play.run.state, play.finished), (RunState::Success, 1));
        prop_assert_eq!(play.dispatched.len(), plan.needs.len());
        prop_assert!(play.dispatched.values().all(|count| *count == 1), "{:?}", play.dispatched);
    }

    #[test]
    fn a_death_skips_its_dependents_and_a_replay_reopens_them(plan in plans()) {
        let mut play = plan.start();
        play.play(&plan);
        for (job, state) in play.states().into_iter().enumerate() {
            let dead = plan.dying[job] && !plan.needs[job].iter().any(|need| plan.is_lost(*need));
            let expected = if dead { JobState::Dead } else if plan.is_lost(job) { JobState::Skipped } else { JobState::Success };
            prop_assert_eq!(state, expected, "job {}", job);
        }
        let lost = (0..plan.needs.len()).any(|job| plan.dying[job]);
        prop_assert_eq!(play.run.state, if lost { RunState::Failure } else { RunState::Success });

        while let Some(dead) = play.run.jobs.iter().find(|job| job.state == JobState::Dead).map(|job| job.name.clone()) {
            play.apply(&RunEvent::Replayed { job: dead });
            prop_assert!(play.run.finished_at.is_none());
            play.play(&plan);
        }
        prop_assert_eq!(play.run.state, RunState::Success);
        for (job, count) in &play.dispatched {
            let index: usize = job.as_str()[1..].parse().expect("a number");
            prop_assert_eq!(*count, if plan.dying[index] { 2 } else { 1 }, "{}", job);
        }
    }

    #[test]
    fn a_waiting_run_dispatches_nothing_until_it_is_promoted(plan in plans()) {
        let plan = Plan { dying: vec![false; 9], ..plan };
        let mut play = plan.start();
        let started = play.due.len();
        let (waiting, effects) = {
            let needs: Vec<NewJob> =
                play.run.jobs.iter().map(|job| (job.name.clone(), job.pool.clone(), job.needs.clone()).into()).collect();
            let new = NewRun {
                id: play.run.id.clone(), dataset: play.run.dataset.clone(), workflow: play.run.workflow.clone(),
                event: play.run.event.clone(), trace: String::new(), input: serde_json::Map::new(), limit_ms: None, jobs: needs,
 gate: None,
            };
            Run::create(new, true, NOW)
        };
        prop_assert_eq!((waiting.state, effects.len()), (RunState::Waiting, 0));
        let (run, effects) = waiting.apply(&RunEvent::Promoted, NOW).expect("its turn");
        prop_assert_eq!(effects.len(), started);
        play.run = run;
        play.due.clear();
        play.dispatched.clear();
        play.take(effects);
        play.play(&plan);
        prop_assert_eq!(play.run.state, RunState::Success);
    }
}
