//! One step of the scrub: reads a little of what is kept and compares it with what it has to be.
//!
//! A step looks first, on a reader and so without holding anybody up; only what seems wrong is looked at again, and mended, in a
//! transaction of its own. A step that meets a page SQLite cannot read says which table it was reading and ends its part: the
//! rest of a torn tree cannot be walked.

use super::fail::{Done, Fail};
use super::{SqliteLedger, damage, mend, sums};
use crate::error::Error;
use crate::ledger::{Damage, DamageKind, ScrubPart, ScrubStep};
use chassis::sqlite::rusqlite::{self, Connection, ErrorCode, OptionalExtension, params};
use std::collections::BTreeMap;
use sync_protocol::change::{Change, ChangeId};
use sync_protocol::checksum::{BUCKETS, Sum, Sums};
use sync_protocol::hlc::Hlc;
use sync_protocol::scope::Scope;
use uuid::Uuid;

/// Changes looked at in one step.
const CHANGES: i64 = 500;
/// Records put together anew in one step.
const RECORDS: i64 = 100;
/// Gaps and lost records told in one round.
const MOST_GAPS: i64 = 500;
/// What a page of the database is about, for the pace.
const PAGE_BYTES: u64 = 4096;

/// What a look has seen.
#[derive(Default)]
struct Look {
    position: Option<String>,
    bytes: u64,
    changes: Vec<(ChangeId, String, &'static str)>,
    records: Vec<Uuid>,
    scopes: Vec<Scope>,
    table: Option<(String, String)>,
}

impl SqliteLedger {
    pub(super) async fn scrub_step(&self, part: ScrubPart, position: String, now_ms: i64) -> Result<ScrubStep, Error> {
        let look = self.look_over(part, position).await?;
        let mut step = ScrubStep { position: look.position, bytes: look.bytes, ..ScrubStep::default() };
        let nothing =
            look.changes.is_empty() && look.records.is_empty() && look.scopes.is_empty() && look.table.is_none();
        if nothing {
            return Ok(step);
        }
        let (changes, records, scopes, table) = (look.changes, look.records, look.scopes, look.table);
        let done = self
            .write(move |db| {
                let mut done = ScrubStep::default();
                for (id, scope, what) in changes {
                    again_change(db, id, &scope, what, now_ms, &mut done)?;
                }
                for id in records {
                    mend::record(db, id, now_ms, &mut done)?;
                }
                for scope in scopes {
                    if sums::sum_again(db, &scope)? {
                        done.mended.push(sums_mended(&scope, now_ms));
                    }
                }
                if let Some((table, what)) = table {
                    again_table(db, &table, &what, now_ms, &mut done)?;
                }
                Ok(done)
            })
            .await?;
        step.found = done.found;
        step.mended = done.mended;
        Ok(step)
    }

