//! `GET /api/runs/{id}/logs` and `GET /api/datasets/{name}/logs`, which is the dataset's newest run: what its steps printed, page by
//! page; for who accepts `text/event-stream`, as events until the run's end (`follow_log`).

use axum::Json;
use axum::extract::{Path, State};
use axum::http::header::ACCEPT;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use honk_protocol::name::{DatasetName, JobName, RunId};
use honk_protocol::run::Run;

use super::{follow_log, show_run};
use crate::extract::{Parameters, bad_query, size_within};
use crate::log::{Lines, LogReader};
use crate::problem::ApiError;
use crate::state::Api;
use crate::wire::{DEFAULT_LOG_LIMIT, LogPage, LogQuery, MAX_LOG_LIMIT, since};

/// How often an answer reads on until its page is full; what is left is for the next one.
const READS: usize = 64;

/// How much text a page has, in bytes, about.
const PAGE_BYTES: usize = 1024 * 1024;

pub(super) async fn of_run(
    State(api): State<Api>,
    Path(id): Path<String>,
    Parameters(query): Parameters<LogQuery>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let id = RunId::new(id)?;
    let run = api.runs.get(&id).ok_or_else(|| show_run::unknown(&id))?;
    answer(api, &run, query, &headers).await
}

pub(super) async fn of_dataset(
    State(api): State<Api>,
    Path(name): Path<String>,
    Parameters(query): Parameters<LogQuery>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let name = DatasetName::new(name)?;
    if let Some(run) = api.runs.newest_of(&name) {
        return answer(api, &run, query, &headers).await;
    }
    api.dataset(&name).await?;
    let help = format!("Migrate it: `honk migrate {name}`, or publish its event.");
    Err(ApiError::not_found("run-none", format!("run of the dataset `{name}`")).help(help))
}

async fn answer(api: Api, run: &Run, mut query: LogQuery, headers: &HeaderMap) -> Result<Response, ApiError> {
    let limit = size_within(query.limit, DEFAULT_LOG_LIMIT, MAX_LOG_LIMIT)?;
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let follows = text(ACCEPT.as_str()).is_some_and(|kinds| kinds.contains("text/event-stream"));
    if follows && let Some(last) = text("last-event-id") {
        query.after = Some(last.to_owned());
    }
    if let Some(job) = query.job.as_ref().filter(|job| run.job(job).is_none()) {
        return Err(no_job(run, job));
    }
    let since = query.since.as_deref().map(|text| since(text, api.clock.now())).transpose().map_err(bad_query)?;
    let reader = LogReader::new(&api.bus, run, &query, since);
    let mut reader =
        reader.ok_or_else(|| bad_query("`after` is neither a line's `cursor` nor the `next` of a page"))?;
    if follows {
        return Ok(follow_log::events(api, run.id.clone(), reader).await?.into_response());
    }
    let lines = page(&mut reader, limit).await?;
    let next = lines.more.then(|| reader.cursor());
    Ok(Json(LogPage { run: run.id.clone(), items: lines.items, next }).into_response())
}

/// One page: full, unless its lines are long, or few of very many are meant, or there are no more.
async fn page(reader: &mut LogReader, limit: usize) -> Result<Lines, ApiError> {
    let mut page = reader.read(limit).await?;
    for _ in 1..READS {
        let bytes: usize = page.items.iter().map(|item| item.text.len()).sum();
        if !page.more || page.items.len() == limit || bytes >= PAGE_BYTES {
            break;
        }
        let rest = reader.read(limit - page.items.len()).await?;
        page.items.extend(rest.items);
        page.more = rest.more;
    }
    Ok(page)
}

fn no_job(run: &Run, job: &JobName) -> ApiError {
    let names: Vec<&str> = run.jobs.iter().map(|job| job.name.as_str()).collect();
    ApiError::new(StatusCode::NOT_FOUND, "job-unknown", "The run has no such job")
        .detail(format!("the run {} has no job `{job}`", run.id))
        .help(format!("Its jobs are {}.", names.join(", ")))
}
