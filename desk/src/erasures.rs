//! Erasing a person's data at every site, and holding an incident so that nothing of it is erased.
//!
//! An order names fields of records, never their values: a person of the incident, free text, comments, photos. The
//! ledger carries it out in the transaction that applies it ([`crate::ledger::Erasures`]); [`work`] removes what is left in files,
//! at every site by itself, and says so in the order's record. What is counted (category, severity, store, times, roles,
//! amounts) stays.

mod copies;
pub mod work;

use crate::actor::Actor;
use crate::desk::Desk;
use crate::error::{Error, Refusal};
use crate::incidents::{self, Shown};
use crate::ledger::{Confirmation, Draft, Erasure, Identity, NodeRow, Recording, Staged, StagedRecord};
use crate::rules::{self, Act};
use crate::search::fold;
use chassis::clock::format_rfc3339;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use sync_protocol::change::Field;
use sync_protocol::erasure::{PHOTO_FIELDS, is_erasable, is_mark};
use sync_protocol::merge::RecordState;
use sync_protocol::record::{COMMENT, ERASURE, INCIDENT, PHOTO, STEP, check};
use uuid::Uuid;

/// Most records in one order.
pub const MAX_RECORDS: usize = 200;
/// Orders in an answer where the request does not say.
pub const DEFAULT_LIMIT: u32 = 100;

/// What an order left in a record.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Mark {
    /// When, by headquarters' clock, milliseconds since 1970.
    pub at: i64,
    /// By whose order.
    pub by: String,
    /// Why.
    #[serde(default)]
    pub reason: String,
    /// Which fields.
    pub fields: Vec<Field>,
}

/// The marks that orders left in a record, oldest first.
#[must_use]
pub fn marks(state: &RecordState) -> Vec<Mark> {
    let mut marks: Vec<_> = state
        .cells
        .iter()
        .filter(|(field, _)| is_mark(field))
        .filter_map(|(_, cell)| Some((cell.stamp, Mark::deserialize(&cell.value).ok()?)))
        .collect();
    marks.sort_by_key(|(stamp, _)| *stamp);
    marks.into_iter().map(|(_, mark)| mark).collect()
}

/// Whether somebody's entry was erased: it stays as it is, a new one can be made.
///
/// # Errors
/// [`Refusal::Conflict`].
pub fn leaves_erased_people(state: &RecordState, set: &BTreeMap<Field, Value>) -> Result<(), Refusal> {
    let named: BTreeSet<Field> = marks(state).into_iter().flat_map(|mark| mark.fields).collect();
    let again = set.iter().any(|(field, to)| field.starts_with("people/") && !to.is_null() && named.contains(field));
    if again {
        return Err(Refusal::Conflict("that person was erased: add them anew if you must".to_owned()));
    }
    Ok(())
}

/// What to erase.
#[derive(Clone, Debug, Default)]
pub struct NewErasure {
    /// The incident.
    pub incident_id: Uuid,
    /// Somebody in it.
    pub person_id: Option<Uuid>,
    /// Fields of it by their public names, such as `title` or `custom.register`.
    pub fields: Vec<String>,
    /// Comments on it.
    pub comments: Vec<Uuid>,
    /// Photos of it.
    pub photos: Vec<Uuid>,
    /// All photos of it.
    pub all_photos: bool,
    /// Why.
    pub reason: String,
}

/// An order, and who has carried it out.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct ErasureItem {
    /// The order.
    pub id: Uuid,
    /// The incident.
    pub incident_id: Uuid,
    /// Its store.
    pub store_code: String,
    /// When; RFC 3339, UTC.
    #[schema(format = "date-time")]
    pub ordered_at: String,
    /// Username.
    pub ordered_by: String,
    /// Why.
    pub reason: String,
    /// Which fields of which records.
    pub what: Vec<ErasedRecord>,
    /// Whether every site says that it is done.
    pub complete: bool,
    /// A receipt of each site.
    pub sites: Vec<SiteReceipt>,
    /// In the answer to a new order: texts in which the person's name still stands.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub still_named_in: Vec<String>,
}

/// A record of which an order names fields.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct ErasedRecord {
    /// The incident itself, a comment or a photo.
    pub record_id: Uuid,
    /// Its fields.
    pub fields: Vec<String>,
}

