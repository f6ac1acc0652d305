//! Streams of changes: how one is added, and how it becomes part of its record.
//!
//! Layout: `origins` holds each stream's last number and chain link, `changes` every body as it was made, `records`
//! the merged state, `quarantine` what could not be merged and why, `feed` (at the hub) what each scope has to hear.
//!
//! What makes it atomic: one SQLite transaction covers the change, its stream's head, the record, everything the
//! record is looked up by and the feed. The feed number is taken as the last step; SQLite has one writer, so number
//! order is commit order and a reader that has `k` has everything up to `k`.
//!
//! At start there is nothing to do: no state lives outside these tables.

use super::fail::{Done, Fail};
use super::{erasures, project, site};
use crate::document::Document;
use chassis::sqlite::rusqlite::{self, Connection, OptionalExtension, params};
use serde_json::Value;
use std::collections::HashMap;
use sync_protocol::chain::Link;
use sync_protocol::change::{Change, ChangeId, Malformed};
use sync_protocol::erasure;
use sync_protocol::hlc::Hlc;
use sync_protocol::merge::{Cell, DELETED, RecordState, Stamp, Write, losers};
use sync_protocol::message::{Outcome, quarantine};
use sync_protocol::record;
use sync_protocol::scope::Scope;
use uuid::Uuid;

/// A stream as its row says.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    pub(super) no: i64,
    pub(super) id: Uuid,
    pub(super) scope: Scope,
    pub(super) node_id: Option<Uuid>,
    pub(super) seq: u64,
    pub(super) head: Link,
}

/// A record as its row says.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) no: i64,
    pub(super) id: Uuid,
    pub(super) kind: String,
    pub(super) scope: Scope,
    pub(super) parent_no: Option<i64>,
    pub(super) state: RecordState,
    pub(super) received_ms: Option<i64>,
}

/// One change on its way into the tables.
pub(super) struct Incoming<'a> {
    pub(super) origin: &'a mut Origin,
    pub(super) body: &'a str,
    /// The body, read.
    pub(super) parsed: Result<Change, Malformed>,
    /// Where it stands in the order; `None`: where its body says.
    pub(super) hlc: Option<Hlc>,
    pub(super) received_ms: Option<i64>,
    pub(super) now_ms: i64,
    /// Digest of the request that records a new incident here.
    pub(super) claim: Option<&'a [u8; 32]>,
}

/// What became of a change.
pub(super) struct Added {
    pub(super) outcome: Outcome,
    /// Its number here.
    pub(super) change_no: i64,
    /// The document of the incident that it recorded for the first time.
    pub(super) document: Option<Document>,
}

const ORIGIN_COLUMNS: &str = "origin_no, origin, scope, node_id, seq, head";

fn origin_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<(Origin, String)> {
    let scope: String = row.get(2)?;
    Ok((
        Origin {
            no: row.get(0)?,
            id: row.get(1)?,
            scope: Scope::Hub,
            node_id: row.get(3)?,
            seq: row.get::<_, i64>(4)? as u64,
            head: Link::from_bytes(row.get(5)?),
        },
        scope,
    ))
}

fn with_scope((mut origin, scope): (Origin, String)) -> Done<Origin> {
    origin.scope = parse_scope(&scope)?;
    Ok(origin)
}

pub(super) fn parse_scope(text: &str) -> Done<Scope> {
    text.parse().map_err(|e| Fail::Broken(format!("scope {text:?}: {e}")))
}

pub(super) fn origin(db: &Connection, id: Uuid) -> Done<Option<Origin>> {
    let sql = format!("SELECT {ORIGIN_COLUMNS} FROM origins WHERE origin = ?1");
    db.prepare_cached(&sql)?.query_row([id], origin_row).optional()?.map(with_scope).transpose()
}

/// The stream this site records `scope` under.
pub(super) fn own_origin(db: &Connection, scope: &Scope) -> Done<Option<Origin>> {
    let sql = format!("SELECT {ORIGIN_COLUMNS} FROM origins WHERE scope = ?1 AND mine = 1");
    db.prepare_cached(&sql)?
        .query_row([scope.to_string()], origin_row)
        .optional()?
        .map(with_scope)
        .transpose()
}

pub(super) fn open_origin(
    db: &Connection,
    id: Uuid,
    scope: &Scope,
    site: &str,
    mine: bool,
    node_id: Option<Uuid>,
) -> Done<Origin> {
    let head = Link::start(id);
    db.prepare_cached(
        "INSERT INTO origins (origin, scope, site, mine, node_id, seq, head) VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6)",
    )?
    .execute(params![id, scope.to_string(), site, mine, node_id, head.as_bytes()])?;
    Ok(Origin { no: db.last_insert_rowid(), id, scope: scope.clone(), node_id, seq: 0, head })
}

