//! Reading incidents: one, whole, a page of a list, what arrived, what needs a decision.

use super::fail::Done;
use super::filter::{self, Indexes, Lookup};
use super::{photos, site};
use crate::incidents::answer;
use crate::ledger::{Comment, Event, Filter, IncidentRow, Whole};
use chassis::clock::format_rfc3339;
use chassis::sqlite::rusqlite::{
    self, Connection, OptionalExtension, Row, params, params_from_iter, types::Value as Sql,
};
use sync_protocol::chain::Link;
use sync_protocol::record;
use uuid::Uuid;

/// What an [`IncidentRow`] is read from; `i` is `incidents`.
pub(super) const COLUMNS: &str = "i.incident_id, i.store_code, i.deleted, i.reported_by, a.display_name, i.status, d.version, \
     i.received_ms, i.comment_count, i.photo_count, i.occurred_at_ms, d.doc, i.incident_no, i.thumbnail_id, i.photos_rev";
/// What is joined to `incidents i` for [`COLUMNS`]: two lookups by primary key a row.
pub(super) const JOINS: &str =
    "CROSS JOIN documents d ON d.incident_no = i.incident_no LEFT JOIN accounts a ON a.username = i.reported_by";

/// Reads a row of [`COLUMNS`]; also answers its number.
pub(super) fn incident_row(row: &Row<'_>) -> rusqlite::Result<(IncidentRow, i64)> {
    Ok((
        IncidentRow {
            id: row.get(0)?,
            store_code: row.get(1)?,
            deleted: row.get(2)?,
            reported_by: row.get(3)?,
            reported_by_name: row.get(4)?,
            status: row.get(5)?,
            version: row.get(6)?,
            received_ms: row.get(7)?,
            comment_count: row.get::<_, i64>(8)? as u64,
            photo_count: row.get::<_, i64>(9)? as u64,
            occurred_at_ms: row.get(10)?,
            doc: row.get(11)?,
            thumbnail: row.get(13)?,
            photos_rev: row.get::<_, i64>(14)? as u64,
        },
        row.get(12)?,
    ))
}

fn numbered(db: &Connection, id: Uuid) -> Done<Option<(IncidentRow, i64)>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM records r CROSS JOIN incidents i ON i.incident_no = r.record_no {JOINS} WHERE r.record_id = ?1"
    );
    Ok(db.prepare_cached(&sql)?.query_row([id], incident_row).optional()?)
}

pub(super) fn row(db: &Connection, id: Uuid) -> Done<Option<IncidentRow>> {
    Ok(numbered(db, id)?.map(|(row, _)| row))
}

/// The strong ETag of what the API shows of `row`.
pub(super) fn etag(row: &IncidentRow) -> String {
    answer::etag_of(row)
}

pub(super) fn whole(db: &Connection, id: Uuid) -> Done<Option<Whole>> {
    numbered(db, id)?.map(|(row, no)| with_all(db, row, no)).transpose()
}

/// Most incidents have neither comments nor photos; the counts on the row save asking.
fn with_all(db: &Connection, row: IncidentRow, no: i64) -> Done<Whole> {
    let comments = if row.comment_count == 0 { Vec::new() } else { comments(db, no)? };
    let photos = photos::with(db, no, row.photo_count)?;
    Ok(Whole { row, comments, photos })
}

