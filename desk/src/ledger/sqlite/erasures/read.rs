//! What is known of orders: for people, for history, for the audit, and for what has yet to be done.

use super::super::SqliteLedger;
use super::super::changes::{load_record_no, parse_scope};
use super::super::fail::{Done, Fail};
use super::super::{damage, site};
use super::{say_again, unlisted, what, wipe};
use crate::error::Error;
use crate::ledger::{Audit, Confirmation, DamageKind, Erasure, Erasures, Listing, Undone};
use async_trait::async_trait;
use chassis::blobs::Sha256;
use chassis::clock::parse_rfc3339;
use chassis::sqlite::rusqlite::{Connection, OptionalExtension, params};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use sync_protocol::change::{ChangeId, Field};
use sync_protocol::erasure::original;
use uuid::Uuid;

/// The fields of a record that orders name, each with those orders.
pub(in super::super) fn named_fields(db: &Connection, record_id: Uuid) -> Done<HashMap<Field, Vec<Uuid>>> {
    let mut statement = db.prepare_cached(
        "SELECT f.field, e.erasure_id FROM erased_fields f CROSS JOIN erasures e ON e.erasure_no = f.erasure_no \
         WHERE f.record_id = ?1",
    )?;
    let mut rows = statement.query([record_id])?;
    let mut fields: HashMap<Field, Vec<Uuid>> = HashMap::new();
    while let Some(row) = rows.next()? {
        fields.entry(row.get(0)?).or_default().push(row.get(1)?);
    }
    Ok(fields)
}

fn erasures(db: &Connection, store: Option<&str>, incident: Option<Uuid>, limit: u32) -> Done<Vec<Erasure>> {
    let scope = store.map(|code| format!("store/{code}"));
    let mut statement = db.prepare_cached(
        "SELECT erasure_no FROM erasures WHERE (?1 IS NULL OR scope = ?1) AND (?2 IS NULL OR incident_id = ?2) \
         ORDER BY erasure_no DESC LIMIT ?3",
    )?;
    let orders: Vec<i64> =
        statement.query_map(params![scope, incident, limit], |row| row.get(0))?.collect::<Result<_, _>>()?;
    orders.into_iter().map(|no| one(db, no)).collect()
}

fn one(db: &Connection, no: i64) -> Done<Erasure> {
    let broken = || Fail::Broken(format!("order {no} has no record"));
    let order = load_record_no(db, no)?.ok_or_else(broken)?;
    let born = order.state.born.as_ref().ok_or_else(broken)?;
    let text = |field: &str| order.state.get(field).and_then(Value::as_str).unwrap_or_default();
    let mut done = BTreeMap::new();
    for (field, cell) in &order.state.cells {
        let Some(site) = field.strip_prefix("done/").and_then(|id| Uuid::try_parse(id).ok()) else {
            continue;
        };
        let number = |name: &str| cell.value.get(name).and_then(Value::as_u64).unwrap_or(0);
        let at_ms = cell.value.get("at").and_then(Value::as_str).and_then(parse_rfc3339);
        let received_ms = received(db, cell.stamp.id)?;
        done.insert(
            site,
            Confirmation {
                at_ms: at_ms.unwrap_or(0),
                received_ms,
                changes: number("changes"),
                contents: number("contents"),
            },
        );
    }
    Ok(Erasure {
        id: order.id,
        incident_id: Uuid::try_parse(text("incident")).map_err(|_| broken())?,
        at_ms: born.at,
        by: born.by.clone(),
        reason: text("reason").to_owned(),
        what: what(&order.state),
        done,
        scope: order.scope,
    })
}

fn received(db: &Connection, id: ChangeId) -> Done<Option<i64>> {
    Ok(db
        .prepare_cached(
            "SELECT c.received_ms FROM origins o CROSS JOIN changes c ON c.origin_no = o.origin_no AND c.seq = ?2 \
             WHERE o.origin = ?1",
        )?
        .query_row(params![id.origin, id.seq as i64], |row| row.get(0))
        .optional()?
        .flatten())
}

fn undone(db: &Connection, limit: u32) -> Done<Vec<Undone>> {
    let mut statement = db.prepare_cached(
        "SELECT e.erasure_id, e.scope, \
           (SELECT count(DISTINCT c.change_no) FROM erased_fields f CROSS JOIN changes c ON c.record_id = f.record_id \
            CROSS JOIN erased_changes x ON x.change_no = c.change_no WHERE f.erasure_no = e.erasure_no), \
           (SELECT count(*) FROM erased_contents b WHERE b.erasure_no = e.erasure_no) \
         FROM erasures e WHERE e.done_ms IS NULL ORDER BY e.erasure_no LIMIT ?1",
    )?;
    let rows: Vec<(Uuid, String, i64, i64)> = statement
        .query_map([limit], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?
        .collect::<Result<_, _>>()?;
    rows.into_iter()
        .map(|(id, scope, changes, contents)| {
            Ok(Undone {
                id,
                scope: parse_scope(&scope)?,
                changes: changes as u64,
                contents: contents as u64,
            })
        })
        .collect()
}

fn contents(db: &Connection, limit: u32) -> Done<Vec<Sha256>> {
    let mut statement =
        db.prepare_cached("SELECT DISTINCT sha256 FROM erased_contents WHERE removed = 0 ORDER BY sha256 LIMIT ?1")?;
    let rows: Vec<String> = statement.query_map([limit], |row| row.get(0))?.collect::<Result<_, _>>()?;
    rows.into_iter()
        .map(|text| text.parse().map_err(|_| Fail::Broken(format!("{text:?} is no digest"))))
        .collect()
}

/// Uploads of people say what became of them, those of nodes name the digest.
fn forget(db: &Connection, sha256: Sha256) -> Done<Option<Vec<Uuid>>> {
    let text = sha256.to_string();
    let is_named: bool = db
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM pieces WHERE sha256 = ?1)")?
        .query_row([&text], |row| row.get(0))?;
    if is_named {
        return Ok(None);
    }
    db.prepare_cached("DELETE FROM blobs WHERE sha256 = ?1")?.execute([&text])?;
    // Nobody looks for it any more.
    damage::mended(db, DamageKind::Content, &text, "it was erased", site::last_reading(db)?.ms())?;
    db.prepare_cached("UPDATE damage SET aside = NULL WHERE kind = ?1 AND name = ?2 AND aside IS NOT NULL")?
        .execute([DamageKind::Content.as_str(), &text])?;
    db.prepare_cached("DELETE FROM inbox WHERE sha256 = ?1")?.execute([&text])?;
    let mut statement =
        db.prepare_cached("DELETE FROM uploads WHERE sha256 = ?2 OR instr(metadata, ?1) > 0 RETURNING upload_id")?;
    let gone = statement.query_map(params![text, sha256.as_bytes()], |row| row.get(0))?;
    Ok(Some(gone.collect::<Result<_, _>>()?))
}