/// Notes the stream's new head.
pub(super) fn save_origin(db: &Connection, origin: &Origin) -> Done<()> {
    db.prepare_cached("UPDATE origins SET seq = ?2, head = ?3 WHERE origin_no = ?1")?.execute(params![
        origin.no,
        origin.seq as i64,
        origin.head.as_bytes()
    ])?;
    Ok(())
}

/// Adds the stream's next change and merges it. Moves `origin` on; the caller saves it once for a run of changes.
pub(super) fn add(db: &Connection, incoming: Incoming<'_>) -> Done<Added> {
    let seq = incoming.origin.seq + 1;
    add_numbered(db, incoming, seq)
}

/// Adds the stream's next change without merging it: as it came, in quarantine, for `reason`.
pub(super) fn add_aside(db: &Connection, incoming: Incoming<'_>, code: &str, reason: &str) -> Done<Added> {
    let seq = incoming.origin.seq + 1;
    let (now_ms, stored) = (incoming.now_ms, store(db, incoming, seq)?);
    set_aside(db, stored.change_no, stored.record_id, false, code, reason, now_ms)?;
    Ok(Added { outcome: quarantined(code, reason), change_no: stored.change_no, document: None })
}

/// Like [`add`], under the number `seq`, which may leave a gap behind the stream's head.
pub(super) fn add_numbered(db: &Connection, incoming: Incoming<'_>, seq: u64) -> Done<Added> {
    let claim = incoming.claim;
    let (received_ms, now_ms, scope) = (incoming.received_ms, incoming.now_ms, incoming.origin.scope.clone());
    let pusher = incoming.origin.node_id;
    let Stored { id, hlc, change_no, record_id, parsed } = store(db, incoming, seq)?;
    let mut document = None;
    let outcome = match parsed {
        Err(malformed) => Outcome::Quarantined { code: quarantine::MALFORMED.to_owned(), reason: malformed.0 },
        // Whoever can write to a node's disk must not become an administrator of the hub by it.
        Ok(change) if pusher.is_some() && matches!(change.kind.as_str(), record::STORE | record::ACCOUNT) => {
            quarantined(quarantine::NOT_YOURS, "only headquarters makes and changes stores and accounts")
        }
        Ok(change) if is_headquarters(db, pusher, &change)? => {
            quarantined(quarantine::NOT_YOURS, "only headquarters orders an erasure, or holds an incident")
        }
        Ok(change) => {
            let place = Place { id, hlc, scope: &scope, received_ms, now_ms, claim };
            merge(db, &place, &change, &mut document)?
        }
    };
    match &outcome {
        Outcome::Quarantined { code, reason } => set_aside(db, change_no, record_id, false, code, reason, now_ms)?,
        Outcome::Deferred => {
            set_aside(
                db,
                change_no,
                record_id,
                true,
                "waits",
                "an earlier change of the same record is in quarantine",
                now_ms,
            )?;
        }
        Outcome::Applied | Outcome::Merged | Outcome::Duplicate => {}
    }
    Ok(Added { outcome, change_no, document })
}

fn is_headquarters(db: &Connection, pusher: Option<Uuid>, change: &Change) -> Done<bool> {
    pusher.map_or(Ok(false), |node_id| erasures::is_headquarters(db, node_id, change))
}

/// A change that is in its stream and not yet in its record.
struct Stored {
    id: ChangeId,
    hlc: Hlc,
    change_no: i64,
    record_id: Option<Uuid>,
    parsed: Result<Change, Malformed>,
}