    async fn look_over(&self, part: ScrubPart, position: String) -> Result<Look, Error> {
        self.answered(
            self.db
                .read_within(super::AUDIT_DEADLINE, move |db| {
                    let looked = match part {
                        ScrubPart::Tables => tables(db, &position),
                        ScrubPart::Changes => changes(db, &position),
                        ScrubPart::Records => records(db, &position),
                        ScrubPart::Contents => Ok(Look::default()),
                    };
                    match looked {
                        Err(Fail::Sql(error)) if is_torn(&error) => {
                            let table = if part == ScrubPart::Records { "records" } else { "changes" };
                            let what = format!("it cannot be read behind {position:?}: {error}");
                            Ok(Look { table: Some((table.to_owned(), what)), ..Look::default() })
                        }
                        other => other,
                    }
                })
                .await,
        )
    }
}

fn is_torn(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

fn sums_mended(scope: &Scope, now_ms: i64) -> Damage {
    Damage {
        kind: DamageKind::Record,
        name: format!("sums of {scope}"),
        scope: Some(scope.to_string()),
        what: "the sums were not those of the records".to_owned(),
        found_ms: now_ms,
        mended_ms: Some(now_ms),
        how: Some("summed anew".to_owned()),
    }
}

// ---- tables -----------------------------------------------------------------------------------------------------

fn tables(db: &Connection, position: &str) -> Done<Look> {
    let next: Option<String> = db
        .prepare_cached(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name > ?1 AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' \
             AND sql NOT LIKE 'CREATE VIRTUAL%' ORDER BY name LIMIT 1",
        )?
        .query_row([position], |row| row.get(0))
        .optional()?;
    let Some(table) = next else { return Ok(Look::default()) };
    let pages: i64 = db.query_row("SELECT page_count FROM pragma_page_count", [], |row| row.get(0))?;
    let wrong = quick_check(db, &table)?;
    Ok(Look {
        table: wrong.map(|what| (table.clone(), what)),
        position: Some(table),
        // Not this table's: SQLite does not say. A round reads about the whole file.
        bytes: (pages.max(0) as u64 / 32 + 1) * PAGE_BYTES,
        ..Look::default()
    })
}

/// What SQLite finds wrong with a table and its indexes.
fn quick_check(db: &Connection, table: &str) -> Done<Option<String>> {
    let sql = format!("PRAGMA quick_check(\"{}\")", table.replace('"', "\"\""));
    let lines = db.prepare(&sql).and_then(|mut statement| {
        statement.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()
    });
    match lines {
        Ok(lines) => {
            let wrong: Vec<String> = lines.into_iter().filter(|line| line != "ok").take(5).collect();
            Ok((!wrong.is_empty()).then(|| wrong.join("; ").replace('\n', " ")))
        }
        Err(error) if is_torn(&error) => Ok(Some(error.to_string())),
        Err(error) => Err(error.into()),
    }
}

/// Builds a table's indexes again, which helps where only they are damaged, and notes the table otherwise.
fn again_table(db: &Connection, table: &str, what: &str, now_ms: i64, done: &mut ScrubStep) -> Done<()> {
    let mut damage = Damage {
        kind: DamageKind::Table,
        name: table.to_owned(),
        scope: None,
        what: what.to_owned(),
        found_ms: now_ms,
        mended_ms: None,
        how: None,
    };
    db.execute_batch("SAVEPOINT indexes")?;
    let built = db.execute_batch(&format!("REINDEX \"{}\"", table.replace('"', "\"\"")));
    let is_well = match built {
        Ok(()) => quick_check(db, table)?.is_none(),
        Err(error) if is_torn(&error) => false,
        Err(error) => return Err(error.into()),
    };
    if is_well {
        db.execute_batch("RELEASE indexes")?;
        damage.mended_ms = Some(now_ms);
        damage.how = Some("its indexes were built again".to_owned());
        damage::mended(db, DamageKind::Table, table, "its indexes were built again", now_ms)?;
        damage::note(db, &damage, None)?;
        done.mended.push(damage);
        return Ok(());
    }
    db.execute_batch("ROLLBACK TO indexes; RELEASE indexes")?;
    if damage::note(db, &damage, None)? {
        done.found.push(damage);
    }
    Ok(())
}

// ---- changes ----------------------------------------------------------------------------------------------------

fn changes(db: &Connection, position: &str) -> Done<Look> {
    let mut look = Look::default();
    let after: i64 = position.parse().unwrap_or(0);
    if position.is_empty() {
        gaps(db, &mut look)?;
    }
    let mut statement = db.prepare_cached(
        "SELECT c.change_no, o.origin, c.seq, o.scope, c.hlc, c.body, c.digest, c.record_id FROM changes c \
         CROSS JOIN origins o ON o.origin_no = c.origin_no WHERE c.change_no > ?1 ORDER BY c.change_no LIMIT ?2",
    )?;
    let mut rows = statement.query(params![after, CHANGES])?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        count += 1;
        look.position = Some(row.get::<_, i64>(0)?.to_string());
        let bytes = row.get_ref(5)?.as_bytes().map_err(|e| Fail::Broken(e.to_string()))?;
        look.bytes += bytes.len() as u64;
        let id = ChangeId { origin: row.get(1)?, seq: row.get::<_, i64>(2)? as u64 };
        let record: Option<Uuid> = row.get(7)?;
        let is_whole = std::str::from_utf8(bytes).is_ok_and(|body| {
            let says = Change::from_body(body).ok().map(|change| change.id);
            sums::check(row.get(6).ok().flatten(), Hlc::from_i64(row.get(4).unwrap_or(-1)), body, id).is_ok()
                && says == record
        });
        if !is_whole {
            look.changes.push((id, row.get(3)?, "it is not what was recorded"));
        }
    }
    if count < CHANGES {
        look.position = None;
    }
    Ok(look)
}

/// Numbers that are missing in streams that have to be whole: a node's own, and at the hub all.
fn gaps(db: &Connection, look: &mut Look) -> Done<()> {
    let is_hub = super::site::is_hub(db)?;
    let mut statement = db.prepare_cached(
        "SELECT o.origin_no, o.origin, o.scope, o.seq FROM origins o WHERE (?1 OR o.mine = 1) \
         AND o.seq > (SELECT count(*) FROM changes c WHERE c.origin_no = o.origin_no)",
    )?;
    let mut rows = statement.query([is_hub])?;
    while let Some(row) = rows.next()? {
        let (no, origin, scope, last): (i64, Uuid, String, i64) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
        // A number is missing where its predecessor is there (or it is the first) and it is not.
        let mut missing = db.prepare_cached(
            "WITH RECURSIVE here (seq) AS (SELECT seq FROM changes WHERE origin_no = ?1), \
             n (seq) AS (SELECT 1 UNION ALL SELECT seq + 1 FROM n WHERE seq < ?2) \
             SELECT seq FROM n WHERE seq NOT IN (SELECT seq FROM here) LIMIT ?3",
        )?;
        let left = MOST_GAPS - look.changes.len() as i64;
        let numbers: Vec<i64> =
            missing.query_map(params![no, last, left], |row| row.get(0))?.collect::<Result<_, _>>()?;
        look.changes
            .extend(numbers.into_iter().map(|seq| (ChangeId { origin, seq: seq as u64 }, scope.clone(), "it is gone")));
    }
    Ok(())
}

/// Looks at a change again, in the transaction that notes it.
fn again_change(db: &Connection, id: ChangeId, scope: &str, what: &str, now_ms: i64, done: &mut ScrubStep) -> Done<()> {
    let found = db
        .prepare_cached(
            "SELECT c.change_no, CAST(c.body AS BLOB), c.hlc, c.digest, c.record_id FROM changes c \
             JOIN origins o ON o.origin_no = c.origin_no WHERE o.origin = ?1 AND c.seq = ?2",
        )?
        .query_row(params![id.origin, id.seq as i64], |row| {
            let record: Option<Uuid> = row.get(4)?;
            Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?, row.get::<_, i64>(2)?, row.get(3)?, record))
        })
        .optional()?;
    let Some((change_no, bytes, hlc, digest, record)) = found else {
        return mend::note_change(db, id, scope, "it is gone", None, now_ms, done);
    };
    let body = String::from_utf8_lossy(&bytes).into_owned();
    let is_text = std::str::from_utf8(&bytes).is_ok();
    if is_text && sums::check(digest, Hlc::from_i64(hlc), &body, id).is_ok() {
        // The change is whole: what says which record it is of follows from it.
        let says = Change::from_body(&body).ok().map(|change| change.id);
        if says != record {
            db.prepare_cached("UPDATE changes SET record_id = ?2 WHERE change_no = ?1")?
                .execute(params![change_no, says])?;
            for id in says.into_iter().chain(record) {
                mend::record(db, id, now_ms, done)?;
            }
        }
        let mended = damage::mended(db, DamageKind::Change, &id.to_string(), "it is what was recorded", now_ms)?;
        done.mended.extend(mended);
        return Ok(());
    }
    mend::note_change(db, id, scope, what, Some(&body), now_ms, done)
}

