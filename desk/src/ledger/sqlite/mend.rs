//! Making records what their changes say again, and taking changes back that were damaged or lost.
//!
//! A record and its tables follow from its changes, so they are put together anew, but only where all of its changes are whole:
//! what is put together from less would be wrong, and quietly so. A change follows from nothing. It is taken back from whoever
//! has it, and only when something that is kept here proves that it is the one: its digest, the chain of its stream, or the
//! seal it came with. What was there before is kept in `damage`.
//!
//! Everything here runs in the caller's transaction.

use super::changes::{
    self, Incoming, Origin, Record, feed, insert_record, load_record, open_origin, origin, parent_of, parse_scope,
    rebuild, save_state,
};
use super::fail::{Done, Fail};
use super::sync::{keep_seal, place};
use super::{damage, erasures, project, quarantine, settle, site, sums};
use crate::ledger::{Damage, DamageKind, ScrubStep};
use chassis::sqlite::rusqlite::{Connection, OptionalExtension, params};
use std::collections::{BTreeMap, BTreeSet};
use sync_protocol::batch::Page;
use sync_protocol::chain::Link;
use sync_protocol::change::{Change, ChangeId};
use sync_protocol::checksum::{Sum, record_sum};
use sync_protocol::erasure::{digest, is_mark, original};
use sync_protocol::hlc::Hlc;
use sync_protocol::merge::RecordState;
use sync_protocol::message::{Given, GivenLine, PageLine};
use sync_protocol::record;
use sync_protocol::scope::Scope;
use uuid::Uuid;

/// A change's row as it is, whatever it holds.
struct Row {
    id: ChangeId,
    scope: String,
    kind: Option<String>,
    new: bool,
    parent: Option<Uuid>,
    body: String,
    is_whole: bool,
}

/// The changes that are, or should be, in a record.
fn rows(db: &Connection, record: Uuid) -> Done<Vec<Row>> {
    let mut statement = db.prepare_cached(
        "SELECT c.change_no, o.origin, c.seq, o.scope, c.hlc, c.body, c.digest FROM changes c \
         JOIN origins o ON o.origin_no = c.origin_no \
         WHERE c.record_id = ?1 AND NOT EXISTS (SELECT 1 FROM quarantine q WHERE q.change_no = c.change_no) \
         ORDER BY c.change_no",
    )?;
    let mut found = statement.query([record])?;
    let mut all = Vec::new();
    while let Some(row) = found.next()? {
        let id = ChangeId { origin: row.get(1)?, seq: row.get::<_, i64>(2)? as u64 };
        // Not as text: damage need not have left it any.
        let bytes = row.get_ref(5)?.as_bytes().map_err(|e| Fail::Broken(e.to_string()))?;
        let (body, is_text) = (String::from_utf8_lossy(bytes).into_owned(), std::str::from_utf8(bytes).is_ok());
        let parsed = Change::from_body(&body).ok().filter(|change| change.id == record);
        let is_whole =
            is_text && parsed.is_some() && sums::check(row.get(6)?, Hlc::from_i64(row.get(4)?), &body, id).is_ok();
        all.push(Row {
            id,
            scope: row.get(3)?,
            kind: parsed.as_ref().map(|change| change.kind.clone()),
            new: parsed.as_ref().is_some_and(|change| change.new),
            parent: parsed.as_ref().and_then(parent_of),
            body,
            is_whole,
        });
    }
    Ok(all)
}

/// Notes that a change is damaged or gone, so that it is asked for.
pub(super) fn note_change(
    db: &Connection,
    id: ChangeId,
    scope: &str,
    what: &str,
    aside: Option<&str>,
    now_ms: i64,
    step: &mut ScrubStep,
) -> Done<()> {
    let damage = Damage {
        kind: DamageKind::Change,
        name: id.to_string(),
        scope: Some(scope.to_owned()),
        what: what.to_owned(),
        found_ms: now_ms,
        mended_ms: None,
        how: None,
    };
    if damage::note(db, &damage, aside)? {
        step.found.push(damage);
    }
    Ok(())
}

/// A record's row as it is.
struct Kept {
    no: i64,
    kind: String,
    scope: String,
    parent_no: Option<i64>,
    state: String,
    received_ms: Option<i64>,
    sum: Option<Sum>,
}

