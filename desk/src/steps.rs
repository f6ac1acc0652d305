//! Steps of the workflow: each a record of its own that says who moved an incident, from where, when and why.

use crate::error::Refusal;
use crate::incidents::body::{Body, Fields};
use crate::ledger::{Draft, StagedRecord};
use serde_json::Value;
use sync_protocol::record::vocabulary::STATUSES;
use sync_protocol::record::{self, STEP, step_allowed};
use uuid::Uuid;

/// A status that a request wants an incident to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The status.
    pub to: String,
    /// Why, where the request says so.
    pub reason: Option<String>,
}

/// Takes `status` and `reason` out of a request.
///
/// # Errors
/// [`Refusal::Invalid`] where they are no status and text, or there is a reason for nothing.
pub fn take(request: &mut Body) -> Result<Option<Wanted>, Refusal> {
    let reason = match request.remove("reason") {
        None | Some(Value::Null) => None,
        Some(Value::String(reason)) => Some(reason).filter(|reason| !reason.trim().is_empty()),
        Some(_) => return Err(Refusal::field("reason", "must be text")),
    };
    match request.remove("status") {
        None if reason.is_some() => Err(Refusal::field("reason", "goes with a status")),
        None => Ok(None),
        Some(Value::String(to)) if STATUSES.contains(&to.as_str()) => Ok(Some(Wanted { to, reason })),
        Some(_) => Err(Refusal::field("status", format!("must be one of {}", STATUSES.join(", ")))),
    }
}

/// The record of the step that moves `incident` on.
///
/// # Errors
/// [`Refusal::Invalid`] where there is no such step, or it needs a reason.
pub fn draft(incident: &StagedRecord, from: &str, wanted: Wanted, id: Uuid) -> Result<Draft, Refusal> {
    if !step_allowed(from, &wanted.to) {
        return Err(Refusal::field("status", format!("an incident that is {from} cannot become {}", wanted.to)));
    }
    let mut set = Fields::from([
        ("incident_id".to_owned(), Value::from(incident.id.hyphenated().to_string())),
        ("from".to_owned(), Value::from(from)),
        ("to".to_owned(), Value::from(wanted.to)),
    ]);
    if let Some(reason) = wanted.reason {
        set.insert("reason".to_owned(), Value::from(reason));
    }
    let errors = record::check(STEP, &set);
    if errors.is_empty() {
        Ok(Draft { kind: STEP, id, scope: incident.scope.clone(), new: true, set, number_year: None })
    } else {
        Err(Refusal::Invalid(errors))
    }
}
