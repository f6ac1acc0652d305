//! Recording: stage → pure plan → apply, in one transaction that is durable before anyone is told.

use super::changes::{Added, Incoming, Origin, add, feed, load_record, open_origin, own_origin, save_origin};
use super::fail::{Done, Fail};
use super::met::{Met, met};
use super::{erasures, incidents, site};
use crate::document::Document;
use crate::error::Refusal;
use crate::ledger::{Claim, Draft, Earlier, IncidentRow, Recording, Retirement, Staged, StagedRecord, When};
use chassis::ids::Ids;
use chassis::jobs::NewJob;
use chassis::sqlite::jobs::enqueue;
use chassis::sqlite::rusqlite::{Connection, OptionalExtension, params};
use chassis::sqlite::tidy;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use sync_protocol::change::{Change, ChangeId, Field, MAX_BODY_BYTES};
use sync_protocol::hlc::Hlc;
use sync_protocol::merge::{Cell, RecordState, Stamp};
use sync_protocol::message::{Outcome, quarantine};
use sync_protocol::record::{self, ERASURE, FieldError, INCIDENT};
use sync_protocol::scope::Scope;
use uuid::Uuid;

/// How the program itself is called where it records something.
const SYSTEM: &str = "system:";
/// Where headquarters' own running numbers begin, so that they never meet a store's.
const HUB_NUMBERS_FROM: i64 = 500_000;

/// Largest new incident of which is known without making it that its change is not too large, in bytes of [`text_bytes`]: in JSON
/// a byte becomes six at most.
const MAX_CLEARED_BYTES: usize = MAX_BODY_BYTES / 8;

/// What nobody else has or can guess, for changes made at one moment.
#[derive(Clone)]
pub(super) struct Fresh {
    pub(super) ids: Ids,
    pub(super) when: When,
}

impl Fresh {
    /// An id for a stream, should the hub have none for a scope yet.
    pub(super) fn origin(&self) -> Uuid {
        self.ids.new_v7(self.when.at_ms)
    }

    /// Keeps what is erased one day from being found out by its digest.
    fn salt(&self) -> String {
        let [high, low] = [self.ids.random_u64(), self.ids.random_u64()];
        format!("{high:016x}{:08x}", low as u32)
    }
}

pub(super) fn record(db: &Connection, recording: Recording, fresh: &Fresh) -> Done<Option<IncidentRow>> {
    let is_tidy = recording.is_tidy();
    let Recording { records, by, when: When { at_ms, .. }, claim, jobs, plan } = recording;
    let mut staged = Staged::default();
    for id in records {
        staged.records.push(stage(db, id)?);
    }
    if let Some(claim) = &claim {
        staged.earlier = earlier(db, claim)?;
        if let (None, Some(Some(first))) = (&staged.earlier, staged.records.first()) {
            staged.born = born(db, first)?;
        }
    }
    let known_before = staged.earlier.is_some();
    let drafts = plan.decide(&staged)?;
    if drafts.is_empty() {
        return Ok(None);
    }
    let (is_hub, retirement) = site::service(db)?;
    in_service(retirement, &by)?;
    let claim = claim.as_ref().filter(|_| !known_before);
    let occasion = Occasion { by: &by, at_ms, is_hub, claim, fresh };
    if !is_tidy {
        return write(db, drafts, None, &jobs, &occasion);
    }
    let Some(cleared) = clear(db, &drafts)?.filter(|_| !CLEARED_FAILED.load(Ordering::Relaxed)) else {
        return tidy::alone(db, || write(db, drafts, None, &jobs, &occasion));
    };
    tidy::sure(db, || write(db, drafts, Some(cleared), &jobs, &occasion)).inspect_err(|fail| {
        // It took everyone along whose transaction it shared, and would again: the next ones are made ready to be undone.
        CLEARED_FAILED.store(true, Ordering::Relaxed);
        tracing::error!(?fail, "a new incident could not be written that nothing was in the way of");
    })
}

/// Whether a write has failed that was cleared: a fault of the program, or of the disk.
static CLEARED_FAILED: AtomicBool = AtomicBool::new(false);