/// How far a site is with an order.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct SiteReceipt {
    /// The node; of headquarters, the hub's id.
    pub node_id: Uuid,
    /// A store's code, or `hub`.
    pub site: String,
    /// What it is called.
    pub name: String,
    /// `confirmed` or `pending`.
    #[schema(pattern = "^(confirmed|pending)$")]
    pub state: String,
    /// When headquarters got its word; RFC 3339, UTC.
    #[schema(required = true)]
    pub confirmed_at: Option<String>,
    /// Changes of which only a part is left there.
    pub changes: u64,
    /// Files that it removed.
    pub contents: u64,
    /// Headquarters revoked it, so it will not hear of the order: remove its data by hand.
    pub revoked: bool,
    /// Another PC took its place, so it will not hear of the order: remove its data by hand.
    pub retired: bool,
    /// When it last called.
    #[schema(required = true)]
    pub last_contact_at: Option<String>,
}

/// Orders an erasure.
///
/// # Errors
/// [`Refusal::Forbidden`] for anybody below headquarters; [`Refusal::NotFound`]; [`Refusal::Conflict`] while the incident is
/// held; [`Refusal::Invalid`] when nothing that can be erased is named.
pub async fn order(desk: &Desk, actor: &Actor, new: NewErasure) -> Result<ErasureItem, Error> {
    rules::check(actor, Act::Erase)?;
    headquarters(desk).await?;
    let now_ms = desk.now_ms();
    let whole = desk.ledger().incident_whole(new.incident_id).await?.ok_or(Refusal::NotFound)?;
    let name = new.person_id.and_then(|person| name_of(&whole.row.doc, person));
    let mut records = vec![new.incident_id];
    records.extend(new.comments.iter().chain(&new.photos).copied());
    if new.all_photos {
        records.extend(whole.photos.iter().map(|photo| photo.id));
    }
    let mut seen = BTreeSet::new();
    records.retain(|id| seen.insert(*id));
    if records.len() > MAX_RECORDS {
        return Err(Refusal::field("photos", format!("name at most {MAX_RECORDS} comments and photos at once")).into());
    }
    let id = desk.ids().new_v7(now_ms);
    let (who, incident_id) = (actor.clone(), new.incident_id);
    let plan = move |staged: &Staged| plan(staged, &who, id, &new);
    let recording = Recording::of(records, &actor.username, desk.when_at(now_ms), Box::new(plan));
    desk.ledger().record(recording).await?;
    tracing::warn!(erasure = %id, incident = %incident_id, by = actor.username, "an erasure was ordered");
    let found = desk.ledger().erasures(None, Some(incident_id), DEFAULT_LIMIT).await?;
    let found = found.into_iter().find(|order| order.id == id).ok_or(Refusal::NotFound)?;
    let mut item = with_sites(desk, found, &mut BTreeMap::new()).await?;
    if let (Some(name), Some(whole)) = (name, desk.ledger().incident_whole(incident_id).await?) {
        item.still_named_in = still_named(&name, &whole.row.doc, &whole.comments);
    }
    Ok(item)
}

