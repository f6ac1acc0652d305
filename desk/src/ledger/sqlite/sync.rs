//! Moving changes between sites.
//!
//! Up: a node reads its own stream from what the hub acknowledged and notes the hub's answers. The hub takes a push
//! whole or not at all: stream head, changes, records and feed move in one transaction.
//! Down: the hub's feed is read in one snapshot; the node stores a page's changes and the cursor behind them in one
//! transaction. Neither direction looks at the other.

use super::changes::{
    self, Incoming, Origin, Untried, add, add_aside, add_numbered, feed, open_origin, origin, parse_scope, save_origin,
};
use super::fail::{Done, Fail};
pub(super) use super::feed::line;
use super::histories::{durable_seq, hub_key};
use super::links::{keep_link, link_at, proven_link_at, undamaged};
use super::{erasures, site, sums};
use crate::error::Refusal;
use crate::ledger::{Identity, OriginHead, PageApplied, PageQuery, PageResult, Unpushed};
use chassis::sqlite::rusqlite::{Connection, OptionalExtension, params};
use std::collections::{BTreeMap, BTreeSet};
use sync_protocol::batch::{Page, Push};
use sync_protocol::chain::Link;
use sync_protocol::change::{Change, ChangeId};
use sync_protocol::erasure::digest;
use sync_protocol::hlc::{Hlc, MAX_AHEAD_MS};
use sync_protocol::message::{Answer, Outcome, PageHeader, PageLine, PushResult};
use sync_protocol::scope::Scope;
use sync_protocol::seal::{HubKey, Seal};
use uuid::Uuid;

/// Most feed rows looked at for one page; those of skipped origins count too.
const MAX_FEED_ROWS: u32 = 5_000;
/// The hub keeps a chain link about every so many changes of a stream.
const LINK_EVERY: u64 = 500;

// ---- up ---------------------------------------------------------------------------------------------------------

pub(super) fn unpushed(
    db: &Connection,
    after_seq: Option<u64>,
    max_changes: u32,
    max_bytes: usize,
) -> Done<Option<Unpushed>> {
    let stream: Option<(i64, Uuid, i64)> = db
        .prepare_cached("SELECT origin_no, origin, acked_seq FROM origins WHERE mine = 1")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let Some((origin_no, origin, acked)) = stream else {
        return Ok(None);
    };
    let after = after_seq.map_or(acked, |seq| seq as i64);
    let mut statement = db.prepare_cached(
        "SELECT seq, body, hlc, digest FROM changes WHERE origin_no = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3",
    )?;
    let mut rows = statement.query(params![origin_no, after, max_changes])?;
    let (mut bodies, mut bytes) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let body: String = row.get(1)?;
        // Sent as it is, a damaged one would begin another history. What comes before it goes.
        let (digest, placed) = (row.get(3)?, Hlc::from_i64(row.get(2)?));
        if !bodies.is_empty() && !sums::is_whole(digest, placed, &body) {
            break;
        }
        let id = ChangeId { origin, seq: row.get::<_, i64>(0)? as u64 };
        sums::check(digest, placed, &body, id)?;
        bytes += body.len();
        if bytes > max_bytes && !bodies.is_empty() {
            break;
        }
        bodies.push(body);
    }
    if bodies.is_empty() {
        return Ok(None);
    }
    Ok(Some(Unpushed {
        origin,
        first_seq: after as u64 + 1,
        prev: proven_link_at(db, origin_no, origin, after)?,
        bodies,
    }))
}