fn kept(db: &Connection, id: Uuid) -> Done<Option<Kept>> {
    Ok(db
        .prepare_cached(
            "SELECT record_no, kind, scope, parent_no, CAST(state AS BLOB), received_ms, sum_a, sum_b FROM records WHERE record_id = ?1",
        )?
        .query_row([id], |row| {
            let sum: (Option<i64>, Option<i64>) = (row.get(6)?, row.get(7)?);
            Ok(Kept {
                no: row.get(0)?,
                kind: row.get(1)?,
                scope: row.get(2)?,
                parent_no: row.get(3)?,
                state: String::from_utf8_lossy(&row.get::<_, Vec<u8>>(4)?).into_owned(),
                received_ms: row.get(5)?,
                sum: sum.0.zip(sum.1).map(Sum::from_pair),
            })
        })
        .optional()?)
}

/// Makes sure that a record is what its changes say, and makes it so. `step` tells what was found and mended.
pub(super) fn record(db: &Connection, id: Uuid, now_ms: i64, step: &mut ScrubStep) -> Done<()> {
    let kept = kept(db, id)?;
    let mut changes = rows(db, id)?;
    let own = changes.len();
    if let Some(kept) = kept.as_ref().filter(|kept| kept.kind == record::INCIDENT) {
        // An incident's status follows from its steps, too.
        let mut steps = db.prepare_cached("SELECT record_id FROM records WHERE parent_no = ?1 AND kind = 'step'")?;
        let ids: Vec<Uuid> = steps.query_map([kept.no], |row| row.get(0))?.collect::<Result<_, _>>()?;
        for step in ids {
            changes.extend(rows(db, step)?);
        }
    }
    let damaged: Vec<&Row> = changes.iter().filter(|row| !row.is_whole).collect();
    for row in &damaged {
        note_change(db, row.id, &row.scope, "it is not what was recorded", Some(&row.body), now_ms, step)?;
    }
    if !damaged.is_empty() {
        return Ok(());
    }
    let Some(first) = changes[..own].iter().find(|row| row.new).or_else(|| changes[..own].first()) else {
        return Ok(());
    };
    let old: Option<RecordState> = kept.as_ref().and_then(|kept| serde_json::from_str(&kept.state).ok());
    let is_as_kept = match (&kept, &old) {
        (Some(kept), Some(old)) => kept.sum == Some(record_sum(id, &kept.kind, old)),
        _ => false,
    };
    if is_as_kept && let (Some(kept), Some(old)) = (&kept, &old) {
        // The state is what it was when it was kept: what it was made from must be there.
        let here: BTreeSet<ChangeId> = changes.iter().map(|row| row.id).collect();
        // An order of erasure is a record of its own.
        let written = old.cells.iter().filter(|(field, _)| !is_mark(field));
        let made_from = written.map(|(_, cell)| cell.stamp.id).chain(old.born.iter().map(|born| born.stamp.id));
        let gone: BTreeSet<ChangeId> = made_from.filter(|id| !here.contains(id)).collect();
        for change in &gone {
            note_change(db, *change, &kept.scope, "it is gone", None, now_ms, step)?;
        }
        if !gone.is_empty() {
            return Ok(());
        }
    }
    let parent_no = match first.parent {
        Some(parent) => load_no(db, parent)?,
        None => kept.as_ref().and_then(|kept| kept.parent_no),
    };
    let mut record = Record {
        no: kept.as_ref().map_or(0, |kept| kept.no),
        id,
        kind: first.kind.clone().unwrap_or_default(),
        scope: parse_scope(&first.scope)?,
        parent_no,
        state: RecordState::default(),
        received_ms: kept.as_ref().and_then(|kept| kept.received_ms),
    };
    record.state = rebuild(db, &record)?;
    let what = match &kept {
        None => Some("it is gone".to_owned()),
        Some(kept) if kept.kind != record.kind || kept.scope != first.scope || kept.parent_no != parent_no => {
            Some("it is filed under something else than its changes say".to_owned())
        }
        Some(_) if old.as_ref() != Some(&record.state) => Some("its state is not what its changes say".to_owned()),
        Some(_) if !is_as_kept => Some("its sum is not its state's".to_owned()),
        Some(_) => compared(db, &record)?.map(|what| format!("{what} from what its changes say")),
    };
    let Some(what) = what else {
        return settled(db, id, now_ms, step);
    };
    let was = kept.as_ref().map(|kept| kept.state.clone());
    let was = match project::shown(db, &record)? {
        Some(shown) => Some(format!("{}\n{shown}", was.unwrap_or_default())),
        None => was,
    };
    if kept.is_some() {
        db.prepare_cached("UPDATE records SET kind = ?2, scope = ?3, parent_no = ?4 WHERE record_no = ?1")?
            .execute(params![record.no, record.kind, record.scope.to_string(), record.parent_no])?;
        save_state(db, &record)?;
    } else {
        record.no = project::number_of(db, &record.kind, id)?.unwrap_or(0);
        insert_record(db, &mut record)?;
        // An incident's status follows from its steps, which are found by its number.
        record.state = rebuild(db, &record)?;
        save_state(db, &record)?;
    }
    project::again(db, &record)?;
    changes::follow(db, &record)?;
    // What could not be put into it while it was damaged.
    let released = settle::work(db, settle::Settling::releasing(id), now_ms)?;
    if site::is_hub(db)? {
        quarantine::tell(db, &released)?;
    }
    let record = load_record(db, id)?.unwrap_or(record);
    let still = compared(db, &record)?;
    let damage = Damage {
        kind: DamageKind::Record,
        name: id.hyphenated().to_string(),
        scope: Some(record.scope.to_string()),
        what: format!("{}: {what}", record.kind),
        found_ms: now_ms,
        mended_ms: still.is_none().then_some(now_ms),
        how: still.is_none().then(|| "put together again from its changes".to_owned()),
    };
    damage::mended(db, DamageKind::Record, &damage.name, "found again", now_ms)?;
    damage::note(db, &damage, was.as_deref())?;
    match still {
        None => step.mended.push(damage),
        Some(_) => step.found.push(damage),
    }
    Ok(())
}

