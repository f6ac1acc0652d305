//! Incidents: recording, changing, deleting, finding and reading them.
//!
//! Every verb asks [`rules`] first. What is written is decided in plans ([`draft`], [`patch`]), which look at the
//! incident as it is inside the ledger's transaction.

pub mod answer;
pub mod body;
pub mod draft;
pub mod patch;
pub mod query;

use crate::actor::Actor;
use crate::desk::Desk;
use crate::error::{Error, Refusal};
use crate::ledger::{Draft, Filter, Recording, Staged, StagedRecord, Whole};
use crate::recall::{Question, What};
use crate::rules::{self, Act};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use sync_protocol::merge::DELETED;
use sync_protocol::record::INCIDENT;
use uuid::Uuid;

/// A whole incident, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The incident.
    pub id: Uuid,
    /// Strong, in its quotes.
    pub etag: String,
    /// The JSON object.
    pub json: String,
}

impl Shown {
    fn of(whole: &Whole, desk: &Desk) -> Self {
        let images = desk.house().images();
        Self {
            id: whole.row.id,
            etag: answer::etag_at(&whole.row, images),
            json: answer::whole(whole, images),
        }
    }
}

/// What a request demands of the version it changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum IfMatch {
    /// Nothing.
    #[default]
    Absent,
    /// One of these strong tags, each in its quotes. None of them: nothing matches.
    Tags(Vec<String>),
}

impl IfMatch {
    /// Whether the current strong `etag` will do.
    ///
    /// # Errors
    /// [`Refusal::Stale`].
    pub fn check(&self, etag: Option<&str>) -> Result<(), Refusal> {
        match self {
            Self::Absent => Ok(()),
            Self::Tags(tags) if etag.is_some_and(|etag| tags.iter().any(|tag| tag == etag)) => Ok(()),
            Self::Tags(_) => Err(Refusal::Stale),
        }
    }
}

/// One page of a list, ready to be sent.
///
/// # Errors
/// [`Refusal::Forbidden`] where deleted ones are asked for by who may not see them; what the ledger says.
pub async fn list(desk: &Desk, actor: &Actor, query: query::ListQuery) -> Result<String, Error> {
    desk.own_store().await?;
    let filter = seen_by(actor, query.filter)?;
    let after = query.cursor.map(|cursor| query::open_cursor(&cursor, &filter)).transpose()?;
    // One more than asked for tells whether there is a next page.
    let mut rows = desk.ledger().incidents(filter.clone(), after, query.limit + 1).await?;
    let more = rows.len() > query.limit as usize;
    rows.truncate(query.limit as usize);
    let next = rows.last().filter(|_| more).map(|row| query::cursor((row.occurred_at_ms, row.id), &filter));
    Ok(answer::page(&rows, next.as_deref(), desk.house().images()))
}

/// The filter as far as `actor` may look.
///
/// # Errors
/// [`Refusal::Forbidden`] where deleted ones are asked for by who may not see them.
pub fn seen_by(actor: &Actor, mut filter: Filter) -> Result<Filter, Refusal> {
    if filter.deleted {
        rules::check(actor, Act::SeeDeleted)?;
    }
    filter.sight = rules::sight(actor);
    Ok(filter)
}

/// One incident, whole.
///
/// # Errors
/// [`Refusal::NotFound`], also where it is another store's; [`Refusal::Gone`] where it is deleted.
pub async fn get(desk: &Desk, actor: &Actor, id: Uuid) -> Result<Shown, Error> {
    desk.own_store().await?;
    // Read before the incident: what changes in between leads to another stamp.
    let stamp = desk.ledger().generation().await?;
    let whole = desk.ledger().incident_whole(id).await?.ok_or(Refusal::NotFound)?;
    rules::within(actor, &whole.row.store_code)?;
    if whole.row.deleted {
        return Err(Refusal::Gone.into());
    }
    let shown = Shown::of(&whole, desk);
    let question = Question::of(stamp, actor, What::Incident(id));
    desk.recall().keep_tag(question, shown.etag.trim_matches('"'));
    Ok(shown)
}

