//! `POST /api/workflows`: a workflow's YAML becomes its current version. The version is stored by its hash before the name
//! points to it, so that whoever follows the name finds it; versions are never changed or removed.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use honk_protocol::event::DATASET_ONBOARD;
use honk_protocol::subject::{workflow_name_key, workflow_version_key};
use honk_protocol::workflow::WorkflowPointer;
use honk_workflow::{Diagnostic, Parsed, Workflow};

use crate::config::ApiConfig;
use crate::extract::Body;
use crate::problem::{ApiError, conflict};
use crate::state::{Api, read_own_write};
use crate::text::check_line_breaks;
use crate::wire::{Fault, WorkflowRegistered, WorkflowStatus};

/// How often the name is pointed again because another writer was faster.
const TRIES: usize = 10;

pub(super) async fn handle(State(api): State<Api>, body: Body) -> Result<Response, ApiError> {
    let source = body.text()?;
    check_line_breaks(source)?;
    let Parsed { workflow, warnings } = honk_workflow::parse(source).map_err(invalid)?;
    let mut warnings: Vec<Fault> = warnings.into_iter().map(fault).collect();
    warnings.extend(unknown(&workflow, &api.config));
    let hash = workflow.hash();
    store_version(&api, &workflow).await?;
    let status = point(&api, &workflow, source).await?;
    let code = if status == WorkflowStatus::Created { StatusCode::CREATED } else { StatusCode::OK };
    let registered = WorkflowRegistered { name: workflow.name, hash, status, warnings };
    Ok((code, Json(registered)).into_response())
}

fn invalid(diagnostics: Vec<Diagnostic>) -> ApiError {
    let errors = diagnostics.iter().filter(|diagnostic| diagnostic.is_error()).count();
    let title = "The workflow has faults";
    ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "workflow-invalid", title)
        .detail(if errors == 1 { "1 fault".to_owned() } else { format!("{errors} faults") })
        .errors(diagnostics.into_iter().map(fault).collect())
}

fn fault(diagnostic: Diagnostic) -> Fault {
    Fault {
        message: diagnostic.message,
        help: diagnostic.help,
        code: Some(diagnostic.code.to_owned()),
        severity: Some(diagnostic.severity.to_string()),
        path: None,
        line: Some(diagnostic.line),
        column: Some(diagnostic.column),
    }
}

/// What only a running system can say: nobody serves that pool, nobody publishes that event.
fn unknown(workflow: &Workflow, config: &ApiConfig) -> Vec<Fault> {
    let warning = |code: &str, path: String, message: String, help: &str| Fault {
        message,
        help: Some(help.to_owned()),
        code: Some(code.to_owned()),
        severity: Some("warning".to_owned()),
        path: Some(path),
        ..Fault::default()
    };
    let pools = workflow.jobs.iter().filter(|job| !config.knows_pool(&job.pool)).map(|job| {
        let message = format!("the job `{}` runs on the pool `{}`, which is not known here", job.name, job.pool);
        let help =
            "it waits until the pool exists; correct `runs-on`, or add the pool to Honk's topology and to `api.pools`";
        warning("pool-unknown", format!("jobs.{}.runs-on", job.name), message, help)
    });
    let triggers = workflow.on.events.iter().filter(|event| *event != DATASET_ONBOARD).map(|event| {
        let message = format!("nothing publishes the event `{event}`, so it starts no run");
        warning("trigger-unknown", "on".to_owned(), message, "write `on: dataset_onboard`")
    });
    pools.chain(triggers).collect()
}

async fn store_version(api: &Api, workflow: &Workflow) -> Result<(), ApiError> {
    let key = workflow_version_key(&workflow.hash());
    match api.bus.workflows().create(&key, workflow.to_json()).await {
        Ok(_) => Ok(()),
        // Its key is the hash of its content, so what is there is the same.
        Err(error) if error.is_conflict() => Ok(()),
        Err(error) => Err(error.into()),
    }
}

async fn point(api: &Api, workflow: &Workflow, source: &str) -> Result<WorkflowStatus, ApiError> {
    let (bucket, key, hash) = (api.bus.workflows(), workflow_name_key(&workflow.name), workflow.hash());
    for _ in 0..TRIES {
        let entry = bucket.get(&key).await?;
        let current = entry.as_ref().and_then(|entry| serde_json::from_slice::<WorkflowPointer>(&entry.value).ok());
        let same_version = current.as_ref().is_some_and(|current| current.hash == hash);
        if let Some(current) = current.as_ref().filter(|current| current.hash == hash && current.source == source) {
            tracing::debug!(workflow = %current.name, "registered again as it is");
            return Ok(WorkflowStatus::Unchanged);
        }
        let registered_at = current.filter(|_| same_version).map_or_else(|| api.clock.now(), |it| it.registered_at);
        let pointer = WorkflowPointer {
            name: workflow.name.clone(),
            hash: hash.clone(),
            registered_at,
            source: source.to_owned(),
        };
        let value = serde_json::to_vec(&pointer).unwrap_or_default();
        let (status, written) = match &entry {
            None => (WorkflowStatus::Created, bucket.create(&key, value).await),
            // Only a comment or the layout differs.
            Some(entry) if same_version => {
                (WorkflowStatus::Unchanged, bucket.update(&key, value, entry.revision).await)
            }
            Some(entry) => (WorkflowStatus::Updated, bucket.update(&key, value, entry.revision).await),
        };
        match written {
            Ok(revision) => {
                read_own_write(&api.workflows, revision).await;
                return Ok(status);
            }
            Err(error) if error.is_conflict() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(conflict().detail(format!("the workflow `{}` is being registered by others", workflow.name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_come_with_line_and_column_and_what_to_write_instead() {
        let text = "name: w\non: dataset_onboard\njobs:\n  a:\n    need: [b]\n    steps: [{uses: honk/validate}]\n";
        let problem = invalid(honk_workflow::parse(text).unwrap_err()).into_problem();
        assert_eq!((problem.status, problem.detail.as_deref()), (422, Some("1 fault")));
        let fault = &problem.errors[0];
        assert_eq!((fault.line, fault.severity.as_deref()), (Some(5), Some("error")));
        assert!(fault.column.is_some() && fault.help.as_ref().is_some_and(|help| help.contains("needs")), "{fault:?}");
    }

    #[test]
    fn pools_and_events_that_nobody_has_are_warned_of() {
        let text = "name: w\non: [dataset_onboard, other]\njobs:\n  a: {runs-on: gpu, steps: [{uses: x/y}]}\n  validate: {steps: [{uses: x/y}]}\n";
        let workflow = honk_workflow::parse(text).unwrap().workflow;
        let codes = |config: &ApiConfig| -> Vec<String> {
            unknown(&workflow, config).into_iter().filter_map(|fault| fault.code).collect()
        };
        assert_eq!(codes(&ApiConfig::default()), ["pool-unknown", "trigger-unknown"]);
        let config = ApiConfig { pools: vec!["gpu".parse().unwrap()], ..ApiConfig::default() };
        assert_eq!(codes(&config), ["trigger-unknown"]);
    }
}