/// Keeps a body as it came and moves its stream on.
fn store(db: &Connection, incoming: Incoming<'_>, seq: u64) -> Done<Stored> {
    let Incoming { origin, body, parsed, hlc, received_ms, now_ms, claim: _ } = incoming;
    let hlc = hlc.unwrap_or_else(|| parsed.as_ref().map_or(Hlc::new(now_ms, 0), Change::order));
    let record_id = parsed.as_ref().ok().map(|change| change.id);
    // Values that an order names are never written, whenever they come.
    let left = record_id.map_or(Ok(None), |id| erasures::left(db, id, body))?;
    let (body, parsed) = left.as_ref().map_or((body, parsed), |left| (left.as_str(), Change::from_body(left)));
    db.prepare_cached(
        "INSERT INTO changes (origin_no, seq, record_id, hlc, received_ms, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![origin.no, seq as i64, record_id, hlc.to_i64(), received_ms, body])?;
    let change_no = db.last_insert_rowid();
    if left.is_some() || erasure::original(body.as_bytes()).is_some() {
        erasures::note(db, change_no)?;
    }
    origin.seq = seq;
    origin.head = origin.head.extend(body.as_bytes());
    Ok(Stored { id: ChangeId { origin: origin.id, seq }, hlc, change_no, record_id, parsed })
}

fn set_aside(
    db: &Connection,
    change_no: i64,
    record: Option<Uuid>,
    waits: bool,
    code: &str,
    reason: &str,
    now_ms: i64,
) -> Done<()> {
    db.prepare_cached(
        "INSERT INTO quarantine (change_no, record_id, waits, code, reason, since_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![change_no, record, waits, code, reason, now_ms])?;
    Ok(())
}

fn is_waiting(db: &Connection, record: Uuid) -> Done<bool> {
    Ok(db
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM quarantine WHERE record_id = ?1)")?
        .query_row([record], |row| row.get(0))?)
}

fn quarantined(code: &str, reason: impl Into<String>) -> Outcome {
    Outcome::Quarantined { code: code.to_owned(), reason: reason.into() }
}

/// Where a readable change stands.
struct Place<'a> {
    id: ChangeId,
    hlc: Hlc,
    scope: &'a Scope,
    received_ms: Option<i64>,
    now_ms: i64,
    claim: Option<&'a [u8; 32]>,
}

/// Merges one readable change into its record, or says why not. `document`: see [`Added`].
fn merge(db: &Connection, place: &Place<'_>, change: &Change, document: &mut Option<Document>) -> Done<Outcome> {
    let &Place { id, hlc, scope, received_ms, now_ms, claim } = place;
    if is_waiting(db, change.id)? {
        return Ok(Outcome::Deferred);
    }
    if let Some(wrong) = record::check(&change.kind, &change.set).into_iter().next() {
        return Ok(quarantined(quarantine::BAD_VALUE, format!("{}: {}", wrong.field, wrong.message)));
    }
    let found = load_record(db, change.id)?;
    if let Some(found) = &found
        && (found.kind != change.kind || &found.scope != scope)
    {
        return Ok(quarantined(
            quarantine::NOT_YOURS,
            "the record exists as something else or belongs to another scope",
        ));
    }
    if found.is_none() && !change.new {
        return Ok(quarantined(quarantine::NO_RECORD, "the record it changes has never been recorded"));
    }
    let parent = match parent_of(change) {
        // A later change of a record need not say again whose it is.
        None => match found.as_ref().and_then(|found| found.parent_no) {
            Some(no) => load_record_no(db, no)?,
            None => None,
        },
        Some(parent) => {
            if is_waiting(db, parent)? {
                return Ok(Outcome::Deferred);
            }
            match load_record(db, parent)? {
                Some(parent) if parent.kind == record::INCIDENT && &parent.scope == scope => Some(parent),
                Some(_) => {
                    return Ok(quarantined(
                        quarantine::NOT_YOURS,
                        "it belongs to something that is no incident of this scope",
                    ));
                }
                None => {
                    return Ok(quarantined(
                        quarantine::NO_RECORD,
                        "the incident it belongs to has never been recorded",
                    ));
                }
            }
        }
    };

    let fresh = found.is_none();
    let mut record = found.unwrap_or_else(|| Record {
        no: 0,
        id: change.id,
        kind: change.kind.clone(),
        scope: scope.clone(),
        parent_no: parent.as_ref().map(|parent| parent.no),
        state: RecordState::default(),
        received_ms,
    });
    let applied = record.state.apply(id, hlc, change);
    if fresh {
        erasures::mark_state(db, record.id, &mut record.state)?;
        if let Some(wrong) = record::check_whole(&change.kind, &record.state).into_iter().next() {
            return Ok(quarantined(quarantine::BAD_VALUE, format!("{}: {}", wrong.field, wrong.message)));
        }
        insert_record(db, &mut record)?;
    } else {
        save_state(db, &record)?;
    }
    if fresh {
        *document = project::fresh(db, &record, claim)?;
    } else {
        project::record(db, &record)?;
    }
    if let Some(mut parent) = parent {
        if change.kind == record::STEP && step_into(&mut parent.state, id, hlc, change) {
            save_state(db, &parent)?;
            project::record(db, &parent)?;
        }
        project::child(db, &parent, &record)?;
    }

    let mut conflict = false;
    for field in &applied.met {
        if !losers(&writes_of(db, &record, field)?).is_empty() {
            conflict = true;
            raise_review(db, record.no, field, now_ms)?;
        }
    }
    if !record.state.edited_while_deleted().is_empty() {
        conflict = true;
        raise_review(db, record.no, DELETED, now_ms)?;
    }
    Ok(if conflict { Outcome::Merged } else { Outcome::Applied })
}