pub(super) fn note_answers(db: &Connection, origin_id: Uuid, applied_seq: u64, answers: &[Answer]) -> Done<()> {
    let Some(stream) = origin(db, origin_id)? else {
        return Err(Fail::Broken("answers for a stream that is not here".to_owned()));
    };
    let mut furthest: Option<Hlc> = None;
    for answer in answers {
        let found: Option<(i64, Option<Uuid>, i64, bool)> = db
            .prepare_cached(
                "SELECT c.change_no, c.record_id, c.hlc, coalesce(q.settled, 0) FROM changes c \
                 LEFT JOIN quarantine q ON q.change_no = c.change_no WHERE c.origin_no = ?1 AND c.seq = ?2",
            )?
            .query_row(params![stream.no, answer.seq as i64], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
            })
            .optional()?;
        let Some((change_no, record_id, hlc, settled)) = found else {
            continue;
        };
        let outcome = match &answer.outcome {
            Outcome::Quarantined { code, reason } => Some(format!("quarantined: {code}: {reason}")),
            Outcome::Deferred => Some("deferred".to_owned()),
            Outcome::Applied | Outcome::Merged | Outcome::Duplicate => None,
        }
        // Headquarters may not have heard yet that it was settled here.
        .filter(|_| !settled);
        db.prepare_cached("UPDATE changes SET received_ms = ?2, outcome = ?3 WHERE change_no = ?1")?
            .execute(params![change_no, answer.received_ms, outcome])?;
        if let Some(record_id) = record_id {
            note_received(db, record_id, answer.received_ms)?;
        }
        if let Some(moved) = answer.hlc
            && moved.to_i64() != hlc
        {
            changes::restamp(db, change_no, moved)?;
            furthest = furthest.max(Some(moved.max(Hlc::new(answer.received_ms.saturating_add(MAX_AHEAD_MS), 0))));
        }
    }
    if let Some(furthest) = furthest {
        set_back(db, &stream, answers, furthest)?;
    }
    // Never beyond what was recorded here, whatever the hub believes.
    let last = (applied_seq.min(stream.seq)) as i64;
    if last > 0 {
        let link = link_at(db, stream.no, stream.id, last)?;
        keep_link(db, stream.no, last, link)?;
        db.prepare_cached("DELETE FROM links WHERE origin_no = ?1 AND seq < ?2")?
            .execute(params![stream.no, last])?;
        db.prepare_cached("UPDATE origins SET acked_seq = max(acked_seq, ?2) WHERE origin_no = ?1")?
            .execute(params![stream.no, last])?;
    }
    Ok(())
}

/// After the hub placed changes earlier than they said, the site's last reading is no longer what a clock years ahead made
/// it: else everything recorded after that clock was set right would stand after everybody else's edits.
///
/// No change that the hub holds stands later than the place it gave or 5 minutes after its clock, so that is where it is set
/// back to, unless something that waits here stands later.
fn set_back(db: &Connection, stream: &Origin, answers: &[Answer], furthest: Hlc) -> Done<()> {
    let answered = answers.last().map_or(0, |answer| answer.seq);
    let waiting: Option<i64> = db
        .prepare_cached("SELECT max(hlc) FROM changes WHERE origin_no = ?1 AND seq > ?2")?
        .query_row(params![stream.no, answered as i64], |row| row.get(0))?;
    site::set_back(db, furthest.max(Hlc::from_i64(waiting.unwrap_or(0))))
}

/// Notes when the hub first had a record, if it is not known yet.
fn note_received(db: &Connection, record_id: Uuid, received_ms: i64) -> Done<()> {
    let updated = db
        .prepare_cached("UPDATE records SET received_ms = ?2 WHERE record_id = ?1 AND received_ms IS NULL")?
        .execute(params![record_id, received_ms])?;
    if updated > 0 {
        db.prepare_cached(
            "UPDATE incidents SET received_ms = ?2 WHERE incident_no = (SELECT record_no FROM records WHERE record_id = ?1)",
        )?
        .execute(params![record_id, received_ms])?;
    }
    Ok(())
}

