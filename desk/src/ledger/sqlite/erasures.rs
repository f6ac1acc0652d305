//! Orders of erasure at one site: which values they take out of the log, and what is left.
//!
//! `erased_fields` says which fields of which records orders name. Both ways meet in [`left`]: an order that arrives goes
//! through the changes that are here, a change that arrives asks for the orders that are. All of it happens in the
//! transaction that applies the one or the other, so no reader ever sees an order beside a value it names.
//!
//! What is left of a change is a change with its own digest in it ([`sync_protocol::erasure`]), so records, tables and
//! history follow from it as from any other. In the record an order leaves a mark, the cell `erased/ORDER`, at the order's place.
//!
//! What comes after, bytes in free pages and files, is in [`wipe`] and `crate::erasures`.

mod again;
mod damaged;
mod foretold;
mod read;
mod wipe;

pub(super) use again::{again, compare};
pub(super) use foretold::foretold;
pub(super) use read::{examine, is_told, named_fields};

use super::changes::{Record, load_record_no, put_together};
use super::fail::{Done, Fail};
use super::{feed, histories, site, sums};
use crate::erasures::marks;
use crate::ledger::{Identity, Listing};
use chassis::sqlite::rusqlite::{Connection, OptionalExtension, params};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use sync_protocol::change::{Change, ChangeId, Field};
use sync_protocol::erasure::{self, CONTENT, is_mark, mark, nothing_left, redact};
use sync_protocol::hlc::Hlc;
use sync_protocol::merge::{Cell, RecordState};
use sync_protocol::message::PageLine;
use sync_protocol::record::{ERASURE, INCIDENT, PHOTO};
use sync_protocol::seal::Seal;
use uuid::Uuid;

/// Shorter values are too likely to be part of something else.
const LEAST_TELLING_CHARS: usize = 4;

/// What is left of a body of the record; `None` where it stays as it is.
pub(super) fn left(db: &Connection, record_id: Uuid, body: &str) -> Done<Option<String>> {
    let fields = named_fields(db, record_id)?;
    if fields.is_empty() {
        return Ok(None);
    }
    let knows = erasure::knows(body);
    // An order that the author knew took what was there before.
    let is_erased = |field: &str| fields.get(field).is_some_and(|orders| orders.iter().any(|id| !knows.contains(id)));
    Ok(redact(body, is_erased))
}

/// What is left of a body that cannot be read as a change, where it names a record of which something was erased: nothing.
pub(super) fn left_unread(db: &Connection, body: &str) -> Done<Option<String>> {
    let Some(record) = loose_id(body) else { return Ok(None) };
    if named_fields(db, record)?.is_empty() || erasure::original(body.as_bytes()).is_some() {
        return Ok(None);
    }
    Ok(Some(nothing_left(body)))
}

/// The record that a body is about, whatever else is wrong with it.
fn loose_id(body: &str) -> Option<Uuid> {
    #[derive(serde::Deserialize)]
    struct Only {
        id: Uuid,
    }
    serde_json::from_str::<Only>(body).ok().map(|only| only.id)
}

/// Takes out of a kept change what orders name; what is left, where that is less.
pub(super) fn strip(db: &Connection, change_no: i64, record_id: Uuid, hlc: Hlc, body: &str) -> Done<Option<String>> {
    let Some(left) = left(db, record_id, body)? else {
        return Ok(None);
    };
    keep_left(db, change_no, hlc, &left)?;
    note(db, change_no)?;
    Ok(Some(left))
}

/// The hub's seal was on the whole; it makes another one for what is left.
fn keep_left(db: &Connection, change_no: i64, hlc: Hlc, left: &str) -> Done<()> {
    db.prepare_cached("UPDATE changes SET body = ?2, digest = ?3, seal = NULL WHERE change_no = ?1")?
        .execute(params![change_no, left, sums::digest(hlc, left)])?;
    Ok(())
}

/// The orders that somebody who writes these fields of a record here has seen. A photo that was erased stays erased.
pub(super) fn known(db: &Connection, kind: &str, record_id: Uuid, set: &BTreeMap<Field, Value>) -> Done<Vec<Uuid>> {
    if kind == PHOTO {
        return Ok(Vec::new());
    }
    let fields = named_fields(db, record_id)?;
    let known: BTreeSet<Uuid> = set.keys().filter_map(|field| fields.get(field)).flatten().copied().collect();
    Ok(known.into_iter().collect())
}