/// The `ETag` of an incident that `actor` may see, without its quotes, where it is known without a look into the ledger.
///
/// # Errors
/// [`Refusal::NotEnrolled`].
pub async fn known_tag(desk: &Desk, actor: &Actor, id: Uuid) -> Result<Option<Arc<str>>, Error> {
    desk.own_store().await?;
    let stamp = desk.ledger().generation().await?;
    Ok(desk.recall().tag(&Question::of(stamp, actor, What::Incident(id))))
}

/// One incident as it was just written, whether deleted or not.
pub(crate) async fn written(desk: &Desk, actor: &Actor, id: Uuid) -> Result<Shown, Error> {
    let whole = desk.ledger().incident_whole(id).await?.ok_or(Refusal::NotFound)?;
    rules::within(actor, &whole.row.store_code)?;
    Ok(Shown::of(&whole, desk))
}

/// Deletes one: it keeps its history and can be brought back. Deleting it again changes nothing.
///
/// # Errors
/// As [`get`]; [`Refusal::Forbidden`]; [`Refusal::Stale`].
pub async fn delete(desk: &Desk, actor: &Actor, id: Uuid, if_match: IfMatch) -> Result<(), Error> {
    let who = actor.clone();
    let plan = move |staged: &Staged| {
        let incident = existing(staged, &who)?;
        rules::check(&who, Act::Delete)?;
        if incident.state.is_deleted() {
            return Ok(Vec::new());
        }
        if_match.check(incident.etag.as_deref())?;
        let seen = serde_json::to_value(incident.state.seen()).unwrap_or(Value::Null);
        Ok(vec![edit(incident, BTreeMap::from([(DELETED.to_owned(), seen)]))])
    };
    record(desk, actor, vec![id], Box::new(plan)).await
}

/// Brings one back. Where it is not deleted nothing changes.
///
/// # Errors
/// As [`get`], but for [`Refusal::Gone`]; [`Refusal::Forbidden`].
pub async fn restore(desk: &Desk, actor: &Actor, id: Uuid) -> Result<Shown, Error> {
    let who = actor.clone();
    let plan = move |staged: &Staged| {
        let incident = existing(staged, &who)?;
        rules::check(&who, Act::Delete)?;
        // A deletion that an edit had overruled is settled by this too.
        if incident.state.get(DELETED).is_none() {
            return Ok(Vec::new());
        }
        Ok(vec![edit(incident, BTreeMap::from([(DELETED.to_owned(), Value::Null)]))])
    };
    record(desk, actor, vec![id], Box::new(plan)).await?;
    written(desk, actor, id).await
}

pub(crate) async fn record(
    desk: &Desk,
    actor: &Actor,
    records: Vec<Uuid>,
    plan: crate::ledger::Plan,
) -> Result<(), Error> {
    desk.own_store().await?;
    let recording = Recording::of(records, &actor.username, desk.when(), plan);
    desk.ledger().record(recording).await?;
    Ok(())
}

/// The incident that a plan is about: the first record it asked for, where `actor` may see it.
///
/// # Errors
/// [`Refusal::NotFound`].
pub fn existing<'a>(staged: &'a Staged, actor: &Actor) -> Result<&'a StagedRecord, Refusal> {
    let found = staged
        .records
        .first()
        .and_then(Option::as_ref)
        .filter(|record| record.kind == INCIDENT)
        .ok_or(Refusal::NotFound)?;
    rules::within(actor, found.scope.store_code().unwrap_or_default())?;
    Ok(found)
}

/// Like [`existing`], where it is not deleted either.
///
/// # Errors
/// [`Refusal::NotFound`], [`Refusal::Gone`].
pub fn standing<'a>(staged: &'a Staged, actor: &Actor) -> Result<&'a StagedRecord, Refusal> {
    let found = existing(staged, actor)?;
    if found.state.is_deleted() { Err(Refusal::Gone) } else { Ok(found) }
}

/// Whether `actor` reported the incident.
fn is_own(incident: &StagedRecord, actor: &Actor) -> bool {
    incident.state.born.as_ref().is_some_and(|born| born.by == actor.username)
}

/// The incident's status.
fn status(incident: &StagedRecord) -> &str {
    incident.state.get("status").and_then(Value::as_str).unwrap_or("submitted")
}

pub(crate) fn edit(incident: &StagedRecord, set: body::Fields) -> Draft {
    Draft {
        kind: INCIDENT,
        id: incident.id,
        scope: incident.scope.clone(),
        new: false,
        set,
        number_year: None,
    }
}
