//! What is wrong with nodes: a row from when it began, ended when it is over. What is over is kept for a quarter of a year, and at
//! most some of each node: one that comes and goes all day does not fill the table.

use super::SqliteLedger;
use super::fail::Done;
use crate::error::Error;
use crate::ledger::{Alarms, NodeAlarm};
use async_trait::async_trait;
use chassis::sqlite::rusqlite::{self, Connection, Row, params};
use uuid::Uuid;

/// What is over is kept this long.
const KEEP_MS: i64 = 90 * 24 * 3_600_000;
/// Most that is kept of a node.
const KEEP_EACH: i64 = 200;

#[async_trait]
impl Alarms for SqliteLedger {
    async fn alarms_open(&self) -> Result<Vec<NodeAlarm>, Error> {
        self.read(open).await
    }

    async fn change_alarms(
        &self,
        began: Vec<(Uuid, String)>,
        over: Vec<(Uuid, String)>,
        now_ms: i64,
    ) -> Result<(), Error> {
        self.write(move |db| change(db, &began, &over, now_ms)).await
    }

    async fn alarms_of(&self, node_id: Uuid, limit: u32) -> Result<Vec<NodeAlarm>, Error> {
        self.look(move |db| of_node(db, node_id, limit)).await
    }
}

fn alarm(row: &Row<'_>) -> rusqlite::Result<NodeAlarm> {
    Ok(NodeAlarm {
        node_id: row.get(0)?,
        alarm: row.get(1)?,
        since_ms: row.get(2)?,
        until_ms: row.get(3)?,
    })
}

pub(super) fn open(db: &Connection) -> Done<Vec<NodeAlarm>> {
    let mut statement =
        db.prepare_cached("SELECT node_id, alarm, since_ms, until_ms FROM node_alarms WHERE until_ms IS NULL")?;
    Ok(statement.query_map([], alarm)?.collect::<Result<_, _>>()?)
}

pub(super) fn change(db: &Connection, began: &[(Uuid, String)], over: &[(Uuid, String)], now_ms: i64) -> Done<()> {
    for (node, alarm) in over {
        db.prepare_cached(
            "UPDATE node_alarms SET until_ms = max(since_ms, ?3) WHERE node_id = ?1 AND alarm = ?2 AND until_ms IS NULL",
        )?
        .execute(params![node, alarm, now_ms])?;
    }
    for (node, alarm) in began {
        db.prepare_cached(
            "INSERT INTO node_alarms (node_id, alarm, since_ms) SELECT ?1, ?2, ?3 \
             WHERE EXISTS (SELECT 1 FROM nodes WHERE node_id = ?1) ON CONFLICT DO NOTHING",
        )?
        .execute(params![node, alarm, now_ms])?;
        db.prepare_cached(
            "DELETE FROM node_alarms WHERE node_id = ?1 AND until_ms IS NOT NULL AND alarm_no <= ( \
             SELECT alarm_no FROM node_alarms WHERE node_id = ?1 ORDER BY alarm_no DESC LIMIT 1 OFFSET ?2)",
        )?
        .execute(params![node, KEEP_EACH])?;
    }
    db.prepare_cached("DELETE FROM node_alarms WHERE until_ms < ?1")?.execute([now_ms - KEEP_MS])?;
    Ok(())
}

pub(super) fn of_node(db: &Connection, node: Uuid, limit: u32) -> Done<Vec<NodeAlarm>> {
    let mut statement = db.prepare_cached(
        "SELECT node_id, alarm, since_ms, until_ms FROM node_alarms WHERE node_id = ?1 ORDER BY alarm_no DESC LIMIT ?2",
    )?;
    Ok(statement.query_map(params![node, limit], alarm)?.collect::<Result<_, _>>()?)
}