/// A step moves its incident's status where it is later than whatever set it before: the same rule as for a field.
pub(super) fn step_into(incident: &mut RecordState, id: ChangeId, hlc: Hlc, step: &Change) -> bool {
    let Some(to) = step.set.get("to") else { return false };
    let stamp = Stamp { hlc, id };
    let later = incident.cells.get("status").is_none_or(|cell| stamp > cell.stamp);
    if later {
        incident.cells.insert("status".to_owned(), Cell { value: to.clone(), stamp });
    }
    later
}

fn raise_review(db: &Connection, record_no: i64, field: &str, now_ms: i64) -> Done<()> {
    db.prepare_cached("INSERT INTO reviews (record_no, field, since_ms) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING")?
        .execute(params![record_no, field, now_ms])?;
    Ok(())
}

/// The incident that a comment or a step belongs to.
pub(super) fn parent_of(change: &Change) -> Option<Uuid> {
    if change.kind == record::INCIDENT {
        return None;
    }
    change.set.get("incident_id").and_then(Value::as_str).and_then(|text| Uuid::try_parse(text).ok())
}

fn insert_record(db: &Connection, record: &mut Record) -> Done<()> {
    db.prepare_cached(
        "INSERT INTO records (record_id, kind, scope, parent_no, state, received_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![
        record.id,
        record.kind,
        record.scope.to_string(),
        record.parent_no,
        state_text(record)?,
        record.received_ms
    ])?;
    record.no = db.last_insert_rowid();
    Ok(())
}

fn state_text(record: &Record) -> Done<String> {
    serde_json::to_string(&record.state).map_err(|e| Fail::Broken(e.to_string()))
}

fn save_state(db: &Connection, record: &Record) -> Done<()> {
    db.prepare_cached("UPDATE records SET state = ?2 WHERE record_no = ?1")?
        .execute(params![record.no, state_text(record)?])?;
    Ok(())
}

type RecordRow = (i64, Uuid, String, String, Option<i64>, String, Option<i64>);

fn record_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<RecordRow> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?))
}

fn record_of((no, id, kind, scope, parent_no, state, received_ms): RecordRow) -> Done<Record> {
    let state = serde_json::from_str(&state).map_err(|e| Fail::Broken(format!("state of record {id}: {e}")))?;
    Ok(Record { no, id, kind, scope: parse_scope(&scope)?, parent_no, state, received_ms })
}

pub(super) fn load_record(db: &Connection, id: Uuid) -> Done<Option<Record>> {
    db.prepare_cached(
        "SELECT record_no, record_id, kind, scope, parent_no, state, received_ms FROM records WHERE record_id = ?1",
    )?
    .query_row([id], record_row)
    .optional()?
    .map(record_of)
    .transpose()
}

pub(super) fn load_record_no(db: &Connection, no: i64) -> Done<Option<Record>> {
    db.prepare_cached(
        "SELECT record_no, record_id, kind, scope, parent_no, state, received_ms FROM records WHERE record_no = ?1",
    )?
    .query_row([no], record_row)
    .optional()?
    .map(record_of)
    .transpose()
}

/// One merged change of a record, as history and audits read it.
pub(super) struct Told {
    pub(super) id: ChangeId,
    pub(super) hlc: Hlc,
    pub(super) site: String,
    /// Only a part of it is left.
    pub(super) erased: bool,
    pub(super) change: Change,
}

/// Every merged change of one record, in the order of all changes.
pub(super) fn told(db: &Connection, record: Uuid) -> Done<Vec<Told>> {
    let mut statement = db.prepare_cached(
        "SELECT o.origin, c.seq, c.hlc, o.site, c.body FROM changes c JOIN origins o ON o.origin_no = c.origin_no \
         WHERE c.record_id = ?1 AND NOT EXISTS (SELECT 1 FROM quarantine q WHERE q.change_no = c.change_no)",
    )?;
    let mut rows = statement.query([record])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        let id = ChangeId { origin: row.get(0)?, seq: row.get::<_, i64>(1)? as u64 };
        let body: String = row.get(4)?;
        let change = Change::from_body(&body).map_err(|e| Fail::Broken(format!("change {id}: {e}")))?;
        let erased = erasure::original(body.as_bytes()).is_some();
        all.push(Told { id, hlc: Hlc::from_i64(row.get(2)?), site: row.get(3)?, erased, change });
    }
    all.sort_by_key(|told| Stamp { hlc: told.hlc, id: told.id });
    Ok(all)
}

