//! Changes in quarantine as people see them, and the decisions that people make; [`super::settle`] does what they say.
//!
//! A decision is recorded under the site's own stream like everything else, in the transaction that does it. A node shows what
//! it cannot put into records itself (`quarantine`) and what headquarters could not (`changes.outcome`).

use super::changes::{Origin, feed, load_record, open_origin, own_origin, parse_scope, save_origin, told};
use super::fail::Done;
use super::records::{Fresh, Own, add_own};
use super::settle::{self, Settling as Todo};
use super::{SqliteLedger, links, site};
use crate::error::{Error, Refusal};
use crate::ledger::{
    Identity, Quarantine, QuarantineQuery, Quarantined, Settling, Standing, Unpushed, Verdict, When, Word,
};
use async_trait::async_trait;
use chassis::clock::format_rfc3339;
use chassis::sqlite::rusqlite::{Connection, OptionalExtension, params};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use sync_protocol::change::{Change, ChangeId};
use sync_protocol::record::{SETTLEMENT, settlement_of};
use sync_protocol::scope::Scope;
use uuid::Uuid;

/// Where it is kept which changes the present version has tried again: `VERSION NUMBER`.
const TRIED: &str = "quarantine_tried";

// ---- reading ----------------------------------------------------------------------------------------------------

pub(super) fn list(db: &Connection, query: &QuarantineQuery) -> Done<Vec<Quarantined>> {
    // All that a node holds is its own store's to see.
    let scope = match (&query.sight, site::is_hub(db)?) {
        (Some(code), true) => Some(Scope::Store(code.clone()).to_string()),
        _ => None,
    };
    let sql = "SELECT f.change_no FROM ( \
           SELECT q.change_no FROM quarantine q WHERE q.settled = ?1 AND q.waits = 0 \
           UNION SELECT c.change_no FROM changes c INDEXED BY changes_outcome \
             WHERE NOT ?1 AND c.outcome >= 'quarantined' AND c.outcome < 'quarantinee') f \
         JOIN changes c ON c.change_no = f.change_no JOIN origins o ON o.origin_no = c.origin_no \
         WHERE (?2 IS NULL OR f.change_no < ?2) AND (?3 IS NULL OR o.scope = ?3) ORDER BY f.change_no DESC LIMIT ?4";
    let numbers: Vec<i64> = db
        .prepare_cached(sql)?
        .query_map(params![query.settled, query.before, scope, query.limit], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    numbers.into_iter().filter_map(|no| numbered(db, no).transpose()).collect()
}

pub(super) fn one(db: &Connection, id: ChangeId) -> Done<Option<Quarantined>> {
    let no: Option<i64> = db
        .prepare_cached(
            "SELECT c.change_no FROM changes c JOIN origins o ON o.origin_no = c.origin_no WHERE o.origin = ?1 AND c.seq = ?2",
        )?
        .query_row(params![id.origin, id.seq as i64], |row| row.get(0))
        .optional()?;
    no.map_or(Ok(None), |no| numbered(db, no))
}

fn numbered(db: &Connection, no: i64) -> Done<Option<Quarantined>> {
    type Row = (Uuid, i64, String, String, Option<i64>, Option<String>, String, Option<(bool, bool, String, String)>);
    let row: Option<Row> = db
        .prepare_cached(
            "SELECT o.origin, c.seq, o.scope, o.site, c.received_ms, c.outcome, c.body, q.waits, q.settled, q.code, q.reason \
             FROM changes c JOIN origins o ON o.origin_no = c.origin_no LEFT JOIN quarantine q ON q.change_no = c.change_no \
             WHERE c.change_no = ?1",
        )?
        .query_row([no], |row| {
            let waits: Option<bool> = row.get(7)?;
            let aside = match waits {
                Some(waits) => Some((waits, row.get(8)?, row.get(9)?, row.get(10)?)),
                None => None,
            };
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?, aside))
        })
        .optional()?;
    let Some((origin, seq, scope, site, received_ms, outcome, body, aside)) = row else {
        return Ok(None);
    };
    let id = ChangeId { origin, seq: seq as u64 };
    let store_code = match (parse_scope(&scope)?, site::identity(db)?) {
        (Scope::Store(code), _) => code,
        (_, Identity::Node(enrolment)) => enrolment.store_code,
        _ => String::new(),
    };
    let said = outcome.as_deref().and_then(settle::told);
    let text = |(code, reason): (&str, &str)| (code.to_owned(), reason.to_owned());
    let is_taken_at_hub = aside.as_ref().is_some_and(|(_, settled, ..)| !settled)
        && received_ms.is_some()
        && outcome.is_none()
        && !site::is_hub(db)?;
    let (standing, (code, reason)) = match aside {
        Some((_, true, code, reason)) => (Standing::Settled, (code, reason)),
        // What is wrong with it here says more than that it waits at headquarters.
        Some((false, false, code, reason)) => (Standing::Open, (code, reason)),
        None if said.is_some() => (Standing::Open, said.map(text).unwrap_or_default()),
        Some((true, false, code, reason)) => (Standing::Waiting, (code, reason)),
        None if outcome.is_some() => (Standing::Waiting, text(super::aside::WAITS)),
        None => (Standing::Applied, Default::default()),
    };
    let change = Change::from_body(&body).ok();
    let record_id = change.as_ref().map(|change| change.id);
    let waiting = match (record_id, standing) {
        (Some(record), Standing::Open) => waiting(db, record)?,
        _ => 0,
    };
    let (kind, by, set) =
        change.map_or_else(Default::default, |change| (Some(change.kind), Some(change.by), change.set));
    let words = words(db, id)?;
    Ok(Some(Quarantined {
        id,
        no,
        store_code,
        site,
        body: shown(body),
        kind,
        record_id,
        set,
        by,
        code,
        reason,
        received_ms,
        is_taken_at_hub,
        waiting,
        standing,
        words,
    }))
}

