//! Fields in which two people did not know of each other's edit, and what was decided about them.
//!
//! A row of `reviews` follows from the record's changes alone: it is open while [`undecided`] names anything, and after that
//! names the latest decision. A decision is a write of the field `settled/FIELD` in the record itself, so it travels, merges
//! and is told in the history like any other edit; it raises no review of its own.

use super::changes::{Record, Told, told, writes_of};
use super::fail::Done;
use crate::ledger::{Decided, Review, Said};
use chassis::clock::format_rfc3339;
use chassis::sqlite::rusqlite::{self, Connection, Row, params};
use serde_json::Value;
use std::collections::BTreeSet;
use sync_protocol::change::{Change, ChangeId};
use sync_protocol::merge::{DELETED, RecordState, Settled, Stamp, losers, undecided};
use uuid::Uuid;

/// What stands before the name of a field in the name of the field that settles it.
pub(super) const PREFIX: &str = "settled/";

/// Looks at the fields that `change`, just merged into `record`, is about; true where one of them has a lost write or the
/// record is both edited and deleted. `met`: see [`sync_protocol::merge::Applied`].
pub(super) fn after(db: &Connection, record: &Record, change: &Change, met: &[String], now_ms: i64) -> Done<bool> {
    let settled = change.set.keys().filter_map(|field| field.strip_prefix(PREFIX));
    let mut fields: Vec<&str> =
        met.iter().map(String::as_str).filter(|field| !field.starts_with(PREFIX)).chain(settled).collect();
    // A deletion is about every other field, so every edit may be about it.
    if record.state.cells.contains_key(DELETED) {
        fields.push(DELETED);
    }
    fields.sort_unstable();
    fields.dedup();
    if fields.is_empty() {
        return Ok(false);
    }
    let told = told(db, record.id)?;
    let mut conflict = !record.state.edited_while_deleted().is_empty();
    for field in fields {
        conflict |= met.iter().any(|met| met == field) && !losers(&writes_of(&told, field)).is_empty();
        look(db, record, &told, field, now_ms)?;
    }
    Ok(conflict)
}

/// Looks at an incident that a step moved: a deletion is about its status too.
pub(super) fn after_step(db: &Connection, incident: &Record, now_ms: i64) -> Done<()> {
    if incident.state.cells.contains_key(DELETED) {
        look(db, incident, &told(db, incident.id)?, DELETED, now_ms)?;
    }
    Ok(())
}

/// Looks again at every field of `record`, after its changes were put together anew: under other names or at other places they
/// may have met where they had not, and the other way round.
pub(super) fn again(db: &Connection, record: &Record) -> Done<()> {
    let rows: Vec<String> = db
        .prepare_cached("SELECT field FROM reviews WHERE record_no = ?1")?
        .query_map([record.no], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let told = told(db, record.id)?;
    let now_ms = told.iter().map(|told| told.change.at).max().unwrap_or(0);
    let written = record.state.cells.keys().filter(|field| !field.starts_with(PREFIX));
    let fields: BTreeSet<&String> = rows.iter().chain(written).collect();
    for field in fields {
        look(db, record, &told, field, now_ms)?;
    }
    Ok(())
}

/// Makes the row of one field what the record's changes say.
fn look(db: &Connection, record: &Record, told: &[Told], field: &str, now_ms: i64) -> Done<()> {
    let decisions = decisions(told, field);
    let settled: Vec<Settled> =
        decisions.iter().map(|told| Settled { id: told.id, lost: lost_of(told, field) }).collect();
    let is_open =
        !undecided(&writes_of(told, field), &settled).is_empty() || (field == DELETED && overruled(&record.state));
    // `told` is in the order of all changes.
    let latest = decisions.last().map(|told| told.no);
    if is_open {
        db.prepare_cached(
            "INSERT INTO reviews (record_no, field, since_ms, settled_no) VALUES (?1, ?2, ?3, NULL) \
             ON CONFLICT (record_no, field) DO UPDATE SET settled_no = NULL, \
             since_ms = CASE WHEN settled_no IS NULL THEN since_ms ELSE excluded.since_ms END",
        )?
        .execute(params![record.no, field, now_ms])?;
    } else if latest.is_some() {
        db.prepare_cached(
            "INSERT INTO reviews (record_no, field, since_ms, settled_no) VALUES (?1, ?2, ?3, ?4) \
             ON CONFLICT (record_no, field) DO UPDATE SET settled_no = excluded.settled_no",
        )?
        .execute(params![record.no, field, now_ms, latest])?;
    } else {
        db.prepare_cached("DELETE FROM reviews WHERE record_no = ?1 AND field = ?2")?
            .execute(params![record.no, field])?;
    }
    Ok(())
}

/// Whether an edit that a deletion had not seen keeps the record alive.
fn overruled(state: &RecordState) -> bool {
    !state.edited_while_deleted().is_empty()
}

/// The changes that decide about a field, in the order of all changes.
fn decisions<'a>(told: &'a [Told], field: &str) -> Vec<&'a Told> {
    let name = format!("{PREFIX}{field}");
    told.iter()
        .filter(|told| told.change.set.get(&name).is_some_and(|value| !value.is_null()))
        .collect()
}

