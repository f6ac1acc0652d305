//! What a decision about a change in quarantine does, at every site that hears of it.
//!
//! Layout: the decision is a record of kind `settlement` (or, for a correction, the member `instead_of` of the change that
//! stands in); `settlements` says which changes they are about, `quarantine.settled` which are out of their record for good.
//!
//! **The law.** A change is out of its record when any settlement held has ever decided so. That only grows, so sites
//! that hold the same changes leave out the same ones, in whatever order they heard of it and however many people decided
//! at once. Trying again decides nothing: it asks the rules once more, where the change is in quarantine.
//!
//! What waited is tried again in its order, in the same transaction, as a list of things to do and never by recursion: what
//! a settlement releases may be a settlement. [`MAX_AT_ONCE`] bounds a transaction; [`super::quarantine::go_on`] takes the rest.

use super::aside::{self, Aside};
use super::changes::{
    self, Made, Place, Record, judge, keep_aside, load_record, merge, parent_of, parse_scope, quarantined, rebuild,
};
use super::fail::{Done, Fail};
use super::met::Met;
use super::{acts, erasures, project, reviews, site};
use chassis::sqlite::rusqlite::{Connection, OptionalExtension, params};
use serde_json::Value;
use std::collections::VecDeque;
use sync_protocol::change::{Change, ChangeId, MAX_BODY_BYTES};
use sync_protocol::hlc::Hlc;
use sync_protocol::merge::RecordState;
use sync_protocol::message::{Outcome, quarantine};
use sync_protocol::record::{SETTLEMENT, STEP};
use sync_protocol::scope::Scope;
use uuid::Uuid;

/// Most changes in quarantine that one transaction tries again.
pub(super) const MAX_AT_ONCE: usize = 1_000;

/// What is said of a change that a person decided against and that was in its record here.
pub(super) const DECIDED: (&str, &str) = ("decided", "a person decided against it");

/// Something to do once a change is in its record.
enum Todo {
    /// Try one change again.
    Try(i64),
    /// Try again what waits of a record, and of those that belong to it.
    Release(Uuid),
}

/// What is to be done in the open transaction.
#[derive(Default)]
pub(super) struct Settling {
    todo: VecDeque<Todo>,
}

impl Settling {
    /// Tries the change `change_no` again.
    pub(super) fn of(change_no: i64) -> Self {
        Self { todo: VecDeque::from([Todo::Try(change_no)]) }
    }

    /// Tries again, besides, what waits of `record`.
    pub(super) fn release(&mut self, record: Uuid) {
        self.todo.push_back(Todo::Release(record));
    }

    /// Tries again what waits of `record`.
    pub(super) fn releasing(record: Uuid) -> Self {
        Self { todo: VecDeque::from([Todo::Release(record)]) }
    }
}

/// Does what is to be done; answers the changes that went into their records, in order.
pub(super) fn work(db: &Connection, mut settling: Settling, now_ms: i64) -> Done<Vec<i64>> {
    let (mut released, mut tried) = (Vec::new(), 0);
    while let Some(todo) = settling.todo.pop_front() {
        match todo {
            Todo::Try(change_no) => {
                tried += 1;
                if let Some(record) = attempt(db, change_no, now_ms, &mut settling, &mut released)?.flatten() {
                    settling.todo.push_back(Todo::Release(record));
                }
            }
            Todo::Release(record) => {
                let rows: Vec<i64> = db
                    .prepare_cached(
                        "SELECT change_no FROM quarantine WHERE record_id = ?1 AND settled = 0 ORDER BY change_no",
                    )?
                    .query_map([record], |row| row.get(0))?
                    .collect::<Result<_, _>>()?;
                for change_no in rows {
                    tried += 1;
                    if tried > MAX_AT_ONCE || attempt(db, change_no, now_ms, &mut settling, &mut released)?.is_none() {
                        // What comes after it waits on.
                        break;
                    }
                }
                let children: Vec<Uuid> = db
                    .prepare_cached(
                        "SELECT record_id FROM quarantine WHERE parent_id = ?1 AND settled = 0 AND record_id IS NOT NULL \
                         GROUP BY record_id ORDER BY min(change_no)",
                    )?
                    .query_map([record], |row| row.get(0))?
                    .collect::<Result<_, _>>()?;
                settling.todo.extend(children.into_iter().filter(|child| *child != record).map(Todo::Release));
            }
        }
        if tried > MAX_AT_ONCE {
            break;
        }
    }
    Ok(released)
}

