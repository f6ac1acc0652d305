//! Rows of `quarantine`: changes that are kept and not in their record.
//!
//! A row is *open* until the change is in its record, when it goes, or until a person decided against the change, when it is
//! marked settled and stays. What comes after an open row in the order of arrival, of the same record or of one that belongs
//! to it, waits behind it with a row of its own.

use super::fail::Done;
use chassis::sqlite::rusqlite::{Connection, params};
use sync_protocol::change::Change;
use sync_protocol::message::{Outcome, quarantine};
use sync_protocol::record::ERASURE;
use uuid::Uuid;

/// Longest reason, in characters.
pub(super) const MAX_REASON: usize = 500;

/// What a change that waits is told.
pub(super) const WAITS: (&str, &str) = ("waits", "an earlier change of the same record is in quarantine");

/// A change to be kept out of its record.
pub(super) struct Aside<'a> {
    pub(super) change_no: i64,
    /// The record, where the body could be read.
    pub(super) record: Option<Uuid>,
    /// The incident that the record belongs to, where the body names it.
    pub(super) parent: Option<Uuid>,
    /// Whether it waits behind another one and is not itself bad.
    pub(super) waits: bool,
    pub(super) code: &'a str,
    pub(super) reason: &'a str,
    pub(super) since_ms: i64,
    /// Whether a person decided against it.
    pub(super) settled: bool,
}

/// The record whose later changes wait behind one with this outcome. Whoever has no say in an order of erasure keeps nobody else
/// from saying that it is done.
pub(super) fn held_up(outcome: &Outcome, change: Option<&Change>) -> Option<Uuid> {
    let change = change?;
    let is_idle =
        change.kind == ERASURE && matches!(outcome, Outcome::Quarantined { code, .. } if code == quarantine::NOT_YOURS);
    (!is_idle).then_some(change.id)
}

pub(super) fn keep(db: &Connection, aside: &Aside<'_>) -> Done<()> {
    db.prepare_cached(
        "INSERT INTO quarantine (change_no, record_id, parent_id, waits, code, reason, since_ms, settled) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        aside.change_no,
        aside.record,
        aside.parent,
        aside.waits,
        aside.code,
        shortened(aside.reason),
        aside.since_ms,
        aside.settled
    ])?;
    Ok(())
}

/// Whether an open row of `record` came before change `change_no`.
pub(super) fn is_before(db: &Connection, record: Uuid, change_no: i64) -> Done<bool> {
    Ok(db
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM quarantine WHERE record_id = ?1 AND settled = 0 AND change_no < ?2)",
        )?
        .query_row(params![record, change_no], |row| row.get(0))?)
}

/// Whether what is open of `record` is there only because nobody had recorded it: so whatever records it does not wait.
pub(super) fn is_missed(db: &Connection, record: Uuid) -> Done<bool> {
    let (open, bad): (i64, i64) = db
        .prepare_cached(
            "SELECT count(*), coalesce(sum(waits = 0 AND code <> ?2), 0) FROM quarantine WHERE record_id = ?1 AND settled = 0",
        )?
        .query_row(params![record, quarantine::NO_RECORD], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(open > 0 && bad == 0)
}

/// Whether anything open is about `record`, or about something that belongs to it.
pub(super) fn is_awaited(db: &Connection, record: Uuid) -> Done<bool> {
    Ok(db
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM quarantine WHERE record_id = ?1 AND settled = 0) \
                 OR EXISTS (SELECT 1 FROM quarantine WHERE parent_id = ?1 AND settled = 0)",
        )?
        .query_row([record], |row| row.get(0))?)
}

/// A reason as it is told: what a body says may be in it, however long.
fn shortened(reason: &str) -> &str {
    reason.char_indices().nth(MAX_REASON).map_or(reason, |(at, _)| &reason[..at])
}
