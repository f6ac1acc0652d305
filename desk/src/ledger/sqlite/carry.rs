//! Carrying changes over to a new stream, when a node is enrolled anew.
//!
//! What the hub has not acknowledged under the old identity it will not take any more: those changes are sealed again,
//! in their order, under the new stream. Only who they are changes: who recorded what, when and with what in sight
//! stays. All in the transaction that enrols.

use super::changes::{self, Origin};
use super::fail::{Done, Fail};
use super::sync::link_at;
use chassis::sqlite::rusqlite::{Connection, params};
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};
use sync_protocol::change::{Change, ChangeId};
use sync_protocol::merge::{DELETED, Deletion};
use uuid::Uuid;

/// Moves every change of `old` after number `acked` to `new`, which is empty; answers how many.
pub(super) fn carry_over(db: &Connection, old: &Origin, acked: u64, new: &mut Origin) -> Done<u64> {
    let mut statement =
        db.prepare("SELECT change_no, seq, body FROM changes WHERE origin_no = ?1 AND seq > ?2 ORDER BY seq")?;
    let rows: Vec<(i64, i64, String)> = statement
        .query_map(params![old.no, acked as i64], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<_, _>>()?;
    let mut moved: HashMap<u64, u64> = HashMap::new();
    let mut records: BTreeSet<Uuid> = BTreeSet::new();
    for (change_no, seq, body) in &rows {
        let mut change = Change::from_body(body).map_err(|e| Fail::Broken(format!("own change {seq}: {e}")))?;
        rename(&mut change, old.id, acked, new.id, &moved)?;
        let body = change.to_body().map_err(|e| Fail::Broken(e.to_string()))?;
        new.seq += 1;
        new.head = new.head.extend(body.as_bytes());
        moved.insert(*seq as u64, new.seq);
        records.insert(change.id);
        db.prepare_cached(
            "UPDATE changes SET origin_no = ?2, seq = ?3, body = ?4, outcome = NULL WHERE change_no = ?1",
        )?
        .execute(params![change_no, new.no, new.seq as i64, body])?;
    }
    if rows.is_empty() {
        return Ok(0);
    }
    let head = link_at(db, old.no, old.id, acked as i64)?;
    changes::save_origin(db, &Origin { seq: acked, head, ..old.clone() })?;
    changes::save_origin(db, new)?;
    for record in records {
        changes::put_together(db, record)?;
    }
    Ok(rows.len() as u64)
}

/// What the change refers to, under the names it has now.
fn rename(change: &mut Change, old: Uuid, acked: u64, new: Uuid, moved: &HashMap<u64, u64>) -> Done<()> {
    for base in change.base.values_mut() {
        if base.origin == old
            && let Some(seq) = moved.get(&base.seq)
        {
            *base = ChangeId { origin: new, seq: *seq };
        }
    }
    let Some(deletion) = change.set.get(DELETED).filter(|value| !value.is_null()) else {
        return Ok(());
    };
    let mut deletion: Deletion = serde_json::from_value(deletion.clone()).map_err(|e| Fail::Broken(e.to_string()))?;
    if let Some(saw) = deletion.saw.get(&old).copied().filter(|saw| *saw > acked) {
        deletion.saw.insert(old, acked);
        if let Some(seq) = moved.get(&saw) {
            deletion.saw.insert(new, *seq);
        }
    }
    let deletion: Value = serde_json::to_value(deletion).map_err(|e| Fail::Broken(e.to_string()))?;
    change.set.insert(DELETED.to_owned(), deletion);
    Ok(())
}