/// A body as people may see it: the hash of a password is nobody's, whatever else is wrong with the body.
pub(super) fn shown(body: String) -> String {
    const HASH: &str = "password_hash";
    let Ok(mut members) = serde_json::from_str::<Map<String, Value>>(&body) else {
        return if body.contains(HASH) { "…".to_owned() } else { body };
    };
    let Some(hash) = members.get_mut("set").and_then(|set| set.get_mut(HASH)) else {
        return body;
    };
    *hash = Value::from("…");
    Value::Object(members).to_string()
}

/// How many changes wait behind one of `record`: here, and as headquarters said.
fn waiting(db: &Connection, record: Uuid) -> Done<u64> {
    let count: i64 = db
        .prepare_cached(
            "SELECT count(*) FROM ( \
               SELECT change_no FROM quarantine WHERE settled = 0 AND waits = 1 AND record_id = ?1 \
               UNION SELECT change_no FROM quarantine WHERE settled = 0 AND waits = 1 AND parent_id = ?1 \
               UNION SELECT c.change_no FROM changes c INDEXED BY changes_outcome \
                 WHERE c.outcome = 'deferred' AND (c.record_id = ?1 OR c.record_id IN ( \
                   SELECT r.record_id FROM records r JOIN records p ON p.record_no = r.parent_no WHERE p.record_id = ?1)))",
        )?
        .query_row([record], |row| row.get(0))?;
    Ok(count as u64)
}