// ---- records ----------------------------------------------------------------------------------------------------

fn records(db: &Connection, position: &str) -> Done<Look> {
    let mut look = Look::default();
    let after: i64 = position.parse().unwrap_or(0);
    if position.is_empty() {
        let mut lost = db.prepare_cached(
            "SELECT DISTINCT c.record_id FROM changes c WHERE c.record_id IS NOT NULL \
             AND NOT EXISTS (SELECT 1 FROM records r WHERE r.record_id = c.record_id) \
             AND NOT EXISTS (SELECT 1 FROM quarantine q WHERE q.change_no = c.change_no) LIMIT ?1",
        )?;
        look.records = lost.query_map([MOST_GAPS], |row| row.get(0))?.collect::<Result<_, _>>()?;
    }
    let mut statement = db.prepare_cached(
        "SELECT record_no, record_id, length(state) FROM records WHERE record_no > ?1 ORDER BY record_no LIMIT ?2",
    )?;
    let rows: Vec<(i64, Uuid, i64)> = statement
        .query_map(params![after, RECORDS], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<_, _>>()?;
    for (_, id, length) in &rows {
        // Its state, its changes and its tables.
        look.bytes += 4 * length.max(&0).unsigned_abs();
        if !mend::is_well(db, *id)? {
            look.records.push(*id);
        }
    }
    match rows.last() {
        Some((no, ..)) if rows.len() as i64 == RECORDS => look.position = Some(no.to_string()),
        _ => look.scopes = wrong_sums(db)?,
    }
    Ok(look)
}

/// Scopes whose sums are not those of their records.
fn wrong_sums(db: &Connection) -> Done<Vec<Scope>> {
    let mut right: BTreeMap<String, Vec<Sums>> = BTreeMap::new();
    let mut statement = db.prepare_cached("SELECT scope, bucket, sum_a, sum_b FROM records WHERE sum_a IS NOT NULL")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let scope = row.get_ref(0)?.as_str().map_err(|e| Fail::Broken(e.to_string()))?;
        if !right.contains_key(scope) {
            right.insert(scope.to_owned(), vec![Sums::default(); BUCKETS]);
        }
        if let Some(buckets) = right.get_mut(scope) {
            buckets[usize::from(row.get::<_, u8>(1)?)].add(Sum::from_pair((row.get(2)?, row.get(3)?)));
        }
    }
    let mut wrong = Vec::new();
    for scope in sums::scopes(db)? {
        let none = vec![Sums::default(); BUCKETS];
        if &sums::buckets(db, &scope)? != right.get(&scope.to_string()).unwrap_or(&none) {
            wrong.push(scope);
        }
    }
    Ok(wrong)
}
