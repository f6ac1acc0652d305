//! Programs of other versions.
//!
//! Rows of `site`: at a node `hub_program` ([`HubProgram`] as JSON); at every site `knows`
//! ([`record::knowledge`] as JSON of the program that last caught up) and the counter `caught_up`, the last record done.
//!
//! **Catching up.** A kind that a program does not know is kept as a record like any other, its changes merged by the same
//! rules, and nothing more: no table shows it and nothing was checked. The first start of a program that knows the kind
//! does with its records what it would have done as they came: check each change in the order of its arrival, set aside
//! the first that cannot be taken and what comes after it, and make the tables. A kind that was known and has more
//! fields now was checked where it was recorded; only its tables are made anew. Some records a transaction; what says
//! that it is done is written last.

use super::SqliteLedger;
use super::aside::{self, Aside};
use super::changes::{load_record, not_a_nodes, parent_of, put_together, told};
use super::fail::{Done, Fail};
use super::quarantine::tell;
use super::settle::{self, Settling};
use super::site::{counter, is_hub, set_counter, set_value, value};
use crate::error::Error;
use crate::ledger::{CaughtUp, HubProgram, Versions};
use async_trait::async_trait;
use chassis::sqlite::rusqlite::{Connection, params};
use std::collections::BTreeMap;
use sync_protocol::HISTORIES_SINCE;
use sync_protocol::change::{Change, ChangeId};
use sync_protocol::merge::RecordState;
use sync_protocol::message::quarantine;
use sync_protocol::record;
use uuid::Uuid;

/// Records brought up in one transaction.
const AT_ONCE: u32 = 200;
/// What the program knew that kept no `knows` yet; in a new folder there is nothing of any kind.
const FIRST: [&str; 6] =
    [record::INCIDENT, record::COMMENT, record::PHOTO, record::STEP, record::STORE, record::ACCOUNT];
/// The counter of how far it got.
const DONE: &str = "caught_up";

fn hub_program(db: &Connection) -> Done<Option<HubProgram>> {
    // One that cannot be read is told anew with the next hello.
    Ok(value(db, "hub_program")?.and_then(|text| serde_json::from_str(&text).ok()))
}

fn see_hub_program(db: &Connection, seen: &HubProgram) -> Done<bool> {
    let before = hub_program(db)?;
    if before.as_ref() == Some(seen) {
        return Ok(false);
    }
    set_value(db, "hub_program", &serde_json::to_string(seen).map_err(|e| Fail::Broken(e.to_string()))?)?;
    let had_seals = before.is_some_and(|before| before.protocol >= HISTORIES_SINCE);
    if had_seals || seen.protocol < HISTORIES_SINCE {
        return Ok(false);
    }
    Ok(db.execute("UPDATE cursors SET cursor = '' WHERE cursor <> ''", [])? > 0)
}

/// Brings some more records up; `None` when there is nothing left to do.
fn catch_up(db: &Connection, now_ms: i64) -> Done<Option<CaughtUp>> {
    let knows = record::knowledge();
    let before: Option<BTreeMap<String, String>> =
        value(db, "knows")?.and_then(|text| serde_json::from_str(&text).ok());
    let is_as_before = |kind: &str, digest: &String| match &before {
        Some(before) => before.get(kind) == Some(digest),
        None => FIRST.contains(&kind),
    };
    let changed: Vec<&String> =
        knows.iter().filter(|(kind, digest)| !is_as_before(kind, digest)).map(|(kind, _)| kind).collect();
    let some = if changed.is_empty() { Vec::new() } else { of_kinds(db, &changed)? };
    let Some((last, _, _)) = some.last() else {
        db.execute("DELETE FROM counters WHERE name = ?1", [DONE])?;
        let text = serde_json::to_string(&knows).map_err(|e| Fail::Broken(e.to_string()))?;
        if before.as_ref() != Some(&knows) {
            set_value(db, "knows", &text)?;
        }
        return Ok(None);
    };
    set_counter(db, DONE, *last)?;
    let mut done = CaughtUp::default();
    for (record_no, id, kind) in &some {
        done.records += 1;
        if before.as_ref().is_some_and(|before| before.contains_key(kind)) {
            put_together(db, *id)?;
        } else if kind == record::SETTLEMENT {
            done.set_aside += take_in(db, *record_no, *id, now_ms)?;
            carry_out(db, *id, now_ms)?;
        } else {
            done.set_aside += take_in(db, *record_no, *id, now_ms)?;
        }
    }
    Ok(Some(done))
}