fn note(db: &Connection, sha256: Sha256) -> Done<()> {
    db.prepare_cached("UPDATE erased_contents SET removed = 1 WHERE sha256 = ?1")?
        .execute([sha256.to_string()])?;
    Ok(())
}

/// Looks at every change of which only a part is left: an order says so, and where one tells the digest of that it is right.
/// `found`: how many the log holds.
pub(in super::super) fn examine(db: &Connection, audit: &mut Audit, found: u64) -> Done<Vec<String>> {
    let mut faults = Vec::new();
    let mut statement = db.prepare(
        "SELECT o.origin, c.seq, c.record_id, c.body FROM erased_changes x JOIN changes c ON c.change_no = x.change_no \
         JOIN origins o ON o.origin_no = c.origin_no ORDER BY x.change_no",
    )?;
    let mut rows = statement.query([])?;
    let mut known = 0;
    while let Some(row) = rows.next()? {
        known += 1;
        let id = ChangeId { origin: row.get(0)?, seq: row.get::<_, i64>(1)? as u64 };
        let (Some(record), body): (Option<Uuid>, String) = (row.get(2)?, row.get(3)?) else {
            continue;
        };
        let told = told_of(db, record, id)?;
        let digest = blake3::hash(body.as_bytes()).to_hex();
        match told {
            None => faults.push(format!("change {id} was erased and no order says so")),
            Some(told) if !told.is_empty() && !told.iter().any(|one| one == digest.as_str()) => {
                faults.push(format!("change {id} was altered after it was erased"));
            }
            Some(_) => {}
        }
    }
    if known != found {
        faults.push(format!("{found} changes were erased and {known} are noted as such"));
    }
    audit.erased = found;
    Ok(faults)
}

/// Whether a body may stand for a change that was lost, as far as erasure goes: it is whole, or what is left of it is what
/// headquarters has said, or has yet to say of a record that an order names.
pub(in super::super) fn is_told(db: &Connection, record: Uuid, id: ChangeId, body: &str) -> Done<bool> {
    if original(body.as_bytes()).is_none() {
        return Ok(true);
    }
    let digest = blake3::hash(body.as_bytes()).to_hex();
    Ok(told_of(db, record, id)?.is_some_and(|told| told.is_empty() || told.iter().any(|one| one == digest.as_str())))
}

/// The digests that orders tell of what is left of a change; `None` where no order names its record.
fn told_of(db: &Connection, record: Uuid, id: ChangeId) -> Done<Option<Vec<String>>> {
    let orders: Vec<i64> = db
        .prepare_cached("SELECT DISTINCT erasure_no FROM erased_fields WHERE record_id = ?1")?
        .query_map([record], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    if orders.is_empty() {
        return Ok(None);
    }
    let mut told = Vec::new();
    for no in orders {
        let Some(order) = load_record_no(db, no)? else { continue };
        let left = order.state.get(&format!("left/{id}")).and_then(|left| left.get("digest"));
        told.extend(left.and_then(Value::as_str).map(ToOwned::to_owned));
    }
    Ok(Some(told))
}

#[async_trait]
impl Erasures for SqliteLedger {
    async fn erasures(&self, store: Option<String>, incident: Option<Uuid>, limit: u32) -> Result<Vec<Erasure>, Error> {
        self.read(move |db| erasures(db, store.as_deref(), incident, limit)).await
    }

    async fn erasures_undone(&self, limit: u32) -> Result<Vec<Undone>, Error> {
        self.read(move |db| undone(db, limit)).await
    }

    async fn erased_contents(&self, limit: u32) -> Result<Vec<Sha256>, Error> {
        self.read(move |db| contents(db, limit)).await
    }

    async fn forget_erased(&self, sha256: Sha256) -> Result<Option<Vec<Uuid>>, Error> {
        self.write(move |db| forget(db, sha256)).await
    }

    async fn erase_again(&self) -> Result<(), Error> {
        self.write(say_again).await
    }

    async fn note_erased(&self, sha256: Sha256) -> Result<(), Error> {
        self.write(move |db| note(db, sha256)).await
    }

    async fn unlisted(&self, limit: u32) -> Result<Option<Listing>, Error> {
        self.read(move |db| unlisted(db, limit)).await
    }

    async fn wipe(&self) -> Result<bool, Error> {
        wipe::wipe(self).await
    }
}
