//! `GET /api/workflows`: every workflow's current version. They are few, so there is one page.

use axum::Json;
use axum::extract::State;
use honk_protocol::workflow::WorkflowPointer;
use serde_json::Value;

use crate::state::Api;
use crate::wire::{WorkflowPage, WorkflowSummary};

pub(super) async fn handle(State(api): State<Api>) -> Json<WorkflowPage> {
    let pointers = api.workflows.find("name.").into_iter().filter_map(|(_, value)| pointer(&value));
    Json(WorkflowPage { workflows: pointers.map(|pointer| summary(&pointer)).collect() })
}

/// The pointer that the bucket keeps under a name.
pub(super) fn pointer(value: &Value) -> Option<WorkflowPointer> {
    serde_json::from_value(value.clone()).ok()
}

pub(super) fn summary(pointer: &WorkflowPointer) -> WorkflowSummary {
    let WorkflowPointer { name, hash, registered_at, .. } = pointer.clone();
    WorkflowSummary { name, hash, registered_at }
}
