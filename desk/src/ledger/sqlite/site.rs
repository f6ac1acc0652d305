//! Who the site is, and its few single values: rows of `site` and `counters`.
//!
//! | name | value |
//! | --- | --- |
//! | `role` | `hub` or `node`; no row: a node's folder before `enroll` |
//! | `hub_id`, `epoch` | the hub's identity and history |
//! | `hub_key`, `restored`, `offer`, `receipt/ORIGIN` | see [`super::histories`] |
//! | `hub_program`, `knows` | see [`super::versions`] |
//! | `enrolment` | [`Enrolment`] as JSON |
//! | `credential` | the node's secret (the file is readable by its owner alone) |
//! | `link` | [`LinkState`] as JSON |
//! | `photo_limits` | [`PhotoLimits`] as JSON, as the hub last said |
//! | `notice` | [`crate::ledger::Notice`] as JSON: the last new beginning |
//! | counter `pulled` | changes taken from the hub since enrolment |
//! | counter `caught_up` | see [`super::versions`] |
//! | counter `settled` | settlements heard of: whenever it grows, headquarters may have another answer |
//! | `quarantine_tried` | see [`super::quarantine`] |
//! | counter `hlc` | last reading of the hybrid clock |
//! | counter `reference/042/2026` | last running number of a store's year |
//!
//! Everything is read inside the transaction that relies on it: administration commands write to the same file
//! while the site serves.

use super::carry::carry_over;
use super::changes::{self, Origin};
use super::fail::{Done, Fail};
use super::histories::make_key;
use crate::error::Refusal;
use crate::ledger::{Backlog, Enrolment, Identity, LinkState, Retirement};
use chassis::outbound::Pin;
use chassis::sqlite::rusqlite::{Connection, OptionalExtension, params};
use sync_protocol::chain::Link;
use sync_protocol::hlc::Hlc;
use sync_protocol::message::PhotoLimits;
use sync_protocol::scope::Scope;
use uuid::Uuid;

/// What a hub's file has beyond a node's.
const HUB_SCHEMA: &str = include_str!("../../../../migrations/sqlite/hub.sql");

