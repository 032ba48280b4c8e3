//! The notice of a run: made from its record alone but for the owner, so that every attempt says the same.

use honk_agent::action::JobContext;
use honk_protocol::dataset::Place;
use honk_protocol::entity::Entity;
use honk_protocol::notice::{DATASET_MIGRATED, Migrated, NOTICE_SOURCE, Notice};
use honk_protocol::run::Job;
use serde_json::Value;

/// The notice of the run that `job` belongs to.
pub fn of(job: &JobContext, dataset: Option<&Entity>) -> Notice {
    let run = &job.run;
    let moved = run.jobs.iter().rfind(|other| other.name != job.job && other.outputs.contains_key("to"));
    let time = moved.and_then(|job| job.finished_at).unwrap_or(run.created_at);
    Notice {
        specversion: "1.0".to_owned(),
        id: job.idempotency_key(),
        source: NOTICE_SOURCE.to_owned(),
        kind: DATASET_MIGRATED.to_owned(),
        subject: run.dataset.to_string(),
        time,
        timestamp: time,
        datacontenttype: "application/json".to_owned(),
        data: Migrated {
            dataset: run.dataset.clone(),
            run: run.id.clone(),
            workflow: run.workflow.name.clone(),
            owner: dataset.and_then(Entity::owner).map(|owner| owner.to_string()),
            from: place(moved, "from"),
            to: place(moved, "to"),
            objects: number(moved, "objects"),
            bytes: number(moved, "bytes"),
        },
    }
}

fn output<'j>(job: Option<&'j Job>, name: &str) -> Option<&'j Value> {
    job.and_then(|job| job.outputs.get(name))
}

fn place(job: Option<&Job>, name: &str) -> Option<Place> {
    output(job, name).and_then(|value| serde_json::from_value(value.clone()).ok())
}

fn number(job: Option<&Job>, name: &str) -> u64 {
    output(job, name).and_then(Value::as_u64).unwrap_or_default()
}
