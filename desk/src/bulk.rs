//! The same done to many incidents: each one by itself, through the rules and the transaction of a single edit, so that what is
//! refused for one says nothing about the others. What came of it is told for each.

use crate::actor::Actor;
use crate::desk::Desk;
use crate::error::{Error, Refusal};
use crate::incidents::body::Body;
use crate::incidents::patch::patch;
use crate::incidents::{self, IfMatch};
use crate::rules::{self, Act};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::HashSet;
use uuid::Uuid;

/// Most incidents at once: what a page of the list shows.
pub const MAX: usize = 200;

/// What is done to each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Given to somebody, by their username; or taken from whoever has it.
    Assign(Option<String>),
    /// Closed, with a reason where there is one.
    Close(Option<String>),
}

impl Deed {
    fn patch(&self) -> Body {
        let patch = match self {
            Self::Assign(to) => json!({ "assigned_to": to }),
            Self::Close(Some(reason)) => json!({ "status": "closed", "reason": reason }),
            Self::Close(None) => json!({ "status": "closed" }),
        };
        match patch {
            Value::Object(body) => body,
            _ => Body::new(),
        }
    }
}

/// What came of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Outcome {
    /// The incident.
    pub id: Uuid,
    /// Its reference; null where there is none that the actor may see.
    #[schema(required = true)]
    pub reference: Option<String>,
    /// Its title.
    #[schema(required = true)]
    pub title: Option<String>,
    /// `done`, `unchanged` (it was so already) or `refused`.
    #[schema(pattern = "^(done|unchanged|refused)$", example = "done")]
    pub outcome: String,
    /// Why it was refused.
    #[schema(required = true)]
    pub reason: Option<String>,
}

/// Does it to each of `ids`, in their order; one that is named twice is done once.
///
/// # Errors
/// [`Refusal::Forbidden`] for whoever may do it to none; [`Refusal::Invalid`] where nothing or too much is named; where the
/// ledger cannot be written, nothing more is done and what was done before stays done.
pub async fn run(desk: &Desk, actor: &Actor, ids: &[Uuid], deed: &Deed) -> Result<Vec<Outcome>, Error> {
    desk.own_store().await?;
    // The rules of each incident are asked for each one; who may never do it hears so at once.
    let act = match deed {
        Deed::Assign(_) => Act::Assign,
        Deed::Close(_) => Act::Step { own: false, from: "in_review", to: "closed" },
    };
    rules::check(actor, act)?;
    if ids.is_empty() {
        return Err(Refusal::field("ids", "name at least one incident").into());
    }
    if ids.len() > MAX {
        return Err(Refusal::field("ids", format!("name at most {MAX} incidents at once")).into());
    }
    let mut seen = HashSet::new();
    let mut outcomes = Vec::with_capacity(ids.len());
    for id in ids.iter().copied().filter(|id| seen.insert(*id)) {
        outcomes.push(one(desk, actor, id, deed).await?);
    }
    let done = outcomes.iter().filter(|outcome| outcome.outcome == "done").count();
    tracing::info!(by = actor.username, asked = outcomes.len(), done, "the same was done to many incidents");
    Ok(outcomes)
}

async fn one(desk: &Desk, actor: &Actor, id: Uuid, deed: &Deed) -> Result<Outcome, Error> {
    let told = |shown: Option<&str>, outcome: &str, reason: Option<String>| {
        let doc: Value = shown.and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default();
        let text = |name: &str| doc[name].as_str().map(ToOwned::to_owned);
        Outcome {
            id,
            reference: text("reference"),
            title: text("title"),
            outcome: outcome.to_owned(),
            reason,
        }
    };
    let before = match incidents::get(desk, actor, id).await {
        Ok(shown) => shown,
        Err(error) => return Ok(told(None, "refused", Some(refusal(error)?))),
    };
    match patch(desk, actor, id, IfMatch::Absent, deed.patch()).await {
        Ok(after) if after.etag == before.etag => Ok(told(Some(&after.json), "unchanged", None)),
        Ok(after) => Ok(told(Some(&after.json), "done", None)),
        Err(error) => Ok(told(Some(&before.json), "refused", Some(refusal(error)?))),
    }
}

/// Why it was refused, in words; a fault of the site is no answer for one incident.
fn refusal(error: Error) -> Result<String, Error> {
    match error {
        Error::Refused(Refusal::Invalid(errors)) => {
            Ok(errors.into_iter().map(|error| error.message).collect::<Vec<_>>().join("; "))
        }
        Error::Refused(Refusal::Forbidden(why) | Refusal::Conflict(why)) => Ok(why),
        Error::Refused(Refusal::Gone) => Ok("it was deleted".to_owned()),
        Error::Refused(Refusal::NotFound) => Ok("there is no such incident, or none that you may see".to_owned()),
        Error::Damaged(_) => Ok("the disk has damaged it; it is looked for elsewhere".to_owned()),
        error => Err(error),
    }
}