/// `untried`: why changes that are new here go to quarantine instead of into their records.
pub(super) fn take_push(
    db: &Connection,
    node_id: Uuid,
    scope: &Scope,
    push: &Push,
    now_ms: i64,
    untried: Option<Untried<'_>>,
) -> Done<PushResult> {
    let header = &push.header;
    let mut known = origin(db, header.origin)?;
    if let Some(known) = &mut known {
        // One that other nodes gave back is taken up again by whoever goes on from where it stands.
        let is_orphan = known.node_id.is_none() && is_orphan(db, known)?;
        if (known.node_id != Some(node_id) && !is_orphan) || &known.scope != scope {
            return Err(Refusal::Forbidden("the stream belongs to another node".to_owned()).into());
        }
        if is_orphan && header.first_seq <= known.seq + 1 && contradiction(db, known, push)?.is_none() {
            db.prepare_cached("UPDATE origins SET node_id = ?2 WHERE origin_no = ?1")?
                .execute(params![known.no, node_id])?;
            known.node_id = Some(node_id);
        }
    }
    let held = known.as_ref().map_or(0, |origin| origin.seq);
    if header.first_seq > held + 1 {
        return Ok(PushResult::Gap { expected: held + 1 });
    }
    if let Some(known) = &known
        && let Some(agreed_seq) = contradiction(db, known, push)?
    {
        // A push without changes only asks whether both agree.
        if !push.bodies.is_empty() {
            keep_fork(db, node_id, agreed_seq, push, now_ms)?;
        }
        return Ok(PushResult::Fork { agreed_seq });
    }
    let mut stream = match known {
        Some(known) => known,
        None if header.prev != Link::start(header.origin) => {
            return Err(Refusal::Conflict("the stream does not start at its first link".to_owned()).into());
        }
        None => {
            let site = scope.store_code().unwrap_or("hub");
            open_origin(db, header.origin, scope, site, false, Some(node_id))?
        }
    };

    let mut answers = Vec::with_capacity(push.bodies.len());
    let mut fed = Vec::new();
    let mut latest = Hlc::default();
    let last = site::last_reading(db)?;
    for (seq, body) in (header.first_seq..).zip(&push.bodies) {
        if seq <= held {
            answers.push(answered(db, &stream, seq)?);
            continue;
        }
        let parsed = Change::from_body(body);
        let claimed = parsed.as_ref().ok().map(Change::order);
        let placed = claimed.map(|hlc| place(hlc, last, now_ms));
        latest = placed.map_or(latest, |hlc| latest.observe(hlc));
        let incoming = Incoming {
            origin: &mut stream,
            body,
            parsed,
            hlc: placed,
            received_ms: Some(now_ms),
            now_ms,
            claim: None,
            met: None,
        };
        let added = match untried {
            None => add(db, incoming)?,
            Some(why) => add_aside(db, incoming, why)?,
        };
        fed.extend(added.told().map(|change_no| (scope.clone(), change_no)));
        answers.push(Answer {
            seq,
            outcome: added.outcome,
            received_ms: now_ms,
            hlc: placed.filter(|hlc| Some(*hlc) != claimed),
        });
    }
    changes::saw(db, latest)?;
    save_origin(db, &stream)?;
    keep_link_if_due(db, &stream, held)?;
    feed(db, &fed)?;
    super::fleet::count_drained(db, node_id, stream.seq - held)?;
    let Identity::Hub { epoch, .. } = site::identity(db)? else {
        return Err(Fail::Broken("only a hub takes a push".to_owned()));
    };
    let receipt = Some(hub_key(db)?.receipt(epoch, stream.id, stream.seq, stream.head));
    let durable_seq = durable_seq(db, stream.id)?;
    Ok(PushResult::Accepted { applied_seq: stream.seq, durable_seq, head: stream.head, answers, receipt })
}

/// Where the hub places a change that says it stands at `claimed`: at most 5 minutes after its clock.
///
/// A hub whose clock was set back holds places of its own beyond that, up to `last`, its last reading. Whoever saw them has to be
/// able to edit after them, so then anything up to the last place of that millisecond will do: nobody gets further ahead by it.
pub(super) fn place(claimed: Hlc, last: Hlc, now_ms: i64) -> Hlc {
    claimed.clamp(now_ms, MAX_AHEAD_MS).max(claimed.min(Hlc::new(last.ms(), u16::MAX)))
}

/// Keeps the stream's link when a run from number `held` on has passed a mark.
pub(super) fn keep_link_if_due(db: &Connection, stream: &Origin, held: u64) -> Done<()> {
    if stream.seq / LINK_EVERY != held / LINK_EVERY {
        keep_link(db, stream.no, stream.seq as i64, stream.head)?;
    }
    Ok(())
}

/// Where the push and what is held part ways: the last number both agree on; `None` when they agree.
fn contradiction(db: &Connection, known: &Origin, push: &Push) -> Done<Option<u64>> {
    let header = &push.header;
    let prev = if header.first_seq == known.seq + 1 {
        known.head
    } else {
        proven_link_at(db, known.no, known.id, header.first_seq as i64 - 1)?
    };
    if prev != header.prev {
        // They part somewhere before this push, which cannot be seen from here: 0 is the safe answer.
        return Ok(Some(0));
    }
    let mut statement = db.prepare_cached(
        "SELECT seq, hlc, digest, body FROM changes WHERE origin_no = ?1 AND seq >= ?2 ORDER BY seq LIMIT ?3",
    )?;
    let mut rows = statement.query(params![known.no, header.first_seq as i64, push.bodies.len() as i64])?;
    for (seq, body) in (header.first_seq..).zip(&push.bodies) {
        let Some(row) = rows.next()? else { break };
        let held = undamaged(row, known.id)?;
        // What is left of an erased one is the same change.
        if held != body && digest(held.as_bytes()) != digest(body.as_bytes()) {
            return Ok(Some(seq - 1));
        }
    }
    Ok(None)
}

