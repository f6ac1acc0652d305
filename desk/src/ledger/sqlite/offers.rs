//! What a node holds of others goes back to a hub that lost it.
//!
//! A node keeps the hub's seal with every change that came from it. The hub takes back what carries its own seal, under
//! the number it had, at the place in the order it had, with the time it was first received: as if it had never been
//! gone. It goes through the same function as everything else ([`add`]), so record, tables, and feed follow.
//!
//! Lines come in the order in which the hub had once sent them, so what a change needs comes before it. A line that
//! cannot be applied yet (its incident is another node's and not back) leaves nothing behind and is given again later:
//! it had been applied once, so quarantine would be the wrong place for it.

use super::changes::{self, Incoming, add, feed, open_origin, origin, parse_scope, save_origin};
use super::fail::{Done, Fail};
use super::histories::{hub_key, is_among};
use super::sync::{keep_link_if_due, line};
use super::{site, sums};
use crate::ledger::{Giving, Identity};
use chassis::sqlite::rusqlite::{Connection, OptionalExtension, params};
use std::collections::BTreeMap;
use sync_protocol::batch::Page;
use sync_protocol::change::{Change, ChangeId};
use sync_protocol::erasure::digest;
use sync_protocol::hlc::Hlc;
use sync_protocol::message::{Given, GivenLine, Outcome, PageHeader, PageLine};
use sync_protocol::scope::Scope;
use sync_protocol::seal::{HubKey, Seal};
use uuid::Uuid;

/// Most changes looked at for one page to give.
const MAX_LOOKED_AT: u32 = 5_000;
/// What nodes' own origins are called at a hub that records there itself.
const HUB: &str = "hub";

// ---- node -------------------------------------------------------------------------------------------------------