/// What of a record's tables differs; also where they cannot be read.
fn compared(db: &Connection, record: &Record) -> Done<Option<String>> {
    match project::compare(db, record) {
        Err(fail) if fail.is_damage() => Ok(Some("a table that cannot be read differs".to_owned())),
        other => other,
    }
}

/// A record that is as it should be is not damaged any more.
fn settled(db: &Connection, id: Uuid, now_ms: i64, step: &mut ScrubStep) -> Done<()> {
    let name = id.hyphenated().to_string();
    let mended = damage::mended(db, DamageKind::Record, &name, "it is what its changes say", now_ms)?;
    step.mended.extend(mended);
    Ok(())
}

fn load_no(db: &Connection, id: Uuid) -> Done<Option<i64>> {
    Ok(db
        .prepare_cached("SELECT record_no FROM records WHERE record_id = ?1")?
        .query_row([id], |row| row.get(0))
        .optional()?)
}

// ---- changes that come back -------------------------------------------------------------------------------------

/// What a site has under a change's number.
enum Here {
    /// Nothing.
    Gone,
    /// The change, whole.
    Whole { body: String },
    /// Something that is not what was recorded.
    Damaged {
        change_no: i64,
        body: String,
        digest: Option<[u8; 16]>,
        seal: Option<[u8; 16]>,
    },
}

fn here(db: &Connection, stream: &Origin, seq: u64) -> Done<Here> {
    let found = db
        .prepare_cached(
            "SELECT change_no, CAST(body AS BLOB), hlc, digest, seal, record_id FROM changes WHERE origin_no = ?1 AND seq = ?2",
        )?
        .query_row(params![stream.no, seq as i64], |row| {
            let bytes: Vec<u8> = row.get(1)?;
            let digest: Option<[u8; 16]> = row.get(3)?;
            let record: Option<Uuid> = row.get(5)?;
            Ok((row.get::<_, i64>(0)?, bytes, row.get::<_, i64>(2)?, digest, row.get(4)?, record))
        })
        .optional()?;
    let Some((change_no, bytes, hlc, digest, seal, record)) = found else {
        return Ok(Here::Gone);
    };
    let id = ChangeId { origin: stream.id, seq };
    match String::from_utf8(bytes) {
        Ok(body)
            if sums::check(digest, Hlc::from_i64(hlc), &body, id).is_ok()
                && Change::from_body(&body).ok().map(|change| change.id) == record =>
        {
            Ok(Here::Whole { body })
        }
        Ok(body) => Ok(Here::Damaged { change_no, body, digest, seal }),
        Err(error) => Ok(Here::Damaged {
            change_no,
            body: String::from_utf8_lossy(error.as_bytes()).into_owned(),
            digest,
            seal,
        }),
    }
}