/// Tries one change in quarantine again; `Some` with its record when it is in it now.
fn attempt(
    db: &Connection,
    change_no: i64,
    now_ms: i64,
    settling: &mut Settling,
    released: &mut Vec<i64>,
) -> Done<Option<Option<Uuid>>> {
    type Row = (Uuid, i64, String, Option<Uuid>, i64, Option<i64>, String, i64);
    let row: Option<Row> = db
        .prepare_cached(
            "SELECT o.origin, c.seq, o.scope, o.node_id, c.hlc, c.received_ms, c.body, q.since_ms FROM quarantine q \
             JOIN changes c ON c.change_no = q.change_no JOIN origins o ON o.origin_no = c.origin_no \
             WHERE q.change_no = ?1 AND q.settled = 0",
        )?
        .query_row([change_no], |row| row.try_into())
        .optional()?;
    let Some((origin, seq, scope, node_id, hlc, received_ms, body, since_ms)) = row else {
        return Ok(None);
    };
    // Out first: what is in quarantine counts for nothing while its own record is put together.
    db.prepare_cached("DELETE FROM quarantine WHERE change_no = ?1")?.execute([change_no])?;
    let hlc = Hlc::from_i64(hlc);
    let read = Change::from_body(&body);
    // What could not be read when it came, and can be now, may hold what was erased since.
    let left = read.as_ref().map_or(Ok(None), |change| erasures::strip(db, change_no, change.id, hlc, &body))?;
    let parsed = left.as_deref().map_or(read, Change::from_body);
    let scope = parse_scope(&scope)?;
    let id = ChangeId { origin, seq: seq as u64 };
    let place = Place {
        change_no,
        id,
        hlc,
        scope: &scope,
        received_ms,
        now_ms,
        claim: None,
        met: Met::UNKNOWN,
    };
    let mut made = Made { settling: std::mem::take(settling), ..Made::default() };
    let outcome = judge(db, &place, &parsed, body.len() > MAX_BODY_BYTES, node_id, &mut made)?;
    *settling = made.settling;
    let change = parsed.ok();
    let record = change.as_ref().map(|change| change.id);
    let held_up = aside::held_up(&outcome, change.as_ref());
    keep_aside(db, &outcome, (change_no, held_up, change.as_ref().and_then(parent_of)), since_ms)?;
    if matches!(outcome, Outcome::Quarantined { .. } | Outcome::Deferred) {
        return Ok(None);
    }
    // What waited is an act only now.
    if let (Outcome::Applied | Outcome::Merged, Some(change)) = (&outcome, &change)
        && acts::is_act(change)
        && site::is_hub(db)?
        && let Some(found) = load_record(db, change.id)?
    {
        acts::note_change(db, change_no, &scope, change, &found.state)?;
    }
    released.push(change_no);
    Ok(Some(record))
}

/// Merges a change that stands in for `stood_for`: that one is out of its record with this, and this one waits behind
/// nothing of its own record.
pub(super) fn stand_in(
    db: &Connection,
    place: &Place<'_>,
    change: &Change,
    stood_for: ChangeId,
    made: &mut Made,
) -> Done<Outcome> {
    if change.kind == SETTLEMENT || stood_for == place.id {
        return Ok(quarantined(quarantine::BAD_VALUE, "instead_of: a change of this kind stands in for nothing"));
    }
    if let Some(why) = not_to_decide(db, place.scope, stood_for)? {
        return Ok(quarantined(quarantine::NOT_YOURS, why));
    }
    if let Some(Some(other)) = record_of(db, stood_for)?.filter(|record| *record != Some(change.id)) {
        return Ok(quarantined(quarantine::BAD_VALUE, format!("instead_of: that is a change of the record {other}")));
    }
    db.execute_batch("SAVEPOINT stands_in")?;
    decide(db, stood_for, place.now_ms)?;
    // What was decided may have changed what there is to meet.
    let place = &Place { met: Met::UNKNOWN, ..*place };
    let outcome = merge(db, place, change, true, made)?;
    let is_taken = matches!(outcome, Outcome::Applied | Outcome::Merged);
    db.execute_batch(if is_taken {
        "RELEASE stands_in"
    } else {
        "ROLLBACK TO stands_in; RELEASE stands_in"
    })?;
    if is_taken {
        made.settling.todo.push_back(Todo::Release(change.id));
    }
    Ok(outcome)
}

