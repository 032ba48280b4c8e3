//! The steps of a job: native actions and programs, one after the other, each if its condition holds. A job that asks for nothing but
//! actions takes a short way, on which nothing is read and nothing is filled in.

mod files;
mod folder;
mod journal;
pub(crate) mod metadata;
mod program;
mod settings;
mod values;
mod workspace;

use std::collections::HashMap;
use std::sync::Arc;

use honk_bundle::Cache;
use honk_bus::Bus;
use honk_protocol::name::PoolName;
use honk_protocol::reason::Reason;
use honk_protocol::run::{Fan, Outputs, Status};
use honk_protocol::settle::{Completion, Failed};
use honk_protocol::subject::LogSubject;
use honk_service::Clock;
use honk_step::Masks;
use honk_workflow::expr;
use honk_workflow::{Step, StepAction};
use serde_json::Value;
use tokio::sync::OnceCell;

pub use self::settings::StepSettings;
use self::workspace::Workspace;
use crate::action::{Action, JobContext, Worked};
use crate::registry::Registry;
use crate::workflows::JobSpec;

/// The longest message of a failure, in characters.
const MAX_MESSAGE: usize = 1_000;

/// What an agent does jobs with.
pub(crate) struct Steps {
    actions: HashMap<&'static str, Arc<dyn Action>>,
    settings: StepSettings,
    masks: Masks,
    registry: Registry,
    bundles: Cache,
    bus: Bus,
    clock: Clock,
    pool: PoolName,
    agent: String,
    /// What agents before this one have left is removed before the first program is run.
    swept: OnceCell<()>,
}

/// One attempt at a job, as its steps see it.
pub(crate) struct JobWork {
    pub(crate) spec: JobSpec,
    pub(crate) context: JobContext,
}

impl JobWork {
    /// Whether nothing needs to be read or filled in before its actions can be called.
    fn is_plain(&self) -> bool {
        self.spec.condition.is_none() && self.spec.strategy.is_none() && self.spec.steps.iter().all(is_plain)
    }

    /// The attempt as people count it: over all dispatches.
    fn attempt_number(&self) -> u32 {
        let earlier = self.context.run.job(&self.context.job).map_or(0, |job| job.earlier_attempts);
        earlier + self.context.fence.attempt
    }

    fn log_subject(&self) -> LogSubject {
        LogSubject {
            run: self.context.run.id.clone(),
            job: self.context.job.clone(),
            generation: self.context.fence.generation,
            attempt: self.context.fence.attempt,
        }
    }
}

fn is_plain(step: &Step) -> bool {
    let has_braces = |value: &Value| value.to_string().contains("{{");
    let StepAction::Uses { with, .. } = &step.action else { return false };
    step.condition.is_none() && !step.continue_on_error && !with.values().any(has_braces)
}

impl Steps {
    pub(crate) fn new(
        actions: HashMap<&'static str, Arc<dyn Action>>,
        settings: StepSettings,
        (bus, clock): (Bus, Clock),
        (pool, agent): (PoolName, String),
    ) -> Self {
        let masks = Masks::new(&settings.secrets);
        let registry = Registry::new(&bus, clock.clone());
        let bundles = Cache::new(settings.cache_dir.clone());
        Self { actions, settings, masks, registry, bundles, bus, clock, pool, agent, swept: OnceCell::new() }
    }

    /// Makes the attempt.
    pub(crate) async fn run(&self, job: JobWork) -> Result<Completion, Failed> {
        let called = job.spec.steps.iter().filter_map(|step| match &step.action {
            StepAction::Uses { action, .. } => Some(action),
            StepAction::Run { .. } => None,
        });
        called.map(|action| self.action(action)).try_for_each(|known| known.map(drop))?;
        if job.is_plain() {
            return self.run_actions(job).await;
        }
        // Boxed, so that the short way does not carry the long one along.
        Box::pin(self.run_steps(job)).await.map_err(|failed| self.presentable(failed))
    }

    /// A failure is on record and shown to many: what it quotes of a program has no secrets, and is short.
    fn presentable(&self, mut failed: Failed) -> Failed {
        failed.message = program::shortened(&self.masks.apply(&failed.message), MAX_MESSAGE);
        failed
    }

    async fn run_actions(&self, mut job: JobWork) -> Result<Completion, Failed> {
        let mut outputs = Outputs::new();
        for step in &job.spec.steps {
            if let StepAction::Uses { action, with } = &step.action {
                job.context.with.clone_from(with);
                match self.action(action)?.attempt(&job.context).await? {
                    Worked::Done(left) => outputs.extend(left),
                    unfinished => return Ok(unfinished.into()),
                }
            }
        }
        Ok(Completion::Done(outputs))
    }

    async fn run_steps(&self, mut job: JobWork) -> Result<Completion, Failed> {
        let mut values = self.values(&job).await?;
        if job.context.job.item_number().is_none() {
            if !is_wanted(&job, &values)? {
                return Ok(Completion::Skipped);
            }
            if let Some(fan) = fan_of(&job.spec, &values)? {
                return Ok(Completion::FanOut(fan));
            }
        } else if job.context.part().is_none() {
            values["matrix"] = item_of(&job, &values)?;
        }
        self.run_each(&mut job, &values).await
    }