fn lost_of(told: &Told, field: &str) -> BTreeSet<ChangeId> {
    let lost = told.change.set.get(&format!("{PREFIX}{field}")).and_then(|value| value.get("lost"));
    let ids = lost.and_then(Value::as_array).into_iter().flatten();
    ids.filter_map(|id| id.as_str()?.parse().ok()).collect()
}

const COLUMNS: &str = "i.incident_id, i.store_code, i.reference, v.field, v.since_ms, r.state";

type ReviewRow = (Uuid, String, String, String, i64, String);

fn review_row(row: &Row<'_>) -> rusqlite::Result<ReviewRow> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?))
}

/// Open reviews, or settled ones, newest incident first.
pub(super) fn list(db: &Connection, store: Option<&str>, settled: bool, limit: u32) -> Done<Vec<Review>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM reviews v CROSS JOIN incidents i ON i.incident_no = v.record_no \
         CROSS JOIN records r ON r.record_no = v.record_no \
         WHERE (v.settled_no IS NOT NULL) = ?1 AND (?2 IS NULL OR i.store_code = ?2) ORDER BY v.record_no DESC, v.field LIMIT ?3"
    );
    let mut statement = db.prepare_cached(&sql)?;
    let rows: Vec<ReviewRow> =
        statement.query_map(params![settled, store, limit], review_row)?.collect::<Result<_, _>>()?;
    rows.into_iter().map(|row| review(db, row)).collect()
}

/// The reviews of one incident.
pub(super) fn of_incident(db: &Connection, incident: Uuid) -> Done<Vec<Review>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM records r CROSS JOIN incidents i ON i.incident_no = r.record_no \
         CROSS JOIN reviews v ON v.record_no = r.record_no WHERE r.record_id = ?1 ORDER BY v.field"
    );
    let mut statement = db.prepare_cached(&sql)?;
    let rows: Vec<ReviewRow> = statement.query_map([incident], review_row)?.collect::<Result<_, _>>()?;
    rows.into_iter().map(|row| review(db, row)).collect()
}

fn review(db: &Connection, (incident_id, store_code, reference, field, since_ms, state): ReviewRow) -> Done<Review> {
    let state: RecordState = serde_json::from_str(&state)
        .map_err(|e| super::fail::Fail::Broken(format!("state of record {incident_id}: {e}")))?;
    let told = told(db, incident_id)?;
    let decisions = decisions(&told, &field);
    let settled: Vec<Settled> =
        decisions.iter().map(|told| Settled { id: told.id, lost: lost_of(told, &field) }).collect();
    let writes = writes_of(&told, &field);
    let find = |id: &ChangeId| told.iter().find(|told| told.id == *id);
    let mut open = undecided(&writes, &settled);
    let is_settled = open.is_empty() && !(field == DELETED && overruled(&state));
    if open.is_empty() {
        open = losers(&writes);
    }
    let mut lost: Vec<Said> = open.iter().filter_map(find).map(|told| said(told, &field)).collect();
    let standing_id = state.base_of(&field);
    let mut standing = standing_id.as_ref().and_then(find).map(|told| said(told, &field));
    if field == DELETED && overruled(&state) {
        // The deletion is the latest word, and yet an edit that it had not seen stands.
        let edits = state.edited_while_deleted().into_iter().filter_map(|field| state.cells.get(field));
        let latest = edits.map(|cell| cell.stamp).max_by_key(|stamp: &Stamp| *stamp);
        lost.extend(standing.take());
        standing = latest
            .and_then(|stamp| find(&stamp.id))
            .map(|told| Said { value: Value::Bool(false), ..said(told, DELETED) });
    }
    let decided = decisions.last().map(|told| Decided {
        change: told.id,
        by: told.change.by.clone(),
        at: format_rfc3339(told.change.at),
        site: told.site.clone(),
        keep: told
            .change
            .set
            .get(&format!("{PREFIX}{field}"))
            .and_then(|value| value.get("keep"))
            .and_then(Value::as_str)
            .unwrap_or("standing")
            .to_owned(),
    });
    Ok(Review {
        incident_id,
        store_code,
        reference,
        field,
        since_ms,
        is_settled,
        base: standing_id,
        standing,
        lost,
        decided,
    })
}

fn said(told: &Told, field: &str) -> Said {
    let value = told.change.set.get(field).cloned().unwrap_or(Value::Null);
    Said {
        change: told.id,
        by: told.change.by.clone(),
        at: format_rfc3339(told.change.at),
        site: told.site.clone(),
        value: if field == DELETED { Value::Bool(!value.is_null()) } else { value },
    }
}
