//! One job.

use honk_protocol::name::{JobName, PoolName};

use super::condition::{condition, continue_on_error};
use super::fields::Fields;
use super::policy::Policy;
use super::values::{environment, text_of};
use super::{fields, step, strategy};
use crate::diagnostic::{Diagnostic, Pos, Report, quote};
use crate::model::{Job, Step};
use crate::tree::{Entry, Key, Kind};

pub(super) const KEYS: [&str; 12] = [
    "name",
    "needs",
    "if",
    "runs-on",
    "strategy",
    "steps",
    "env",
    "retry_count",
    "timeout",
    "backoff",
    "reject_codes",
    "continue-on-error",
];
const MAX_STEPS: usize = 64;

/// Everything but `needs`, which is a matter of all jobs together.
pub(super) fn check(entry: &Entry, defaults: &Policy, report: &mut Report) -> Option<Job> {
    let name = name(&entry.key, report);
    let what = format!("the job {}", quote(&entry.key.text));
    let fields = Fields::read(&entry.value, &what, &KEYS, report)?;
    let title = fields.get("name").and_then(|title| text_of(title, report)).map(str::to_owned);
    let pool = pool(&entry.key, fields.get("runs-on"), report);
    let Policy { retry, timeout_ms, reject_codes } = defaults.overlaid(&fields, report);
    let condition = condition(&fields, report);
    let continue_on_error = continue_on_error(&fields, report);
    let strategy = fields.get("strategy").and_then(|entry| strategy::check(entry, report));
    let env = environment(fields.get("env"), report);
    let steps = if fields.lacks("steps") {
        report.push(no_steps(&entry.key, entry.key.pos));
        Vec::new()
    } else {
        fields.get("steps").map(|steps| check_steps(&entry.key, steps, &pool, report)).unwrap_or_default()
    };
    Some(Job {
        name: name?,
        title,
        needs: Vec::new(),
        condition,
        continue_on_error,
        strategy,
        pool,
        steps,
        retry,
        timeout_ms,
        reject_codes,
        env,
    })
}

pub(super) fn name(key: &Key, report: &mut Report) -> Option<JobName> {
    JobName::new(key.text.as_str())
        .map_err(|error| report.push(Diagnostic::error("job-name", key.pos, error.to_string())))
        .ok()
}

/// `runs-on`, else the built-in pool of the job's name, else the default one.
fn pool(job: &Key, runs_on: Option<&Entry>, report: &mut Report) -> PoolName {
    let by_name = || PoolName::built_in(&job.text).unwrap_or_else(PoolName::default_pool);
    let Some(entry) = runs_on else { return by_name() };
    let Some(text) = text_of(entry, report) else { return by_name() };
    PoolName::new(text).unwrap_or_else(|error| {
        report.push(Diagnostic::error("pool-name", entry.value.pos, error.to_string()));
        by_name()
    })
}

fn no_steps(job: &Key, pos: Pos) -> Diagnostic {
    Diagnostic::error("steps-missing", pos, format!("the job {} has no steps", quote(&job.text)))
        .with_help("add `steps:` and below it a line like `- uses: honk/validate` or `- run: python validate.py`")
}

fn check_steps(job: &Key, entry: &Entry, pool: &PoolName, report: &mut Report) -> Vec<Step> {
    match &entry.value.kind {
        Kind::List(steps) if steps.is_empty() => report.push(no_steps(job, entry.key.pos)),
        Kind::List(steps) if steps.len() > MAX_STEPS => {
            let message =
                format!("the job {} has {} steps, and at most {MAX_STEPS} are allowed", quote(&job.text), steps.len());
            report
                .push(Diagnostic::error("steps-too-many", entry.key.pos, message).with_help("make several jobs of it"));
        }
        Kind::List(steps) => return steps.iter().filter_map(|node| step::check(node, pool, report)).collect(),
        _ if entry.value.is_null() => report.push(no_steps(job, entry.key.pos)),
        _ => {
            let wrong = fields::wrong_type(&entry.value, "`steps`", "a list");
            report.push(wrong.with_help("begin each step with `- `, like `- run: python validate.py`"));
        }
    }
    Vec::new()
}
