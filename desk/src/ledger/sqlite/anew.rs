//! Beginning a new stream because the old one has two histories: this node's and the one that headquarters holds.
//!
//! It happens after a folder was restored from a backup or copied. Up to some number both histories are the same; what
//! this node recorded after it is sealed again under a new stream, and leaves the old one, so that what headquarters
//! holds under those numbers can come down beside it. The cursors go, because the old stream, which was the node's own
//! and never pulled, is now one like any other.
//!
//! One transaction, guarded by the name of the stream that is to end: a crash leaves all or nothing of it, and asking a
//! second time does nothing.

use super::carry::carry_over;
use super::changes;
use super::fail::{Done, Fail};
use super::site;
use crate::ledger::{Anew, Beginning, Notice};
use chassis::sqlite::rusqlite::{Connection, OptionalExtension, params};
use sync_protocol::chain::Link;
use uuid::Uuid;

/// The most reference numbers left out at once: a wrong number must not use them up.
const MOST_LOST: u64 = 10_000;

/// Ends the stream `beginning.of` and goes on under `origin`; `None` when this site does not record under it (any more).
pub(super) fn begin_anew(db: &Connection, beginning: &Beginning, origin: Uuid) -> Done<Option<Anew>> {
    let mine: Option<String> = db
        .query_row("SELECT site FROM origins WHERE origin = ?1 AND mine = 1", [beginning.of], |row| row.get(0))
        .optional()?;
    let (Some(site), Some(old)) = (mine, changes::origin(db, beginning.of)?) else {
        return Ok(None);
    };
    let agreed_seq = beginning.agreed_seq.min(old.seq);
    db.execute(
        "UPDATE origins SET mine = 0, acked_seq = min(acked_seq, ?2) WHERE origin_no = ?1",
        params![old.no, agreed_seq as i64],
    )?;
    // What headquarters said of them it said of a history that it does not hold any more.
    db.execute(
        "UPDATE changes SET received_ms = NULL WHERE origin_no = ?1 AND seq > ?2",
        params![old.no, agreed_seq as i64],
    )?;
    db.execute("DELETE FROM links WHERE origin_no = ?1 AND seq > ?2", params![old.no, agreed_seq as i64])?;
    let mut stream = changes::open_origin(db, origin, &old.scope, &site, true, None)?;
    let recorded_again = carry_over(db, &old, agreed_seq, &mut stream)?;
    db.execute("UPDATE cursors SET cursor = ''", [])?;
    let lost = beginning.lost.min(MOST_LOST) as i64;
    db.execute("UPDATE counters SET value = value + ?1 WHERE name LIKE 'reference/%'", [lost])?;
    let notice = Notice {
        at_ms: beginning.now_ms,
        what: beginning.why.clone(),
        origin: old.id,
        agreed_seq,
        recorded_again,
        came_back: 0,
    };
    let text = serde_json::to_string(&notice).map_err(|e| Fail::Broken(e.to_string()))?;
    site::set_value(db, "notice", &text)?;
    // Whoever restored this ledger from a backup wanted just that.
    db.execute("DELETE FROM site WHERE name = 'restored'", [])?;
    Ok(Some(Anew { origin, agreed_seq, recorded_again }))
}

/// Records again, under the stream it records under now, what this site recorded in an earlier one from number `first` on, where
/// that was acknowledged and is held without a seal: the hub forgot it, and without it takes nothing that comes after it. Answers
/// how much.
pub(super) fn record_again(db: &Connection, of: Uuid, first: u64) -> Done<u64> {
    // Only a stream of this site's own has anything acknowledged.
    let is_due: bool = db.query_row(
        "SELECT EXISTS (SELECT 1 FROM origins o JOIN changes c ON c.origin_no = o.origin_no AND c.seq = ?2 \
         WHERE o.origin = ?1 AND o.mine = 0 AND o.acked_seq >= ?2 AND c.seal IS NULL)",
        params![of, first as i64],
        |row| row.get(0),
    )?;
    let (true, Some(old)) = (is_due, changes::origin(db, of)?) else {
        return Ok(0);
    };
    let Some(mut stream) = changes::own_origin(db, &old.scope)? else {
        return Ok(0);
    };
    let kept = first.saturating_sub(1);
    db.execute(
        "UPDATE changes SET received_ms = NULL, seal = NULL WHERE origin_no = ?1 AND seq > ?2",
        params![old.no, kept as i64],
    )?;
    db.execute(
        "UPDATE origins SET acked_seq = min(acked_seq, ?2) WHERE origin_no = ?1",
        params![old.no, kept as i64],
    )?;
    db.execute("DELETE FROM links WHERE origin_no = ?1 AND seq > ?2", params![old.no, kept as i64])?;
    carry_over(db, &old, kept, &mut stream)
}

/// What the site has to tell of its last new beginning, and how much came back since.
pub(super) fn notice(db: &Connection) -> Done<Option<Notice>> {
    let Some(text) = site::value(db, "notice")? else {
        return Ok(None);
    };
    let Ok(notice) = serde_json::from_str::<Notice>(&text) else {
        return Ok(None);
    };
    let came_back: i64 = db
        .prepare_cached(
            "SELECT count(*) FROM changes WHERE origin_no = (SELECT origin_no FROM origins WHERE origin = ?1) AND seq > ?2",
        )?
        .query_row(params![notice.origin, notice.agreed_seq as i64], |row| row.get(0))?;
    Ok(Some(Notice { came_back: came_back as u64, ..notice }))
}

/// The chain link of the site's own stream after number `seq`; `None` beyond its end. At its end it is known, and a site that
/// starts need not read all it has ever recorded.
pub(super) fn own_link(db: &Connection, seq: u64) -> Done<Option<Link>> {
    let stream: Option<(i64, Uuid, i64, [u8; 32])> = db
        .prepare_cached("SELECT origin_no, origin, seq, head FROM origins WHERE mine = 1")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
        .optional()?;
    match stream {
        Some((_, _, last, head)) if seq == last as u64 => Ok(Some(Link::from_bytes(head))),
        Some((no, origin, last, _)) if seq < last as u64 => {
            Ok(Some(super::links::link_at(db, no, origin, seq as i64)?))
        }
        _ => Ok(None),
    }
}
