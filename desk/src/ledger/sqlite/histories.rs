//! When histories disagree: the hub's key and epochs, and what a node keeps for a hub that forgets.
//!
//! Rows of `site`: `hub_key` (64 hexadecimal characters), `restored`, `epoch/EPOCH` for epochs that are over; at a node `offer` (the epoch for which an offer is
//! due) and `receipt/ORIGIN` (JSON).
//!
//! A new epoch is one transaction: the name, the reason, and the end of the hub's own streams. Had it been cut in half, the
//! hub would record under numbers that nodes hold with other bytes.

use super::SqliteLedger;
use super::anew;
use super::changes::parse_scope;
use super::fail::{Done, Fail};
use super::site::{self, set_value, value};
use super::{offers, photos, quarantine};
use crate::error::Error;
use crate::ledger::{Epoch, Fork, Giving, Histories, Identity};
use async_trait::async_trait;
use chassis::sqlite::rusqlite::{self, Connection, OptionalExtension, Row, params};
use std::collections::BTreeMap;
use sync_protocol::batch::Page;
use sync_protocol::message::{GivenLine, Receipt};
use sync_protocol::scope::Scope;
use sync_protocol::seal::HubKey;
use uuid::Uuid;

/// Longest reason kept, in characters.
const MAX_REASON_CHARS: usize = 500;

pub(super) fn hub_key(db: &Connection) -> Done<HubKey> {
    key_if_any(db)?.ok_or_else(|| Fail::Broken("the hub has no key".to_owned()))
}

fn key_if_any(db: &Connection) -> Done<Option<HubKey>> {
    let Some(text) = value(db, "hub_key")? else {
        return Ok(None);
    };
    // The text stays out of the message: it would end up in a log.
    let key = blake3::Hash::from_hex(text).map_err(|_| Fail::Broken("the hub's key cannot be read".to_owned()))?;
    Ok(Some(HubKey::new(*key.as_bytes())))
}

/// Gives a hub a key, once.
pub(super) fn make_key(db: &Connection, bytes: [u8; 32]) -> Done<()> {
    if key_if_any(db)?.is_none() {
        set_value(db, "hub_key", blake3::Hash::from_bytes(bytes).to_hex().as_str())?;
    }
    Ok(())
}

fn begin_epoch(db: &Connection, from: Uuid, fresh: Uuid, reason: &str, now_ms: i64) -> Done<Uuid> {
    let Identity::Hub { epoch, .. } = site::identity(db)? else {
        return Err(Fail::Broken("only a hub has epochs".to_owned()));
    };
    if epoch != from {
        return Ok(epoch);
    }
    set_value(db, "epoch", &fresh.to_string())?;
    note_epoch(db, from)?;
    db.execute("DELETE FROM site WHERE name = 'restored'", [])?;
    db.execute("UPDATE origins SET mine = 0 WHERE mine = 1", [])?;
    let reason: String = reason.chars().take(MAX_REASON_CHARS).collect();
    db.execute("INSERT INTO epochs (epoch, since_ms, reason) VALUES (?1, ?2, ?3)", params![fresh, now_ms, reason])?;
    Ok(fresh)
}

/// Keeps in mind that there was an epoch, be it one that this ledger was put back behind.
fn note_epoch(db: &Connection, epoch: Uuid) -> Done<()> {
    set_value(db, &format!("epoch/{epoch}"), "1")
}

fn knows_epoch(db: &Connection, epoch: Uuid) -> Done<bool> {
    let begun: bool = db
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM epochs WHERE epoch = ?1)")?
        .query_row([epoch], |row| row.get(0))?;
    let stands = matches!(site::identity(db)?, Identity::Hub { epoch: standing, .. } if standing == epoch);
    Ok(begun || stands || value(db, &format!("epoch/{epoch}"))?.is_some())
}