/// Why a settlement, recorded in `scope`, is about something that its site has no say in; `None` where it has.
/// `before`: the settlement's record as it is.
pub(super) fn overreach(
    db: &Connection,
    scope: &Scope,
    change: &Change,
    before: Option<&RecordState>,
) -> Done<Option<&'static str>> {
    let Some(about) = about(change.set.get("change").or_else(|| before.and_then(|state| state.get("change")))) else {
        return Ok(None);
    };
    if decides(change) {
        return not_to_decide(db, scope, about);
    }
    // What every site holds may be tried again at any of them.
    let of: Option<String> = scope_of(db, about)?.map(|(scope, _)| scope);
    Ok(of
        .filter(|of| *of != scope.to_string() && *of != Scope::Company.to_string())
        .map(|_| "the change it is about is of another scope"))
}

fn not_to_decide(db: &Connection, scope: &Scope, about: ChangeId) -> Done<Option<&'static str>> {
    Ok(match scope_of(db, about)? {
        Some((of, _)) if of != scope.to_string() => Some("the change it is about is of another scope"),
        Some((_, site)) if site == "hub" => {
            Some("what headquarters recorded is in its record; nobody decides against it")
        }
        _ => None,
    })
}

/// Scope and site of the stream of a change.
fn scope_of(db: &Connection, change: ChangeId) -> Done<Option<(String, String)>> {
    Ok(db
        .prepare_cached("SELECT scope, site FROM origins WHERE origin = ?1")?
        .query_row([change.origin], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?)
}

/// The record of a change that is here, where its body could be read.
fn record_of(db: &Connection, change: ChangeId) -> Done<Option<Option<Uuid>>> {
    Ok(db
        .prepare_cached(
            "SELECT c.record_id FROM changes c JOIN origins o ON o.origin_no = c.origin_no WHERE o.origin = ?1 AND c.seq = ?2",
        )?
        .query_row(params![change.origin, change.seq as i64], |row| row.get(0))
        .optional()?)
}

fn about(value: Option<&Value>) -> Option<ChangeId> {
    value.and_then(Value::as_str).and_then(|text| text.parse().ok())
}

pub(super) fn decides(change: &Change) -> bool {
    change.set.get("decided").is_some_and(|decided| !decided.is_null())
}

/// Does what `change`, a change of the settlement `record`, says.
pub(super) fn take(
    db: &Connection,
    record: &Record,
    change: &Change,
    now_ms: i64,
    settling: &mut Settling,
) -> Done<()> {
    let Some(about) = about(record.state.get("change")) else {
        return Ok(());
    };
    note(db, record, decides(change))?;
    site::set_counter(db, "settled", site::counter(db, "settled")?.unwrap_or(0) + 1)?;
    if decides(change) {
        if let Some(released) = decide(db, about, now_ms)? {
            settling.todo.push_back(Todo::Release(released));
        }
    } else if change.set.get("retried").is_some_and(|retried| !retried.is_null()) {
        let open: Option<i64> = db
            .prepare_cached(
                "SELECT q.change_no FROM quarantine q JOIN changes c ON c.change_no = q.change_no \
                 JOIN origins o ON o.origin_no = c.origin_no WHERE o.origin = ?1 AND c.seq = ?2 AND q.settled = 0",
            )?
            .query_row(params![about.origin, about.seq as i64], |row| row.get(0))
            .optional()?;
        settling.todo.extend(open.map(Todo::Try));
    }
    Ok(())
}

/// Notes which change a settlement is about. What was decided once stays so.
pub(super) fn note(db: &Connection, record: &Record, decided: bool) -> Done<()> {
    let Some(about) = about(record.state.get("change")) else {
        return Ok(());
    };
    db.prepare_cached(
        "INSERT INTO settlements (settlement_no, origin, seq, decided) VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT (settlement_no) DO UPDATE SET origin = excluded.origin, seq = excluded.seq, \
         decided = max(decided, excluded.decided)",
    )?
    .execute(params![record.no, about.origin, about.seq as i64, decided])?;
    Ok(())
}

/// Takes a change out of its record for good. Answers whose waiting changes can go on.
pub(super) fn decide(db: &Connection, change: ChangeId, now_ms: i64) -> Done<Option<Uuid>> {
    type Row = (i64, Option<Uuid>, Option<String>, String, Option<bool>);
    let row: Option<Row> = db
        .prepare_cached(
            "SELECT c.change_no, c.record_id, c.outcome, c.body, q.settled FROM changes c \
             JOIN origins o ON o.origin_no = c.origin_no LEFT JOIN quarantine q ON q.change_no = c.change_no \
             WHERE o.origin = ?1 AND c.seq = ?2",
        )?
        .query_row(params![change.origin, change.seq as i64], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
        })
        .optional()?;
    let Some((change_no, record, outcome, body, settled)) = row else {
        return Ok(None);
    };
    match settled {
        Some(true) => return Ok(None),
        Some(false) => {
            db.prepare_cached("UPDATE quarantine SET settled = 1, waits = 0 WHERE change_no = ?1")?
                .execute([change_no])?;
        }
        None => {
            let said = outcome.as_deref().and_then(told);
            let (code, reason) = said.unwrap_or(DECIDED);
            let parent = Change::from_body(&body).ok().as_ref().and_then(parent_of);
            let aside = Aside {
                change_no,
                record,
                parent,
                waits: false,
                code,
                reason,
                since_ms: now_ms,
                settled: true,
            };
            aside::keep(db, &aside)?;
            if let Some(record) = record {
                take_out(db, record, now_ms)?;
            }
        }
    }
    // Nothing to ask headquarters about any more.
    db.prepare_cached("UPDATE changes SET outcome = NULL WHERE change_no = ?1")?.execute([change_no])?;
    Ok(record)
}

