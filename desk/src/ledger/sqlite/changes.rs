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

use super::aside::{self, Aside};
use super::fail::{Done, Fail};
use super::met::{Met, met};
use super::{acts, erasures, project, reviews, settle, site, sums};

pub(super) use super::feed::{feed, tag};
pub(super) use super::together::{follow, put_together, rebuild, restamp};
pub(super) use super::told::{Told, told, writes_of};
use crate::document::Document;
use chassis::sqlite::rusqlite::{self, Connection, OptionalExtension, params};
use serde_json::Value;
use sync_protocol::chain::Link;
use sync_protocol::change::{Change, ChangeId, MAX_BODY_BYTES, Malformed};
use sync_protocol::checksum::{bucket_of, record_sum};
use sync_protocol::erasure;
use sync_protocol::hlc::Hlc;
use sync_protocol::merge::{Cell, RecordState, Stamp};
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
    /// What it meets here, where that is known already.
    pub(super) met: Option<Met>,
}

/// What became of a change.
pub(super) struct Added {
    pub(super) outcome: Outcome,
    /// Its number here.
    pub(super) change_no: i64,
    /// The document of the incident that it recorded for the first time.
    pub(super) document: Option<Document>,
    /// Changes that left quarantine because of it, in the order in which they went into their records.
    pub(super) released: Vec<i64>,
}

impl Added {
    /// What a scope's feed has to tell of it: the change itself where it is in its record, and what it released.
    pub(super) fn told(&self) -> impl Iterator<Item = i64> {
        let own = matches!(self.outcome, Outcome::Applied | Outcome::Merged).then_some(self.change_no);
        own.into_iter().chain(self.released.iter().copied())
    }
}

