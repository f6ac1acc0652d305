//! Digests of changes, and sums of records by scope and bucket.
//!
//! Layout: `changes.digest` is over a change's place and body; `records.sum_a, sum_b, bucket` follow from its state; `checksums`
//! holds what the records of each bucket sum up to. Triggers keep that, so it moves with the record, whoever changes it.
//!
//! At start there may be records and changes from before there were any of these: they have none (`NULL`), and are given theirs
//! a few at a time ([`sum_up`]). Until that is done there is nothing to compare.

use super::changes::{load_record_no, parse_scope};
use super::fail::{Done, Fail};
use crate::ledger::Holding;
use chassis::sqlite::rusqlite::{Connection, OptionalExtension, params};
use std::collections::BTreeMap;
use sync_protocol::change::ChangeId;
use sync_protocol::checksum::{BUCKETS, RecordItem, Sum, Sums, bucket_of, record_sum};
use sync_protocol::hlc::Hlc;
use sync_protocol::merge::RecordState;
use sync_protocol::scope::Scope;
use uuid::Uuid;

/// What is kept with a change to know it again: the first 16 bytes of the BLAKE3 of place and body.
pub(super) fn digest(hlc: Hlc, body: &str) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&hlc.to_i64().to_le_bytes()).update(body.as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    bytes
}

/// Whether a change is what was recorded, as far as a digest tells; one from before there were any is taken as it is.
pub(super) fn is_whole(kept: Option<[u8; 16]>, hlc: Hlc, body: &str) -> bool {
    kept.is_none_or(|kept| kept == digest(hlc, body))
}

/// Makes sure that a change is what was recorded: nothing is made of one that is not, and it goes nowhere.
pub(super) fn check(kept: Option<[u8; 16]>, hlc: Hlc, body: &str, id: ChangeId) -> Done<()> {
    if is_whole(kept, hlc, body) {
        Ok(())
    } else {
        Err(Fail::Damaged(format!("change {id} is damaged")))
    }
}