/// What people said about a change, oldest first.
fn words(db: &Connection, id: ChangeId) -> Done<Vec<Word>> {
    let records: Vec<Uuid> = db
        .prepare_cached(
            "SELECT r.record_id FROM settlements s JOIN records r ON r.record_no = s.settlement_no \
             WHERE s.origin = ?1 AND s.seq = ?2 ORDER BY s.settlement_no",
        )?
        .query_map(params![id.origin, id.seq as i64], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let mut words = Vec::new();
    for record in records {
        for told in told(db, record)? {
            let member = |field: &str, name: &str| {
                told.change
                    .set
                    .get(field)
                    .and_then(|value| value.get(name))
                    .and_then(Value::as_str)
                    .map(ToOwned::to_owned)
            };
            let (action, reason) = match member("decided", "action") {
                Some(action) => (action, member("decided", "reason")),
                None => ("retry".to_owned(), member("retried", "reason")),
            };
            words.push(Word {
                action,
                by: told.change.by.clone(),
                at: format_rfc3339(told.change.at),
                site: told.site.clone(),
                reason,
                instead: member("decided", "instead").and_then(|id| id.parse().ok()),
            });
        }
    }
    Ok(words)
}

// ---- deciding ---------------------------------------------------------------------------------------------------

pub(super) fn settle(db: &Connection, settling: Settling, fresh: &Fresh) -> Done<Quarantined> {
    let Settling { id, by, when: When { at_ms, .. }, judgement } = settling;
    let item = one(db, id)?.ok_or(Refusal::NotFound)?;
    let verdict = judgement(&item)?;
    possible(&item, &verdict)?;
    record(db, &item, verdict, (&by, at_ms), fresh)?;
    Ok(one(db, id)?.ok_or(Refusal::NotFound)?)
}

/// Whether there is anything to decide, and here.
fn possible(item: &Quarantined, verdict: &Verdict) -> Result<(), Refusal> {
    let decides = !matches!(verdict, Verdict::Retry { .. });
    let why = match item.standing {
        Standing::Settled => match item.words.iter().rfind(|word| word.action != "retry") {
            Some(word) => format!("{} settled it at {}: {}", word.by, word.at, word.action),
            None => "it is settled".to_owned(),
        },
        Standing::Applied => "it is in its record: there is nothing to settle".to_owned(),
        Standing::Waiting if !matches!(verdict, Verdict::Discard { .. }) => {
            "it waits behind another change of its record: settle that one".to_owned()
        }
        _ if decides && (item.is_taken_at_hub || item.site == "hub") => {
            "headquarters has it in its record and only this node cannot: upgrade the node, then try again".to_owned()
        }
        Standing::Open | Standing::Waiting => return Ok(()),
    };
    Err(Refusal::Conflict(why))
}

/// Records a verdict, and so does what it says.
fn record(
    db: &Connection,
    item: &Quarantined,
    verdict: Verdict,
    (by, at_ms): (&str, i64),
    fresh: &Fresh,
) -> Done<Vec<i64>> {
    let is_hub = site::is_hub(db)?;
    let scope = Scope::Store(item.store_code.clone());
    let mut stream = match own_origin(db, &scope)? {
        Some(stream) => stream,
        None if is_hub => open_origin(db, fresh.origin(), &scope, "hub", true, None)?,
        None => return Err(Refusal::NotEnrolled.into()),
    };
    let mut told = Vec::new();
    let mut own = |stream: &mut Origin, own: Own<'_>| -> Done<ChangeId> {
        let added = add_own(db, stream, own, fresh, is_hub, None)?;
        save_origin(db, stream)?;
        told.extend(added.told());
        Ok(ChangeId { origin: stream.id, seq: stream.seq })
    };
    let about = settlement_of(item.id);
    let mut set: BTreeMap<String, Value> = BTreeMap::new();
    match verdict {
        Verdict::Retry { reason } => {
            let reason = reason.map_or_else(Map::new, |reason| Map::from_iter([("reason".to_owned(), reason.into())]));
            set.insert("retried".to_owned(), reason.into());
        }
        Verdict::Discard { reason } => {
            set.insert("decided".to_owned(), json!({ "action": "discard", "reason": reason }));
        }
        Verdict::Edit { reason, kind, record, set: fields } => {
            // Out first: what stands in for it names what stands without it.
            settle::decide(db, item.id, at_ms)?;
            let before = load_record(db, record)?;
            if let Some(before) = &before {
                crate::erasures::leaves_erased_people(&before.state, &fields)?;
            }
            let new = before.is_none();
            let instead = own(
                &mut stream,
                Own {
                    by,
                    at_ms,
                    kind,
                    id: record,
                    new,
                    set: fields,
                    instead_of: Some(item.id),
                    met: None,
                },
            )?;
            set.insert(
                "decided".to_owned(),
                json!({ "action": "edit", "reason": reason, "instead": instead.to_string() }),
            );
        }
    }
    let new = load_record(db, about)?.is_none();
    if new {
        set.insert("change".to_owned(), item.id.to_string().into());
    }
    own(&mut stream, Own { by, at_ms, kind: SETTLEMENT, id: about, new, set, instead_of: None, met: None })?;
    if is_hub {
        tell(db, &told)?;
    }
    Ok(told)
}

