//! The merged changes of one record, as they are told.

use super::fail::{Done, Fail};
use super::sums;
use chassis::sqlite::rusqlite::Connection;
use sync_protocol::change::{Change, ChangeId};
use sync_protocol::erasure;
use sync_protocol::hlc::Hlc;
use sync_protocol::merge::{Stamp, Write};
use uuid::Uuid;

/// One merged change of a record, as history and audits read it.
pub(super) struct Told {
    pub(super) no: i64,
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
        "SELECT o.origin, c.seq, c.hlc, o.site, c.body, c.change_no, c.digest FROM changes c JOIN origins o ON o.origin_no = c.origin_no \
         WHERE c.record_id = ?1 AND NOT EXISTS (SELECT 1 FROM quarantine q WHERE q.change_no = c.change_no)",
    )?;
    let mut rows = statement.query([record])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        let id = ChangeId { origin: row.get(0)?, seq: row.get::<_, i64>(1)? as u64 };
        let body = row.get_ref(4)?.as_str().map_err(|e| Fail::Broken(format!("change {id}: {e}")))?;
        sums::check(row.get(6)?, Hlc::from_i64(row.get(2)?), body, id)?;
        let change = Change::from_body(body).map_err(|e| Fail::Broken(format!("change {id}: {e}")))?;
        let erased = erasure::original(body.as_bytes()).is_some();
        all.push(Told {
            id,
            hlc: Hlc::from_i64(row.get(2)?),
            site: row.get(3)?,
            erased,
            change,
            no: row.get(5)?,
        });
    }
    all.sort_by_key(|told| Stamp { hlc: told.hlc, id: told.id });
    Ok(all)
}

/// Every write of one field among the changes of a record.
pub(super) fn writes_of(told: &[Told], field: &str) -> Vec<Write> {
    told.iter()
        .filter(|told| told.change.set.contains_key(field))
        .map(|told| Write {
            stamp: Stamp { hlc: told.hlc, id: told.id },
            base: told.change.base.get(field).copied(),
        })
        .collect()
}