/// Gives records that have none their sum, and changes their digest.
pub(super) fn sum_up(db: &Connection, limit: u32) -> Done<u32> {
    let mut statement =
        db.prepare_cached("SELECT record_no FROM records INDEXED BY records_unsummed WHERE sum_a IS NULL LIMIT ?1")?;
    let numbers: Vec<i64> = statement.query_map([limit], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for no in &numbers {
        // A state that cannot be read sums up to nothing; what mends it sums it again.
        let (id, sum) = match load_record_no(db, *no) {
            Ok(Some(record)) => (record.id, record_sum(record.id, &record.kind, &record.state)),
            Ok(None) => continue,
            Err(Fail::Broken(_) | Fail::Damaged(_)) => {
                let id = db.query_row("SELECT record_id FROM records WHERE record_no = ?1", [no], |row| row.get(0))?;
                (id, Sum::default())
            }
            Err(other) => return Err(other),
        };
        let (a, b) = sum.to_pair();
        db.prepare_cached("UPDATE records SET bucket = ?2, sum_a = ?3, sum_b = ?4 WHERE record_no = ?1")?
            .execute(params![no, bucket_of(id), a, b])?;
    }
    let mut statement = db.prepare_cached(
        "SELECT change_no, hlc, body FROM changes INDEXED BY changes_undigested WHERE digest IS NULL LIMIT ?1",
    )?;
    let changes: Vec<(i64, i64, String)> = statement
        .query_map([limit], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<_, _>>()?;
    for (no, hlc, body) in &changes {
        db.prepare_cached("UPDATE changes SET digest = ?2 WHERE change_no = ?1")?
            .execute(params![no, digest(Hlc::from_i64(*hlc), body)])?;
    }
    Ok(numbers.len().max(changes.len()) as u32)
}

/// Whether there are records without a sum.
pub(super) fn unsummed(db: &Connection) -> Done<bool> {
    Ok(db
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM records INDEXED BY records_unsummed WHERE sum_a IS NULL)")?
        .query_row([], |row| row.get(0))?)
}

/// What each bucket of a scope holds, as it is kept.
pub(super) fn buckets(db: &Connection, scope: &Scope) -> Done<Vec<Sums>> {
    let mut buckets = vec![Sums::default(); BUCKETS];
    let mut statement = db.prepare_cached("SELECT bucket, records, sum_a, sum_b FROM checksums WHERE scope = ?1")?;
    let mut rows = statement.query([scope.to_string()])?;
    while let Some(row) = rows.next()? {
        let at = usize::from(row.get::<_, u8>(0)?);
        buckets[at] = Sums {
            records: row.get::<_, i64>(1)?.max(0) as u64,
            sum: Sum::from_pair((row.get(2)?, row.get(3)?)),
        };
    }
    Ok(buckets)
}

/// Calls `each` with every record of a scope. Found by the scope's changes: there is no index of records by scope, which every
/// recording would have to pay for. `afresh`: with the sum of its state as it is, not the one that is kept.
fn each_record(db: &Connection, scope: &Scope, afresh: bool, mut each: impl FnMut(Uuid, Sum)) -> Done<()> {
    let mut statement = db.prepare_cached(
        "SELECT r.record_id, r.kind, r.sum_a, r.sum_b, CASE WHEN ?2 THEN r.state END FROM \
           (SELECT DISTINCT c.record_id FROM origins o CROSS JOIN changes c ON c.origin_no = o.origin_no \
            WHERE o.scope = ?1 AND c.record_id IS NOT NULL) d \
         CROSS JOIN records r ON r.record_id = d.record_id WHERE r.scope = ?1",
    )?;
    let mut rows = statement.query(params![scope.to_string(), afresh])?;
    while let Some(row) = rows.next()? {
        let id: Uuid = row.get(0)?;
        let sum = if afresh {
            let (kind, state): (String, String) = (row.get(1)?, row.get(4)?);
            // One that cannot be read is not what anybody else has.
            serde_json::from_str::<RecordState>(&state)
                .map_or_else(|_| Sum::default(), |state| record_sum(id, &kind, &state))
        } else {
            Sum::from_pair((row.get::<_, Option<i64>>(2)?.unwrap_or(0), row.get::<_, Option<i64>>(3)?.unwrap_or(0)))
        };
        each(id, sum);
    }
    Ok(())
}

/// What each bucket holds, summed anew.
pub(super) fn buckets_again(db: &Connection, scope: &Scope, afresh: bool) -> Done<Vec<Sums>> {
    let mut buckets = vec![Sums::default(); BUCKETS];
    each_record(db, scope, afresh, |id, sum| buckets[usize::from(bucket_of(id))].add(sum))?;
    Ok(buckets)
}

/// Puts what is kept of a scope's buckets right; whether it had been wrong.
pub(super) fn sum_again(db: &Connection, scope: &Scope) -> Done<bool> {
    let right = buckets_again(db, scope, false)?;
    if buckets(db, scope)? == right {
        return Ok(false);
    }
    let name = scope.to_string();
    db.prepare_cached("DELETE FROM checksums WHERE scope = ?1")?.execute([&name])?;
    for (bucket, sums) in right.iter().enumerate().filter(|(_, sums)| sums.records > 0) {
        let (a, b) = sums.sum.to_pair();
        db.prepare_cached("INSERT INTO checksums (scope, bucket, records, sum_a, sum_b) VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute(params![name, bucket as i64, sums.records as i64, a, b])?;
    }
    Ok(true)
}

/// The records of some buckets in the order of their ids, at most `limit`, and whether there are more: both sides then stop at an
/// id, and not each where its own table does.
pub(super) fn items(
    db: &Connection,
    scope: &Scope,
    wanted: &[u8],
    limit: usize,
    afresh: bool,
) -> Done<(Vec<RecordItem>, bool)> {
    let mut is_wanted = [false; BUCKETS];
    for bucket in wanted {
        is_wanted[usize::from(*bucket)] = true;
    }
    let mut items = Vec::new();
    each_record(db, scope, afresh, |id, sum| {
        if is_wanted[usize::from(bucket_of(id))] {
            items.push(RecordItem { id, sum, aside: false });
        }
    })?;
    items.sort_unstable_by_key(|item| item.id);
    let more = items.len() > limit;
    items.truncate(limit);
    for item in &mut items {
        item.aside = is_aside(db, item.id)?;
    }
    Ok((items, more))
}

/// Whether a change of a record, or of something that belongs to it, is kept outside of it, here or (as its answers say) at the
/// hub: the sites then do not have to agree on it.
pub(super) fn is_aside(db: &Connection, record: Uuid) -> Done<bool> {
    Ok(db
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM quarantine WHERE record_id = ?1) \
             OR EXISTS (SELECT 1 FROM changes WHERE record_id = ?1 AND outcome IS NOT NULL) \
             OR EXISTS (SELECT 1 FROM records p JOIN records k ON k.parent_no = p.record_no \
                        JOIN changes c ON c.record_id = k.record_id WHERE p.record_id = ?1 AND c.outcome IS NOT NULL)",
        )?
        .query_row([record], |row| row.get(0))?)
}

/// What a node holds and knows.
pub(super) fn holding(db: &Connection, afresh: bool) -> Done<Option<Holding>> {
    let stream: Option<(Uuid, i64, i64)> = db
        .prepare_cached("SELECT origin, seq, acked_seq FROM origins WHERE mine = 1")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let Some((origin, seq, acked)) = stream else {
        return Ok(None);
    };
    let cursors = super::sync::cursors(db)?;
    let mut sums = BTreeMap::new();
    for scope in cursors.keys() {
        let held = if afresh { buckets_again(db, scope, true)? } else { buckets(db, scope)? };
        sums.insert(scope.clone(), held);
    }
    Ok(Some(Holding {
        origin,
        seq: seq as u64,
        acked_seq: acked as u64,
        cursors,
        buckets: sums,
        unsummed: unsummed(db)?,
    }))
}

/// Every scope that has sums, or streams.
pub(super) fn scopes(db: &Connection) -> Done<Vec<Scope>> {
    let mut statement = db.prepare_cached("SELECT scope FROM origins UNION SELECT scope FROM checksums")?;
    let names: Vec<String> = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    names.iter().map(|name| parse_scope(name)).collect()
}