/// Gives changes that went into their records to those who have to hear of them.
pub(super) fn tell(db: &Connection, changes: &[i64]) -> Done<()> {
    let mut fed = Vec::with_capacity(changes.len());
    for change_no in changes {
        let scope: String = db
            .prepare_cached(
                "SELECT o.scope FROM changes c JOIN origins o ON o.origin_no = c.origin_no WHERE c.change_no = ?1",
            )?
            .query_row([change_no], |row| row.get(0))?;
        fed.push((parse_scope(&scope)?, *change_no));
    }
    feed(db, &fed)
}

// ---- trying again -----------------------------------------------------------------------------------------------

pub(super) fn next_untried(db: &Connection, version: &str) -> Done<Option<i64>> {
    let noted = site::value(db, TRIED)?;
    let after = noted
        .as_deref()
        .and_then(|noted| noted.split_once(' '))
        .filter(|(tried, _)| *tried == version)
        .and_then(|(_, no)| no.parse::<i64>().ok());
    // What came while this version ran was judged by it.
    let upto: i64 = match after {
        Some(_) => i64::MAX,
        None => super::incidents::last_event(db)?,
    };
    let next: Option<i64> = db
        .prepare_cached(
            "SELECT min(change_no) FROM quarantine WHERE settled = 0 AND waits = 0 AND change_no > ?1 AND change_no <= ?2",
        )?
        .query_row(params![after.unwrap_or(0), upto], |row| row.get(0))?;
    let at = next.unwrap_or(i64::MAX);
    if after != Some(at) {
        site::set_value(db, TRIED, &format!("{version} {at}"))?;
    }
    Ok(next)
}

pub(super) fn try_again(
    db: &Connection,
    change_no: i64,
    (by, why, at_ms): (&str, &str, i64),
    fresh: &Fresh,
) -> Done<bool> {
    let Some(item) = numbered(db, change_no)?.filter(|item| item.standing == Standing::Open) else {
        return Ok(false);
    };
    let mut released = settle::work(db, Todo::of(change_no), at_ms)?;
    if !released.contains(&change_no) {
        return Ok(false);
    }
    // What the record of it tells is told after what it is about.
    if site::is_hub(db)? {
        tell(db, &std::mem::take(&mut released))?;
    }
    if !item.store_code.is_empty() {
        let verdict = Verdict::Retry { reason: Some(why.to_owned()) };
        record(db, &item, verdict, (by, at_ms), fresh)?;
    }
    Ok(true)
}

pub(super) fn go_on(db: &Connection, now_ms: i64) -> Done<u64> {
    let mut count = 0;
    for record in stuck(db)? {
        // One whose record is damaged waits for that, and holds up nobody else.
        db.execute_batch("SAVEPOINT goes_on")?;
        let released = match settle::work(db, Todo::releasing(record), now_ms) {
            Err(fail) if fail.is_damage() => {
                db.execute_batch("ROLLBACK TO goes_on; RELEASE goes_on")?;
                continue;
            }
            released => released?,
        };
        db.execute_batch("RELEASE goes_on")?;
        count += released.len() as u64;
        if site::is_hub(db)? {
            tell(db, &released)?;
        }
        if count as usize >= settle::MAX_AT_ONCE {
            break;
        }
    }
    Ok(count)
}

