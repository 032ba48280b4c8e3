//! The versions of workflows: which is current, which were, and what goes when nobody needs it any more.
//!
//! What is needed is stored before what names it: files, then the version, then what it was registered as, then the name. What goes, goes
//! in the other order. A version that a run may still need stays, whatever becomes of its name.

use std::collections::HashSet;

use axum::http::StatusCode;
use honk_protocol::name::{BundleHash, WorkflowHash, WorkflowName};
use honk_protocol::subject::{workflow_name_key, workflow_source_key, workflow_version_key};
use honk_protocol::workflow::{WorkflowPointer, WorkflowSource, WorkflowTerm};
use honk_workflow::Workflow;
use serde_json::Value;

use crate::problem::{ApiError, conflict};
use crate::state::{Api, read_own_write};
use crate::wire::WorkflowStatus;

/// How often the name is pointed again because another writer was faster.
const TRIES: usize = 10;

/// How much of a hash must be given at least, so that a version is meant and not met.
const SHORTEST_PREFIX: usize = 6;

/// Which version a name shall point to.
pub(crate) struct Target<'a> {
    pub(crate) name: &'a WorkflowName,
    pub(crate) hash: &'a WorkflowHash,
    /// The YAML that it was registered as.
    pub(crate) source: &'a str,
    /// Whether somebody goes back to it.
    pub(crate) rollback: bool,
}

/// The pointer that the bucket keeps under a name.
pub(crate) fn pointer(value: &Value) -> Option<WorkflowPointer> {
    serde_json::from_value(value.clone()).ok()
}

/// The workflow of this name, or the problem that there is none.
pub(crate) fn current(api: &Api, name: &WorkflowName) -> Result<WorkflowPointer, ApiError> {
    let known = api.workflows.get(&workflow_name_key(name)).and_then(|value| pointer(&value));
    known.ok_or_else(|| {
        let help = "Register it: `honk register FILE`, or POST its YAML to /api/workflows.";
        ApiError::not_found("workflow-unknown", format!("workflow `{name}`")).help(help)
    })
}

/// The version as it is run, from memory, else from the server.
pub(crate) async fn definition(api: &Api, hash: &WorkflowHash) -> Result<Option<Value>, ApiError> {
    let key = workflow_version_key(hash);
    if let Some(version) = api.workflows.get(&key) {
        return Ok(Some((*version).clone()));
    }
    let entry = api.bus.workflows().get(&key).await?;
    Ok(entry.and_then(|entry| serde_json::from_slice(&entry.value).ok()))
}

/// What the version was registered as. One that was registered before that was kept has its pointer's text, as long as it is the current
/// one.
pub(crate) async fn source(
    api: &Api,
    of: &WorkflowPointer,
    hash: &WorkflowHash,
) -> Result<Option<WorkflowSource>, ApiError> {
    let entry = api.bus.workflows().get(&workflow_source_key(&of.name, hash)).await?;
    let kept = entry.and_then(|entry| serde_json::from_slice(&entry.value).ok());
    let pointed = || (of.hash == *hash).then(|| WorkflowSource { source: of.source.clone(), files: Vec::new() });
    Ok(kept.or_else(pointed))
}

/// The version whose hash begins with `prefix`, of those that are remembered.
pub(crate) fn resolve(of: &WorkflowPointer, prefix: &str) -> Result<WorkflowHash, ApiError> {
    let prefix = prefix.to_ascii_lowercase();
    if prefix.len() < SHORTEST_PREFIX || !prefix.bytes().all(|b| b.is_ascii_hexdigit()) {
        let title = "A version is not named as versions are";
        let detail = format!("a version is named by at least {SHORTEST_PREFIX} hexadecimal digits of its hash");
        return Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "version-invalid", title).detail(detail));
    }
    let hashes: HashSet<WorkflowHash> = of.terms().into_iter().map(|term| term.hash).collect();
    let mut found = hashes.into_iter().filter(|hash| hash.as_str().starts_with(&prefix));
    match (found.next(), found.next()) {
        (Some(hash), None) => Ok(hash),
        (Some(_), Some(_)) => {
            let title = "Several versions are meant";
            Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "version-ambiguous", title)
                .detail(format!("several versions of `{}` begin with {prefix}", of.name))
                .help("Give more digits."))
        }
        (None, _) => {
            let help = format!("`honk workflow history {}` lists the versions that are remembered.", of.name);
            Err(ApiError::not_found("version-unknown", format!("version {prefix} of the workflow `{}`", of.name))
                .help(help))
        }
    }
}