pub(super) fn value(db: &Connection, name: &str) -> Done<Option<String>> {
    Ok(db
        .prepare_cached("SELECT value FROM site WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()?)
}

pub(super) fn set_value(db: &Connection, name: &str, value: &str) -> Done<()> {
    db.prepare_cached(
        "INSERT INTO site (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
    )?
    .execute([name, value])?;
    Ok(())
}

pub(super) fn counter(db: &Connection, name: &str) -> Done<Option<i64>> {
    Ok(db
        .prepare_cached("SELECT value FROM counters WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()?)
}

pub(super) fn set_counter(db: &Connection, name: &str, value: i64) -> Done<()> {
    db.prepare_cached(
        "INSERT INTO counters (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
    )?
    .execute(params![name, value])?;
    Ok(())
}

/// Moves a counter on by one, from `start` where there is none yet; answers the number it is at now.
pub(super) fn count_on(db: &Connection, name: &str, start: i64) -> Done<i64> {
    Ok(db
        .prepare_cached(
            "INSERT INTO counters (name, value) VALUES (?1, ?2 + 1) \
             ON CONFLICT (name) DO UPDATE SET value = value + 1 RETURNING value",
        )?
        .query_row(params![name, start], |row| row.get(0))?)
}

pub(super) fn is_hub(db: &Connection) -> Done<bool> {
    Ok(value(db, "role")?.as_deref() == Some("hub"))
}

/// The next reading of the site's clock.
pub(super) fn tick(db: &Connection, now_ms: i64) -> Done<Hlc> {
    let next = Hlc::from_i64(counter(db, "hlc")?.unwrap_or(0)).next(now_ms);
    set_counter(db, "hlc", next.to_i64())?;
    Ok(next)
}

/// The site's last reading of the clock.
pub(super) fn last_reading(db: &Connection) -> Done<Hlc> {
    Ok(Hlc::from_i64(counter(db, "hlc")?.unwrap_or(0)))
}

/// Moves the site's clock behind what it has seen.
pub(super) fn observe(db: &Connection, seen: Hlc) -> Done<()> {
    let last = Hlc::from_i64(counter(db, "hlc")?.unwrap_or(0));
    if seen > last {
        set_counter(db, "hlc", seen.to_i64())?;
    }
    Ok(())
}

/// Moves the site's clock back to `latest`, where it stands later.
pub(super) fn set_back(db: &Connection, latest: Hlc) -> Done<()> {
    let last = counter(db, "hlc")?.map_or(latest, Hlc::from_i64);
    if last > latest {
        set_counter(db, "hlc", latest.to_i64())?;
    }
    Ok(())
}

pub(super) fn identity(db: &Connection) -> Done<Identity> {
    match value(db, "role")?.as_deref() {
        None => Ok(Identity::Unenrolled),
        Some("hub") => Ok(Identity::Hub { hub_id: uuid_value(db, "hub_id")?, epoch: uuid_value(db, "epoch")? }),
        Some(_) => {
            let text = value(db, "enrolment")?.ok_or_else(|| Fail::Broken("site has no enrolment".to_owned()))?;
            let enrolment = serde_json::from_str(&text).map_err(|e| Fail::Broken(format!("enrolment: {e}")))?;
            Ok(Identity::Node(enrolment))
        }
    }
}

pub(super) fn set_trust(db: &Connection, pins: Vec<Pin>, ca_pem: Option<String>) -> Done<()> {
    let Identity::Node(enrolment) = identity(db)? else {
        return Err(Fail::Broken("only a node has a hub to believe".to_owned()));
    };
    let enrolment = Enrolment { pins, ca_pem, ..enrolment };
    let text = serde_json::to_string(&enrolment).map_err(|e| Fail::Broken(e.to_string()))?;
    set_value(db, "enrolment", &text)
}

fn uuid_value(db: &Connection, name: &str) -> Done<Uuid> {
    value(db, name)?
        .and_then(|text| Uuid::try_parse(&text).ok())
        .ok_or_else(|| Fail::Broken(format!("site has no {name}")))
}

pub(super) fn become_hub(db: &Connection, hub_id: Uuid, epoch: Uuid, key: [u8; 32]) -> Done<Identity> {
    match identity(db)? {
        Identity::Unenrolled => {
            set_value(db, "hub_id", &hub_id.to_string())?;
            set_value(db, "epoch", &epoch.to_string())?;
            set_value(db, "role", "hub")?;
            make_key(db, key)?;
            db.execute_batch(HUB_SCHEMA)?;
            identity(db)
        }
        hub @ Identity::Hub { .. } => {
            make_key(db, key)?;
            Ok(hub)
        }
        Identity::Node(_) => Err(Fail::Broken("the folder belongs to a node, not to a hub".to_owned())),
    }
}

pub(super) fn become_node(db: &Connection, enrolment: &Enrolment, credential: &str, origin: Uuid) -> Done<()> {
    if is_hub(db)? {
        return Err(Fail::Broken("the folder belongs to a hub, not to a node".to_owned()));
    }
    let scope = Scope::Store(enrolment.store_code.clone());
    let before = recorded_under(db)?;
    if let Some((before, _)) = before.as_ref().filter(|(before, _)| before.scope != scope && before.seq > 0) {
        let store = before.scope.store_code().unwrap_or_default();
        return Err(Refusal::Conflict(format!(
            "this folder holds records of store {store}; enrol store {} in a folder of its own",
            enrolment.store_code
        ))
        .into());
    }
    let text = serde_json::to_string(enrolment).map_err(|e| Fail::Broken(e.to_string()))?;
    set_value(db, "role", "node")?;
    set_value(db, "enrolment", &text)?;
    set_value(db, "credential", credential)?;
    set_link_state(db, &LinkState::default())?;
    set_counter(db, "pulled", 0)?;
    db.execute("DELETE FROM site WHERE name = 'notice'", [])?;
    db.execute("UPDATE origins SET mine = 0 WHERE mine = 1", [])?;
    db.execute("DELETE FROM cursors", [])?;
    super::erasures::say_again(db)?;
    set_retirement(db, None)?;
    let mut stream = changes::open_origin(db, origin, &scope, &enrolment.store_code, true, None)?;
    if let Some((before, acked)) = before {
        carry_over(db, &before, acked, &mut stream)?;
        // The hub may have been put back since: what it forgot is offered, and which contents it has is asked anew.
        set_value(db, "offer", &enrolment.epoch.to_string())?;
        super::photos::ask_again(db)?;
    }
    for scope in &enrolment.scopes {
        db.execute("INSERT INTO cursors (scope, cursor) VALUES (?1, '')", [scope.to_string()])?;
    }
    Ok(())
}

/// The stream this node records under, and the last number of it that a hub has acknowledged.
fn recorded_under(db: &Connection) -> Done<Option<(Origin, u64)>> {
    let found: Option<(Uuid, i64)> = db
        .query_row("SELECT origin, acked_seq FROM origins WHERE mine = 1", [], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((id, acked)) = found else { return Ok(None) };
    Ok(changes::origin(db, id)?.map(|origin| (origin, acked as u64)))
}

pub(super) fn link_state(db: &Connection) -> Done<LinkState> {
    let kept: LinkState = value(db, "link")?.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    Ok(LinkState {
        pulled_changes: counter(db, "pulled")?.unwrap_or(0) as u64,
        notice: super::anew::notice(db)?,
        ..kept
    })
}

/// Counts changes taken from the hub, in the transaction that takes them: two processes may be pulling.
pub(super) fn count_pulled(db: &Connection, new: u64) -> Done<()> {
    set_counter(db, "pulled", counter(db, "pulled")?.unwrap_or(0) + new as i64)
}

pub(super) fn set_link_state(db: &Connection, state: &LinkState) -> Done<()> {
    let text = serde_json::to_string(state).map_err(|e| Fail::Broken(e.to_string()))?;
    set_value(db, "link", &text)
}

/// What every recording asks: whether this is the hub, and whether another node took this one's place.
pub(super) fn service(db: &Connection) -> Done<(bool, Option<Retirement>)> {
    let mut statement = db.prepare_cached("SELECT name, value FROM site WHERE name IN ('role', 'retired')")?;
    let mut rows = statement.query([])?;
    let (mut is_hub, mut retirement) = (false, None);
    while let Some(row) = rows.next()? {
        let text = row.get_ref(1)?.as_str().map_err(|e| Fail::Broken(format!("site: {e}")))?;
        match row.get_ref(0)?.as_str() {
            Ok("role") => is_hub = text == "hub",
            _ => retirement = serde_json::from_str(text).ok(),
        }
    }
    Ok((is_hub, retirement))
}

pub(super) fn retirement(db: &Connection) -> Done<Option<Retirement>> {
    Ok(value(db, "retired")?.and_then(|text| serde_json::from_str(&text).ok()))
}

pub(super) fn set_retirement(db: &Connection, retirement: Option<&Retirement>) -> Done<()> {
    match retirement {
        Some(retirement) => {
            let text = serde_json::to_string(retirement).map_err(|e| Fail::Broken(e.to_string()))?;
            set_value(db, "retired", &text)
        }
        None => {
            db.execute("DELETE FROM site WHERE name = 'retired'", [])?;
            Ok(())
        }
    }
}

pub(super) fn generation(db: &Connection) -> Done<i64> {
    Ok(db.prepare_cached("SELECT stamp FROM generation")?.query_row([], |row| row.get(0))?)
}

pub(super) fn photo_limits(db: &Connection) -> Done<Option<PhotoLimits>> {
    Ok(value(db, "photo_limits")?.and_then(|text| serde_json::from_str(&text).ok()))
}

pub(super) fn set_photo_limits(db: &Connection, limits: &PhotoLimits) -> Done<()> {
    let text = serde_json::to_string(limits).map_err(|e| Fail::Broken(e.to_string()))?;
    set_value(db, "photo_limits", &text)
}

pub(super) fn backlog(db: &Connection) -> Done<Backlog> {
    let quarantined: i64 = db
        .prepare_cached(
            "SELECT count(*) FROM (SELECT change_no FROM quarantine WHERE settled = 0 \
             UNION SELECT change_no FROM changes INDEXED BY changes_outcome WHERE outcome IS NOT NULL)",
        )?
        .query_row([], |row| row.get(0))?;
    let settled = counter(db, "settled")?.unwrap_or(0) as u64;
    let mut backlog = Backlog { quarantined: quarantined as u64, settled, ..Backlog::default() };
    // One stream: what an earlier one had left was carried over when the node was enrolled anew.
    let mut streams =
        db.prepare_cached("SELECT origin, seq, head, acked_seq, origin_no FROM origins WHERE mine = 1")?;
    let mut oldest = db.prepare_cached("SELECT hlc FROM changes WHERE origin_no = ?1 AND seq = ?2")?;
    let mut rows = streams.query([])?;
    while let Some(row) = rows.next()? {
        let seq: i64 = row.get(1)?;
        let acked: i64 = row.get(3)?;
        backlog.pending_changes += (seq - acked).max(0) as u64;
        if seq > acked {
            let hlc: Option<i64> = oldest.query_row((row.get::<_, i64>(4)?, acked + 1), |row| row.get(0)).optional()?;
            backlog.oldest_ms = hlc.map(|hlc| Hlc::from_i64(hlc).ms());
        }
        backlog.origin = row.get(0)?;
        backlog.seq = seq as u64;
        backlog.head = Some(Link::from_bytes(row.get(2)?));
    }
    Ok(backlog)
}