impl Recording {
    /// Whether it is a new incident: what could refuse that is looked at first.
    pub(super) const fn is_tidy(&self) -> bool {
        self.claim.is_some()
    }
}

/// What was found while a change was cleared.
struct Cleared {
    origin: Origin,
    met: Met,
}

/// Clears a change that nothing can refuse any more: most incidents that people report. What could be in its way is looked at
/// before anything is written, so that nothing has to be kept ready to undo it.
fn clear(db: &Connection, drafts: &[Draft]) -> Done<Option<Cleared>> {
    let [draft] = drafts else { return Ok(None) };
    if draft.kind != INCIDENT || !draft.new || text_bytes(&draft.set) > MAX_CLEARED_BYTES {
        return Ok(None);
    }
    let Some(origin) = own_origin(db, &draft.scope)? else {
        return Ok(None);
    };
    let first = ChangeId { origin: origin.id, seq: origin.seq + 1 };
    let met = met(db, Some(draft.id), first)?;
    let stamp = Stamp { hlc: Hlc::new(0, 0), id: first };
    let cells = draft.set.iter().map(|(field, value)| (field.clone(), Cell { value: value.clone(), stamp }));
    let state = RecordState { born: None, cells: cells.collect() };
    let is_valid =
        record::check(draft.kind, &draft.set).is_empty() && record::check_whole(draft.kind, &state).is_empty();
    Ok((is_valid && met.is_nothing()).then_some(Cleared { origin, met: Met { is_valid, ..met } }))
}

/// The bytes of texts and names in it, and a little for everything else.
fn text_bytes(set: &BTreeMap<Field, Value>) -> usize {
    fn of(value: &Value) -> usize {
        match value {
            Value::String(text) => text.len(),
            Value::Array(values) => values.iter().map(of).sum(),
            Value::Object(members) => members.iter().map(|(name, value)| name.len() + of(value)).sum(),
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        }
        .saturating_add(32)
    }
    set.iter().map(|(field, value)| field.len() + of(value)).sum()
}

/// Writes what was decided; answers the incident, where it is a new one.
fn write(
    db: &Connection,
    drafts: Vec<Draft>,
    mut cleared: Option<Cleared>,
    jobs: &[NewJob],
    occasion: &Occasion<'_>,
) -> Done<Option<IncidentRow>> {
    let &Occasion { at_ms, is_hub, fresh, .. } = occasion;
    let mut fed = Vec::new();
    let mut incident = None;
    for draft in drafts {
        let (known, met) = cleared.take().map(|cleared| (cleared.origin, cleared.met)).unzip();
        let mut origin = match known.map_or_else(|| own_origin(db, &draft.scope), |origin| Ok(Some(origin)))? {
            Some(origin) => origin,
            None if is_hub => open_origin(db, fresh.origin(), &draft.scope, "hub", true, None)?,
            None => return Err(Refusal::NotEnrolled.into()),
        };
        let (scope, id) = (draft.scope.clone(), draft.id);
        let claim = occasion.claim.filter(|_| draft.kind == INCIDENT && draft.new);
        let added = apply(db, &mut origin, draft, met, &Occasion { claim, ..*occasion })?;
        save_origin(db, &origin)?;
        fed.extend(added.told().map(|change_no| (scope.clone(), change_no)));
        if let Some(key) = claim.and_then(|claim| claim.key.as_deref().map(|key| (key, claim.digest))) {
            keep_key(db, key, id, at_ms)?;
        }
        if let Some(document) = added.document {
            incident = Some(row_of(id, &scope, document, is_hub.then_some(at_ms)));
        }
    }
    for job in jobs {
        enqueue(db, job, at_ms)?;
    }
    if is_hub {
        feed(db, &fed)?;
    }
    Ok(incident)
}

/// A node whose place another one took is there to be read and emptied. What the program itself has to say of what is here
/// still goes.
fn in_service(retirement: Option<Retirement>, by: &str) -> Done<()> {
    let Some(retirement) = retirement.filter(|_| !by.starts_with(SYSTEM)) else {
        return Ok(());
    };
    let successor = if retirement.successor.is_empty() {
        "another one"
    } else {
        &retirement.successor
    };
    Err(Refusal::Conflict(format!("this PC was replaced by {successor}: record it there")).into())
}

