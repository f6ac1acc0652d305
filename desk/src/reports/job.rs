//! The job that renders a report before anybody asks for it: when an incident is closed, its report is what is wanted next.

use super::order::{self, Look};
use crate::actor::Actor;
use crate::desk::Desk;
use crate::error::Error;
use chassis::jobs::{Handler, Job, JobError, NewJob};
use futures::FutureExt as _;
use std::sync::Arc;
use uuid::Uuid;

/// The job's kind.
pub const KIND: &str = "report";
/// After everything that somebody waits for.
const PRIORITY: i32 = 50;

/// The job that renders the report of an incident.
#[must_use]
pub fn of(incident_id: Uuid) -> NewJob {
    NewJob { priority: PRIORITY, ..NewJob::new(KIND, incident_id.hyphenated().to_string()) }
}

/// What does the job.
#[must_use]
pub fn handler(desk: Desk) -> Handler {
    Arc::new(move |job: Job| {
        let desk = desk.clone();
        async move {
            let id = Uuid::try_parse(&job.key).map_err(|_| JobError::Dead("its key is no incident's id".to_owned()))?;
            // A report leads to the site's address. Nobody has reached the site yet: whoever does gets one rendered then.
            let Some(base_url) = desk.reached_at() else {
                return Ok(());
            };
            match order::of_incident(&desk, &Actor::system("reports"), id, &Look { paper: None, base_url }).await {
                // Deleted meanwhile, or too large to be one document: there is nothing to prepare.
                Ok(_) | Err(Error::Refused(_)) => Ok(()),
                Err(error) => Err(JobError::Retry(error.to_string())),
            }
        }
        .boxed()
    })
}
