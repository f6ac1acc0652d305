//! The tables of orders beside what the orders and the changes say: compared by the audit and the scrub, made again by the latter.
//!
//! `erased_contents` follows from values that are gone once an order was carried out; what it says is needed until the files are, and
//! a file that nothing names is found by `doctor`.

use super::super::changes::Record;
use super::super::fail::{Done, Fail};
use super::{listed, note_once, project, what};
use chassis::sqlite::rusqlite::{Connection, OptionalExtension, params};
use serde_json::Value;
use std::collections::BTreeSet;
use sync_protocol::erasure::original;
use uuid::Uuid;

/// How the tables differ from an order and from what is left of the changes it names; nothing.
pub(in super::super) fn compare(db: &Connection, order: &Record) -> Done<Option<String>> {
    let row: Option<(Uuid, Uuid, String)> = db
        .prepare_cached("SELECT erasure_id, incident_id, scope FROM erasures WHERE erasure_no = ?1")?
        .query_row([order.no], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    if row != Some((order.id, incident(order)?, order.scope.to_string())) {
        return Ok(Some("the erasures table differs".to_owned()));
    }
    if kept(db, order)? != named(order) {
        return Ok(Some("the table of erased fields differs".to_owned()));
    }
    if !unnoted(db, order)?.is_empty() {
        return Ok(Some("the table of erased changes differs".to_owned()));
    }
    Ok(None)
}

/// Makes the rows of an order again, and carries it out where that was lost with them.
pub(in super::super) fn again(db: &Connection, order: &Record) -> Done<()> {
    db.prepare_cached("UPDATE erasures SET erasure_id = ?2, incident_id = ?3, scope = ?4 WHERE erasure_no = ?1")?
        .execute(params![order.no, order.id, incident(order)?, order.scope.to_string()])?;
    for (record, field) in kept(db, order)?.difference(&named(order)) {
        db.prepare_cached("DELETE FROM erased_fields WHERE record_id = ?1 AND field = ?2 AND erasure_no = ?3")?
            .execute(params![record, field, order.no])?;
    }
    project(db, order)?;
    for change_no in unnoted(db, order)? {
        note_once(db, change_no)?;
    }
    listed(db, &order.state)
}

fn incident(order: &Record) -> Done<Uuid> {
    let incident = order.state.get("incident").and_then(Value::as_str).and_then(|id| Uuid::try_parse(id).ok());
    incident.ok_or_else(|| Fail::Broken(format!("order {} names no incident", order.id)))
}

fn named(order: &Record) -> BTreeSet<(Uuid, String)> {
    let each = |(record, fields): (Uuid, Vec<String>)| fields.into_iter().map(move |field| (record, field));
    what(&order.state).into_iter().flat_map(each).collect()
}

fn kept(db: &Connection, order: &Record) -> Done<BTreeSet<(Uuid, String)>> {
    let mut statement = db.prepare_cached("SELECT record_id, field FROM erased_fields WHERE erasure_no = ?1")?;
    let rows = statement.query_map([order.no], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Changes of the records named of which only a part is left, and that are not noted as such.
fn unnoted(db: &Connection, order: &Record) -> Done<Vec<i64>> {
    let mut statement = db.prepare_cached(
        "SELECT c.change_no, c.body FROM changes c WHERE c.record_id = ?1 \
         AND NOT EXISTS (SELECT 1 FROM erased_changes x WHERE x.change_no = c.change_no) ORDER BY c.change_no",
    )?;
    let mut found = Vec::new();
    for record in what(&order.state).into_keys() {
        let mut rows = statement.query([record])?;
        while let Some(row) = rows.next()? {
            let body = row.get_ref(1)?.as_bytes().map_err(|e| Fail::Broken(e.to_string()))?;
            if original(body).is_some() {
                found.push(row.get(0)?);
            }
        }
    }
    Ok(found)
}