fn comments(db: &Connection, incident_no: i64) -> Done<Vec<Comment>> {
    let mut statement = db.prepare_cached(
        "SELECT comment_id, kind, body, author, created_ms FROM comments WHERE incident_no = ?1 ORDER BY hlc, comment_id",
    )?;
    let rows = statement.query_map([incident_no], |row| {
        Ok(Comment {
            id: row.get(0)?,
            kind: row.get(1)?,
            body: row.get(2)?,
            author: row.get(3)?,
            created_at: format_rfc3339(row.get(4)?),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// A page of a list, with each incident's number.
fn listed(db: &Connection, filter: &Filter, after: Option<(i64, Uuid)>, limit: u32) -> Done<Vec<(IncidentRow, i64)>> {
    let Some(Lookup { sql, values }) = filter::page(filter, after, limit, has_common_words(db, filter)?, indexes(db)?)
    else {
        return Ok(Vec::new());
    };
    let mut statement = db.prepare_cached(&sql)?;
    let rows = statement.query_map(params_from_iter(values), incident_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn indexes(db: &Connection) -> Done<Indexes> {
    Ok(if site::is_hub(db)? { Indexes::EachFilter } else { Indexes::Order })
}

fn has_common_words(db: &Connection, filter: &Filter) -> Done<bool> {
    let Some(Lookup { sql, values }) = filter::count_words(filter) else {
        return Ok(false);
    };
    let count: i64 = db.prepare_cached(&sql)?.query_row(params_from_iter(values), |row| row.get(0))?;
    Ok(count >= filter::MANY)
}

pub(super) fn list(db: &Connection, filter: &Filter, after: Option<(i64, Uuid)>, limit: u32) -> Done<Vec<IncidentRow>> {
    Ok(listed(db, filter, after, limit)?.into_iter().map(|(row, _)| row).collect())
}

pub(super) fn list_whole(db: &Connection, filter: &Filter, after: Option<(i64, Uuid)>, limit: u32) -> Done<Vec<Whole>> {
    listed(db, filter, after, limit)?.into_iter().map(|(row, no)| with_all(db, row, no)).collect()
}

pub(super) fn events_after(db: &Connection, after: i64, limit: u32) -> Done<Vec<Event>> {
    let mut statement = db.prepare_cached(
        "SELECT c.change_no, r.kind, r.record_id, r.scope, p.record_id FROM changes c \
         CROSS JOIN records r ON r.record_id = c.record_id LEFT JOIN records p ON p.record_no = r.parent_no \
         WHERE c.change_no > ?1 ORDER BY c.change_no LIMIT ?2",
    )?;
    let mut rows = statement.query(params![after, limit])?;
    let mut events = Vec::new();
    while let Some(row) = rows.next()? {
        let kind: String = row.get(1)?;
        let id: Uuid = row.get(2)?;
        let parent: Option<Uuid> = row.get(4)?;
        let incident_id = if kind == record::INCIDENT { Some(id) } else { parent };
        let scope = super::changes::parse_scope(&row.get::<_, String>(3)?)?;
        events.push(Event { no: row.get(0)?, kind, id, incident_id, scope });
    }
    Ok(events)
}

pub(super) fn last_event(db: &Connection) -> Done<i64> {
    Ok(db
        .prepare_cached("SELECT coalesce(max(change_no), 0) FROM changes")?
        .query_row([], |row| row.get(0))?)
}

/// The plan SQLite makes for a page: what a test looks at.
pub(super) fn explain(db: &Connection, filter: &Filter, after: Option<(i64, Uuid)>, common: bool) -> Done<Vec<String>> {
    let Some(Lookup { sql, values }) = filter::page(filter, after, 50, common, indexes(db)?) else {
        return Ok(Vec::new());
    };
    let mut statement = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
    let rows = statement.query_map(params_from_iter(values.into_iter().collect::<Vec<Sql>>()), |row| row.get(3))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Head of the chain of the stream that holds an incident's first change.
pub(super) fn chain_of(db: &Connection, id: Uuid) -> Done<Option<Link>> {
    let head: Option<[u8; 32]> = db
        .prepare_cached(
            "SELECT o.head FROM changes c JOIN origins o ON o.origin_no = c.origin_no WHERE c.record_id = ?1 \
             ORDER BY c.change_no LIMIT 1",
        )?
        .query_row([id], |row| row.get(0))
        .optional()?;
    Ok(head.map(Link::from_bytes))
}
