//! The workflows that come with Honk because something here starts them. They are registered when they are first needed, under names that
//! anyone may register another version of.

use axum::http::HeaderMap;
use honk_protocol::event::OnboardEvent;
use honk_protocol::name::DatasetName;
use honk_protocol::subject::workflow_name_key;
use honk_protocol::workflow::WorkflowPointer;
use serde_json::{Map, Value};

use super::{post_event, register_workflow};
use crate::problem::ApiError;
use crate::state::{Api, read_own_write};
use crate::upload::Upload;
use crate::wire::EventAccepted;

/// Reports what a roll-back leaves behind.
pub(super) const ROLLBACK: &str = include_str!("../../../../workflows/rollback-dataset.yml");

/// Says what a migration would do.
pub(super) const PLAN: &str = include_str!("../../../../workflows/plan-dataset.yml");

/// Lists, marks or removes a source.
pub(super) const RETIRE: &str = include_str!("../../../../workflows/retire-dataset.yml");

/// What a run of a shipped workflow is asked for with.
pub(super) struct Asked<'a> {
    /// The workflow's text.
    pub(super) workflow: &'static str,
    /// For which dataset.
    pub(super) dataset: &'a DatasetName,
    /// `CloudEvents` `source` and `id`: the same is the same run.
    pub(super) event: (&'static str, String),
    /// What its expressions call `input`.
    pub(super) input: Map<String, Value>,
}

/// Asks for a run, which may wait for another one of the dataset, and says where it can be looked at.
pub(super) async fn start(api: &Api, asked: Asked<'_>, headers: &HeaderMap) -> Result<EventAccepted, ApiError> {
    let workflow = honk_workflow::parse(asked.workflow)
        .map_err(|_| ApiError::unavailable("a workflow that comes with Honk cannot be read by it"))?;
    let workflow = workflow.workflow;
    register(api, &workflow, asked.workflow).await?;
    let (source, id) = asked.event;
    let event = OnboardEvent {
        id,
        source: source.to_owned(),
        dataset: asked.dataset.clone(),
        workflow: Some(workflow.name),
        time: Some(api.clock.now()),
        input: asked.input,
    };
    post_event::publish(api, &event, headers).await?;
    let run = event.run_id();
    let url = api.config.url(&format!("/api/runs/{run}"));
    Ok(EventAccepted { run, url })
}

/// Registers the workflow, unless one of its name is.
async fn register(api: &Api, workflow: &honk_workflow::Workflow, source: &str) -> Result<(), ApiError> {
    let (bucket, key) = (api.bus.workflows(), workflow_name_key(&workflow.name));
    if api.workflows.get(&key).is_some() || bucket.get(&key).await?.is_some() {
        return Ok(());
    }
    let hash = workflow.hash();
    let upload = Upload { source: source.to_owned(), files: Vec::new() };
    register_workflow::store_version(api, workflow, &hash, &upload).await?;
    let pointer = WorkflowPointer::new(workflow.name.clone(), hash, api.clock.now(), source.to_owned());
    match bucket.create(&key, serde_json::to_vec(&pointer).unwrap_or_default()).await {
        Ok(revision) => {
            read_own_write(&api.workflows, revision).await;
            Ok(())
        }
        // Somebody registered one at the same moment, which is as good.
        Err(error) if error.is_conflict() => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shipped_can_be_registered() {
        for (text, name) in [(ROLLBACK, "rollback-dataset"), (RETIRE, "retire-dataset"), (PLAN, "plan-dataset")] {
            assert_eq!(honk_workflow::parse(text).unwrap().workflow.name.as_str(), name);
        }
    }
}