fn stage(db: &Connection, id: Uuid) -> Done<Option<StagedRecord>> {
    let Some(record) = load_record(db, id)? else {
        return Ok(None);
    };
    let row = if record.kind == INCIDENT { incidents::row(db, id)? } else { None };
    Ok(Some(StagedRecord {
        id: record.id,
        kind: record.kind,
        scope: record.scope,
        etag: row.as_ref().map(incidents::etag),
        photo_count: row.map_or(0, |row| row.photo_count),
        state: record.state,
    }))
}

fn earlier(db: &Connection, claim: &Claim) -> Done<Option<Earlier>> {
    let by_id: Option<Option<Vec<u8>>> = db
        .prepare_cached(
            "SELECT d.claim FROM records r JOIN documents d ON d.incident_no = r.record_no WHERE r.record_id = ?1",
        )?
        .query_row([claim.id], |row| row.get(0))
        .optional()?;
    if let Some(Some(digest)) = by_id {
        return Ok(Some(Earlier { incident_id: claim.id, same: digest == claim.digest }));
    }
    let Some(key) = &claim.key else { return Ok(None) };
    let found: Option<(Vec<u8>, Uuid)> = db
        .prepare_cached("SELECT digest, incident_id FROM idempotency WHERE key = ?1")?
        .query_row([key], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(found.map(|(digest, incident_id)| {
        let is_meant = !claim.is_own_id || claim.id == incident_id;
        Earlier { incident_id, same: is_meant && digest == claim.digest }
    }))
}

/// What a record was recorded with.
fn born(db: &Connection, record: &StagedRecord) -> Done<Option<BTreeMap<Field, Value>>> {
    let Some(first) = record.state.born.as_ref().map(|born| born.stamp.id) else {
        return Ok(None);
    };
    let body: Option<String> = db
        .prepare_cached(
            "SELECT c.body FROM changes c JOIN origins o ON o.origin_no = c.origin_no WHERE o.origin = ?1 AND c.seq = ?2",
        )?
        .query_row(params![first.origin, first.seq as i64], |row| row.get(0))
        .optional()?;
    Ok(body.and_then(|body| Change::from_body(&body).ok()).map(|change| change.set))
}

fn keep_key(db: &Connection, (key, digest): (&str, [u8; 32]), incident: Uuid, at_ms: i64) -> Done<()> {
    db.prepare_cached("INSERT INTO idempotency (key, digest, incident_id, at_ms) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![key, digest, incident, at_ms])?;
    Ok(())
}

/// A new incident as a reader would find it now, but for its reporter's name.
fn row_of(id: Uuid, scope: &Scope, document: Document, received_ms: Option<i64>) -> IncidentRow {
    IncidentRow {
        id,
        store_code: scope.store_code().unwrap_or("").to_owned(),
        deleted: document.deleted,
        reported_by: document.reported_by,
        reported_by_name: None,
        status: document.status,
        version: document.version,
        received_ms,
        comment_count: 0,
        photo_count: 0,
        thumbnail: None,
        photos_rev: 0,
        occurred_at_ms: document.occurred_at_ms,
        doc: document.doc,
    }
}

/// By whom, when and where something is recorded.
struct Occasion<'a> {
    by: &'a str,
    at_ms: i64,
    is_hub: bool,
    /// What the request for a new incident said of itself.
    claim: Option<&'a Claim>,
    fresh: &'a Fresh,
}

fn apply(db: &Connection, origin: &mut Origin, draft: Draft, met: Option<Met>, occasion: &Occasion<'_>) -> Done<Added> {
    let &Occasion { by, at_ms, is_hub, claim, fresh } = occasion;
    let mut set = draft.set;
    if let (Some(year), Scope::Store(code)) = (draft.number_year, &draft.scope) {
        set.insert("reference".to_owned(), Value::from(reference(db, code, year, draft.id, is_hub)?));
    }
    if draft.kind == ERASURE && draft.new && is_hub {
        let told = erasures::foretold(db, &draft.scope, &set)?;
        set.extend(told);
    }
    let Draft { kind, id, new, .. } = draft;
    let own = Own { by, at_ms, kind, id, new, set, instead_of: None, met };
    add_own(db, origin, own, fresh, is_hub, claim.map(|claim| &claim.digest))
}

/// A change that somebody makes here.
pub(super) struct Own<'a> {
    pub(super) by: &'a str,
    pub(super) at_ms: i64,
    pub(super) kind: &'a str,
    pub(super) id: Uuid,
    pub(super) new: bool,
    pub(super) set: BTreeMap<Field, Value>,
    pub(super) instead_of: Option<ChangeId>,
    /// What it meets, where somebody has looked.
    pub(super) met: Option<Met>,
}