/// Whether a change of a node is headquarters' to make: orders and holds are, a node says only that itself has carried one out.
pub(super) fn is_headquarters(db: &Connection, node_id: Uuid, change: &Change) -> Done<bool> {
    if change.kind == INCIDENT {
        return Ok(change.set.contains_key("hold"));
    }
    if change.kind != ERASURE {
        return Ok(false);
    }
    if change.new {
        return Ok(true);
    }
    for field in change.set.keys() {
        let said_by = field.strip_prefix("done/").and_then(|id| Uuid::try_parse(id).ok());
        let own = match said_by {
            None => false,
            Some(id) if id == node_id => true,
            // What it said under an identity that has ended, and says again.
            Some(id) => db
                .prepare_cached(
                    "SELECT EXISTS (SELECT 1 FROM nodes n JOIN nodes m ON m.store_code = n.store_code \
                     WHERE n.node_id = ?1 AND m.node_id = ?2 AND (n.revoked_ms IS NOT NULL OR n.retired_ms IS NOT NULL))",
                )?
                .query_row(params![id, node_id], |row| row.get(0))?,
        };
        if !own {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Notes that only a part of a change is left, and that no order tells yet what of it is.
pub(super) fn note(db: &Connection, change_no: i64) -> Done<()> {
    db.prepare_cached("INSERT OR REPLACE INTO erased_changes (change_no, listed) VALUES (?1, 0)")?
        .execute([change_no])?;
    Ok(())
}

/// Notes that only a part of a change is left, where that is not known.
pub(super) fn note_once(db: &Connection, change_no: i64) -> Done<()> {
    db.prepare_cached("INSERT OR IGNORE INTO erased_changes (change_no, listed) VALUES (?1, 0)")?
        .execute([change_no])?;
    Ok(())
}

/// Carries an order out, as far as it has not been.
pub(super) fn project(db: &Connection, order: &Record) -> Done<()> {
    let incident = order.state.get("incident").and_then(Value::as_str).and_then(|id| Uuid::try_parse(id).ok());
    let incident = incident.ok_or_else(|| Fail::Broken(format!("order {} names no incident", order.id)))?;
    db.prepare_cached(
        "INSERT INTO erasures (erasure_no, erasure_id, incident_id, scope) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
    )?
    .execute(params![order.no, order.id, incident, order.scope.to_string()])?;
    let mut named: BTreeSet<Uuid> = BTreeSet::new();
    for (record, fields) in what(&order.state) {
        for field in fields {
            let new = db
                .prepare_cached(
                    "INSERT OR IGNORE INTO erased_fields (record_id, field, erasure_no) VALUES (?1, ?2, ?3)",
                )?
                .execute(params![record, field, order.no])?;
            if new > 0 {
                named.insert(record);
            }
        }
    }
    let mut values = BTreeSet::new();
    for record in &named {
        erase(db, order, *record, &mut values)?;
    }
    if !named.is_empty() {
        forks(db)?;
        unreadable(db, &values)?;
    }
    listed(db, &order.state)?;
    done_here(db, order)
}

/// Which fields of which records an order names.
pub(super) fn what(order: &RecordState) -> BTreeMap<Uuid, Vec<Field>> {
    what_of(order.cells.iter().map(|(field, cell)| (field.as_str(), &cell.value)))
}

fn what_of<'a>(written: impl Iterator<Item = (&'a str, &'a Value)>) -> BTreeMap<Uuid, Vec<Field>> {
    let named = written.filter_map(|(field, value)| {
        let record = Uuid::try_parse(field.strip_prefix("what/")?).ok()?;
        let fields = value.as_array()?.iter().filter_map(Value::as_str).map(ToOwned::to_owned).collect();
        Some((record, fields))
    });
    named.collect()
}

/// Takes the values out of every change of one record, and out of everything that follows from them.
fn erase(db: &Connection, order: &Record, id: Uuid, values: &mut BTreeSet<String>) -> Done<()> {
    let record = damaged::readable(db, id)?.filter(|record| record.scope == order.scope);
    let (mut is_whole, mut changes) = (true, Vec::new());
    for row in damaged::rows(db, id)? {
        changes.push(row.id);
        if let Some(body) = row.body {
            if let Some(change) = Change::from_body(&body).ok().filter(|change| change.kind == PHOTO) {
                contents(db, id, &change)?;
            }
            if let Some(left) = strip(db, row.change_no, id, row.hlc, &body)? {
                telling(&body, &left, values);
                reasons(db, row.change_no, values)?;
            }
        } else {
            is_whole = false;
            damaged::empty(db, row.change_no, row.id, &order.scope)?;
        }
    }
    let incident = record.as_ref().and_then(|record| record.parent_no);
    damaged::forget(db, id, incident, &changes)?;
    let Some(record) = record else { return Ok(()) };
    // Digests of requests that may have held the values: nobody shall be able to try values against them.
    let incident_no = record.parent_no.unwrap_or(record.no);
    db.prepare_cached("UPDATE documents SET claim = zeroblob(32) WHERE incident_no = ?1 AND claim IS NOT NULL")?
        .execute([incident_no])?;
    db.prepare_cached(
        "UPDATE idempotency SET digest = zeroblob(32) WHERE incident_id = (SELECT record_id FROM records WHERE record_no = ?1)",
    )?
    .execute([incident_no])?;
    if is_whole && damaged::is_all_whole(db, &record)? {
        put_together(db, id)
    } else {
        damaged::by_hand(db, record)
    }
}

/// Notes the contents that a change of a photo names, where orders remove them. All that it ever named: another picture of it may
/// have been made since.
pub(super) fn contents(db: &Connection, photo: Uuid, change: &Change) -> Done<()> {
    for field in ["sha256", "display/sha256", "thumbnail/sha256"] {
        let Some(sha256) = change.set.get(field).and_then(Value::as_str) else {
            continue;
        };
        db.prepare_cached(
            "INSERT OR IGNORE INTO erased_contents (sha256, erasure_no, removed) \
             SELECT ?1, erasure_no, 0 FROM erased_fields WHERE record_id = ?2 AND field = ?3",
        )?
        .execute(params![sha256, photo, CONTENT])?;
    }
    Ok(())
}

/// Why a change is in quarantine, here or at headquarters, may name what it held.
fn reasons(db: &Connection, change_no: i64, values: &BTreeSet<String>) -> Done<()> {
    let said: Vec<Option<String>> = db
        .prepare_cached(
            "SELECT reason FROM quarantine WHERE change_no = ?1 UNION ALL SELECT outcome FROM changes WHERE change_no = ?1",
        )?
        .query_map([change_no], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let names = |text: &String| values.iter().any(|value| text.contains(value.as_str()));
    if said.iter().flatten().any(names) {
        db.prepare_cached("UPDATE quarantine SET reason = ?2 WHERE change_no = ?1")?
            .execute(params![change_no, erasure::ERASED_TEXT])?;
        db.prepare_cached(
            "UPDATE changes SET outcome = 'quarantined: ' || ?2 || ': ' || ?3 WHERE change_no = ?1 AND outcome LIKE 'quarantined: %'",
        )?
        .execute(params![change_no, sync_protocol::message::quarantine::BAD_VALUE, erasure::ERASED_TEXT])?;
    }
    Ok(())
}

/// Texts that were in a body and are not in what is left of it.
fn telling(body: &str, left: &str, values: &mut BTreeSet<String>) {
    fn texts(value: &Value, out: &mut BTreeSet<String>) {
        match value {
            Value::String(text) if text.chars().count() >= LEAST_TELLING_CHARS => {
                out.insert(text.clone());
            }
            Value::Array(items) => items.iter().for_each(|item| texts(item, out)),
            Value::Object(members) => members.values().for_each(|member| texts(member, out)),
            _ => {}
        }
    }
    let texts_of = |body: &str| {
        let mut out = BTreeSet::new();
        if let Ok(change) = Change::from_body(body) {
            change.set.values().for_each(|value| texts(value, &mut out));
        }
        out
    };
    values.extend(texts_of(body).difference(&texts_of(left)).cloned());
}

/// Pushes that were kept aside because they contradict what is held.
fn forks(db: &Connection) -> Done<()> {
    let rows: Vec<(i64, String)> = db
        .prepare("SELECT fork_no, body FROM forks")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    for (fork_no, body) in rows {
        let kept = left_of_each(db, body.split('\n'))?;
        if kept != body {
            db.execute("UPDATE forks SET body = ?2 WHERE fork_no = ?1", params![fork_no, kept])?;
        }
    }
    Ok(())
}

/// What is left of some bodies, one a line.
pub(super) fn left_of_each<'a>(db: &Connection, bodies: impl Iterator<Item = &'a str>) -> Done<String> {
    let mut kept = Vec::new();
    for body in bodies {
        let left = match Change::from_body(body) {
            Ok(change) => left(db, change.id, body)?,
            Err(_) => left_unread(db, body)?,
        };
        kept.push(left.unwrap_or_else(|| body.to_owned()));
    }
    Ok(kept.join("\n"))
}

/// Bodies that are no changes; those that are about a record of which something was erased, or hold one of the values, go whole.
fn unreadable(db: &Connection, values: &BTreeSet<String>) -> Done<()> {
    let rows: Vec<(i64, i64, String)> = db
        .prepare(
            "SELECT c.change_no, c.hlc, c.body FROM quarantine q JOIN changes c ON c.change_no = q.change_no \
             WHERE c.record_id IS NULL",
        )?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<_, _>>()?;
    for (change_no, hlc, body) in rows {
        let holds = || values.iter().any(|value| body.contains(value.as_str()));
        let left = match left_unread(db, &body)? {
            None if holds() => Some(nothing_left(&body)),
            left => left,
        };
        let Some(left) = left else { continue };
        keep_left(db, change_no, Hlc::from_i64(hlc), &left)?;
        // No order can name it: it is never sent to anybody.
        db.execute("INSERT OR REPLACE INTO erased_changes (change_no, listed) VALUES (?1, 1)", [change_no])?;
        // What was wrong with it was told in its own words.
        db.execute("UPDATE quarantine SET reason = ?2 WHERE change_no = ?1", params![change_no, erasure::ERASED_TEXT])?;
    }
    damaged::forget_values(db, values)
}

/// The field of an order that tells of the change on a line.
fn name_of(line: &PageLine) -> Field {
    format!("left/{}", ChangeId { origin: line.origin, seq: line.seq })
}

/// What it tells: the digest of what is left, and headquarters' seal on the line with that.
fn told_of(digest: blake3::Hash, seal: Seal) -> Value {
    json!({"digest": digest.to_hex().as_str(), "seal": seal.to_string()})
}

/// The digest of what is left, as orders tell it, with the hub's seal on it.
fn listed(db: &Connection, order: &RecordState) -> Done<()> {
    for (field, cell) in &order.cells {
        let Some(id) = field.strip_prefix("left/").and_then(|id| id.parse::<ChangeId>().ok()) else {
            continue;
        };
        let found: Option<(i64, String)> = db
            .prepare_cached(
                "SELECT c.change_no, c.body FROM origins o CROSS JOIN changes c ON c.origin_no = o.origin_no AND c.seq = ?2 \
                 CROSS JOIN erased_changes x ON x.change_no = c.change_no WHERE o.origin = ?1 AND x.listed = 0",
            )?
            .query_row(params![id.origin, id.seq as i64], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((change_no, body)) = found else { continue };
        let told = cell.value.get("digest").and_then(Value::as_str);
        if told != Some(blake3::hash(body.as_bytes()).to_hex().as_str()) {
            continue;
        }
        db.prepare_cached("UPDATE erased_changes SET listed = 1 WHERE change_no = ?1")?
            .execute([change_no])?;
        let seal = cell.value.get("seal").and_then(Value::as_str);
        if let Some(seal) = seal.and_then(|seal| seal.parse::<Seal>().ok())
            && !site::is_hub(db)?
        {
            db.prepare_cached("UPDATE changes SET seal = ?2 WHERE change_no = ?1")?
                .execute(params![change_no, seal.as_bytes()])?;
        }
    }
    Ok(())
}

/// Notes that this site has said the order to be done: in the stream that it records under now, so that one that came back
/// from a backup does it again.
fn done_here(db: &Connection, order: &Record) -> Done<()> {
    let Some(own) = own_id(db)? else { return Ok(()) };
    let Some(cell) = order.state.cells.get(&format!("done/{}", own.hyphenated())) else {
        return Ok(());
    };
    db.prepare_cached(
        "UPDATE erasures SET done_ms = coalesce(done_ms, ?3) WHERE erasure_no = ?1 \
         AND EXISTS (SELECT 1 FROM origins WHERE origin = ?2 AND mine = 1)",
    )?
    .execute(params![order.no, cell.stamp.id.origin, cell.stamp.hlc.ms()])?;
    Ok(())
}

/// What this site goes by in orders.
pub(super) fn own_id(db: &Connection) -> Done<Option<Uuid>> {
    Ok(match site::identity(db)? {
        Identity::Hub { hub_id, .. } => Some(hub_id),
        Identity::Node(enrolment) => Some(enrolment.node_id),
        Identity::Unenrolled => None,
    })
}

/// Everything is to be said again: this site goes by another name now, or came back from a backup.
pub(super) fn say_again(db: &Connection) -> Done<()> {
    db.execute("UPDATE erasures SET done_ms = NULL", [])?;
    Ok(())
}

/// Takes marks that a change claims out of a state: only orders leave any.
pub(super) fn unmark(state: &mut RecordState) {
    state.cells.retain(|field, _| !is_mark(field));
}

/// Leaves the marks of all orders that name a record in its state.
pub(super) fn mark_state(db: &Connection, record_id: Uuid, state: &mut RecordState) -> Done<()> {
    unmark(state);
    let orders: BTreeSet<i64> = db
        .prepare_cached("SELECT erasure_no FROM erased_fields WHERE record_id = ?1")?
        .query_map([record_id], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for no in orders {
        let Some(order) = load_record_no(db, no)? else { continue };
        let Some(born) = &order.state.born else { continue };
        let fields = what(&order.state).remove(&record_id).unwrap_or_default();
        let reason = order.state.get("reason").cloned().unwrap_or_default();
        let value = json!({"at": born.at, "by": born.by, "fields": fields, "reason": reason});
        state.cells.insert(mark(order.id), Cell { value, stamp: born.stamp });
    }
    Ok(())
}

/// Whether an order removed the content of a photo.
pub(super) fn is_content_erased(photo: &RecordState) -> bool {
    marks(photo).iter().any(|mark| mark.fields.iter().any(|field| field == CONTENT))
}

/// Hub: what is left of changes that no order tells of, as fields of the newest order that names their record.
pub(super) fn unlisted(db: &Connection, limit: u32) -> Done<Option<Listing>> {
    type Row = (Uuid, i64, String, Option<i64>, i64, String, i64, Option<[u8; 16]>);
    let mut statement = db.prepare_cached(
        "SELECT o.origin, c.seq, o.site, c.received_ms, c.hlc, c.body, \
           (SELECT max(f.erasure_no) FROM erased_fields f WHERE f.record_id = c.record_id), c.digest \
         FROM erased_changes x CROSS JOIN changes c ON c.change_no = x.change_no \
         CROSS JOIN origins o ON o.origin_no = c.origin_no WHERE x.listed = 0 \
           AND EXISTS (SELECT 1 FROM erased_fields f WHERE f.record_id = c.record_id) ORDER BY x.change_no LIMIT ?1",
    )?;
    let rows: Vec<Row> = statement.query_map([limit], |row| row.try_into())?.collect::<Result<_, _>>()?;
    let Some(order_no) = rows.first().map(|row| row.6) else {
        return Ok(None);
    };
    let order = load_record_no(db, order_no)?.ok_or_else(|| Fail::Broken("an order has no record".to_owned()))?;
    let key = histories::hub_key(db)?;
    let mut left = BTreeMap::new();
    for (origin, seq, site, received_ms, hlc, body, no, kept) in rows {
        let placed = Hlc::from_i64(hlc);
        // One that is damaged is told when it is whole again.
        if no != order_no || !sums::is_whole(kept, placed, &body) {
            continue;
        }
        let digest = blake3::hash(body.as_bytes());
        let line = feed::line(&order.scope, origin, seq as u64, received_ms, placed, body)?;
        left.insert(name_of(&line), told_of(digest, key.line(&line, &site, placed)));
    }
    Ok((!left.is_empty()).then_some(Listing { id: order.id, scope: order.scope, left }))
}
