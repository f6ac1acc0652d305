//! Orders of erasure where the disk had damaged what they name: nothing of that can be read, so nothing of it stays, and what it
//! was made from comes back from the other side without what was erased.

use super::super::changes::{Record, load_record, load_record_no, save_state};
use super::super::fail::Done;
use super::super::{mend, project, site, sums};
use super::{mark_state, named_fields};
use crate::ledger::ScrubStep;
use chassis::sqlite::rusqlite::{Connection, params};
use std::collections::BTreeSet;
use sync_protocol::change::ChangeId;
use sync_protocol::erasure::left_of;
use sync_protocol::hlc::Hlc;
use sync_protocol::record::{INCIDENT, STEP};
use sync_protocol::scope::Scope;
use uuid::Uuid;

/// A change as it lies.
pub(super) struct Row {
    pub(super) change_no: i64,
    pub(super) id: ChangeId,
    pub(super) hlc: Hlc,
    /// `None`: it is damaged.
    pub(super) body: Option<String>,
}

pub(super) fn rows(db: &Connection, record: Uuid) -> Done<Vec<Row>> {
    let mut statement = db.prepare_cached(
        "SELECT c.change_no, o.origin, c.seq, c.hlc, CAST(c.body AS BLOB), c.digest FROM changes c \
         JOIN origins o ON o.origin_no = c.origin_no WHERE c.record_id = ?1 ORDER BY c.change_no",
    )?;
    let mut found = statement.query([record])?;
    let mut rows = Vec::new();
    while let Some(row) = found.next()? {
        let (hlc, kept) = (Hlc::from_i64(row.get(3)?), row.get(5)?);
        rows.push(Row {
            change_no: row.get(0)?,
            id: ChangeId { origin: row.get(1)?, seq: row.get::<_, i64>(2)? as u64 },
            hlc,
            body: String::from_utf8(row.get(4)?).ok().filter(|body| sums::is_whole(kept, hlc, body)),
        });
    }
    Ok(rows)
}

/// A record, put together again first where it cannot be read.
pub(super) fn readable(db: &Connection, id: Uuid) -> Done<Option<Record>> {
    match load_record(db, id) {
        Err(fail) if fail.is_damage() => {
            mend::record(db, id, site::last_reading(db)?.ms(), &mut ScrubStep::default())?;
            load_record(db, id)
        }
        other => other,
    }
}

/// Leaves nothing of a damaged change: it stays damaged, so that it is asked for, and keeps the digest by which it is known again.
pub(super) fn empty(db: &Connection, change_no: i64, id: ChangeId, scope: &Scope) -> Done<()> {
    db.prepare_cached("UPDATE changes SET body = '', seal = NULL WHERE change_no = ?1")?
        .execute([change_no])?;
    let now_ms = site::last_reading(db)?.ms();
    let mut step = ScrubStep::default();
    mend::note_change(db, id, &scope.to_string(), "it is not what was recorded", None, now_ms, &mut step)
}

/// Forgets what was set aside of a record, of its incident and of their changes.
pub(super) fn forget(db: &Connection, id: Uuid, incident_no: Option<i64>, changes: &[ChangeId]) -> Done<()> {
    let mut forget = db.prepare_cached("UPDATE damage SET aside = NULL WHERE name = ?1 AND aside IS NOT NULL")?;
    forget.execute([id.hyphenated().to_string()])?;
    for change in changes {
        forget.execute([change.to_string()])?;
    }
    if let Some(incident) = incident_no.map(|no| load_record_no(db, no)).transpose()?.flatten() {
        forget.execute([incident.id.hyphenated().to_string()])?;
    }
    Ok(())
}

/// Forgets what was set aside and holds one of the values.
pub(super) fn forget_values(db: &Connection, values: &BTreeSet<String>) -> Done<()> {
    let rows: Vec<(i64, String)> = db
        .prepare_cached("SELECT damage_no, aside FROM damage WHERE aside IS NOT NULL")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    for (damage_no, aside) in rows {
        if values.iter().any(|value| aside.contains(value.as_str())) {
            db.execute("UPDATE damage SET aside = NULL WHERE damage_no = ?1", [damage_no])?;
        }
    }
    Ok(())
}

/// Whether all that a record is put together from, its incident's included, can be read.
pub(super) fn is_all_whole(db: &Connection, record: &Record) -> Done<bool> {
    let incident = match record.parent_no {
        Some(no) => load_record_no(db, no)?,
        None => (record.kind == INCIDENT).then(|| record.clone()),
    };
    let Some(incident) = incident else { return Ok(true) };
    let mut steps = db.prepare_cached("SELECT record_id FROM records WHERE parent_no = ?1 AND kind = ?2")?;
    let steps: Vec<Uuid> = steps.query_map(params![incident.no, STEP], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for id in steps.into_iter().chain([incident.id]) {
        if rows(db, id)?.iter().any(|row| row.body.is_none()) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Takes the values out of a record that cannot be put together, until it can.
pub(super) fn by_hand(db: &Connection, mut record: Record) -> Done<()> {
    let named = named_fields(db, record.id)?;
    for (field, cell) in record.state.cells.iter_mut().filter(|(field, _)| named.contains_key(*field)) {
        cell.value = left_of(&record.kind, field, &cell.value);
    }
    mark_state(db, record.id, &mut record.state)?;
    save_state(db, &record)?;
    project::record(db, &record)?;
    match record.parent_no.map(|no| load_record_no(db, no)).transpose()?.flatten() {
        Some(parent) => project::child(db, &parent, &record),
        None => Ok(()),
    }
}
