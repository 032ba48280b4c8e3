//! `GET /api/workflows`: every workflow's current version. They are few, so there is one page.

use axum::Json;
use axum::extract::State;
use honk_protocol::workflow::WorkflowPointer;

use crate::state::Api;
use crate::versions::pointer;
use crate::wire::{WorkflowPage, WorkflowSummary};

pub(super) async fn handle(State(api): State<Api>) -> Json<WorkflowPage> {
    let pointers = api.workflows.find("name.").into_iter().filter_map(|(_, value)| pointer(&value));
    Json(WorkflowPage { workflows: pointers.map(|pointer| summary(&api, &pointer)).collect() })
}

pub(super) fn summary(api: &Api, pointer: &WorkflowPointer) -> WorkflowSummary {
    let WorkflowPointer { name, hash, registered_at, .. } = pointer.clone();
    WorkflowSummary { paused: api.is_held(&name), name, hash, registered_at }
}