/// Some records of these kinds behind those that are done.
fn of_kinds(db: &Connection, kinds: &[&String]) -> Done<Vec<(i64, Uuid, String)>> {
    let kinds = serde_json::to_string(kinds).map_err(|e| Fail::Broken(e.to_string()))?;
    let mut statement = db.prepare_cached(
        "SELECT record_no, record_id, kind FROM records WHERE record_no > ?1 AND kind IN (SELECT value FROM json_each(?2)) \
         ORDER BY record_no LIMIT ?3",
    )?;
    let after = counter(db, DONE)?.unwrap_or(0);
    let rows =
        statement.query_map(params![after, kinds, AT_ONCE], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Does what a settlement says that came before anybody here knew what one is.
fn carry_out(db: &Connection, id: Uuid, now_ms: i64) -> Done<()> {
    let Some(record) = load_record(db, id)? else {
        return Ok(());
    };
    let mut settling = Settling::default();
    for told in told(db, id)? {
        settle::take(db, &record, &told.change, now_ms, &mut settling)?;
    }
    let released = settle::work(db, settling, now_ms)?;
    if is_hub(db)? { tell(db, &released) } else { Ok(()) }
}

/// Does with a record whose kind was unknown what would have been done with its changes as they came; answers how many of
/// them are in quarantine now.
fn take_in(db: &Connection, record_no: i64, id: Uuid, now_ms: i64) -> Done<u64> {
    let rows: Vec<(i64, Option<Uuid>, String)> = db
        .prepare_cached(
            "SELECT c.change_no, o.node_id, c.body FROM changes c JOIN origins o ON o.origin_no = c.origin_no \
             WHERE c.record_id = ?1 AND NOT EXISTS (SELECT 1 FROM quarantine q WHERE q.change_no = c.change_no) \
             ORDER BY c.change_no",
        )?
        .query_map([id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<_, _>>()?;
    let (mut taken, mut aside) = (0_u64, 0_u64);
    for (change_no, pusher, body) in rows {
        let change = Change::from_body(&body).map_err(|e| Fail::Broken(format!("change {change_no}: {e}")))?;
        let parent = parent_of(&change);
        let keep_aside = |waits, code, reason: &str| {
            let record = Some(id);
            aside::keep(db, &Aside { change_no, record, parent, waits, code, reason, since_ms: now_ms, settled: false })
        };
        if aside > 0 {
            keep_aside(true, aside::WAITS.0, aside::WAITS.1)?;
            aside += 1;
            continue;
        }
        match wrong_with(db, &change, taken == 0, pusher)? {
            None => taken += 1,
            Some((code, reason)) => {
                keep_aside(false, code, &reason)?;
                aside += 1;
            }
        }
    }
    if taken > 0 {
        put_together(db, id)?;
    } else if load_record(db, id)?.is_some() {
        db.prepare_cached("DELETE FROM reviews WHERE record_no = ?1")?.execute([record_no])?;
        db.prepare_cached("DELETE FROM records WHERE record_no = ?1")?.execute([record_no])?;
    }
    Ok(aside)
}

/// Why a change of a kind that is known now cannot be taken. `is_first`: nothing of its record stands yet.
fn wrong_with(
    db: &Connection,
    change: &Change,
    is_first: bool,
    pusher: Option<Uuid>,
) -> Done<Option<(&'static str, String)>> {
    if let Some(why) = not_a_nodes(db, pusher, change)? {
        return Ok(Some((quarantine::NOT_YOURS, why.to_owned())));
    }
    let mut wrong = record::check(&change.kind, &change.set);
    if wrong.is_empty() && is_first {
        let any = ChangeId { origin: Uuid::nil(), seq: 1 };
        wrong = record::check_whole(&change.kind, &RecordState::of([(any, change.order(), change)]));
    }
    let first = wrong.into_iter().next();
    Ok(first.map(|first| (quarantine::BAD_VALUE, format!("{}: {}", first.field, first.message))))
}

#[async_trait]
impl Versions for SqliteLedger {
    async fn hub_program(&self) -> Result<HubProgram, Error> {
        self.look(|db| Ok(hub_program(db)?.unwrap_or_default())).await
    }

    async fn see_hub_program(&self, seen: HubProgram) -> Result<bool, Error> {
        self.write(move |db| see_hub_program(db, &seen)).await
    }

    async fn note_protocol(&self, node_id: Uuid, newest: u32) -> Result<(), Error> {
        self.write(move |db| {
            db.prepare_cached("UPDATE nodes SET newest_protocol = ?2 WHERE node_id = ?1 AND newest_protocol <> ?2")?
                .execute(params![node_id, newest])?;
            Ok(())
        })
        .await
    }

    async fn catch_up(&self, now_ms: i64) -> Result<CaughtUp, Error> {
        let mut all = CaughtUp::default();
        while let Some(done) = self.write(move |db| catch_up(db, now_ms)).await? {
            all.records += done.records;
            all.set_aside += done.set_aside;
        }
        Ok(all)
    }
}
