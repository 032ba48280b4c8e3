//! All routes. Each is one file: its handler, what can go wrong, and its tests.

mod consumers;
mod control_run;
mod delete_workflow;
mod discard_dead_letter;
mod follow_log;
mod import_catalog;
mod list_datasets;
mod list_dead_letters;
mod list_runs;
mod list_workflows;
mod metadata;
mod pause_workflow;
mod plan_dataset;
mod post_event;
mod put_location;
mod register_workflow;
mod replay_dead_letter;
mod retire_dataset;
mod rollback_dataset;
mod rollback_workflow;
mod shipped;
mod show_dataset;
mod show_dead_letter;
mod show_list;
mod show_location;
mod show_log;
mod show_run;
mod show_workflow;
mod watch_location;
mod watch_run;
mod workflow_history;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{delete, get, post};
use honk_protocol::event::MAX_EVENT_BYTES;
use honk_service::admin;

use crate::guard::{Requests, no_method, no_route, watch_over};
use crate::state::Api;
use crate::upload::MAX_UPLOAD_BYTES;

/// Some twenty thousand entities; a larger catalog is sent in parts.
const MAX_IMPORT_BYTES: usize = 4 * 1024 * 1024;

/// More than may be written down about a dataset at all.
const MAX_METADATA_BYTES: usize = 256 * 1024;

/// Everything else is a few lines.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// The public routes, and the probes and metrics.
pub fn router(api: Api) -> Router {
    let limit = DefaultBodyLimit::max;
    let requests = Requests::new(&api.metrics);
    let probes = admin::router(api.health.clone(), api.metrics.clone());
    Router::new()
        .route("/events", post(post_event::handle).layer(limit(MAX_EVENT_BYTES)))
        .route("/api/catalog/import", post(import_catalog::handle).layer(limit(MAX_IMPORT_BYTES)))
        .route("/api/datasets", get(list_datasets::handle))
        .route("/api/datasets/{name}", get(show_dataset::handle))
        .route("/api/datasets/{name}/location", get(show_location::handle).put(put_location::handle))
        .route("/api/datasets/{name}/location/watch", get(watch_location::handle))
        .route("/api/datasets/{name}/consumers", get(consumers::list))
        .route("/api/datasets/{name}/consumers/{consumer}", delete(consumers::forget))
        .route("/api/datasets/{name}/consumers/{consumer}/ack", post(consumers::acknowledge))
        .route("/api/datasets/{name}/rollback", post(rollback_dataset::handle))
        .route("/api/datasets/{name}/plan", post(plan_dataset::handle))
        .route("/api/datasets/{name}/retire", post(retire_dataset::handle))
        .route("/api/lists/{name}", get(show_list::handle))
        .route(
            "/api/datasets/{name}/metadata",
            get(metadata::show).patch(metadata::change).layer(limit(MAX_METADATA_BYTES)),
        )
        .route("/api/datasets/{name}/logs", get(show_log::of_dataset))
        .route(
            "/api/workflows",
            get(list_workflows::handle).post(register_workflow::handle).layer(limit(MAX_UPLOAD_BYTES)),
        )
        .route("/api/workflows/{name}", get(show_workflow::handle).delete(delete_workflow::handle))
        .route("/api/workflows/{name}/history", get(workflow_history::handle))
        .route("/api/workflows/{name}/versions/{hash}", get(show_workflow::of_version))
        .route("/api/workflows/{name}/rollback", post(rollback_workflow::handle))
        .route("/api/workflows/{name}/pause", post(pause_workflow::pause))
        .route("/api/workflows/{name}/resume", post(pause_workflow::resume))
        .route("/api/runs", get(list_runs::handle))
        .route("/api/runs/{id}", get(show_run::handle))
        .route("/api/runs/{id}/watch", get(watch_run::handle))
        .route("/api/runs/{id}/{control}", post(control_run::handle))
        .route("/api/runs/{id}/logs", get(show_log::of_run))
        .route("/api/dead-letters", get(list_dead_letters::handle))
        .route("/api/dead-letters/{id}", get(show_dead_letter::handle).delete(discard_dead_letter::handle))
        .route("/api/dead-letters/{id}/replay", post(replay_dead_letter::handle))
        .with_state(api)
        .merge(probes)
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(from_fn_with_state(requests, watch_over))
}
