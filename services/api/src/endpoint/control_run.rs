//! `POST /api/runs/{id}/cancel`, `…/pause`, `…/resume` and `…/retry`: what people do to a run as a whole. Each answers with the run as it
//! then is; doing one again changes nothing.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use honk_agent::ledger::{ControlError, Trace};
use honk_protocol::name::RunId;
use honk_service::{TraceParent, trace_context};

use crate::extract::Parameters;
use crate::problem::ApiError;
use crate::state::Api;
use crate::wire::{RunRetry, RunView};

/// What is done to the run.
enum Control {
    Cancel,
    Pause,
    Resume,
    Retry,
}

impl Control {
    fn of(word: &str) -> Result<Self, ApiError> {
        Ok(match word {
            "cancel" => Self::Cancel,
            "pause" => Self::Pause,
            "resume" => Self::Resume,
            "retry" => Self::Retry,
            _ => {
                let error = ApiError::not_found("control-unknown", format!("`{word}` that a run could be told"));
                return Err(error.help("A run can be told to `cancel`, `pause`, `resume` or `retry`."));
            }
        })
    }
}

pub(super) async fn handle(
    State(api): State<Api>,
    Path((id, control)): Path<(String, String)>,
    Parameters(options): Parameters<RunRetry>,
) -> Result<Json<RunView>, ApiError> {
    let id = RunId::new(id)?;
    let recorded = match Control::of(&control)? {
        Control::Cancel => api.ledger.cancel(&id).await?,
        Control::Pause => api.ledger.pause(&id).await?,
        Control::Resume => api.ledger.resume(&id).await?,
        Control::Retry => {
            let span = tracing::Span::current();
            let trace = trace_context::current(&span).unwrap_or_else(TraceParent::random);
            api.ledger.retry(&id, options.failed_only, &Trace::new(trace)).await?
        }
    };
    Ok(Json(RunView::new(&recorded.run, api.clock.now())))
}

impl From<ControlError> for ApiError {
    fn from(error: ControlError) -> Self {
        match error {
            ControlError::LaneTaken(_) => {
                Self::new(StatusCode::CONFLICT, "dataset-busy", "Another run of the dataset is not finished")
                    .detail(error.to_string())
            }
            ControlError::Ledger(error) => error.into(),
        }
    }
}
