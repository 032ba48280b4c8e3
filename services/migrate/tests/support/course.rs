//! A migration whose deliveries a test makes: the run's record moves as the agents' runtime moves it.
#![allow(dead_code, unreachable_pub, reason = "each test file has it as a module and uses its share")]

use std::sync::Arc;

use bytes::Bytes;
use honk_agent::action::Worked;
use honk_agent::{Action as _, JobContext};
use honk_migrate::action::Migrate;
use honk_migrate::copy::CopySettings;
use honk_protocol::dataset::Place;
use honk_protocol::name::JobName;
use honk_protocol::run::{Effect, Fence, Outputs, Run, RunEvent};
use honk_protocol::settle::Completion;
use honk_storage::Attributes;
use honk_testkit::World;
use honk_testkit::world::job;
use serde_json::Value;

pub fn migrate(world: &World) -> Migrate {
    let settings = CopySettings { attempts: 2, backoff_ms: 1, ..CopySettings::default() };
    Migrate::new(&world.bus, world.stores.clone(), settings, world.clock.clone())
}

/// A migration whose deliveries are made here.
pub struct Course<'w> {
    world: &'w World,
    pub context: JobContext,
}

impl<'w> Course<'w> {
    /// The first delivery of a job that may be split, with this `with:`.
    pub fn new(world: &'w World, dataset: &str, with: &Value) -> Self {
        let mut context = job(dataset, "1", "migrate");
        context.may_split = true;
        context.with = with.as_object().unwrap().clone().into_iter().collect();
        // As if it were its run's only job: nothing needs to be done before it.
        let mut run = Run::clone(&context.run);
        run.jobs.retain(|other| other.name == context.job);
        run.jobs[0].needs.clear();
        run.jobs[0].generation = 1;
        run.jobs[0].state = honk_protocol::run::JobState::Ready;
        context.run = Arc::new(run);
        Self { world, context }
    }

    pub async fn attempt(&self) -> Worked {
        migrate(self.world).attempt(&self.context).await.unwrap()
    }

    /// Moves the record, and returns the jobs that are to be delivered.
    pub fn apply(&mut self, event: &RunEvent) -> Vec<(JobName, u32)> {
        let (run, effects) = self.context.run.apply(event, self.world.clock.now()).unwrap();
        self.context.run = Arc::new(run);
        let dispatched = |effect| match effect {
            Effect::Dispatch { job, generation, .. } => Some((job, generation)),
            _ => None,
        };
        effects.into_iter().filter_map(dispatched).collect()
    }

    /// Splits as the attempt said, and returns the parts' deliveries.
    pub fn split(&mut self, worked: Worked) -> Vec<JobContext> {
        let Completion::Split(fan, memo) = Completion::from(worked) else { panic!("it is split") };
        let (job, fence) = (self.context.job.clone(), self.context.fence);
        let due = self.apply(&RunEvent::Split { job, fence, fan, memo });
        due.into_iter().map(|(job, generation)| self.delivery(job, generation)).collect()
    }

    fn delivery(&self, job: JobName, generation: u32) -> JobContext {
        JobContext { job, fence: Fence { generation, attempt: 1 }, may_split: false, ..self.context.clone() }
    }

    /// Does a part, and returns what is to be delivered after it.
    pub async fn part(&mut self, part: &JobContext) -> Vec<(JobName, u32)> {
        let Worked::Done(outputs) = migrate(self.world).attempt(part).await.unwrap() else { panic!("a part is done") };
        self.apply(&RunEvent::Completed { job: part.job.clone(), fence: part.fence, outputs })
    }

    /// The delivery that takes the job up again.
    pub fn rejoin(&mut self, due: Vec<(JobName, u32)>) {
        let [(job, generation)] = due.try_into().unwrap();
        assert_eq!(job, self.context.job);
        self.context = JobContext { may_split: true, ..self.delivery(job, generation) };
    }

    pub async fn finish(&self) -> Outputs {
        match self.attempt().await {
            Worked::Done(outputs) => outputs,
            other => panic!("{other:?}"),
        }
    }
}

pub async fn put(world: &World, place: &Place, name: &str, bytes: &str) {
    let key = honk_storage::Place::from(place).key(name);
    let bytes = Bytes::from(bytes.to_owned());
    world.open(place).await.put_small(&key, bytes, &Attributes::default()).await.unwrap();
}

pub async fn delete(world: &World, place: &Place, name: &str) {
    world.open(place).await.delete(&honk_storage::Place::from(place).key(name)).await.unwrap();
}