fn keep_fork(db: &Connection, node_id: Uuid, agreed_seq: u64, push: &Push, now_ms: i64) -> Done<()> {
    let body = push.bodies.join("\n");
    let kept = erasures::left_of_each(db, push.bodies.iter().map(String::as_str))?;
    let digest = blake3::hash(format!("{}\n{}\n{body}", push.header.origin, push.header.first_seq).as_bytes());
    db.prepare_cached(
        "INSERT INTO forks (origin, node_id, agreed_seq, first_seq, body, digest, since_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) \
         ON CONFLICT (digest) DO NOTHING",
    )?
    .execute(params![push.header.origin, node_id, agreed_seq as i64, push.header.first_seq as i64, kept, digest.as_bytes(), now_ms])?;
    Ok(())
}

/// The answer to a change that is here already.
fn answered(db: &Connection, stream: &Origin, seq: u64) -> Done<Answer> {
    let (change_no, received_ms, hlc, body): (i64, Option<i64>, i64, String) = db
        .prepare_cached("SELECT change_no, received_ms, hlc, body FROM changes WHERE origin_no = ?1 AND seq = ?2")?
        .query_row(params![stream.no, seq as i64], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
    // What a person decided against is settled: there is nothing more to say of it.
    let aside: Option<(bool, String, String)> = db
        .prepare_cached("SELECT waits, code, reason FROM quarantine WHERE change_no = ?1 AND settled = 0")?
        .query_row([change_no], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let outcome = match aside {
        None => Outcome::Duplicate,
        Some((true, _, _)) => Outcome::Deferred,
        Some((false, code, reason)) => Outcome::Quarantined { code, reason },
    };
    let placed = Hlc::from_i64(hlc);
    let claimed = Change::from_body(&body).ok().map(|change| change.order());
    Ok(Answer {
        seq,
        outcome,
        received_ms: received_ms.unwrap_or(0),
        hlc: claimed.filter(|hlc| *hlc != placed).map(|_| placed),
    })
}

/// Whether a stream was a node's, came back from others, and its node has not called since.
fn is_orphan(db: &Connection, stream: &Origin) -> Done<bool> {
    Ok(db
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM origins WHERE origin_no = ?1 AND node_id IS NULL AND mine = 0 AND site <> 'hub')",
        )?
        .query_row([stream.no], |row| row.get(0))?)
}

pub(super) fn origin_head(db: &Connection, id: Uuid) -> Done<Option<OriginHead>> {
    let Some(stream) = origin(db, id)? else { return Ok(None) };
    let is_orphan = is_orphan(db, &stream)?;
    let durable_seq = durable_seq(db, id)?;
    let Origin { scope, node_id, seq, head, .. } = stream;
    Ok(Some(OriginHead { seq, head, pusher: node_id, is_orphan, scope, durable_seq }))
}

// ---- down -------------------------------------------------------------------------------------------------------

pub(super) fn cursors(db: &Connection) -> Done<BTreeMap<Scope, Option<String>>> {
    let mut statement = db.prepare_cached("SELECT scope, cursor FROM cursors")?;
    let rows: Vec<(String, String)> =
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
    rows.into_iter()
        .map(|(scope, cursor)| Ok((parse_scope(&scope)?, Some(cursor).filter(|cursor| !cursor.is_empty()))))
        .collect()
}

/// What a cursor says.
pub(super) enum Cursor {
    /// The node has everything up to this number of the scope's feed.
    At(i64),
    /// It is of another epoch, or none of this hub's.
    Bad,
    /// This hub gave it out in this epoch and does not stand where it did then: it has forgotten something.
    Forgotten,
}

/// The tag of the change with number `seq` in the scope's feed; 0 before the first, none where there is none.
fn tag_at(db: &Connection, scope: &str, seq: i64) -> Done<Option<u32>> {
    if seq == 0 {
        return Ok(Some(0));
    }
    Ok(db
        .prepare_cached("SELECT tag FROM feed WHERE scope = ?1 AND seq = ?2")?
        .query_row(params![scope, seq], |row| row.get(0))
        .optional()?)
}