/// Code and reason of what headquarters answered, as a node notes it.
pub(super) fn told(outcome: &str) -> Option<(&str, &str)> {
    outcome.strip_prefix("quarantined: ")?.split_once(": ")
}

/// Puts a record together without what is out of it. Where nothing says any more who recorded it there is none, and what
/// else was said of it waits to be tried.
fn take_out(db: &Connection, id: Uuid, now_ms: i64) -> Done<()> {
    let Some(record) = load_record(db, id)? else {
        return Ok(());
    };
    if rebuild(db, &record)?.born.is_some() {
        return changes::put_together(db, id);
    }
    let mut going = vec![record.no];
    let children: Vec<i64> = db
        .prepare_cached("SELECT record_no FROM records WHERE parent_no = ?1 ORDER BY record_no")?
        .query_map([record.no], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    going.extend(children);
    while let Some(no) = going.pop() {
        let Some(record) = changes::load_record_no(db, no)? else {
            continue;
        };
        unmake(db, &record, now_ms)?;
    }
    // A step had moved its incident, which may still be there.
    if record.kind == STEP
        && let Some(mut parent) = record.parent_no.map(|no| changes::load_record_no(db, no)).transpose()?.flatten()
    {
        parent.state = rebuild(db, &parent)?;
        changes::save_state(db, &parent)?;
        project::record(db, &parent)?;
        reviews::after_step(db, &parent, now_ms)?;
    }
    Ok(())
}

/// Takes a record off the tables; its changes wait.
fn unmake(db: &Connection, record: &Record, now_ms: i64) -> Done<()> {
    let mut statement = db.prepare_cached(
        "SELECT c.change_no, c.body FROM changes c WHERE c.record_id = ?1 \
         AND NOT EXISTS (SELECT 1 FROM quarantine q WHERE q.change_no = c.change_no) ORDER BY c.change_no",
    )?;
    let merged: Vec<(i64, String)> =
        statement.query_map([record.id], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
    for (change_no, body) in merged {
        let change = Change::from_body(&body).map_err(|e| Fail::Broken(format!("change number {change_no}: {e}")))?;
        let (code, reason) = aside::WAITS;
        let aside = Aside {
            change_no,
            record: Some(record.id),
            parent: parent_of(&change),
            waits: true,
            code,
            reason,
            since_ms: now_ms,
            settled: false,
        };
        aside::keep(db, &aside)?;
    }
    project::forget(db, record)
}