fn plan(staged: &Staged, actor: &Actor, id: Uuid, new: &NewErasure) -> Result<Vec<Draft>, Refusal> {
    let incident = incidents::existing(staged, actor)?;
    free(incident)?;
    let mut what: BTreeMap<Uuid, BTreeSet<Field>> = BTreeMap::new();
    let mut name = |record: &StagedRecord, field: Field| {
        what.entry(record.id).or_default().insert(field);
    };
    if let Some(person) = new.person_id {
        let field = format!("people/{}", person.hyphenated());
        if !incident.state.cells.contains_key(&field) {
            return Err(Refusal::field("person_id", "the incident has nobody with that id"));
        }
        name(incident, field);
    }
    for (at, public) in new.fields.iter().enumerate() {
        let field = public.replace('.', "/");
        if !is_erasable(INCIDENT, &field) {
            let message = format!("{public:?} cannot be erased: name free text, a person, an item or a custom field");
            return Err(Refusal::field(format!("fields[{at}]"), message));
        }
        if !incident.state.cells.contains_key(&field) {
            return Err(Refusal::field(format!("fields[{at}]"), format!("the incident has no {public}")));
        }
        name(incident, field);
    }
    for record in staged.records.iter().skip(1) {
        let of_it = |record: &&StagedRecord| {
            let parent = record.state.get("incident_id").and_then(Value::as_str);
            parent == Some(incident.id.hyphenated().to_string().as_str()) && record.scope == incident.scope
        };
        let found = record.as_ref().filter(of_it);
        let not_its = || Refusal::field("comments", "each comment and photo named must belong to the incident");
        let found = found.ok_or_else(not_its)?;
        match found.kind.as_str() {
            COMMENT => name(found, "body".to_owned()),
            STEP => name(found, "reason".to_owned()),
            PHOTO => PHOTO_FIELDS.iter().for_each(|field| name(found, (*field).to_owned())),
            _ => return Err(not_its()),
        }
    }
    if what.is_empty() {
        return Err(Refusal::field("person_id", "name somebody, or fields, comments or photos"));
    }
    let mut set = BTreeMap::from([
        ("incident".to_owned(), Value::from(incident.id.hyphenated().to_string())),
        ("reason".to_owned(), Value::from(new.reason.clone())),
    ]);
    for (record, fields) in what {
        set.insert(format!("what/{}", record.hyphenated()), fields.into_iter().map(Value::from).collect());
    }
    let errors = check(ERASURE, &set);
    if !errors.is_empty() {
        return Err(Refusal::Invalid(errors));
    }
    Ok(vec![Draft {
        kind: ERASURE,
        id,
        scope: incident.scope.clone(),
        new: true,
        set,
        number_year: None,
    }])
}

/// Nobody holds the incident.
fn free(incident: &StagedRecord) -> Result<(), Refusal> {
    let Some(hold) = incident.state.get("hold") else {
        return Ok(());
    };
    let text = |name: &str| hold.get(name).and_then(Value::as_str).unwrap_or("somebody");
    Err(Refusal::Conflict(format!(
        "{} holds this incident since {}: {}; nothing of it can be erased until the hold is released",
        text("by"),
        text("at"),
        text("reason")
    )))
}

/// The name of somebody in an incident's document.
fn name_of(doc: &str, person: Uuid) -> Option<String> {
    let doc: Value = serde_json::from_str(doc).ok()?;
    let id = person.hyphenated().to_string();
    let found = doc["people"].as_array()?.iter().find(|one| one["id"] == id.as_str())?;
    found["name"].as_str().filter(|name| !name.trim().is_empty()).map(ToOwned::to_owned)
}

fn still_named(name: &str, doc: &str, comments: &[crate::ledger::Comment]) -> Vec<String> {
    let name = fold(name);
    let holds = |text: &str| fold(text).contains(name.trim());
    let doc: Value = serde_json::from_str(doc).unwrap_or_default();
    let mut places: Vec<String> = ["title", "description", "location"]
        .into_iter()
        .filter(|field| doc[field].as_str().is_some_and(holds))
        .map(ToOwned::to_owned)
        .collect();
    for group in ["people", "items", "custom", "police", "cctv"] {
        if holds(&doc[group].to_string()) {
            places.push(group.to_owned());
        }
    }
    let said = comments.iter().filter(|comment| holds(&comment.body));
    places.extend(said.map(|comment| format!("comments.{}", comment.id)));
    places
}

/// An incident of which something may be erased, whole; deleted or not.
///
/// # Errors
/// [`Refusal::Forbidden`] for anybody below headquarters; [`Refusal::NotFound`].
pub async fn subject(desk: &Desk, actor: &Actor, id: Uuid) -> Result<Shown, Error> {
    rules::check(actor, Act::Erase)?;
    headquarters(desk).await?;
    incidents::written(desk, actor, id).await
}

/// Orders, newest first; of one store or incident where that is given.
///
/// # Errors
/// [`Refusal::Forbidden`] for anybody below headquarters; when the ledger cannot be read.
pub async fn list(
    desk: &Desk,
    actor: &Actor,
    store: Option<String>,
    incident: Option<Uuid>,
    limit: u32,
) -> Result<Vec<ErasureItem>, Error> {
    rules::check(actor, Act::Erase)?;
    headquarters(desk).await?;
    let mut nodes = BTreeMap::new();
    let mut items = Vec::new();
    for order in desk.ledger().erasures(store, incident, limit).await? {
        items.push(with_sites(desk, order, &mut nodes).await?);
    }
    Ok(items)
}