/// Seals a change into the site's own stream and merges it, or refuses it.
pub(super) fn add_own(
    db: &Connection,
    origin: &mut Origin,
    own: Own<'_>,
    fresh: &Fresh,
    is_hub: bool,
    claim: Option<&[u8; 32]>,
) -> Done<Added> {
    let Own { by, at_ms, kind, id, new, set, instead_of, met: known } = own;
    let looked = || met(db, Some(id), ChangeId { origin: origin.id, seq: origin.seq + 1 });
    let met = known.map_or_else(looked, Ok)?;
    // A new record writes over nothing.
    let state = if new { None } else { load_record(db, id)?.map(|record| record.state) };
    let base: BTreeMap<_, _> = set
        .keys()
        .filter_map(|field| state.as_ref().and_then(|state| state.base_of(field)).map(|id| (field.clone(), id)))
        .collect();
    let (by, kind) = (by.to_owned(), kind.to_owned());
    let mut change = Change { at: at_ms, base, by, hlc: None, id, instead_of, kind, new, set };
    change.set_order(site::tick(db, fresh.when.order_ms)?);
    let knows = if met.erased {
        erasures::known(db, &change.kind, change.id, &change.set)?
    } else {
        Vec::new()
    };
    let body = change
        .to_salted_body(&fresh.salt(), &knows)
        .map_err(|e| Refusal::Invalid(vec![FieldError { field: "body".to_owned(), message: e.0 }]))?;
    let incoming = Incoming {
        origin,
        body: &body,
        parsed: Ok(change),
        hlc: None,
        received_ms: is_hub.then_some(at_ms),
        now_ms: at_ms,
        claim,
        met: Some(met),
    };
    let mut added = add(db, incoming)?;
    match std::mem::replace(&mut added.outcome, Outcome::Applied) {
        Outcome::Applied | Outcome::Merged | Outcome::Duplicate => Ok(added),
        // What a person records here has to be in its record when they are told so. Anything else rolls back.
        Outcome::Deferred => Err(Refusal::Conflict(
            "an earlier change of this record is in quarantine; settle that one first".to_owned(),
        )
        .into()),
        Outcome::Quarantined { code, reason } => Err(match code.as_str() {
            quarantine::BAD_VALUE => {
                let (field, message) = reason.split_once(": ").unwrap_or(("body", reason.as_str()));
                Refusal::field(field, message).into()
            }
            quarantine::NO_RECORD | quarantine::NOT_YOURS if instead_of.is_some() => Refusal::Conflict(reason).into(),
            _ => Fail::Broken(format!("a local change was not taken: {code}: {reason}")),
        }),
    }
}

/// The next reference of a store's year: `042-2026-000017-K7`.
fn reference(db: &Connection, store_code: &str, year: i16, id: Uuid, is_hub: bool) -> Done<String> {
    let name = format!("reference/{store_code}/{year}");
    let number = site::count_on(db, &name, if is_hub { HUB_NUMBERS_FROM } else { 0 })?;
    Ok(format!("{store_code}-{year:04}-{number:06}-{}", check_characters(id)))
}

/// Two characters from the random end of an id, in Crockford's alphabet, so that numbers counted twice (after a
/// restore, or at two sites) still make two references.
fn check_characters(id: Uuid) -> String {
    const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let bytes = id.as_bytes();
    let ten_bits = u16::from(bytes[14]) << 8 | u16::from(bytes[15]);
    [(ten_bits >> 5) & 31, ten_bits & 31]
        .iter()
        .map(|index| char::from(ALPHABET[usize::from(*index)]))
        .collect()
}