fn epochs(db: &Connection, limit: u32) -> Done<Vec<Epoch>> {
    // Rows are never removed, so their numbers have no gap; the first epoch has none.
    let mut statement =
        db.prepare_cached("SELECT epoch_no + 1, epoch, since_ms, reason FROM epochs ORDER BY epoch_no DESC LIMIT ?1")?;
    let rows = statement.query_map([limit], |row| {
        Ok(Epoch {
            number: row.get(0)?,
            epoch: row.get(1)?,
            since_ms: row.get(2)?,
            reason: row.get(3)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// What a [`Fork`] is read from.
const FORK_COLUMNS: &str = "f.fork_no, f.origin, f.node_id, n.store_code, n.name, f.agreed_seq, f.first_seq, \
     1 + length(f.body) - length(replace(f.body, char(10), '')), f.since_ms";

fn fork_row(row: &Row<'_>) -> rusqlite::Result<Fork> {
    let (store, name): (Option<String>, Option<String>) = (row.get(3)?, row.get(4)?);
    Ok(Fork {
        no: row.get(0)?,
        origin: row.get(1)?,
        node_id: row.get(2)?,
        known_as: store.zip(name),
        agreed_seq: row.get::<_, i64>(5)? as u64,
        first_seq: row.get::<_, i64>(6)? as u64,
        changes: row.get::<_, i64>(7)? as u64,
        since_ms: row.get(8)?,
    })
}

fn forks(db: &Connection, store: Option<&str>, limit: u32) -> Done<Vec<Fork>> {
    let sql = format!(
        "SELECT {FORK_COLUMNS} FROM forks f LEFT JOIN nodes n ON n.node_id = f.node_id WHERE ?1 IS NULL OR n.store_code = ?1 \
         ORDER BY f.fork_no DESC LIMIT ?2"
    );
    let mut statement = db.prepare_cached(&sql)?;
    let rows = statement.query_map(params![store, limit], fork_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn fork(db: &Connection, no: i64) -> Done<Option<(Fork, Vec<String>)>> {
    let sql = format!(
        "SELECT {FORK_COLUMNS}, f.body FROM forks f LEFT JOIN nodes n ON n.node_id = f.node_id WHERE f.fork_no = ?1"
    );
    let found = db.prepare_cached(&sql)?.query_row([no], |row| Ok((fork_row(row)?, row.get::<_, String>(9)?)));
    Ok(found
        .optional()?
        .map(|(fork, bodies)| (fork, bodies.split('\n').map(|body| quarantine::shown(body.to_owned())).collect())))
}

fn note_durable(db: &Connection, heads: &BTreeMap<Uuid, u64>) -> Done<()> {
    for (origin, seq) in heads {
        db.prepare_cached("UPDATE origins SET durable_seq = max(durable_seq, min(seq, ?2)) WHERE origin = ?1")?
            .execute(params![origin, i64::try_from(*seq).unwrap_or(i64::MAX)])?;
    }
    Ok(())
}

pub(super) fn durable_seq(db: &Connection, origin: Uuid) -> Done<u64> {
    let found: Option<i64> = db
        .prepare_cached("SELECT durable_seq FROM origins WHERE origin = ?1")?
        .query_row([origin], |row| row.get(0))
        .optional()?;
    Ok(found.unwrap_or(0) as u64)
}

fn see_epoch(db: &Connection, epoch: Uuid) -> Done<bool> {
    let Identity::Node(mut enrolment) = site::identity(db)? else {
        return Err(Fail::Broken("only a node sees a hub's epoch".to_owned()));
    };
    if enrolment.epoch == epoch {
        return Ok(false);
    }
    enrolment.epoch = epoch;
    let text = serde_json::to_string(&enrolment).map_err(|e| Fail::Broken(e.to_string()))?;
    set_value(db, "enrolment", &text)?;
    set_value(db, "offer", &epoch.to_string())?;
    db.execute("UPDATE cursors SET cursor = ''", [])?;
    photos::ask_again(db)?;
    Ok(true)
}

/// The hub has forgotten what came after `after`, and what contents came since. Its answers to what is sent again may be lost as any
/// others, so this is noted.
pub(super) fn take_back_acks(db: &Connection, origin_id: Uuid, after: u64) -> Done<()> {
    let taken_back = db
        .prepare_cached("UPDATE origins SET acked_seq = ?2 WHERE origin = ?1 AND mine = 1 AND acked_seq > ?2")?
        .execute(params![origin_id, after as i64])?;
    if taken_back > 0 {
        photos::ask_again(db)?;
    }
    Ok(())
}

fn offer_due(db: &Connection) -> Done<Option<Uuid>> {
    Ok(value(db, "offer")?.and_then(|text| Uuid::try_parse(&text).ok()))
}

fn receipt(db: &Connection, origin: Uuid) -> Done<Option<Receipt>> {
    // One that cannot be read proves nothing, like none.
    Ok(value(db, &format!("receipt/{origin}"))?.and_then(|text| serde_json::from_str(&text).ok()))
}

fn keep_receipt(db: &Connection, origin: Uuid, receipt: &Receipt) -> Done<()> {
    let name = format!("receipt/{origin}");
    // Streams that ended need none.
    db.prepare_cached("DELETE FROM site WHERE name >= 'receipt/' AND name < 'receipt0' AND name <> ?1")?
        .execute([&name])?;
    set_value(db, &name, &serde_json::to_string(receipt).map_err(|e| Fail::Broken(e.to_string()))?)
}

#[async_trait]
impl Histories for SqliteLedger {
    async fn hub_key(&self) -> Result<HubKey, Error> {
        self.look(hub_key).await
    }

    async fn begin_epoch(&self, from: Uuid, reason: String, now_ms: i64) -> Result<Uuid, Error> {
        let fresh = self.ids.new_v7(now_ms);
        self.write(move |db| begin_epoch(db, from, fresh, &reason, now_ms)).await
    }

    async fn knows_epoch(&self, epoch: Uuid) -> Result<bool, Error> {
        self.look(move |db| knows_epoch(db, epoch)).await
    }

    async fn note_epoch(&self, epoch: Uuid) -> Result<(), Error> {
        self.write(move |db| note_epoch(db, epoch)).await
    }

    async fn epochs(&self, limit: u32) -> Result<Vec<Epoch>, Error> {
        self.look(move |db| epochs(db, limit)).await
    }

    async fn forks(&self, store: Option<String>, limit: u32) -> Result<Vec<Fork>, Error> {
        self.read(move |db| forks(db, store.as_deref(), limit)).await
    }

    async fn fork(&self, no: i64) -> Result<Option<(Fork, Vec<String>)>, Error> {
        self.read(move |db| fork(db, no)).await
    }

    async fn mark_restored(&self) -> Result<(), Error> {
        self.write(|db| set_value(db, "restored", "1")).await
    }

    async fn is_restored(&self) -> Result<bool, Error> {
        self.look(|db| Ok(value(db, "restored")?.is_some())).await
    }

    async fn note_durable(&self, heads: BTreeMap<Uuid, u64>) -> Result<(), Error> {
        self.write(move |db| note_durable(db, &heads)).await
    }

    async fn durable_seq(&self, origin: Uuid) -> Result<u64, Error> {
        self.look(move |db| durable_seq(db, origin)).await
    }

    async fn lacking(&self, scopes: Vec<Scope>, offered: BTreeMap<Uuid, u64>) -> Result<BTreeMap<Uuid, u64>, Error> {
        self.read(move |db| offers::lacking(db, &scopes, &offered)).await
    }

    async fn take_given(&self, scopes: Vec<Scope>, page: Page, now_ms: i64) -> Result<Vec<GivenLine>, Error> {
        self.write(move |db| offers::take_given(db, &scopes, &page, now_ms)).await
    }

    async fn see_epoch(&self, epoch: Uuid) -> Result<bool, Error> {
        self.write(move |db| see_epoch(db, epoch)).await
    }

    async fn offer_due(&self) -> Result<Option<Uuid>, Error> {
        self.look(offer_due).await
    }

    async fn note_offered(&self, epoch: Uuid) -> Result<(), Error> {
        self.write(move |db| {
            db.execute("DELETE FROM site WHERE name = 'offer' AND value = ?1", [epoch.to_string()])?;
            Ok(())
        })
        .await
    }

    async fn held_of_others(&self, after: Option<Uuid>, limit: u32) -> Result<BTreeMap<Uuid, u64>, Error> {
        self.read(move |db| offers::held_of_others(db, after, limit)).await
    }

    async fn to_give(
        &self,
        wanted: BTreeMap<Uuid, u64>,
        after: i64,
        max_changes: u32,
        max_bytes: usize,
    ) -> Result<Option<Giving>, Error> {
        self.read(move |db| offers::to_give(db, &wanted, after, max_changes, max_bytes)).await
    }

    async fn record_again(&self, of: Uuid, first: u64) -> Result<u64, Error> {
        self.write(move |db| anew::record_again(db, of, first)).await
    }

    async fn receipt(&self, origin: Uuid) -> Result<Option<Receipt>, Error> {
        self.look(move |db| receipt(db, origin)).await
    }

    async fn keep_receipt(&self, origin: Uuid, receipt: Receipt) -> Result<(), Error> {
        self.write(move |db| keep_receipt(db, origin, &receipt)).await
    }
}

/// The scope named in a row, for callers that compare it with what a node may see.
pub(super) fn is_among(scope: &str, scopes: &[Scope]) -> Done<bool> {
    Ok(scopes.contains(&parse_scope(scope)?))
}
