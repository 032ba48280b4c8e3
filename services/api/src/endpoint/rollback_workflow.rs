//! `POST /api/workflows/{name}/rollback`: an earlier version is the current one again. Runs that have begun keep theirs.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use honk_protocol::name::{WorkflowHash, WorkflowName};
use honk_protocol::workflow::WorkflowPointer;

use crate::extract::Body;
use crate::problem::ApiError;
use crate::state::Api;
use crate::versions::{self, Target};
use crate::wire::{WorkflowRegistered, WorkflowRollback};

pub(super) async fn handle(
    State(api): State<Api>,
    Path(name): Path<String>,
    body: Body,
) -> Result<Json<WorkflowRegistered>, ApiError> {
    let name = WorkflowName::new(name)?;
    let asked = if body.0.is_empty() { WorkflowRollback::default() } else { body.json()? };
    let pointer = versions::current(&api, &name)?;
    let hash = match &asked.to {
        Some(prefix) => versions::resolve(&pointer, prefix)?,
        None => previous(&pointer)?,
    };
    let source = versions::source(&api, &pointer, &hash).await?;
    let (Some(source), Some(_)) = (source, versions::definition(&api, &hash).await?) else {
        let what = format!("version {hash} of the workflow `{name}` any more");
        return Err(ApiError::not_found("version-unknown", what).help("Register it again: `honk register FILE`."));
    };
    let target = Target { name: &name, hash: &hash, source: &source.source, rollback: true };
    let status = versions::point(&api, &target).await?;
    Ok(Json(WorkflowRegistered { name, hash, status, files: Vec::new(), warnings: Vec::new() }))
}

/// The version that was current before the current one.
fn previous(pointer: &WorkflowPointer) -> Result<WorkflowHash, ApiError> {
    let terms = pointer.terms();
    let before = terms.iter().rev().find(|term| term.hash != pointer.hash);
    before.map(|term| term.hash.clone()).ok_or_else(|| {
        ApiError::new(StatusCode::CONFLICT, "version-only", "There is nothing to go back to")
            .detail(format!("the workflow `{}` has one version", pointer.name))
    })
}

#[cfg(test)]
mod tests {
    use honk_protocol::workflow::WorkflowTerm;
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn the_previous_version_is_the_last_that_is_another_one() {
        let (hash, since) = (|text: &str| WorkflowHash::of(text.as_bytes()), Timestamp::UNIX_EPOCH);
        let first = WorkflowPointer::new("w".parse().unwrap(), hash("a"), since, String::new());
        assert_eq!(previous(&first).unwrap_err().into_problem().code, "version-only");
        let term = |text| WorkflowTerm { hash: hash(text), since, rollback: false };
        let second = first.moved(term("b"), String::new()).0;
        assert_eq!(previous(&second).unwrap(), hash("a"));
        let back = second.moved(term("a"), String::new()).0;
        assert_eq!(previous(&back).unwrap(), hash("b"));
    }
}