pub(super) fn read_cursor(
    db: &Connection,
    scope: &Scope,
    cursor: Option<&str>,
    epoch: Uuid,
    key: &HubKey,
) -> Done<Cursor> {
    let Some(cursor) = cursor else { return Ok(Cursor::At(0)) };
    let parts = || {
        let (of, rest) = cursor.split_once('.')?;
        let (seq, check) = rest.split_once('.')?;
        let (tag, seal) = (check.get(..8)?, check.get(8..)?);
        let (of, seq) = (Uuid::try_parse(of).ok()?, seq.parse::<i64>().ok()?);
        Some((of, seq, u32::from_str_radix(tag, 16).ok()?, seal.parse::<Seal>().ok()?))
    };
    Ok(match parts() {
        // Only what this hub sealed says anything of it.
        Some((of, seq, tag, seal)) if of == epoch && key.cursor(scope, epoch, seq, tag) == seal => {
            if tag_at(db, &scope.to_string(), seq)? == Some(tag) {
                Cursor::At(seq)
            } else {
                Cursor::Forgotten
            }
        }
        _ => Cursor::Bad,
    })
}

fn write_cursor(db: &Connection, scope: &Scope, epoch: Uuid, seq: i64, key: &HubKey) -> Done<String> {
    let tag = tag_at(db, &scope.to_string(), seq)?.unwrap_or(0);
    Ok(format!("{epoch}.{seq}.{tag:08x}{}", key.cursor(scope, epoch, seq, tag)))
}

/// The head of every scope's feed.
pub(super) fn scope_heads(db: &Connection) -> Done<BTreeMap<Scope, u64>> {
    let mut statement = db.prepare_cached("SELECT scope, seq FROM scopes")?;
    let rows: Vec<(String, i64)> =
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
    rows.into_iter().map(|(scope, seq)| Ok((parse_scope(&scope)?, seq as u64))).collect()
}

pub(super) fn page(db: &Connection, query: &PageQuery) -> Done<PageResult> {
    let Identity::Hub { hub_id, epoch } = site::identity(db)? else {
        return Err(Fail::Broken("only a hub has a feed".to_owned()));
    };
    let key = hub_key(db)?;
    let mut header = PageHeader {
        hub_id,
        epoch,
        now_ms: query.now_ms,
        count: 0,
        cursors: BTreeMap::new(),
        more: false,
        sites: BTreeMap::new(),
    };
    let (mut lines, mut bytes, mut looked_at) = (Vec::new(), 0, 0);
    for (scope, cursor) in &query.cursors {
        let name = scope.to_string();
        let head: i64 = db
            .prepare_cached("SELECT seq FROM scopes WHERE scope = ?1")?
            .query_row([&name], |row| row.get(0))
            .optional()?
            .unwrap_or(0);
        let mut at = match read_cursor(db, scope, cursor.as_deref(), epoch, &key)? {
            Cursor::At(seq) => seq,
            Cursor::Bad => return Ok(PageResult::BadCursor),
            Cursor::Forgotten => return Ok(PageResult::Forgotten { epoch }),
        };
        let mut statement = db.prepare_cached(
            "SELECT f.seq, o.origin, c.seq, o.site, c.received_ms, c.hlc, c.body, c.digest FROM feed f \
             CROSS JOIN changes c ON c.change_no = f.change_no CROSS JOIN origins o ON o.origin_no = c.origin_no \
             WHERE f.scope = ?1 AND f.seq > ?2 ORDER BY f.seq LIMIT ?3",
        )?;
        let mut rows = statement.query(params![name, at, MAX_FEED_ROWS])?;
        while let Some(row) = rows.next()? {
            if lines.len() >= query.limit as usize || looked_at >= MAX_FEED_ROWS {
                break;
            }
            looked_at += 1;
            let origin: Uuid = row.get(1)?;
            if query.skip.contains(&origin) {
                at = row.get(0)?;
                continue;
            }
            let body: String = row.get(6)?;
            if bytes + body.len() > query.max_bytes && !lines.is_empty() {
                break;
            }
            let (site, placed): (String, _) = (row.get(3)?, Hlc::from_i64(row.get(5)?));
            let digest = row.get(7)?;
            // What comes before a damaged one goes.
            if !lines.is_empty() && !sums::is_whole(digest, placed, &body) {
                break;
            }
            sums::check(digest, placed, &body, ChangeId { origin, seq: row.get::<_, i64>(2)? as u64 })?;
            bytes += body.len();
            at = row.get(0)?;
            let mut line = line(scope, origin, row.get::<_, i64>(2)? as u64, row.get(4)?, placed, body)?;
            line.seal = Some(key.line(&line, &site, placed));
            header.sites.insert(origin, site);
            lines.push(line);
        }
        header.more |= at < head;
        header.cursors.insert(scope.clone(), write_cursor(db, scope, epoch, at, &key)?);
    }
    header.count = lines.len() as u32;
    Ok(PageResult::Page(Page { header, lines }))
}

