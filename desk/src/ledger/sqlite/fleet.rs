//! The hub's nodes, their credentials and the codes that enrol them.

use super::acts;
use super::fail::{Done, Fail};
use super::histories::hub_key;
use crate::error::Refusal;
use crate::ledger::acts::name;
use crate::ledger::{CredentialRow, NewAct, NewCode, NewNode, NodeAuth, NodeRow, Store};
use chassis::clock::format_rfc3339;
use chassis::sqlite::rusqlite::{Connection, OptionalExtension, params};
use serde_json::{Value, json};
use sync_protocol::message::{NodeStatus, credential_keys};
use uuid::Uuid;

/// Used and stale codes are kept this long, so that "used" can still be told from "unknown" by an administrator.
const KEEP_CODES_MS: i64 = 30 * 24 * 3_600_000;
/// A code made later than this after now was made by a clock that has been set back since, and would be good for years.
const SET_BACK_MS: i64 = 24 * 3_600_000;
/// Credentials kept of a node: the current one, the one before, and a few more. Older ones the hub's key recognises.
const KEEP_CREDENTIALS: i64 = 8;

pub(super) fn add_code(db: &Connection, code: &NewCode) -> Done<()> {
    keep_code(db, code)?;
    // Until when it is good tells one code from another one; the code itself is nobody's business.
    let details = json!({"expires_at": format_rfc3339(code.expires_ms)});
    acts::note(
        db,
        &act(name::CODE_MADE, &code.created_by, code.created_ms, &code.store_code, &code.store_code, details),
    )
}

fn act(act: &'static str, by: &str, at_ms: i64, subject: &str, store_code: &str, details: Value) -> NewAct {
    NewAct {
        at_ms,
        by: by.to_owned(),
        act,
        subject: subject.to_owned(),
        store_code: store_code.to_owned(),
        details,
    }
}