/// What happens besides while a change is merged.
#[derive(Default)]
pub(super) struct Made {
    /// See [`Added::document`].
    pub(super) document: Option<Document>,
    /// What leaves quarantine because of it; see [`settle`].
    pub(super) settling: settle::Settling,
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

/// Why a change is kept without being tried.
#[derive(Clone, Copy, Debug)]
pub(super) enum Untried<'a> {
    /// It made the site fail; this is for a person.
    Failed(&'a str),
    /// What is here of its record is damaged: it waits until that is whole, and nothing is wrong with it.
    Waits,
}

/// Adds the stream's next change without merging it: as it came, in quarantine, for `why`.
pub(super) fn add_aside(db: &Connection, incoming: Incoming<'_>, why: Untried<'_>) -> Done<Added> {
    let seq = incoming.origin.seq + 1;
    let (now_ms, met) = (incoming.now_ms, looked(db, &incoming, seq)?);
    let stored = store(db, incoming, seq, None, &met)?;
    let parent = stored.parsed.as_ref().ok().and_then(parent_of);
    let outcome = match why {
        Untried::Failed(reason) => quarantined(quarantine::FAILED, reason),
        Untried::Waits => Outcome::Deferred,
    };
    keep_aside(db, &outcome, (stored.change_no, stored.record_id, parent), now_ms)?;
    Ok(Added { outcome, change_no: stored.change_no, document: None, released: Vec::new() })
}

/// Like [`add`], under the number `seq`, which may leave a gap behind the stream's head.
pub(super) fn add_numbered(db: &Connection, incoming: Incoming<'_>, seq: u64) -> Done<Added> {
    add_back(db, incoming, seq, None)
}

/// Like [`add_numbered`], for a change that was lost and comes back: under the number `change_no` that it had here, where that is
/// known, so that it comes before what came after it.
pub(super) fn add_back(db: &Connection, incoming: Incoming<'_>, seq: u64, change_no: Option<i64>) -> Done<Added> {
    let Incoming { claim, received_ms, now_ms, .. } = incoming;
    let scope = incoming.origin.scope.clone();
    let pusher = incoming.origin.node_id;
    let is_too_large = incoming.body.len() > MAX_BODY_BYTES;
    let met = looked(db, &incoming, seq)?;
    let Stored { id, hlc, change_no, record_id: record, parsed } = store(db, incoming, seq, change_no, &met)?;
    let parent = parsed.as_ref().ok().and_then(parent_of);
    let place = Place { change_no, id, hlc, scope: &scope, received_ms, now_ms, claim, met };
    let mut made = Made::default();
    if met.decided {
        // A person decided against it before it got here.
        let (code, reason) = settle::DECIDED;
        let aside = Aside {
            change_no,
            record,
            parent,
            waits: false,
            code,
            reason,
            since_ms: now_ms,
            settled: true,
        };
        aside::keep(db, &aside)?;
        return Ok(Added { outcome: Outcome::Duplicate, change_no, document: None, released: Vec::new() });
    }
    let outcome = judge(db, &place, &parsed, is_too_large, pusher, &mut made)?;
    if let (Outcome::Applied | Outcome::Merged, Ok(change)) = (&outcome, &parsed)
        && acts::is_act(change)
        && site::is_hub(db)?
        && let Some(record) = load_record(db, change.id)?
    {
        acts::note_change(db, change_no, &scope, change, &record.state)?;
    }
    let held_up = aside::held_up(&outcome, parsed.as_ref().ok());
    keep_aside(db, &outcome, (change_no, held_up, parent), now_ms)?;
    let released = settle::work(db, made.settling, now_ms)?;
    Ok(Added { outcome, change_no, document: made.document, released })
}

/// Keeps a change out of its record where `outcome` says so.
pub(super) fn keep_aside(
    db: &Connection,
    outcome: &Outcome,
    (change_no, record, parent): (i64, Option<Uuid>, Option<Uuid>),
    since_ms: i64,
) -> Done<()> {
    let (waits, code, reason) = match outcome {
        Outcome::Quarantined { code, reason } => (false, code.as_str(), reason.as_str()),
        Outcome::Deferred => (true, aside::WAITS.0, aside::WAITS.1),
        Outcome::Applied | Outcome::Merged | Outcome::Duplicate => return Ok(()),
    };
    aside::keep(db, &Aside { change_no, record, parent, waits, code, reason, since_ms, settled: false })
}

/// Puts a change into its record, or says why not. `pusher`: at the hub, the node that recorded it.
pub(super) fn judge(
    db: &Connection,
    place: &Place<'_>,
    parsed: &Result<Change, Malformed>,
    is_too_large: bool,
    pusher: Option<Uuid>,
    made: &mut Made,
) -> Done<Outcome> {
    match parsed {
        Err(malformed) if is_too_large => Ok(quarantined(quarantine::TOO_LARGE, malformed.0.as_str())),
        Err(malformed) => Ok(quarantined(quarantine::MALFORMED, malformed.0.as_str())),
        Ok(change) => match (not_a_nodes(db, pusher, change)?, change.instead_of) {
            (Some(why), _) => Ok(quarantined(quarantine::NOT_YOURS, why)),
            (None, Some(stood_for)) => settle::stand_in(db, place, change, stood_for, made),
            (None, None) => merge(db, place, change, false, made),
        },
    }
}

/// Why a change of the node `pusher` is not its to make: whoever can write to a node's disk must not become an administrator of
/// the hub by it.
pub(super) fn not_a_nodes(db: &Connection, pusher: Option<Uuid>, change: &Change) -> Done<Option<&'static str>> {
    let Some(node_id) = pusher else { return Ok(None) };
    if matches!(change.kind.as_str(), record::STORE | record::ACCOUNT) {
        return Ok(Some("only headquarters makes and changes stores and accounts"));
    }
    if change.kind == record::SETTINGS {
        return Ok(Some("only headquarters makes settings"));
    }
    let is_headquarters = erasures::is_headquarters(db, node_id, change)?;
    Ok(is_headquarters.then_some("only headquarters orders an erasure, or holds an incident"))
}

