//! What the site does by itself, for people: how much of it waits, and what could not be done.

use crate::actor::Actor;
use crate::acts;
use crate::desk::Desk;
use crate::error::{Error, Refusal};
use crate::ledger::acts::name;
use crate::photos;
use crate::rules::{self, Act};
use chassis::jobs::{DeadJob, JobCount, QueueError};
use serde_json::json;
use std::collections::HashSet;
use std::time::Duration;
use uuid::Uuid;

/// Most jobs that are listed.
pub const MOST_LISTED: u32 = 200;
/// How often the queue's length is told to the metrics.
const TOLD_EVERY: Duration = Duration::from_secs(15);

/// The state of jobs that nobody does yet.
const WAITING: &str = "waiting";

/// The queue as it stands.
#[derive(Clone, Debug)]
pub struct Jobs {
    /// How many there are.
    pub counts: Vec<JobCount>,
    /// Those that were set aside, newest first, at most [`MOST_LISTED`].
    pub dead: Vec<DeadJob>,
}

/// The queue.
///
/// # Errors
/// [`Refusal::Forbidden`]; when it cannot be read.
pub async fn list(desk: &Desk, actor: &Actor) -> Result<Jobs, Error> {
    may(desk, actor).await?;
    let counts = desk.jobs().counts().await.map_err(queue)?;
    Ok(Jobs { counts, dead: desk.jobs().dead(MOST_LISTED).await.map_err(queue)? })
}

/// Has a job that was set aside tried again, at once.
///
/// # Errors
/// As [`list`]; [`Refusal::NotFound`]; [`Refusal::Conflict`] where another one does the same already.
pub async fn retry(desk: &Desk, actor: &Actor, no: i64) -> Result<(), Error> {
    let job = find(desk, actor, no).await?;
    note(desk, actor, name::JOB_RETRIED, &job).await?;
    if job.kind == photos::job::KIND
        && let Ok(id) = Uuid::try_parse(&job.key)
    {
        photos::job::again(desk, id).await?;
    }
    if !desk.jobs().revive(no, desk.now_ms()).await.map_err(queue)? {
        return Err(Refusal::Conflict("another job does the same already, or somebody was faster".to_owned()).into());
    }
    tracing::info!(
        job = no,
        kind = job.kind,
        about = job.key,
        by = actor.username,
        "a job that was set aside is tried again"
    );
    Ok(())
}

/// Takes a job that was set aside off the list.
///
/// # Errors
/// As [`list`]; [`Refusal::NotFound`].
pub async fn discard(desk: &Desk, actor: &Actor, no: i64) -> Result<(), Error> {
    let job = find(desk, actor, no).await?;
    note(desk, actor, name::JOB_DISCARDED, &job).await?;
    if !desk.jobs().discard(no).await.map_err(queue)? {
        return Err(Refusal::NotFound.into());
    }
    tracing::info!(
        job = no,
        kind = job.kind,
        about = job.key,
        by = actor.username,
        "a job that was set aside is given up"
    );
    Ok(())
}

/// What a person decides about a job is an act. It is noted before it is done: the queue knows nothing of acts.
async fn note(desk: &Desk, actor: &Actor, act: &'static str, job: &DeadJob) -> Result<(), Error> {
    let details = json!({ "kind": job.kind, "attempts": job.attempts });
    acts::note(desk, actor, act, job.no.to_string(), details).await
}

async fn find(desk: &Desk, actor: &Actor, no: i64) -> Result<DeadJob, Error> {
    may(desk, actor).await?;
    desk.jobs().dead_job(no).await.map_err(queue)?.ok_or_else(|| Refusal::NotFound.into())
}

/// Jobs belong to the site: at a store to its manager, at headquarters to those who see every store.
async fn may(desk: &Desk, actor: &Actor) -> Result<(), Error> {
    let at_hub = desk.own_store().await?.is_none();
    Ok(rules::check(actor, Act::KeepJobs { at_hub })?)
}

fn queue(error: QueueError) -> Error {
    Error::Unavailable(error.to_string())
}

/// Tells the metrics how much waits, and for how long the oldest of each kind, for as long as it is polled.
pub async fn measure(desk: &Desk) {
    let mut known: HashSet<(String, String)> = HashSet::new();
    loop {
        match desk.jobs().counts().await {
            Ok(counts) => {
                let mut gone = known.clone();
                for JobCount { kind, state, count, oldest_ms } in counts {
                    if state == WAITING {
                        let age_ms = desk.now_ms().saturating_sub(oldest_ms).max(0);
                        metrics::gauge!("jobs_oldest_waiting_seconds", "kind" => kind.clone())
                            .set(age_ms as f64 / 1000.0);
                    }
                    metrics::gauge!("jobs", "kind" => kind.clone(), "state" => state.clone()).set(count as f64);
                    gone.remove(&(kind.clone(), state.clone()));
                    known.insert((kind, state));
                }
                for (kind, state) in gone {
                    if state == WAITING {
                        metrics::gauge!("jobs_oldest_waiting_seconds", "kind" => kind.clone()).set(0.0);
                    }
                    metrics::gauge!("jobs", "kind" => kind, "state" => state).set(0.0);
                }
            }
            Err(error) => tracing::debug!(%error, "jobs cannot be counted"),
        }
        tokio::time::sleep(TOLD_EVERY).await;
    }
}