pub(super) fn held_of_others(db: &Connection, after: Option<Uuid>, limit: u32) -> Done<BTreeMap<Uuid, u64>> {
    // The prefix without a gap ends before the first number whose successor is not there.
    let mut statement = db.prepare_cached(
        "SELECT o.origin, (SELECT c.seq FROM changes c WHERE c.origin_no = o.origin_no AND NOT EXISTS \
           (SELECT 1 FROM changes n WHERE n.origin_no = c.origin_no AND n.seq = c.seq + 1) ORDER BY c.seq LIMIT 1) \
         FROM origins o WHERE o.mine = 0 AND (?1 IS NULL OR o.origin > ?1) \
           AND EXISTS (SELECT 1 FROM changes c WHERE c.origin_no = o.origin_no AND c.seq = 1) \
         ORDER BY o.origin LIMIT ?2",
    )?;
    let rows = statement.query_map(params![after, limit], |row| Ok((row.get(0)?, row.get::<_, i64>(1)? as u64)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn to_give(
    db: &Connection,
    wanted: &BTreeMap<Uuid, u64>,
    mut after: i64,
    max_changes: u32,
    max_bytes: usize,
) -> Done<Option<Giving>> {
    let Identity::Node(enrolment) = site::identity(db)? else {
        return Err(Fail::Broken("only a node gives".to_owned()));
    };
    let mut header = PageHeader {
        hub_id: enrolment.hub_id,
        epoch: enrolment.epoch,
        now_ms: 0,
        count: 0,
        cursors: BTreeMap::new(),
        more: false,
        sites: BTreeMap::new(),
    };
    let (mut lines, mut bytes, mut looked_at) = (Vec::new(), 0, 0);
    let mut statement = db.prepare_cached(
        "SELECT c.change_no, o.origin, c.seq, o.scope, o.site, c.received_ms, c.hlc, c.seal, c.body, c.digest FROM changes c \
         CROSS JOIN origins o ON o.origin_no = c.origin_no WHERE c.change_no > ?1 AND o.mine = 0 ORDER BY c.change_no LIMIT ?2",
    )?;
    let mut rows = statement.query(params![after, MAX_LOOKED_AT])?;
    while let Some(row) = rows.next()? {
        looked_at += 1;
        let (origin, seq): (Uuid, i64) = (row.get(1)?, row.get(2)?);
        let seal: Option<[u8; 16]> = row.get(7)?;
        let is_wanted = wanted.get(&origin).is_some_and(|first| seq as u64 >= *first);
        if let Some(seal) = seal.filter(|_| is_wanted) {
            let body: String = row.get(8)?;
            let is_full = lines.len() >= max_changes as usize || bytes + body.len() > max_bytes;
            if is_full && !lines.is_empty() {
                return Ok(Some(Giving { page: Page { header, lines }, after }));
            }
            bytes += body.len();
            header.sites.insert(origin, row.get(4)?);
            let scope = parse_scope(&row.get::<_, String>(3)?)?;
            let placed = Hlc::from_i64(row.get(6)?);
            sums::check(row.get(9)?, placed, &body, ChangeId { origin, seq: seq as u64 })?;
            let mut line = line(&scope, origin, seq as u64, row.get(5)?, placed, body)?;
            line.seal = Some(Seal::from_bytes(seal));
            lines.push(line);
        }
        after = row.get(0)?;
    }
    Ok((looked_at > 0).then_some(Giving { page: Page { header, lines }, after }))
}

// ---- hub --------------------------------------------------------------------------------------------------------

pub(super) fn lacking(db: &Connection, scopes: &[Scope], offered: &BTreeMap<Uuid, u64>) -> Done<BTreeMap<Uuid, u64>> {
    let mut wanted = BTreeMap::new();
    for (id, last) in offered {
        let held: Option<(String, i64)> = db
            .prepare_cached("SELECT scope, seq FROM origins WHERE origin = ?1")?
            .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let seq = match held {
            None => 0,
            Some((scope, seq)) if is_among(&scope, scopes)? => seq as u64,
            Some(_) => continue,
        };
        if seq < *last {
            wanted.insert(*id, seq + 1);
        }
    }
    Ok(wanted)
}

pub(super) fn take_given(db: &Connection, scopes: &[Scope], page: &Page, now_ms: i64) -> Done<Vec<GivenLine>> {
    let key = hub_key(db)?;
    let mut fed = Vec::new();
    let mut answers = Vec::with_capacity(page.lines.len());
    for line in &page.lines {
        let site = page.header.sites.get(&line.origin).map_or(HUB, String::as_str);
        let outcome = take_one(db, &key, scopes, line, site, now_ms, &mut fed)?;
        answers.push(GivenLine { origin: line.origin, seq: line.seq, outcome });
    }
    feed(db, &fed)?;
    Ok(answers)
}

fn refused(later: bool, reason: impl Into<String>) -> Given {
    Given::Refused { later, reason: reason.into() }
}

fn take_one(
    db: &Connection,
    key: &HubKey,
    scopes: &[Scope],
    line: &PageLine,
    site: &str,
    now_ms: i64,
    fed: &mut Vec<(Scope, i64)>,
) -> Done<Given> {
    let body = line.body.get();
    let parsed = match Change::from_body(body) {
        Ok(change) => change,
        Err(malformed) => return Ok(refused(false, malformed.0)),
    };
    let placed = line.hlc.unwrap_or_else(|| parsed.order());
    if !scopes.contains(&line.scope) {
        return Ok(refused(false, "the scope is not this node's"));
    }
    if line.seal != Some(key.line(line, site, placed)) {
        return Ok(refused(false, "it does not carry this hub's seal"));
    }
    let known = origin(db, line.origin)?;
    if known.as_ref().is_some_and(|known| known.scope != line.scope) {
        return Ok(refused(false, "the stream belongs to another scope"));
    }
    let held = known.as_ref().map_or(0, |known| known.seq);
    if let Some(known) = known.as_ref().filter(|_| line.seq <= held) {
        let held: Option<String> = db
            .prepare_cached("SELECT body FROM changes WHERE origin_no = ?1 AND seq = ?2")?
            .query_row(params![known.no, line.seq as i64], |row| row.get(0))
            .optional()?;
        // What is left of an erased one is the same change.
        return Ok(match held.map(|held| digest(held.as_bytes()) == digest(body.as_bytes())) {
            Some(true) => Given::Known,
            Some(false) => refused(false, "another change has its number here"),
            None => refused(true, "it is gone here; it is taken back with proof, when checksums are compared"),
        });
    }
    if line.seq != held + 1 {
        return Ok(refused(true, "changes before it are missing"));
    }
    db.execute_batch("SAVEPOINT given")?;
    let mut stream = match known {
        Some(known) => known,
        None => open_origin(db, line.origin, &line.scope, site, false, None)?,
    };
    let incoming = Incoming {
        origin: &mut stream,
        body,
        parsed: Ok(parsed),
        hlc: Some(placed),
        received_ms: Some(line.received_ms),
        now_ms,
        claim: None,
        met: None,
    };
    let added = add(db, incoming)?;
    let told: Vec<i64> = added.told().collect();
    let given = match added.outcome {
        Outcome::Applied | Outcome::Merged | Outcome::Duplicate => {
            save_origin(db, &stream)?;
            keep_link_if_due(db, &stream, held)?;
            changes::saw(db, placed)?;
            fed.extend(told.into_iter().map(|change_no| (line.scope.clone(), change_no)));
            Given::Taken
        }
        Outcome::Deferred => refused(true, "an earlier change of its record is in quarantine"),
        Outcome::Quarantined { reason, .. } => refused(true, reason),
    };
    db.execute_batch(if given == Given::Taken {
        "RELEASE given"
    } else {
        "ROLLBACK TO given; RELEASE given"
    })?;
    Ok(given)
}