/// Points the name to a version, and removes the versions that are forgotten by that.
pub(crate) async fn point(api: &Api, target: &Target<'_>) -> Result<WorkflowStatus, ApiError> {
    let (bucket, key) = (api.bus.workflows(), workflow_name_key(target.name));
    for _ in 0..TRIES {
        let entry = bucket.get(&key).await?;
        let current = entry.as_ref().and_then(|entry| serde_json::from_slice::<WorkflowPointer>(&entry.value).ok());
        let (status, pointer, forgotten) = moved(api, current.as_ref(), target);
        let Some(pointer) = pointer else { return Ok(status) };
        let value = serde_json::to_vec(&pointer).unwrap_or_default();
        let written = match &entry {
            None => bucket.create(&key, value).await,
            Some(entry) => bucket.update(&key, value, entry.revision).await,
        };
        match written {
            Ok(revision) => {
                read_own_write(&api.workflows, revision).await;
                remove(api, target.name, &forgotten).await?;
                return Ok(status);
            }
            Err(error) if error.is_conflict() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(conflict().detail(format!("the workflow `{}` is being registered by others", target.name)))
}

/// What the pointer becomes; none if it is so already.
fn moved(
    api: &Api,
    current: Option<&WorkflowPointer>,
    target: &Target<'_>,
) -> (WorkflowStatus, Option<WorkflowPointer>, Vec<WorkflowHash>) {
    let (hash, source) = (target.hash.clone(), target.source.to_owned());
    match current {
        None => {
            let pointer = WorkflowPointer::new(target.name.clone(), hash, api.clock.now(), source);
            (WorkflowStatus::Created, Some(pointer), Vec::new())
        }
        Some(current) if current.hash == hash && current.source == source => {
            (WorkflowStatus::Unchanged, None, Vec::new())
        }
        // Only a comment or the layout differs.
        Some(current) if current.hash == hash => {
            (WorkflowStatus::Unchanged, Some(WorkflowPointer { source, ..current.clone() }), Vec::new())
        }
        Some(current) => {
            let term = WorkflowTerm { hash, since: api.clock.now(), rollback: target.rollback };
            let (pointer, forgotten) = current.moved(term, source);
            (WorkflowStatus::Updated, Some(pointer), forgotten)
        }
    }
}

/// Removes versions, and the files that no other version needs. What a run may still need stays: one that is under way, and one that did
/// not succeed and can be replayed.
pub(crate) async fn remove(api: &Api, name: &WorkflowName, versions: &[WorkflowHash]) -> Result<(), ApiError> {
    let needed = api.runs.needed_versions(name);
    let bucket = api.bus.workflows();
    for hash in versions.iter().filter(|hash| !needed.contains(*hash)) {
        let files = definition(api, hash).await?.and_then(|version| bundle(&version));
        bucket.delete(&workflow_source_key(name, hash)).await?;
        let key = workflow_version_key(hash);
        bucket.delete(&key).await?;
        if let Some(files) = files.filter(|files| !is_needed(api, files, &key)) {
            api.bus.bundles().delete(files.as_str()).await?;
        }
    }
    Ok(())
}

/// Whether any version but that under `except` has these files.
fn is_needed(api: &Api, files: &BundleHash, except: &str) -> bool {
    let versions = api.workflows.find("hash.");
    versions.iter().any(|(key, version)| key != except && bundle(version).as_ref() == Some(files))
}

/// The files of a version.
fn bundle(version: &Value) -> Option<BundleHash> {
    serde_json::from_value::<Workflow>(version.clone()).ok()?.bundle.map(|bundle| bundle.hash)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn a_version_is_found_by_enough_of_its_hash() {
        let hash = |text: &str| WorkflowHash::new(format!("{text}{}", "0".repeat(64 - text.len()))).unwrap();
        let since = Timestamp::UNIX_EPOCH;
        let mut pointer = WorkflowPointer::new("w".parse().unwrap(), hash("abcdef1"), since, String::new());
        for text in ["abcdef2", "123456", "abcdef1"] {
            pointer = pointer.moved(WorkflowTerm { hash: hash(text), since, rollback: false }, String::new()).0;
        }
        assert_eq!(resolve(&pointer, "123456").unwrap(), hash("123456"));
        assert_eq!(resolve(&pointer, "ABCDEF1").unwrap(), hash("abcdef1"));
        for (prefix, code) in [
            ("12345", "version-invalid"),
            ("12345g", "version-invalid"),
            ("abcdef", "version-ambiguous"),
            ("fedcba", "version-unknown"),
        ] {
            assert_eq!(resolve(&pointer, prefix).unwrap_err().into_problem().code, code, "{prefix}");
        }
    }
}
