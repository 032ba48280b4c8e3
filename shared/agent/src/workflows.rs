//! Workflows by content hash. A version never changes, so each is read once and kept.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::{Arc, PoisonError, RwLock};

use honk_bus::{Bus, BusError};
use honk_protocol::name::{JobName, WorkflowHash};
use honk_protocol::subject::workflow_version_key;
use honk_workflow::{Job, Workflow};

/// Versions kept in memory; when there are more, all are forgotten and read again as they are needed.
const MOST_KEPT: usize = 1_000;

/// Reads workflows and keeps them. Clones share what is kept.
#[derive(Debug, Clone)]
pub struct Workflows {
    bus: Bus,
    kept: Arc<RwLock<HashMap<WorkflowHash, Arc<Workflow>>>>,
}

/// What a version of a workflow says of one of its jobs. Clones share the workflow.
#[derive(Debug, Clone)]
pub(crate) struct JobSpec {
    workflow: Arc<Workflow>,
    place: usize,
}

impl JobSpec {
    /// None if the workflow has no such job.
    pub(crate) fn of(workflow: Arc<Workflow>, name: &JobName) -> Option<Self> {
        let place = workflow.jobs.iter().position(|job| job.name == *name)?;
        Some(Self { workflow, place })
    }

    /// The whole workflow.
    pub(crate) fn workflow(&self) -> &Workflow {
        &self.workflow
    }
}

impl Deref for JobSpec {
    type Target = Job;

    fn deref(&self) -> &Job {
        &self.workflow.jobs[self.place]
    }
}

/// Why a version could not be read.
#[derive(Debug, thiserror::Error)]
pub enum WorkflowError {
    /// The server.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// It is not stored.
    #[error("version {0} of the workflow is not stored")]
    Missing(WorkflowHash),
    /// What is stored is not a workflow.
    #[error("version {hash} of the workflow cannot be read: {problem}")]
    Unreadable {
        /// The version.
        hash: WorkflowHash,
        /// Why.
        problem: String,
    },
}

impl Workflows {
    /// Nothing is kept yet.
    pub fn new(bus: Bus) -> Self {
        Self { bus, kept: Arc::default() }
    }

    /// The workflow of this version.
    pub async fn get(&self, hash: &WorkflowHash) -> Result<Arc<Workflow>, WorkflowError> {
        if let Some(workflow) = self.kept.read().unwrap_or_else(PoisonError::into_inner).get(hash) {
            return Ok(Arc::clone(workflow));
        }
        let entry = self.bus.workflows().get(&workflow_version_key(hash)).await?;
        let entry = entry.ok_or_else(|| WorkflowError::Missing(hash.clone()))?;
        let read = Workflow::from_json(&entry.value);
        let read =
            read.map_err(|error| WorkflowError::Unreadable { hash: hash.clone(), problem: error.to_string() })?;
        let workflow = Arc::new(read);
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MOST_KEPT {
            kept.clear();
        }
        kept.insert(hash.clone(), Arc::clone(&workflow));
        Ok(workflow)
    }
}