async fn headquarters(desk: &Desk) -> Result<Uuid, Error> {
    match desk.identity().await? {
        Identity::Hub { hub_id, .. } => Ok(hub_id),
        Identity::Node(_) | Identity::Unenrolled => {
            Err(Refusal::Forbidden("this is done at headquarters".to_owned()).into())
        }
    }
}

async fn with_sites(
    desk: &Desk,
    order: Erasure,
    nodes: &mut BTreeMap<String, Vec<NodeRow>>,
) -> Result<ErasureItem, Error> {
    let hub_id = headquarters(desk).await?;
    let store_code = order.scope.store_code().unwrap_or_default().to_owned();
    if !nodes.contains_key(&store_code) {
        nodes.insert(store_code.clone(), desk.ledger().nodes(Some(store_code.clone())).await?);
    }
    let mut sites = vec![SiteReceipt::of(hub_id, "hub", "headquarters", order.done.get(&hub_id))];
    for row in nodes.get(&store_code).into_iter().flatten() {
        // One that came back from a backup has the data again, until it says anew that it has not.
        let before_restore = |done: &&Confirmation| done.received_ms < row.restored_ms;
        let done = order.done.get(&row.node_id).filter(|done| row.restored_ms.is_none() || !before_restore(done));
        sites.push(SiteReceipt {
            revoked: row.revoked_ms.is_some(),
            retired: row.retired_ms.is_some(),
            last_contact_at: row.last_contact_ms.map(format_rfc3339),
            ..SiteReceipt::of(row.node_id, &row.store_code, &row.name, done)
        });
    }
    let public = |field: Field| field.replace('/', ".");
    let what = order
        .what
        .into_iter()
        .map(|(record_id, fields)| ErasedRecord { record_id, fields: fields.into_iter().map(public).collect() });
    Ok(ErasureItem {
        id: order.id,
        incident_id: order.incident_id,
        store_code,
        ordered_at: format_rfc3339(order.at_ms),
        ordered_by: order.by,
        reason: order.reason,
        what: what.collect(),
        complete: sites.iter().all(|site| site.confirmed_at.is_some()),
        sites,
        still_named_in: Vec::new(),
    })
}

impl SiteReceipt {
    fn of(node_id: Uuid, site: &str, name: &str, done: Option<&Confirmation>) -> Self {
        Self {
            node_id,
            site: site.to_owned(),
            name: name.to_owned(),
            state: if done.is_some() { "confirmed" } else { "pending" }.to_owned(),
            confirmed_at: done.map(|done| format_rfc3339(done.received_ms.unwrap_or(done.at_ms))),
            changes: done.map_or(0, |done| done.changes),
            contents: done.map_or(0, |done| done.contents),
            revoked: false,
            retired: false,
            last_contact_at: None,
        }
    }
}

/// Holds an incident, so that nothing of it is erased, or with no reason lets it go.
///
/// # Errors
/// [`Refusal::Forbidden`] for anybody below headquarters; [`Refusal::NotFound`], [`Refusal::Gone`]; [`Refusal::Conflict`] when
/// somebody holds it already; [`Refusal::Invalid`].
pub async fn hold(desk: &Desk, actor: &Actor, id: Uuid, reason: Option<String>) -> Result<Shown, Error> {
    rules::check(actor, Act::Hold)?;
    headquarters(desk).await?;
    let (who, at_ms) = (actor.clone(), desk.now_ms());
    let plan = move |staged: &Staged| {
        let incident = incidents::standing(staged, &who)?;
        let to = match reason {
            Some(reason) => {
                free(incident).map_err(|_| Refusal::Conflict("somebody holds this incident already".to_owned()))?;
                json!({"by": who.username, "at": format_rfc3339(at_ms), "reason": reason})
            }
            None if incident.state.get("hold").is_none() => return Ok(Vec::new()),
            None => Value::Null,
        };
        let set = BTreeMap::from([("hold".to_owned(), to)]);
        let errors = check(INCIDENT, &set);
        if errors.is_empty() {
            Ok(vec![incidents::edit(incident, set)])
        } else {
            Err(Refusal::Invalid(errors))
        }
    };
    incidents::record(desk, actor, vec![id], Box::new(plan)).await?;
    incidents::get(desk, actor, id).await
}