fn keep_code(db: &Connection, code: &NewCode) -> Done<()> {
    if super::accounts::store(db, &code.store_code)?.is_none() {
        return Err(Refusal::field("store_code", format!("there is no store {}; add it first", code.store_code)).into());
    }
    db.prepare_cached("DELETE FROM enrolment_codes WHERE expires_ms < ?1")?
        .execute([code.created_ms - KEEP_CODES_MS])?;
    db.prepare_cached(
        "INSERT INTO enrolment_codes (code_hash, store_code, created_by, created_ms, expires_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![code.code_hash, code.store_code, code.created_by, code.created_ms, code.expires_ms])?;
    Ok(())
}

pub(super) fn add_replacement_code(db: &Connection, code: &NewCode, replaces: Uuid) -> Done<()> {
    let found = node(db, replaces)?.ok_or(Refusal::NotFound)?;
    if found.revoked_ms.is_some() {
        return Err(Refusal::Conflict(format!("{replaces} is revoked: make a plain code for the new one")).into());
    }
    if let Some(by) = found.replaced_by {
        return Err(Refusal::Conflict(format!("{replaces} was replaced already, by {by}")).into());
    }
    keep_code(db, &NewCode { store_code: found.store_code.clone(), ..code.clone() })?;
    db.prepare_cached("UPDATE enrolment_codes SET replaces = ?2 WHERE code_hash = ?1")?
        .execute(params![code.code_hash, replaces])?;
    let (subject, details) =
        (replaces.hyphenated().to_string(), json!({"expires_at": format_rfc3339(code.expires_ms)}));
    let made = name::REPLACEMENT_CODE_MADE;
    acts::note(db, &act(made, &code.created_by, code.created_ms, &subject, &found.store_code, details))
}

/// Retires the node that the one enrolled with this code takes the place of. A second code for the same one does nothing more.
fn retire(db: &Connection, node: &NewNode) -> Done<()> {
    db.prepare_cached(
        "UPDATE nodes SET retired_ms = ?2, replaced_by = ?3 WHERE retired_ms IS NULL \
         AND node_id = (SELECT replaces FROM enrolment_codes WHERE code_hash = ?1)",
    )?
    .execute(params![node.code_hash, node.now_ms, node.node_id])?;
    Ok(())
}

/// Counts what a node sent after another one took its place.
pub(super) fn count_drained(db: &Connection, node_id: Uuid, new: u64) -> Done<()> {
    db.prepare_cached(
        "UPDATE nodes SET drained_changes = drained_changes + ?2 WHERE node_id = ?1 AND retired_ms IS NOT NULL AND ?2 > 0",
    )?
    .execute(params![node_id, new as i64])?;
    Ok(())
}

pub(super) fn enrol(db: &Connection, node: &NewNode) -> Done<Option<(Store, String)>> {
    let used = db
        .prepare_cached("UPDATE enrolment_codes SET used_ms = ?2, node_id = ?3 WHERE code_hash = ?1 AND used_ms IS NULL AND expires_ms > ?2 AND created_ms <= ?4 AND (?5 IS NULL OR store_code = ?5)")?
        .execute(params![node.code_hash, node.now_ms, node.node_id, node.now_ms.saturating_add(SET_BACK_MS), node.only_store])?;
    if used == 0 {
        return Ok(None);
    }
    let store_code: String = db
        .prepare_cached("SELECT store_code FROM enrolment_codes WHERE code_hash = ?1")?
        .query_row(params![node.code_hash], |row| row.get(0))?;
    let store = super::accounts::store(db, &store_code)?
        .ok_or_else(|| Fail::Broken(format!("an enrolment code names store {store_code}, which is not there")))?;
    let status = NodeStatus {
        version: node.version.clone(),
        clock_offset_ms: node.clock_offset_ms,
        ..NodeStatus::default()
    };
    db.prepare_cached(
        "INSERT INTO nodes (node_id, store_code, name, version, enrolled_ms, last_contact_ms, clock_offset_ms, status) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6, ?7)",
    )?
    .execute(params![
        node.node_id,
        store_code,
        node.name,
        node.version,
        node.now_ms,
        node.clock_offset_ms,
        status_text(&status)?
    ])?;
    retire(db, node)?;
    let secret = issue_credential(db, node.node_id, node.now_ms, false)?;
    Ok(Some((store, secret)))
}

fn status_text(status: &NodeStatus) -> Done<String> {
    serde_json::to_string(status).map_err(|e| Fail::Broken(e.to_string()))
}

pub(super) fn node(db: &Connection, node_id: Uuid) -> Done<Option<NodeRow>> {
    Ok(rows(db, None, Some(node_id))?.pop())
}

pub(super) fn nodes(db: &Connection, store: Option<&str>) -> Done<Vec<NodeRow>> {
    rows(db, store, None)
}

fn rows(db: &Connection, store: Option<&str>, node_id: Option<Uuid>) -> Done<Vec<NodeRow>> {
    let mut statement = db.prepare_cached(
        "SELECT n.node_id, n.store_code, n.name, n.version, n.enrolled_ms, n.revoked_ms, n.last_contact_ms, n.clock_offset_ms, n.status, \
         coalesce((SELECT sum(o.seq) FROM origins o WHERE o.node_id = n.node_id), 0), n.restored_ms, \
         (SELECT count(*) FROM forks f WHERE f.node_id = n.node_id), n.newest_protocol, coalesce(a.quarantined, 0), \
         n.retired_ms, n.replaced_by, n.drained_changes, \
         (SELECT max(f.since_ms) FROM forks f WHERE f.node_id = n.node_id) \
         FROM nodes n LEFT JOIN (SELECT o.node_id, count(*) AS quarantined FROM quarantine q \
           JOIN changes c ON c.change_no = q.change_no JOIN origins o ON o.origin_no = c.origin_no \
           WHERE q.settled = 0 GROUP BY o.node_id) a ON a.node_id = n.node_id \
         WHERE (?1 IS NULL OR n.store_code = ?1) AND (?2 IS NULL OR n.node_id = ?2) ORDER BY n.store_code, n.name, n.node_id",
    )?;
    let mut rows = statement.query(params![store, node_id])?;
    let mut nodes = Vec::new();
    while let Some(row) = rows.next()? {
        let status: String = row.get(8)?;
        nodes.push(NodeRow {
            node_id: row.get(0)?,
            store_code: row.get(1)?,
            name: row.get(2)?,
            version: row.get(3)?,
            enrolled_ms: row.get(4)?,
            revoked_ms: row.get(5)?,
            last_contact_ms: row.get(6)?,
            clock_offset_ms: row.get(7)?,
            status: serde_json::from_str(&status).unwrap_or_default(),
            applied_changes: row.get::<_, i64>(9)? as u64,
            restored_ms: row.get(10)?,
            forks: row.get::<_, i64>(11)? as u64,
            newest_protocol: row.get(12)?,
            quarantined: row.get::<_, i64>(13)? as u64,
            retired_ms: row.get(14)?,
            replaced_by: row.get(15)?,
            drained_changes: row.get::<_, i64>(16)? as u64,
            forked_ms: row.get(17)?,
        });
    }
    Ok(nodes)
}

pub(super) fn revoke(db: &Connection, node_id: Uuid, by: &str, reason: Option<&str>, now_ms: i64) -> Done<bool> {
    let Some(found) = node(db, node_id)? else {
        return Ok(false);
    };
    if found.revoked_ms.is_some() {
        return Ok(true);
    }
    db.prepare_cached("UPDATE nodes SET revoked_ms = ?2 WHERE node_id = ?1")?
        .execute(params![node_id, now_ms])?;
    let details = reason.map_or_else(|| json!({}), |reason| json!({ "reason": reason }));
    let subject = node_id.hyphenated().to_string();
    acts::note(db, &act(name::NODE_REVOKED, by, now_ms, &subject, &found.store_code, details))?;
    Ok(true)
}

pub(super) fn node_auth(db: &Connection, node_id: Uuid) -> Done<Option<NodeAuth>> {
    let node = db
        .prepare_cached(
            "SELECT store_code, revoked_ms IS NOT NULL, machine, retired_ms IS NOT NULL, last_contact_ms \
             FROM nodes WHERE node_id = ?1",
        )?
        .query_row([node_id], |row| {
            Ok(NodeAuth {
                store_code: row.get(0)?,
                revoked: row.get(1)?,
                machine: row.get(2)?,
                retired: row.get(3)?,
                last_contact_ms: row.get(4)?,
                credentials: Vec::new(),
            })
        })
        .optional()?;
    let Some(node) = node else { return Ok(None) };
    let mut statement = db.prepare_cached(
        "SELECT generation, auth, proof, used_ms FROM credentials WHERE node_id = ?1 ORDER BY generation DESC",
    )?;
    let credentials = statement
        .query_map([node_id], |row| {
            Ok(CredentialRow {
                generation: row.get(0)?,
                auth: row.get(1)?,
                proof: row.get(2)?,
                used_ms: row.get(3)?,
            })
        })?
        .collect::<Result<_, _>>()?;
    Ok(Some(NodeAuth { credentials, ..node }))
}

pub(super) fn note_machine(db: &Connection, node_id: Uuid, machine: &str) -> Done<()> {
    db.prepare_cached("UPDATE nodes SET machine = ?2 WHERE node_id = ?1")?
        .execute(params![node_id, machine])?;
    Ok(())
}

/// A generation is never issued twice: two copies of a disk must not be given the same secret.
pub(super) fn issue_credential(db: &Connection, node_id: Uuid, now_ms: i64, returns: bool) -> Done<String> {
    let generation: i64 = db
        .prepare_cached(
            "UPDATE nodes SET generation = 1 + max(generation, \
             coalesce((SELECT max(c.generation) FROM credentials c WHERE c.node_id = ?1), 0)) WHERE node_id = ?1 \
             RETURNING generation",
        )?
        .query_row([node_id], |row| row.get(0))?;
    // One that was handed out and never used is replaced: its answer was lost on the way.
    db.prepare_cached("DELETE FROM credentials WHERE node_id = ?1 AND used_ms IS NULL AND generation > 1")?
        .execute([node_id])?;
    let secret = hub_key(db)?.secret(node_id, generation);
    keep_keys(db, node_id, generation, &secret, now_ms, None)?;
    if returns {
        db.prepare_cached("UPDATE credentials SET returns = 1 WHERE node_id = ?1 AND generation = ?2")?
            .execute(params![node_id, generation])?;
    }
    db.prepare_cached(
        "DELETE FROM credentials WHERE node_id = ?1 AND generation <= (SELECT max(generation) FROM credentials WHERE node_id = ?1) - ?2",
    )?
    .execute(params![node_id, KEEP_CREDENTIALS])?;
    Ok(secret)
}

pub(super) fn accept_credential(db: &Connection, node_id: Uuid, generation: i64, now_ms: i64) -> Done<()> {
    let secret = hub_key(db)?.secret(node_id, generation);
    keep_keys(db, node_id, generation, &secret, now_ms, Some(now_ms))?;
    db.prepare_cached("UPDATE nodes SET generation = max(generation, ?2) WHERE node_id = ?1")?
        .execute(params![node_id, generation])?;
    Ok(())
}

fn keep_keys(
    db: &Connection,
    node_id: Uuid,
    generation: i64,
    secret: &str,
    now_ms: i64,
    used_ms: Option<i64>,
) -> Done<()> {
    let keys = credential_keys(secret);
    db.prepare_cached(
        "INSERT INTO credentials (node_id, generation, auth, proof, issued_ms, used_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
         ON CONFLICT DO NOTHING",
    )?
    .execute(params![node_id, generation, keys.auth, keys.proof, now_ms, used_ms])?;
    Ok(())
}

pub(super) fn use_credential(db: &Connection, node_id: Uuid, generation: i64, now_ms: i64) -> Done<()> {
    db.prepare_cached(
        "UPDATE nodes SET restored_ms = ?3 WHERE node_id = ?1 AND EXISTS (SELECT 1 FROM credentials \
         WHERE node_id = ?1 AND generation = ?2 AND returns = 1 AND used_ms IS NULL)",
    )?
    .execute(params![node_id, generation, now_ms])?;
    db.prepare_cached("UPDATE credentials SET used_ms = coalesce(used_ms, ?3) WHERE node_id = ?1 AND generation = ?2")?
        .execute(params![node_id, generation, now_ms])?;
    Ok(())
}

pub(super) fn note_contact(db: &Connection, node_id: Uuid, status: &NodeStatus, now_ms: i64) -> Done<()> {
    db.prepare_cached(
        "UPDATE nodes SET last_contact_ms = ?2, clock_offset_ms = ?3, status = ?4, \
         version = CASE WHEN ?5 = '' THEN version ELSE ?5 END WHERE node_id = ?1",
    )?
    .execute(params![node_id, now_ms, status.clock_offset_ms, status_text(status)?, status.version])?;
    Ok(())
}