/// Keeps the hub's seal with the change it is on, for the day the hub has forgotten it.
pub(super) fn keep_seal(db: &Connection, stream: &Origin, line: &PageLine) -> Done<()> {
    let Some(seal) = line.seal else { return Ok(()) };
    db.prepare_cached(
        "UPDATE changes SET seal = ?3, received_ms = ?5 WHERE origin_no = ?1 AND seq = ?2 AND seal IS NOT ?3 AND body = ?4",
    )?
    .execute(params![stream.no, line.seq as i64, seal.as_bytes(), line.body.get(), line.received_ms])?;
    Ok(())
}

/// Takes what the hub says of a change that is held: one that was put back got it anew, at another time, and may have placed it
/// elsewhere. Its seal is on both. Answers where the change stands; a line that is another change under the same number (a history
/// that parted, which is not settled here) changes nothing.
fn keep_word(db: &Connection, stream: &Origin, line: &PageLine, (change_no, was): (i64, i64)) -> Done<Option<Hlc>> {
    let is_same: bool = db
        .prepare_cached("SELECT body = ?2 FROM changes WHERE change_no = ?1")?
        .query_row(params![change_no, line.body.get()], |row| row.get(0))?;
    if !is_same {
        return Ok(None);
    }
    let placed = line.hlc.or_else(|| Change::from_body(line.body.get()).ok().map(|change| change.order()));
    if let Some(placed) = placed.filter(|placed| placed.to_i64() != was) {
        changes::restamp(db, change_no, placed)?;
    }
    keep_seal(db, stream, line)?;
    Ok(placed)
}

pub(super) fn apply_page(db: &Connection, page: &Page, now_ms: i64) -> Done<PageApplied> {
    let mut applied = PageApplied::default();
    let mut streams: BTreeMap<Uuid, Origin> = BTreeMap::new();
    let mut late: BTreeSet<Uuid> = BTreeSet::new();
    let mut latest = Hlc::default();
    for line in &page.lines {
        let stream = match streams.entry(line.origin) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) => {
                let site = page.header.sites.get(&line.origin).map_or("hub", String::as_str);
                let stream = match origin(db, line.origin)? {
                    Some(stream) => stream,
                    None => open_origin(db, line.origin, &line.scope, site, false, None)?,
                };
                entry.insert(stream)
            }
        };
        if stream.scope != line.scope {
            return Err(Fail::Broken(format!("the hub sent stream {} in two scopes", line.origin)));
        }
        let known: Option<(i64, i64)> = db
            .prepare_cached("SELECT change_no, hlc FROM changes WHERE origin_no = ?1 AND seq = ?2")?
            .query_row(params![stream.no, line.seq as i64], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        if let Some(known) = known {
            applied.known += 1;
            let placed = keep_word(db, stream, line, known)?;
            latest = placed.map_or(latest, |hlc| latest.observe(hlc));
            continue;
        }
        let body = line.body.get();
        let parsed = Change::from_body(body);
        let placed = line.hlc.or_else(|| parsed.as_ref().ok().map(Change::order));
        latest = placed.map_or(latest, |hlc| latest.observe(hlc));
        let received_ms = Some(line.received_ms);
        if line.seq <= stream.seq {
            late.insert(line.origin);
        }
        let incoming = Incoming {
            origin: stream,
            body,
            parsed,
            hlc: placed,
            received_ms,
            now_ms,
            claim: None,
            met: None,
        };
        let outcome = add_numbered(db, incoming, line.seq)?.outcome;
        keep_seal(db, stream, line)?;
        applied.new += 1;
        if matches!(outcome, Outcome::Quarantined { .. } | Outcome::Deferred) {
            applied.quarantined += 1;
        }
    }
    for stream in streams.values_mut() {
        if late.contains(&stream.id) {
            stream.head = link_at(db, stream.no, stream.id, stream.seq as i64)?;
        }
        save_origin(db, stream)?;
    }
    changes::saw(db, latest)?;
    if applied.new > 0 {
        site::count_pulled(db, applied.new)?;
    }
    for (scope, cursor) in &page.header.cursors {
        db.prepare_cached("INSERT INTO cursors (scope, cursor) VALUES (?1, ?2) ON CONFLICT (scope) DO UPDATE SET cursor = excluded.cursor")?
            .execute(params![scope.to_string(), cursor])?;
    }
    Ok(applied)
}
