//! Chain links of streams: kept here and there, worked out in between.

use super::fail::{Done, Fail};
use super::sums;
use chassis::sqlite::rusqlite::{Connection, OptionalExtension, Row, params};
use sync_protocol::chain::Link;
use sync_protocol::change::ChangeId;
use sync_protocol::hlc::Hlc;
use uuid::Uuid;

/// The body of a row of sequence number, place, digest and body. One that is damaged is no evidence of another history.
pub(super) fn undamaged<'a>(row: &'a Row<'_>, origin: Uuid) -> Done<&'a str> {
    let seq = row.get::<_, i64>(0)? as u64;
    let body = row.get_ref(3)?.as_str().map_err(|e| Fail::Broken(e.to_string()))?;
    sums::check(row.get(2)?, Hlc::from_i64(row.get(1)?), body, ChangeId { origin, seq })?;
    Ok(body)
}

/// The chain link after number `seq` of a stream: from the nearest kept link, hashing what lies between as it is.
pub(super) fn link_at(db: &Connection, origin_no: i64, origin: Uuid, seq: i64) -> Done<Link> {
    link_over(db, origin_no, origin, seq, |row| {
        row.get_ref(3)?.as_bytes().map_err(|e| Fail::Broken(e.to_string()))
    })
}

/// [`link_at`] to be shown to the other side, or held against what it shows.
pub(super) fn proven_link_at(db: &Connection, origin_no: i64, origin: Uuid, seq: i64) -> Done<Link> {
    link_over(db, origin_no, origin, seq, |row| Ok(undamaged(row, origin)?.as_bytes()))
}

fn link_over(
    db: &Connection,
    origin_no: i64,
    origin: Uuid,
    seq: i64,
    body: impl for<'a> Fn(&'a Row<'_>) -> Done<&'a [u8]>,
) -> Done<Link> {
    let kept: Option<(i64, [u8; 32])> = db
        .prepare_cached("SELECT seq, link FROM links WHERE origin_no = ?1 AND seq <= ?2 ORDER BY seq DESC LIMIT 1")?
        .query_row([origin_no, seq], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let (from, mut link) =
        kept.map_or_else(|| (0, Link::start(origin)), |(from, bytes)| (from, Link::from_bytes(bytes)));
    let mut statement = db.prepare_cached(
        "SELECT seq, hlc, digest, body FROM changes WHERE origin_no = ?1 AND seq > ?2 AND seq <= ?3 ORDER BY seq",
    )?;
    let mut rows = statement.query([origin_no, from, seq])?;
    while let Some(row) = rows.next()? {
        link = link.extend(body(row)?);
    }
    Ok(link)
}

pub(super) fn keep_link(db: &Connection, origin_no: i64, seq: i64, link: Link) -> Done<()> {
    db.prepare_cached("INSERT OR REPLACE INTO links (origin_no, seq, link) VALUES (?1, ?2, ?3)")?
        .execute(params![origin_no, seq, link.as_bytes()])?;
    Ok(())
}