/// Every write of one field of a record.
fn writes_of(db: &Connection, record: &Record, field: &str) -> Done<Vec<Write>> {
    Ok(told(db, record.id)?
        .into_iter()
        .filter(|told| told.change.set.contains_key(field))
        .map(|told| Write {
            stamp: Stamp { hlc: told.hlc, id: told.id },
            base: told.change.base.get(field).copied(),
        })
        .collect())
}

/// The state that a record's changes, and the steps that belong to it, amount to.
pub(super) fn rebuild(db: &Connection, record: &Record) -> Done<RecordState> {
    let mut state = RecordState::default();
    for told in told(db, record.id)? {
        state.apply(told.id, told.hlc, &told.change);
    }
    if record.kind == record::INCIDENT {
        let mut steps = db.prepare_cached("SELECT record_id FROM records WHERE parent_no = ?1 AND kind = 'step'")?;
        let steps: Vec<Uuid> = steps.query_map([record.no], |row| row.get(0))?.collect::<Result<_, _>>()?;
        for step in steps {
            for told in told(db, step)? {
                step_into(&mut state, told.id, told.hlc, &told.change);
            }
        }
    }
    erasures::mark_state(db, record.id, &mut state)?;
    Ok(state)
}

/// Moves a change to another place in the order and puts its record together anew.
pub(super) fn restamp(db: &Connection, change_no: i64, hlc: Hlc) -> Done<()> {
    db.prepare_cached("UPDATE changes SET hlc = ?2 WHERE change_no = ?1")?
        .execute(params![change_no, hlc.to_i64()])?;
    let record: Option<Uuid> = db
        .prepare_cached("SELECT record_id FROM changes WHERE change_no = ?1")?
        .query_row([change_no], |row| row.get(0))?;
    record.map_or(Ok(()), |record| put_together(db, record))
}

/// Puts a record, and the incident it belongs to, together anew from their changes.
pub(super) fn put_together(db: &Connection, id: Uuid) -> Done<()> {
    let Some(mut record) = load_record(db, id)? else {
        return Ok(());
    };
    record.state = rebuild(db, &record)?;
    save_state(db, &record)?;
    project::record(db, &record)?;
    if let Some(mut parent) = record.parent_no.map(|no| load_record_no(db, no)).transpose()?.flatten() {
        parent.state = rebuild(db, &parent)?;
        save_state(db, &parent)?;
        project::record(db, &parent)?;
        project::child(db, &parent, &record)?;
    }
    Ok(())
}

/// Gives merged changes their numbers in their scope's feed, in order: the last step of a hub's transaction.
pub(super) fn feed(db: &Connection, changes: &[(Scope, i64)]) -> Done<()> {
    let mut heads: HashMap<&Scope, i64> = HashMap::new();
    for (scope, change_no) in changes {
        let name = scope.to_string();
        let head = match heads.get(scope) {
            Some(head) => *head,
            None => db
                .prepare_cached("SELECT seq FROM scopes WHERE scope = ?1")?
                .query_row([&name], |row| row.get(0))
                .optional()?
                .unwrap_or(0),
        } + 1;
        heads.insert(scope, head);
        let body: String = db
            .prepare_cached("SELECT body FROM changes WHERE change_no = ?1")?
            .query_row([change_no], |row| row.get(0))?;
        db.prepare_cached("INSERT INTO feed (scope, seq, change_no, tag) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![name, head, change_no, tag(&body)])?;
    }
    for (scope, head) in heads {
        db.prepare_cached(
            "INSERT INTO scopes (scope, seq) VALUES (?1, ?2) ON CONFLICT (scope) DO UPDATE SET seq = excluded.seq",
        )?
        .execute(params![scope.to_string(), head])?;
    }
    Ok(())
}

/// What a cursor says of the change it stands at: the first four bytes of its digest.
fn tag(body: &str) -> u32 {
    let [a, b, c, d, ..] = erasure::digest(body.as_bytes());
    u32::from_be_bytes([a, b, c, d])
}

/// Moves the site's clock behind a change it took.
pub(super) fn saw(db: &Connection, hlc: Hlc) -> Done<()> {
    site::observe(db, hlc)
}
