//! Requests that the hub refused: one row for each node that they named and each reason.
//!
//! Whoever can reach the hub can make up names of nodes. So what knew no secret of the node has room of its own: it never
//! pushes out what did.

use super::SqliteLedger;
use super::fail::Done;
use crate::error::Error;
use crate::ledger::{Refusals, RefusedRow};
use async_trait::async_trait;
use chassis::sqlite::rusqlite::{Connection, params};

/// Most rows kept of requests that knew a secret of the node.
const MAX_PROVEN: i64 = 400;
/// Most rows kept of those that did not.
const MAX_UNPROVEN: i64 = 100;

fn note(db: &Connection, refused: &[RefusedRow]) -> Done<()> {
    for row in refused {
        db.prepare_cached(
            "INSERT INTO refused_nodes (node_id, code, proven, agent, count, first_ms, last_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) \
             ON CONFLICT (node_id, code) DO UPDATE SET count = count + excluded.count, agent = excluded.agent, \
             proven = max(proven, excluded.proven), last_ms = excluded.last_ms",
        )?
        .execute(params![
            row.node_id,
            row.code,
            row.proven,
            row.agent,
            i64::try_from(row.count).unwrap_or(i64::MAX),
            row.first_ms,
            row.last_ms
        ])?;
    }
    for (proven, most) in [(true, MAX_PROVEN), (false, MAX_UNPROVEN)] {
        db.prepare_cached(
            "DELETE FROM refused_nodes WHERE proven = ?1 AND (node_id, code) NOT IN \
             (SELECT node_id, code FROM refused_nodes WHERE proven = ?1 ORDER BY last_ms DESC, node_id LIMIT ?2)",
        )?
        .execute(params![proven, most])?;
    }
    Ok(())
}

fn all(db: &Connection) -> Done<Vec<RefusedRow>> {
    let mut statement = db.prepare_cached(
        "SELECT r.node_id, r.code, r.proven, r.agent, r.count, r.first_ms, r.last_ms, n.store_code, n.name \
         FROM refused_nodes r LEFT JOIN nodes n ON n.node_id = r.node_id ORDER BY r.last_ms DESC, r.node_id, r.code",
    )?;
    let rows = statement.query_map([], |row| {
        let (store, name): (Option<String>, Option<String>) = (row.get(7)?, row.get(8)?);
        Ok(RefusedRow {
            node_id: row.get(0)?,
            code: row.get(1)?,
            proven: row.get(2)?,
            agent: row.get(3)?,
            count: row.get::<_, i64>(4)? as u64,
            first_ms: row.get(5)?,
            last_ms: row.get(6)?,
            known_as: store.zip(name),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

#[async_trait]
impl Refusals for SqliteLedger {
    async fn note_refused(&self, refused: Vec<RefusedRow>) -> Result<(), Error> {
        self.write(move |db| note(db, &refused)).await
    }
    async fn refused(&self) -> Result<Vec<RefusedRow>, Error> {
        self.read(all).await
    }
}
