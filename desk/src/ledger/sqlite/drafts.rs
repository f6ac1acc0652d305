//! What people are typing. It stays on its site.

use super::SqliteLedger;
use super::fail::{Done, Fail};
use crate::error::Error;
use crate::ledger::{Drafts, FormDraft, Kept, Pair};
use async_trait::async_trait;
use chassis::sqlite::rusqlite::{self, Connection, OptionalExtension as _, Row, params};
use uuid::Uuid;

/// Most ends that are remembered of a person: they are there for what is on its way at that moment.
const MOST_ENDS: u32 = 200;

fn row(row: &Row<'_>) -> rusqlite::Result<(Uuid, String, i64)> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
}

fn draft_of((id, fields, changed_ms): (Uuid, String, i64)) -> Done<FormDraft> {
    let fields: Vec<Pair> =
        serde_json::from_str(&fields).map_err(|error| Fail::Broken(format!("draft {id} cannot be read: {error}")))?;
    Ok(FormDraft { id, fields, changed_ms })
}

fn all(db: &Connection, username: &str, since_ms: i64) -> Done<Vec<FormDraft>> {
    let mut statement = db.prepare_cached(
        "SELECT draft_id, fields, changed_ms FROM drafts WHERE username = ?1 AND fields IS NOT NULL AND changed_ms >= ?2 \
         ORDER BY changed_ms DESC, draft_id",
    )?;
    let rows: Vec<_> = statement.query_map(params![username, since_ms], row)?.collect::<Result<_, _>>()?;
    rows.into_iter().map(draft_of).collect()
}

fn one(db: &Connection, username: &str, id: Uuid, since_ms: i64) -> Done<Option<FormDraft>> {
    db.prepare_cached(
        "SELECT draft_id, fields, changed_ms FROM drafts \
         WHERE username = ?1 AND draft_id = ?2 AND fields IS NOT NULL AND changed_ms >= ?3",
    )?
    .query_row(params![username, id, since_ms], row)
    .optional()?
    .map(draft_of)
    .transpose()
}

fn keep(db: &Connection, username: &str, draft: &FormDraft, since_ms: i64, most: u32) -> Done<Kept> {
    forget(db, since_ms)?;
    let ended: Option<bool> = db
        .prepare_cached("SELECT fields IS NULL FROM drafts WHERE username = ?1 AND draft_id = ?2")?
        .query_row(params![username, draft.id], |row| row.get(0))
        .optional()?;
    if ended == Some(true) {
        return Ok(Kept::Over);
    }
    let others: u32 = db
        .prepare_cached("SELECT count(*) FROM drafts WHERE username = ?1 AND fields IS NOT NULL AND draft_id <> ?2")?
        .query_row(params![username, draft.id], |row| row.get(0))?;
    if others >= most {
        return Ok(Kept::Full);
    }
    let fields = serde_json::to_string(&draft.fields)
        .map_err(|error| Fail::Broken(format!("a draft cannot be written: {error}")))?;
    db.prepare_cached(
        "INSERT INTO drafts (username, draft_id, fields, changed_ms) VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT (username, draft_id) DO UPDATE SET fields = excluded.fields, changed_ms = excluded.changed_ms",
    )?
    .execute(params![username, draft.id, fields, draft.changed_ms])?;
    Ok(Kept::Kept)
}

fn forget(db: &Connection, since_ms: i64) -> Done<usize> {
    Ok(db.prepare_cached("DELETE FROM drafts WHERE changed_ms < ?1")?.execute([since_ms])?)
}

fn end(db: &Connection, username: &str, id: Uuid, now_ms: i64) -> Done<bool> {
    let was: bool = db
        .prepare_cached("SELECT count(*) FROM drafts WHERE username = ?1 AND draft_id = ?2 AND fields IS NOT NULL")?
        .query_row(params![username, id], |row| row.get(0))?;
    db.prepare_cached(
        "INSERT INTO drafts (username, draft_id, fields, changed_ms) VALUES (?1, ?2, NULL, ?3) \
         ON CONFLICT (username, draft_id) DO UPDATE SET fields = NULL, changed_ms = excluded.changed_ms",
    )?
    .execute(params![username, id, now_ms])?;
    db.prepare_cached(
        "DELETE FROM drafts WHERE username = ?1 AND fields IS NULL AND draft_id NOT IN \
         (SELECT draft_id FROM drafts WHERE username = ?1 AND fields IS NULL ORDER BY changed_ms DESC LIMIT ?2)",
    )?
    .execute(params![username, MOST_ENDS])?;
    Ok(was)
}

#[async_trait]
impl Drafts for SqliteLedger {
    async fn drafts(&self, username: &str, since_ms: i64) -> Result<Vec<FormDraft>, Error> {
        let username = username.to_owned();
        self.look(move |db| all(db, &username, since_ms)).await
    }

    async fn draft(&self, username: &str, id: Uuid, since_ms: i64) -> Result<Option<FormDraft>, Error> {
        let username = username.to_owned();
        self.look(move |db| one(db, &username, id, since_ms)).await
    }

    async fn keep_draft(&self, username: String, draft: FormDraft, since_ms: i64, most: u32) -> Result<Kept, Error> {
        self.write(move |db| keep(db, &username, &draft, since_ms, most)).await
    }

    async fn end_draft(&self, username: String, id: Uuid, now_ms: i64) -> Result<bool, Error> {
        self.write(move |db| end(db, &username, id, now_ms)).await
    }

    async fn forget_drafts(&self, since_ms: i64) -> Result<usize, Error> {
        self.write(move |db| forget(db, since_ms)).await
    }
}
