//! `POST /api/workflows`: a workflow's YAML becomes its current version, with the files that its steps need. Files, version and text are
//! stored, by their hashes, before the name points to them, so that whoever follows the name finds all of it.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use honk_bundle::{Bundle, BundleError};
use honk_protocol::event::DATASET_ONBOARD;
use honk_protocol::name::WorkflowHash;
use honk_protocol::subject::{workflow_source_key, workflow_version_key};
use honk_protocol::workflow::WorkflowSource;
use honk_workflow::{BundleRef, Diagnostic, Parsed, Workflow};

use crate::config::ApiConfig;
use crate::extract::Parameters;
use crate::problem::ApiError;
use crate::state::Api;
use crate::text::check_line_breaks;
use crate::upload::{Upload, summary};
use crate::versions::{self, Target};
use crate::wire::{Fault, WorkflowRegistered, WorkflowRegistration, WorkflowStatus};

pub(super) async fn handle(
    State(api): State<Api>,
    Parameters(registration): Parameters<WorkflowRegistration>,
    upload: Upload,
) -> Result<Response, ApiError> {
    check_line_breaks(&upload.source)?;
    let Parsed { mut workflow, warnings } = honk_workflow::parse(&upload.source).map_err(invalid)?;
    let mut warnings: Vec<Fault> = warnings.into_iter().map(fault).collect();
    warnings.extend(unknown(&workflow, &api.config));
    if registration.strict && !warnings.is_empty() {
        return Err(refused(warnings));
    }
    let bundle = pack(&upload)?;
    workflow.bundle =
        bundle.as_ref().map(|bundle| BundleRef { hash: bundle.hash.clone(), files: bundle.files.clone() });
    let hash = workflow.hash();
    store_bundle(&api, bundle.as_ref()).await?;
    store_version(&api, &workflow, &hash, &upload).await?;
    let target = Target { name: &workflow.name, hash: &hash, source: &upload.source, rollback: false };
    let status = versions::point(&api, &target).await?;
    // Whoever removed the last version that had the same files may have removed them in the meantime.
    store_bundle(&api, bundle.as_ref()).await?;
    let code = if status == WorkflowStatus::Created { StatusCode::CREATED } else { StatusCode::OK };
    let files = workflow.bundle.map(|bundle| bundle.files).unwrap_or_default();
    let registered = WorkflowRegistered { name: workflow.name, hash, status, files, warnings };
    Ok((code, Json(registered)).into_response())
}

/// The files as one object; none if there are no files.
fn pack(upload: &Upload) -> Result<Option<Bundle>, ApiError> {
    if upload.files.is_empty() {
        return Ok(None);
    }
    honk_bundle::pack(upload.files.iter().cloned()).map(Some).map_err(|error| {
        use BundleError::{FileTooLarge, TooLarge, TooManyFiles};
        let (status, code) = match error {
            FileTooLarge { .. } | TooLarge { .. } | TooManyFiles { .. } => {
                (StatusCode::PAYLOAD_TOO_LARGE, "bundle-too-large")
            }
            _ => (StatusCode::UNPROCESSABLE_ENTITY, "bundle-invalid"),
        };
        ApiError::new(status, code, "The workflow's files cannot be taken along").detail(error.to_string())
    })
}

async fn store_bundle(api: &Api, bundle: Option<&Bundle>) -> Result<(), ApiError> {
    if let Some(bundle) = bundle {
        api.bus.bundles().put(bundle.hash.as_str(), &bundle.bytes).await?;
    }
    Ok(())
}

fn invalid(diagnostics: Vec<Diagnostic>) -> ApiError {
    let errors = diagnostics.iter().filter(|diagnostic| diagnostic.is_error()).count();
    with_faults(errors, diagnostics.into_iter().map(fault).collect())
}

/// Warnings that are taken for errors.
fn refused(warnings: Vec<Fault>) -> ApiError {
    with_faults(warnings.len(), warnings)
}

fn with_faults(count: usize, faults: Vec<Fault>) -> ApiError {
    ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "workflow-invalid", "The workflow has faults")
        .detail(if count == 1 { "1 fault".to_owned() } else { format!("{count} faults") })
        .errors(faults)
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

pub(super) async fn store_version(
    api: &Api,
    workflow: &Workflow,
    hash: &WorkflowHash,
    upload: &Upload,
) -> Result<(), ApiError> {
    let bucket = api.bus.workflows();
    match bucket.create(&workflow_version_key(hash), workflow.to_json()).await {
        Ok(_) => {}
        // Its key is the hash of its content, so what is there is the same.
        Err(error) if error.is_conflict() => {}
        Err(error) => return Err(error.into()),
    }
    let mut files: Vec<_> = upload.files.iter().map(summary).collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let source = WorkflowSource { source: upload.source.clone(), files };
    bucket.put(&workflow_source_key(&workflow.name, hash), serde_json::to_vec(&source).unwrap_or_default()).await?;
    Ok(())
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
