//! What no program of ours would record: put into a ledger behind its back, while nothing runs on it.

use crate::{Hub, Node};
use chassis::clock::{Clock as _, SystemClock};
use rusqlite::{Connection, OptionalExtension as _, params};
use serde_json::json;
use std::time::Duration;
use sync_protocol::chain::Link;
use sync_protocol::change::{Change, ChangeId};
use sync_protocol::merge::RecordState;

/// The ledger in a site's folder.
///
/// # Panics
/// When it cannot be opened.
#[must_use]
pub fn ledger(folder: &std::path::Path) -> Connection {
    let db = Connection::open(folder.join("ledger.sqlite")).expect("a ledger");
    db.busy_timeout(Duration::from_secs(20)).expect("a time to wait");
    db
}

/// Records `body` on a node that does not run, as a program with other rules would have; answers the change's id.
///
/// # Panics
/// When the ledger does not take it.
#[must_use]
pub fn change(node: &Node, body: &str) -> ChangeId {
    let db = ledger(node.folder());
    let (no, origin, seq, head): (i64, _, i64, [u8; 32]) = db
        .query_row("SELECT origin_no, origin, seq, head FROM origins WHERE mine = 1", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })
        .expect("the ledger");
    let id = ChangeId { origin, seq: seq as u64 + 1 };
    let change = Change::from_body(body).ok();
    let order = change.as_ref().map_or(0, |change| change.order().to_i64());
    let record = change.as_ref().map(|change| change.id);
    db.execute(
        "INSERT INTO changes (origin_no, seq, record_id, hlc, body) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![no, id.seq as i64, record, order, body],
    )
    .expect("the ledger");
    let head = Link::from_bytes(head).extend(body.as_bytes());
    db.execute(
        "UPDATE origins SET seq = ?2, head = ?3 WHERE origin_no = ?1",
        params![no, id.seq as i64, head.as_bytes()],
    )
    .expect("the ledger");
    let Some(change) = change else { return id };
    let state: Option<String> = db
        .query_row("SELECT state FROM records WHERE record_id = ?1", [change.id], |row| row.get(0))
        .optional()
        .expect("the ledger");
    if let Some(state) = state {
        let mut state: RecordState = serde_json::from_str(&state).expect("the ledger");
        state.apply(id, change.order(), &change);
        db.execute(
            "UPDATE records SET state = ?2 WHERE record_id = ?1",
            params![change.id, serde_json::to_string(&state).expect("the ledger")],
        )
        .expect("the ledger");
    }
    id
}

/// Enrols `count` nodes at a hub that does not run, as they would be after a while: each has told of itself, most just now; one in a
/// hundred has been silent for hours. `stores`: codes that they belong to in turn.
///
/// # Panics
/// When the ledger does not take them.
pub fn fleet(hub: &Hub, count: u32, stores: &[&str]) {
    let mut db = ledger(hub.folder());
    let now_ms = SystemClock.now_ms();
    let all = db.transaction().expect("the ledger");
    for n in 0..count {
        let id = (0x0197_0000_0000_7000_8000_0000_0000_0000_u128 + u128::from(n)).to_be_bytes();
        let status = json!({
            "pending_changes": n % 50, "pending_blobs": n % 7, "pending_blob_bytes": n * 1000, "quarantined": 0,
            "clock_offset_ms": n % 60, "version": env!("CARGO_PKG_VERSION"),
        });
        let called_ms = now_ms - if n.is_multiple_of(100) { 4 * 3_600_000 } else { i64::from(n % 40) * 1000 };
        let store = stores[n as usize % stores.len()];
        all.prepare_cached(
            "INSERT INTO nodes (node_id, store_code, name, version, enrolled_ms, last_contact_ms, clock_offset_ms, status, newest_protocol) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 0)",
        )
        .and_then(|mut add| {
            add.execute(params![
                id,
                store,
                format!("till-{n:04}"),
                env!("CARGO_PKG_VERSION"),
                now_ms - 86_400_000,
                called_ms,
                n % 60,
                status.to_string()
            ])
        })
        .expect("a node");
        all.prepare_cached(
            "INSERT INTO origins (origin, scope, site, mine, node_id, seq, head) VALUES (?1, ?2, ?3, 0, ?4, 17, zeroblob(32))",
        )
        .and_then(|mut add| add.execute(params![id, format!("store/{store}"), store, id]))
        .expect("its stream");
    }
    all.commit().expect("the ledger");
}