/// A change that is in its stream and not yet in its record.
struct Stored {
    id: ChangeId,
    hlc: Hlc,
    change_no: i64,
    record_id: Option<Uuid>,
    parsed: Result<Change, Malformed>,
}

/// What the change meets, where its author has not looked yet.
fn looked(db: &Connection, incoming: &Incoming<'_>, seq: u64) -> Done<Met> {
    let record = incoming.parsed.as_ref().ok().map(|change| change.id);
    incoming.met.map_or_else(|| met(db, record, ChangeId { origin: incoming.origin.id, seq }), Ok)
}

/// Keeps a body as it came and moves its stream on. `no`: the number it is to have here.
fn store(db: &Connection, incoming: Incoming<'_>, seq: u64, no: Option<i64>, met: &Met) -> Done<Stored> {
    let Incoming { origin, body, parsed, hlc, received_ms, now_ms, claim: _, met: _ } = incoming;
    let hlc = hlc.unwrap_or_else(|| parsed.as_ref().map_or(Hlc::new(now_ms, 0), Change::order));
    let record_id = parsed.as_ref().ok().map(|change| change.id);
    // Values that an order names are never written, whenever they come.
    let left = match record_id {
        Some(id) if met.erased => erasures::left(db, id, body)?,
        Some(_) => None,
        None => erasures::left_unread(db, body)?,
    };
    // Its picture may have been made while the order came.
    if let Some(change) = parsed.as_ref().ok().filter(|change| change.kind == record::PHOTO) {
        erasures::contents(db, change.id, change)?;
    }
    let (body, parsed) = match (&left, record_id) {
        (Some(left), Some(_)) => (left.as_str(), Change::from_body(left)),
        (Some(left), None) => (left.as_str(), parsed),
        (None, _) => (body, parsed),
    };
    db.prepare_cached(
        "INSERT INTO changes (change_no, origin_no, seq, record_id, hlc, received_ms, body, digest) \
         VALUES (?8, ?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        origin.no,
        seq as i64,
        record_id,
        hlc.to_i64(),
        received_ms,
        body,
        sums::digest(hlc, body),
        no
    ])?;
    let change_no = db.last_insert_rowid();
    if left.is_some() || erasure::original(body.as_bytes()).is_some() {
        erasures::note(db, change_no)?;
    }
    // One that had been in quarantine at headquarters comes to a node late: whoever adds it puts the head right.
    if seq > origin.seq {
        origin.seq = seq;
        origin.head = origin.head.extend(body.as_bytes());
    }
    Ok(Stored { id: ChangeId { origin: origin.id, seq }, hlc, change_no, record_id, parsed })
}

pub(super) fn quarantined(code: &str, reason: impl Into<String>) -> Outcome {
    Outcome::Quarantined { code: code.to_owned(), reason: reason.into() }
}

/// Where a readable change stands.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) change_no: i64,
    pub(super) id: ChangeId,
    pub(super) hlc: Hlc,
    pub(super) scope: &'a Scope,
    pub(super) received_ms: Option<i64>,
    pub(super) now_ms: i64,
    pub(super) claim: Option<&'a [u8; 32]>,
    /// What it met.
    pub(super) met: Met,
}