    /// Every step whose condition holds; after a failure only those that ask for one.
    async fn run_each(&self, job: &mut JobWork, values: &Value) -> Result<Completion, Failed> {
        let spec = job.spec.clone();
        let mut workspace: Option<Workspace> = None;
        let mut outputs = Outputs::new();
        let mut failed: Option<Failed> = None;
        for (number, step) in (1..).zip(&spec.steps) {
            let status = Status { failure: failed.is_some(), cancelled: false };
            let wanted = match step.condition().map_err(|error| unfit(&error))? {
                None => status.is_success(),
                Some(condition) => condition.eval(values, status).map_err(|error| unfit(&error))?,
            };
            if !wanted {
                continue;
            }
            match self.run_step(job, step, number, values, &mut workspace).await {
                Ok(Worked::Done(left)) => outputs.extend(left),
                Ok(unfinished) => return Ok(unfinished.into()),
                Err(error) if step.continue_on_error && !job.context.cancelled.is_cancelled() => {
                    tracing::warn!(step = number, error = error.message, "a step failed, and may");
                }
                Err(error) => drop(failed.get_or_insert(error)),
            }
            if job.context.cancelled.is_cancelled() {
                if (number as usize) < spec.steps.len() {
                    failed.get_or_insert(Failed::retry(Reason::JobTimeout, "stopped before its last step"));
                }
                break;
            }
        }
        if let Some(workspace) = workspace {
            workspace.remove().await;
        }
        failed.map_or(Ok(Completion::Done(outputs)), Err)
    }

    async fn run_step(
        &self,
        job: &mut JobWork,
        step: &Step,
        number: u32,
        values: &Value,
        workspace: &mut Option<Workspace>,
    ) -> Result<Worked, Failed> {
        match &step.action {
            StepAction::Uses { action, with } => {
                job.context.with = expr::fill(with, values).map_err(|error| unfit(&error))?;
                self.action(action)?.attempt(&job.context).await
            }
            StepAction::Run { run, shell } => {
                let workspace = match workspace {
                    Some(workspace) => &*workspace,
                    None => workspace.insert(self.furnish(job, values).await?),
                };
                workspace.restore()?;
                let before = self.lay_out_metadata(job, workspace).await?;
                let how = (run, shell.as_deref());
                let outputs = self.program(job, step, number, how, (values, workspace)).await?;
                self.take_in_metadata(job, workspace, &before).await?;
                Ok(Worked::Done(outputs))
            }
        }
    }

    /// The action of this name, or why the job can never be done here.
    fn action(&self, name: &str) -> Result<&dyn Action, Failed> {
        self.actions.get(name).map(AsRef::as_ref).ok_or_else(|| {
            let mut offered: Vec<&str> = self.actions.keys().copied().collect();
            offered.sort_unstable();
            let message = format!("the pool `{}` offers {}, not `{name}`", self.pool, offered.join(", "));
            Failed::reject(Reason::ActionUnknown, message)
        })
    }
}

/// Whether the job's own condition holds.
fn is_wanted(job: &JobWork, values: &Value) -> Result<bool, Failed> {
    let Some(condition) = job.spec.condition().map_err(|error| unfit(&error))? else { return Ok(true) };
    condition.eval(values, job.context.run.status_before(&job.context.job)).map_err(|error| unfit(&error))
}

/// How the job is fanned out, if it has a matrix.
fn fan_of(spec: &JobSpec, values: &Value) -> Result<Option<Fan>, Failed> {
    let Some(strategy) = &spec.strategy else { return Ok(None) };
    let items = strategy.items(values).map_err(|error| Failed::reject(Reason::MatrixInvalid, error.to_string()))?;
    let count = u32::try_from(items.len())
        .map_err(|_| Failed::reject(Reason::MatrixInvalid, "the matrix has more items than can be counted"))?;
    Ok(Some(Fan { items: count, max_parallel: strategy.max_parallel, fail_fast: strategy.fail_fast, rejoins: false }))
}

/// What the matrix has for this item: the same for every attempt, because what it is made from is on record.
fn item_of(job: &JobWork, values: &Value) -> Result<Value, Failed> {
    let strategy = job.spec.strategy.as_ref();
    let items = strategy.map(|strategy| strategy.items(values)).transpose();
    let mut items =
        items.map_err(|error| Failed::reject(Reason::MatrixInvalid, error.to_string()))?.unwrap_or_default();
    let number = job.context.job.item_number().map_or(usize::MAX, |number| number as usize);
    if number >= items.len() {
        let message = format!("the matrix has {} items, and this is `{}`", items.len(), job.context.job);
        return Err(Failed::reject(Reason::MatrixInvalid, message));
    }
    Ok(Value::Object(items.swap_remove(number)))
}

/// The failure of a job whose expressions name what is not there.
fn unfit(error: &dyn std::fmt::Display) -> Failed {
    Failed::reject(Reason::ExpressionInvalid, error.to_string())
}
