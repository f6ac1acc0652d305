//! Files that came without an incident.

use super::SqliteLedger;
use super::fail::Done;
use crate::error::Error;
use crate::ledger::{Inbox, InboxItem};
use async_trait::async_trait;
use chassis::blobs::Sha256;
use chassis::clock::format_rfc3339;
use chassis::sqlite::rusqlite::{self, Connection, OptionalExtension, Row, params};
use uuid::Uuid;

const COLUMNS: &str = "item_id, filename, size_bytes, sha256, found_ms";

fn item(row: &Row<'_>) -> rusqlite::Result<InboxItem> {
    Ok(InboxItem {
        id: row.get(0)?,
        filename: row.get(1)?,
        size_bytes: row.get::<_, i64>(2)? as u64,
        sha256: row.get(3)?,
        found_at: format_rfc3339(row.get(4)?),
    })
}

pub(super) fn add(db: &Connection, id: Uuid, sha256: Sha256, size_bytes: u64, filename: &str, now_ms: i64) -> Done<()> {
    let sha256 = sha256.to_string();
    db.prepare_cached("INSERT INTO blobs (sha256, size_bytes, kept_ms) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING")?
        .execute(params![sha256, size_bytes as i64, now_ms])?;
    db.prepare_cached(
        "INSERT INTO inbox (item_id, sha256, size_bytes, filename, found_ms) VALUES (?1, ?2, ?3, ?4, ?5) \
         ON CONFLICT (sha256) DO NOTHING",
    )?
    .execute(params![id, sha256, size_bytes as i64, filename, now_ms])?;
    Ok(())
}

pub(super) fn all(db: &Connection, limit: u32) -> Done<Vec<InboxItem>> {
    let sql = format!("SELECT {COLUMNS} FROM inbox ORDER BY item_id LIMIT ?1");
    let mut statement = db.prepare_cached(&sql)?;
    Ok(statement.query_map([limit], item)?.collect::<Result<_, _>>()?)
}

pub(super) fn one(db: &Connection, id: Uuid) -> Done<Option<InboxItem>> {
    let sql = format!("SELECT {COLUMNS} FROM inbox WHERE item_id = ?1");
    Ok(db.prepare_cached(&sql)?.query_row([id], item).optional()?)
}

pub(super) fn remove(db: &Connection, id: Uuid) -> Done<bool> {
    Ok(db.prepare_cached("DELETE FROM inbox WHERE item_id = ?1")?.execute([id])? == 1)
}

#[async_trait]
impl Inbox for SqliteLedger {
    async fn add_inbox_item(
        &self,
        id: Uuid,
        sha256: Sha256,
        size_bytes: u64,
        filename: String,
        now_ms: i64,
    ) -> Result<(), Error> {
        self.write(move |db| add(db, id, sha256, size_bytes, &filename, now_ms)).await
    }

    async fn inbox_items(&self, limit: u32) -> Result<Vec<InboxItem>, Error> {
        self.look(move |db| all(db, limit)).await
    }

    async fn inbox_item(&self, id: Uuid) -> Result<Option<InboxItem>, Error> {
        self.look(move |db| one(db, id)).await
    }

    async fn remove_inbox_item(&self, id: Uuid) -> Result<bool, Error> {
        self.write(move |db| remove(db, id)).await
    }
}
