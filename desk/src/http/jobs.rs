//! What the site does by itself.

use super::door::Door;
use crate::desk::Desk;
use crate::jobs;
use axum::extract::State;
use chassis::clock::format_rfc3339;
use chassis::http::{Json, Path, Problem};
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

/// The queue.
#[derive(Serialize, ToSchema)]
pub struct JobList {
    /// What could not be done, newest first, at most 200: retry or discard it.
    items: Vec<SetAside>,
    /// How many there are, by kind and state.
    counts: Vec<Count>,
}

/// A job that was set aside.
#[derive(Serialize, ToSchema)]
struct SetAside {
    /// Its number.
    no: i64,
    /// What is done: `derive` makes pictures of a photo, `report` renders a report in advance, `notify` sends a message.
    kind: String,
    /// The record that it is about.
    about: String,
    /// Why it was set aside.
    error: String,
    /// How often it was tried.
    attempts: u32,
    /// When it was queued.
    #[schema(format = "date-time")]
    queued_at: String,
}

/// Jobs of a kind in a state.
#[derive(Serialize, ToSchema)]
struct Count {
    /// What is done.
    kind: String,
    /// `waiting`, `running` or `dead`.
    #[schema(pattern = "^(waiting|running|dead)$")]
    state: String,
    /// How many.
    count: u64,
    /// When the oldest of them was queued.
    #[schema(format = "date-time")]
    oldest_at: String,
}

/// List jobs
///
/// For managers at a store, for headquarters at the hub: what the site does by itself, and what of it could not be done.
#[utoipa::path(
    get, path = "/api/v1/jobs", tag = "site", operation_id = "list_jobs",
    responses((status = 200, description = "The queue", body = JobList))
)]
pub async fn list(State(desk): State<Desk>, Door(actor): Door) -> Result<Json<JobList>, Problem> {
    let jobs = jobs::list(&desk, &actor).await?;
    let items = jobs.dead.into_iter().map(|job| SetAside {
        no: job.no,
        kind: job.kind,
        about: job.key,
        error: job.error,
        attempts: job.attempts,
        queued_at: format_rfc3339(job.queued_ms),
    });
    let counts = jobs.counts.into_iter().map(|count| Count {
        kind: count.kind,
        state: count.state,
        count: count.count,
        oldest_at: format_rfc3339(count.oldest_ms),
    });
    Ok(Json(JobList { items: items.collect(), counts: counts.collect() }))
}

/// Try a job again
///
/// One that was set aside; at once.
#[utoipa::path(
    post, path = "/api/v1/jobs/{no}/retry", tag = "site", operation_id = "retry_job",
    params(("no" = i64, Path, description = "The job")),
    responses((status = 204, description = "It waits for its turn"))
)]
pub async fn retry(State(desk): State<Desk>, Door(actor): Door, Path(no): Path<i64>) -> Result<StatusCode, Problem> {
    jobs::retry(&desk, &actor, no).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Give a job up
///
/// Takes one that was set aside off the list.
#[utoipa::path(
    delete, path = "/api/v1/jobs/{no}", tag = "site", operation_id = "discard_job",
    params(("no" = i64, Path, description = "The job")),
    responses((status = 204, description = "Off the list"))
)]
pub async fn discard(State(desk): State<Desk>, Door(actor): Door, Path(no): Path<i64>) -> Result<StatusCode, Problem> {
    jobs::discard(&desk, &actor, no).await?;
    Ok(StatusCode::NO_CONTENT)
}