/// Which of the changes given are the ones of the stream, by its chain: with them in their places it leads from one link that is
/// kept to the next.
fn chained(db: &Connection, stream: &Origin, given: &BTreeMap<u64, &str>) -> Done<BTreeSet<u64>> {
    let mut ends: BTreeMap<u64, Link> = BTreeMap::from([(0, Link::start(stream.id)), (stream.seq, stream.head)]);
    let mut statement = db.prepare_cached("SELECT seq, link FROM links WHERE origin_no = ?1")?;
    let mut rows = statement.query([stream.no])?;
    while let Some(row) = rows.next()? {
        ends.entry(row.get::<_, i64>(0)? as u64).or_insert(Link::from_bytes(row.get(1)?));
    }
    let mut proven = BTreeSet::new();
    let mut after = ends.iter();
    let Some((mut from, mut link)) = after.next().map(|(seq, link)| (*seq, *link)) else {
        return Ok(proven);
    };
    for (to, end) in after {
        if given.range(from + 1..=*to).next().is_some() && walk(db, stream, (from, link), *to, given)? == *end {
            proven.extend(given.range(from + 1..=*to).map(|(seq, _)| *seq));
        }
        (from, link) = (*to, *end);
    }
    Ok(proven)
}

fn walk(
    db: &Connection,
    stream: &Origin,
    (from, mut link): (u64, Link),
    to: u64,
    given: &BTreeMap<u64, &str>,
) -> Done<Link> {
    let mut bodies: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
    let mut statement = db.prepare_cached(
        "SELECT seq, CAST(body AS BLOB) FROM changes WHERE origin_no = ?1 AND seq > ?2 AND seq <= ?3 ORDER BY seq",
    )?;
    let mut rows = statement.query(params![stream.no, from as i64, to as i64])?;
    while let Some(row) = rows.next()? {
        bodies.insert(row.get::<_, i64>(0)? as u64, row.get(1)?);
    }
    for (seq, body) in given.range(from + 1..=to) {
        bodies.insert(*seq, body.as_bytes().to_vec());
    }
    for body in bodies.values() {
        link = link.extend(body);
    }
    Ok(link)
}

/// Takes changes back; an answer for each line, in order.
pub(super) fn take(db: &Connection, scopes: &[Scope], page: &Page, now_ms: i64) -> Done<Vec<GivenLine>> {
    let is_hub = site::is_hub(db)?;
    let mut chains: BTreeMap<Uuid, BTreeSet<u64>> = BTreeMap::new();
    for line in &page.lines {
        if !chains.contains_key(&line.origin)
            && let Some(stream) = origin(db, line.origin)?
        {
            let of_stream = page.lines.iter().filter(|other| other.origin == line.origin);
            let given = of_stream.map(|other| (other.seq, other.body.get())).collect();
            chains.insert(line.origin, chained(db, &stream, &given)?);
        }
    }
    let (mut answers, mut records, mut fed) = (Vec::with_capacity(page.lines.len()), Vec::new(), Vec::new());
    for line in &page.lines {
        let site = page.header.sites.get(&line.origin).map_or("hub", String::as_str);
        let is_chained = chains.get(&line.origin).is_some_and(|proven| proven.contains(&line.seq));
        let taker = Taker { scopes, site, is_hub, is_chained, now_ms };
        let outcome = one(db, &taker, line, &mut records, &mut fed)?;
        answers.push(GivenLine { origin: line.origin, seq: line.seq, outcome });
    }
    let mut step = ScrubStep::default();
    for id in records {
        record(db, id, now_ms, &mut step)?;
    }
    feed(db, &fed)?;
    Ok(answers)
}

/// Who takes a line, and what is known of it.
struct Taker<'a> {
    scopes: &'a [Scope],
    site: &'a str,
    is_hub: bool,
    is_chained: bool,
    now_ms: i64,
}