/// Merges one readable change into its record, or says why not. `ahead`: it waits behind nothing of its own record.
pub(super) fn merge(
    db: &Connection,
    place: &Place<'_>,
    change: &Change,
    ahead: bool,
    made: &mut Made,
) -> Done<Outcome> {
    let &Place { change_no, id, hlc, scope, received_ms, now_ms, claim, met } = place;
    let ahead = ahead || !met.aside || (change.new && aside::is_missed(db, change.id)?);
    if !ahead && aside::is_before(db, change.id, change_no)? {
        return Ok(Outcome::Deferred);
    }
    if !met.is_valid
        && let Some(wrong) = record::check(&change.kind, &change.set).into_iter().next()
    {
        return Ok(quarantined(quarantine::BAD_VALUE, format!("{}: {}", wrong.field, wrong.message)));
    }
    let found = if met.record { load_record(db, change.id)? } else { None };
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
            if aside::is_before(db, parent, change_no)? {
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

    if change.kind == record::SETTLEMENT
        && let Some(why) = settle::overreach(db, scope, change, found.as_ref().map(|found| &found.state))?
    {
        return Ok(quarantined(quarantine::NOT_YOURS, why));
    }

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
        if met.erased {
            erasures::mark_state(db, record.id, &mut record.state)?;
        } else {
            erasures::unmark(&mut record.state);
        }
        if !met.is_valid
            && let Some(wrong) = record::check_whole(&change.kind, &record.state).into_iter().next()
        {
            return Ok(quarantined(quarantine::BAD_VALUE, format!("{}: {}", wrong.field, wrong.message)));
        }
        insert_record(db, &mut record)?;
    } else {
        save_state(db, &record)?;
    }
    if fresh {
        made.document = project::fresh(db, &record, claim)?;
    } else {
        project::record(db, &record)?;
    }
    if let Some(mut parent) = parent {
        if change.kind == record::STEP && step_into(&mut parent.state, id, hlc, change) {
            save_state(db, &parent)?;
            project::record(db, &parent)?;
            reviews::after_step(db, &parent, now_ms)?;
        }
        project::child(db, &parent, &record)?;
    }

    if fresh && (met.aside || met.children) && aside::is_awaited(db, change.id)? {
        made.settling.release(change.id);
    }
    if change.kind == record::SETTLEMENT {
        settle::take(db, &record, change, now_ms, &mut made.settling)?;
        return Ok(Outcome::Applied);
    }
    let conflict = reviews::after(db, &record, change, &applied.met, now_ms)?;
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

/// The incident that a comment or a step belongs to.
pub(super) fn parent_of(change: &Change) -> Option<Uuid> {
    if change.kind == record::INCIDENT {
        return None;
    }
    change.set.get("incident_id").and_then(Value::as_str).and_then(|text| Uuid::try_parse(text).ok())
}

pub(super) fn insert_record(db: &Connection, record: &mut Record) -> Done<()> {
    let (sum_a, sum_b) = record_sum(record.id, &record.kind, &record.state).to_pair();
    db.prepare_cached(
        "INSERT INTO records (record_id, kind, scope, parent_no, state, received_ms, bucket, sum_a, sum_b, record_no) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?
    .execute(params![
        record.id,
        record.kind,
        record.scope.to_string(),
        record.parent_no,
        state_text(record)?,
        record.received_ms,
        bucket_of(record.id),
        sum_a,
        sum_b,
        // The next number, unless it had one.
        Some(record.no).filter(|no| *no > 0)
    ])?;
    record.no = db.last_insert_rowid();
    Ok(())
}

fn state_text(record: &Record) -> Done<String> {
    serde_json::to_string(&record.state).map_err(|e| Fail::Broken(e.to_string()))
}

pub(super) fn save_state(db: &Connection, record: &Record) -> Done<()> {
    let (sum_a, sum_b) = record_sum(record.id, &record.kind, &record.state).to_pair();
    db.prepare_cached("UPDATE records SET state = ?2, bucket = ?3, sum_a = ?4, sum_b = ?5 WHERE record_no = ?1")?
        .execute(params![record.no, state_text(record)?, bucket_of(record.id), sum_a, sum_b])?;
    Ok(())
}

type RecordRow = (i64, Uuid, String, String, Option<i64>, String, Option<i64>);

fn record_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<RecordRow> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?))
}

fn record_of((no, id, kind, scope, parent_no, state, received_ms): RecordRow) -> Done<Record> {
    let state = serde_json::from_str(&state).map_err(|e| Fail::Damaged(format!("state of record {id}: {e}")))?;
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

/// Moves the site's clock behind a change it took.
pub(super) fn saw(db: &Connection, hlc: Hlc) -> Done<()> {
    site::observe(db, hlc)
}
