//! What expressions can name: the event's payload, the dataset's entity and location, the jobs before, the run.

use honk_protocol::entity::Entity;
use honk_protocol::run::Run;
use honk_protocol::settle::Failed;
use serde_json::{Map, Value, json};

use super::{JobWork, Steps};

impl Steps {
    /// An object of all roots. What is not in the catalog or not registered is null: only a job that asks for it fails.
    pub(super) async fn values(&self, job: &JobWork) -> Result<Value, Failed> {
        let run = &job.context.run;
        let entity: Option<Entity> = self.registry.find_entity(&run.dataset).await?;
        let location = self.registry.find_location(&run.dataset).await?.map(|found| found.location);
        Ok(json!({
            "input": run.expression_input(),
            "dataset": entity,
            "location": location,
            "jobs": jobs(run),
            "run": {
                "id": run.id, "dataset": run.dataset, "workflow": run.workflow.name, "attempt": job.attempt_number(),
                "trace_id": run.trace_id(), "created_at": run.created_at,
            },
        }))
    }
}

fn jobs(run: &Run) -> Map<String, Value> {
    let job =
        |job: &honk_protocol::run::Job| (job.name.to_string(), json!({ "result": job.state, "outputs": job.outputs }));
    run.jobs.iter().map(job).collect()
}