fn refused(later: bool, reason: &str) -> Given {
    Given::Refused { later, reason: reason.to_owned() }
}

fn one(
    db: &Connection,
    taker: &Taker<'_>,
    line: &PageLine,
    records: &mut Vec<Uuid>,
    fed: &mut Vec<(Scope, i64)>,
) -> Done<Given> {
    let given = line.body.get();
    let read = |body: &str| Change::from_body(body).map_err(|malformed| refused(false, &malformed.0));
    let mut change = match read(given) {
        Ok(change) => change,
        Err(refused) => return Ok(refused),
    };
    // What was erased stays so, whoever still has it.
    let left = erasures::left(db, change.id, given)?;
    let body = left.as_deref().unwrap_or(given);
    if left.is_some() {
        change = match read(body) {
            Ok(change) => change,
            Err(refused) => return Ok(refused),
        };
    }
    if !taker.scopes.contains(&line.scope) {
        return Ok(refused(false, "the scope is not this node's"));
    }
    let mut stream = match origin(db, line.origin)? {
        Some(stream) if stream.scope != line.scope => {
            return Ok(refused(false, "the stream belongs to another scope"));
        }
        Some(stream) => stream,
        None if taker.is_hub => return Ok(refused(false, "nothing of that stream is missed here")),
        None => open_origin(db, line.origin, &line.scope, taker.site, false, None)?,
    };
    let said = line.hlc.unwrap_or_else(|| change.order());
    let id = ChangeId { origin: line.origin, seq: line.seq };
    // The chain proves the digest of the whole; what is left of it, only headquarters' orders do.
    let is_chained = taker.is_chained && (!taker.is_hub || erasures::is_told(db, change.id, id, given)?);
    let (here, is_own) = (here(db, &stream, line.seq)?, is_own(db, &stream)?);
    let placed = match &here {
        Here::Whole { body: held } => {
            return Ok(if digest(held.as_bytes()) == digest(body.as_bytes()) {
                damage::mended(db, DamageKind::Change, &id.to_string(), "it is what was recorded", taker.now_ms)?;
                Given::Known
            } else {
                refused(false, "another change has its number here")
            });
        }
        Here::Damaged { digest, .. } if *digest == Some(sums::digest(said, body)) => said,
        Here::Damaged { seal, .. }
            if !taker.is_hub && seal.is_some() && *seal == line.seal.map(|seal| *seal.as_bytes()) =>
        {
            said
        }
        // The bytes are proven and the place is not: none later than its own, nor further ahead than is ever allowed.
        Here::Damaged { .. } | Here::Gone if is_chained => {
            let most = place(change.order(), site::last_reading(db)?, taker.now_ms);
            if said < most || !taker.is_hub { said } else { most }
        }
        // What others wrote a node has from the hub and from nobody else.
        Here::Gone if !taker.is_hub && !is_own => said,
        // Nor was anything left of it to know it by, when an order took it.
        Here::Damaged { body, .. } if !taker.is_hub && !is_own && body.is_empty() => said,
        Here::Damaged { .. } | Here::Gone => {
            return Ok(refused(true, "nothing kept here proves that it is the change that is missing"));
        }
    };
    let (what, was) = match &here {
        Here::Damaged { body, .. } => ("it is not what was recorded", Some(body.as_str())),
        Here::Gone | Here::Whole { .. } => ("it is gone", None),
    };
    note_change(db, id, &line.scope.to_string(), what, was, taker.now_ms, &mut ScrubStep::default())?;
    match &here {
        Here::Damaged { change_no, .. } => {
            // The seal is on what was sent.
            let seal = line.seal.filter(|_| left.is_none()).map(|seal| *seal.as_bytes());
            db.prepare_cached(
                "UPDATE changes SET body = ?2, hlc = ?3, digest = ?4, record_id = ?5, seal = coalesce(seal, ?6) WHERE change_no = ?1",
            )?
            .execute(params![change_no, body, placed.to_i64(), sums::digest(placed, body), change.id, seal])?;
            if original(body.as_bytes()).is_some() {
                erasures::note_once(db, *change_no)?;
            }
        }
        Here::Gone | Here::Whole { .. } => {
            // By the same rules as any: what lost it may have lost, too, that it was kept out of its record.
            let place = if taker.is_hub { orphan(db, &line.scope, body)? } else { None };
            let incoming = Incoming {
                origin: &mut stream,
                body: given,
                parsed: Change::from_body(given),
                hlc: Some(placed),
                received_ms: Some(line.received_ms),
                now_ms: taker.now_ms,
                claim: None,
                met: None,
            };
            let added = changes::add_back(db, incoming, line.seq, place)?;
            keep_seal(db, &stream, line)?;
            if !is_own {
                changes::save_origin(db, &stream)?;
            }
            if taker.is_hub {
                // Where the feed still names it, it is told already.
                let told = added.told().filter(|told| Some(*told) != place);
                fed.extend(told.map(|change_no| (line.scope.clone(), change_no)));
            }
        }
    }
    let how = if taker.is_hub { "given back by a node" } else { "fetched from headquarters" };
    damage::mended(db, DamageKind::Change, &id.to_string(), how, taker.now_ms)?;
    records.push(change.id);
    records.extend(parent_of(&change));
    Ok(Given::Taken)
}