/// Records of which something waits, and nothing that it waits for.
pub(super) fn stuck(db: &Connection) -> Done<Vec<Uuid>> {
    let mut statement = db.prepare_cached(
        "SELECT q.record_id FROM quarantine q WHERE q.settled = 0 AND q.waits = 1 AND q.record_id IS NOT NULL \
         AND NOT EXISTS (SELECT 1 FROM quarantine e WHERE e.record_id = q.record_id AND e.settled = 0 AND e.change_no < q.change_no) \
         AND NOT EXISTS (SELECT 1 FROM quarantine e WHERE e.record_id = q.parent_id AND e.settled = 0 AND e.change_no < q.change_no) \
         ORDER BY q.change_no LIMIT 100",
    )?;
    let rows = statement.query_map([], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

// ---- asking headquarters again ----------------------------------------------------------------------------------

pub(super) fn unsettled(db: &Connection, after: u64, max_changes: u32, max_bytes: usize) -> Done<Option<Unpushed>> {
    let stream: Option<(i64, Uuid, i64)> = db
        .prepare_cached("SELECT origin_no, origin, acked_seq FROM origins WHERE mine = 1")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let Some((origin_no, origin, acked)) = stream else {
        return Ok(None);
    };
    let mut statement = db.prepare_cached(
        "SELECT seq, body FROM changes INDEXED BY changes_outcome WHERE outcome IS NOT NULL AND origin_no = ?1 \
         AND seq > ?2 AND seq <= ?3 ORDER BY seq LIMIT ?4",
    )?;
    let mut rows = statement.query(params![origin_no, after as i64, acked, max_changes])?;
    let (mut first, mut bodies, mut bytes) = (0, Vec::<String>::new(), 0);
    while let Some(row) = rows.next()? {
        let (seq, body): (i64, String) = (row.get(0)?, row.get(1)?);
        bytes += body.len();
        let follows = seq == first + bodies.len() as i64;
        if !bodies.is_empty() && (!follows || bytes > max_bytes) {
            break;
        }
        if bodies.is_empty() {
            first = seq;
        }
        bodies.push(body);
    }
    if bodies.is_empty() {
        return Ok(None);
    }
    let prev = links::link_at(db, origin_no, origin, first - 1)?;
    Ok(Some(Unpushed { origin, first_seq: first as u64, prev, bodies }))
}

#[async_trait]
impl Quarantine for SqliteLedger {
    async fn quarantine(&self, query: QuarantineQuery) -> Result<Vec<Quarantined>, Error> {
        self.read(move |db| list(db, &query)).await
    }

    async fn quarantined(&self, id: ChangeId) -> Result<Option<Quarantined>, Error> {
        self.read(move |db| one(db, id)).await
    }

    async fn settle(&self, settling: Settling) -> Result<Quarantined, Error> {
        let ids = self.ids.clone();
        self.write_once(move |db| {
            let fresh = Fresh { ids, when: settling.when };
            settle(db, settling, &fresh)
        })
        .await
    }

    async fn next_untried(&self, version: String) -> Result<Option<i64>, Error> {
        self.write(move |db| next_untried(db, &version)).await
    }

    async fn try_again(&self, change_no: i64, by: String, why: String, when: When) -> Result<bool, Error> {
        let ids = self.ids.clone();
        self.write(move |db| try_again(db, change_no, (&by, &why, when.at_ms), &Fresh { ids, when })).await
    }

    async fn go_on(&self, now_ms: i64) -> Result<u64, Error> {
        if self.read(stuck).await?.is_empty() {
            return Ok(0);
        }
        self.write(move |db| go_on(db, now_ms)).await
    }

    async fn unsettled(&self, after_seq: u64, max_changes: u32, max_bytes: usize) -> Result<Option<Unpushed>, Error> {
        self.read(move |db| unsettled(db, after_seq, max_changes, max_bytes)).await
    }
}
