//! The tables of orders beside what the orders and the changes say: compared by the audit and the scrub, made again by the latter.
//!
//! Of `erased_contents` the digests of originals follow from the changes of their photos; those of thumbnails and display images are
//! gone from there once an order was carried out, and whoever got what was left never knew them. So the rest is compared with what
//! this site itself said when the files were gone, which stands in the order's record and travels. Such rows cannot be made again:
//! the site says anew what it can answer for, and a file that nothing names is found by `doctor`.

use super::super::changes::Record;
use super::super::fail::{Done, Fail};
use super::super::sums;
use super::{listed, note_once, own_id, project, what};
use chassis::sqlite::rusqlite::{Connection, OptionalExtension, params};
use serde_json::Value;
use std::collections::BTreeSet;
use sync_protocol::change::Change;
use sync_protocol::erasure::{CONTENT, original};
use sync_protocol::hlc::Hlc;
use sync_protocol::record::PHOTO;
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
    if !unlisted_originals(db, order)?.is_empty() || unaccounted(db, order)? {
        return Ok(Some("the table of erased contents differs".to_owned()));
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
    for sha256 in unlisted_originals(db, order)? {
        db.prepare_cached("INSERT INTO erased_contents (sha256, erasure_no, removed) VALUES (?1, ?2, 0)")?
            .execute(params![sha256, order.no])?;
    }
    listed(db, &order.state)?;
    if unaccounted(db, order)? {
        db.prepare_cached("UPDATE erasures SET done_ms = NULL WHERE erasure_no = ?1")?.execute([order.no])?;
    }
    Ok(())
}

/// Originals of the photos whose content the order removes, as their changes name them, that have no row.
fn unlisted_originals(db: &Connection, order: &Record) -> Done<BTreeSet<String>> {
    let mut changes = db.prepare_cached("SELECT body, hlc, digest FROM changes WHERE record_id = ?1")?;
    let mut originals = BTreeSet::new();
    for (photo, _) in what(&order.state).into_iter().filter(|(_, fields)| fields.iter().any(|field| field == CONTENT)) {
        let mut rows = changes.query([photo])?;
        while let Some(row) = rows.next()? {
            // One that is damaged names nothing.
            let (hlc, kept) = (Hlc::from_i64(row.get(1)?), row.get(2)?);
            let body = row.get_ref(0)?.as_str().ok().filter(|body| sums::is_whole(kept, hlc, body));
            let change = body.and_then(|body| Change::from_body(body).ok());
            let sha256 =
                change.filter(|change| change.kind == PHOTO).and_then(|mut change| change.set.remove("sha256"));
            originals.extend(sha256.as_ref().and_then(Value::as_str).map(ToOwned::to_owned));
        }
    }
    let mut listed = db.prepare_cached("SELECT sha256 FROM erased_contents WHERE erasure_no = ?1")?;
    for sha256 in listed.query_map([order.no], |row| row.get::<_, String>(0))? {
        originals.remove(&sha256?);
    }
    Ok(originals)
}

/// Whether this site said that it had removed more contents than it can tell.
fn unaccounted(db: &Connection, order: &Record) -> Done<bool> {
    let Some(own) = own_id(db)? else { return Ok(false) };
    let said = order.state.get(&format!("done/{}", own.hyphenated()));
    let Some(said) = said.and_then(|said| said.get("contents")?.as_i64()) else {
        return Ok(false);
    };
    Ok(db
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM erasures e WHERE e.erasure_no = ?1 AND e.done_ms IS NOT NULL \
             AND (SELECT count(*) FROM erased_contents b WHERE b.erasure_no = e.erasure_no) < ?2)",
        )?
        .query_row(params![order.no, said], |row| row.get(0))?)
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