/// Whether the site records under the stream, or did: it has its own chain then.
fn is_own(db: &Connection, stream: &Origin) -> Done<bool> {
    Ok(db
        .prepare_cached("SELECT mine FROM origins WHERE origin_no = ?1")?
        .query_row([stream.no], |row| row.get(0))?)
}

/// The number that the change had at the hub, where the feed still names it.
fn orphan(db: &Connection, scope: &Scope, body: &str) -> Done<Option<i64>> {
    Ok(db
        .prepare_cached(
            "SELECT f.change_no FROM feed f WHERE f.scope = ?1 AND f.tag = ?2 \
             AND NOT EXISTS (SELECT 1 FROM changes c WHERE c.change_no = f.change_no) LIMIT 1",
        )?
        .query_row(params![scope.to_string(), changes::tag(body)], |row| row.get(0))
        .optional()?)
}

/// Moves changes to the place that the hub has for them.
pub(super) fn move_changes(db: &Connection, places: &[(ChangeId, Hlc)]) -> Done<()> {
    for (id, hlc) in places {
        let found: Option<i64> = db
            .prepare_cached(
                "SELECT c.change_no FROM changes c JOIN origins o ON o.origin_no = c.origin_no \
                 WHERE o.origin = ?1 AND c.seq = ?2 AND c.hlc <> ?3",
            )?
            .query_row(params![id.origin, id.seq as i64, hlc.to_i64()], |row| row.get(0))
            .optional()?;
        if let Some(change_no) = found {
            changes::restamp(db, change_no, *hlc)?;
        }
    }
    Ok(())
}

/// Mends records that belong to `scopes`.
pub(super) fn records_of(db: &Connection, scopes: &[Scope], ids: &[Uuid], now_ms: i64) -> Done<ScrubStep> {
    let mut step = ScrubStep::default();
    for id in ids {
        let scope: Option<String> = db
            .prepare_cached(
                "SELECT coalesce((SELECT scope FROM records WHERE record_id = ?1), \
                 (SELECT o.scope FROM changes c JOIN origins o ON o.origin_no = c.origin_no WHERE c.record_id = ?1 LIMIT 1))",
            )?
            .query_row([id], |row| row.get(0))?;
        let Some(scope) = scope else { continue };
        if scopes.contains(&parse_scope(&scope)?) {
            record(db, *id, now_ms, &mut step)?;
        }
    }
    Ok(step)
}

/// For the scrub: whether a record is as it should be, without touching anything.
pub(super) fn is_well(db: &Connection, id: Uuid) -> Done<bool> {
    let Some(kept) = kept(db, id)? else { return Ok(false) };
    let Ok(state) = serde_json::from_str::<RecordState>(&kept.state) else {
        return Ok(false);
    };
    if kept.sum != Some(record_sum(id, &kept.kind, &state)) {
        return Ok(false);
    }
    let record = match load_record(db, id) {
        Ok(Some(record)) => record,
        Ok(None) => return Ok(false),
        Err(fail) if fail.is_damage() => return Ok(false),
        Err(other) => return Err(other),
    };
    match rebuild(db, &record) {
        Ok(right) => Ok(right == state && compared(db, &record)?.is_none()),
        Err(fail) if fail.is_damage() => Ok(false),
        Err(other) => Err(other),
    }
}
