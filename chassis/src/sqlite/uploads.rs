//! [`crate::uploads`] in SQLite, in the table `uploads`.

use super::{Database, StoreError};
use crate::blobs::Sha256;
use crate::uploads::{Metadata, Upload, UploadError, UploadStore, metadata_to_json};
use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use uuid::Uuid;

/// Uploads in a database that has the table.
#[derive(Clone, Debug)]
pub struct SqliteUploads {
    db: Database,
}

struct Sql(rusqlite::Error);

impl From<rusqlite::Error> for Sql {
    fn from(error: rusqlite::Error) -> Self {
        Self(error)
    }
}

impl StoreError for Sql {
    fn sqlite(&self) -> Option<&rusqlite::Error> {
        Some(&self.0)
    }
}

const COLUMNS: &str = "upload_id, owner, length_bytes, offset_bytes, metadata, expires_ms, sha256, result";

fn upload(row: &Row<'_>) -> rusqlite::Result<Upload> {
    let metadata: String = row.get(4)?;
    let sha256: Option<[u8; 32]> = row.get(6)?;
    Ok(Upload {
        id: row.get(0)?,
        owner: row.get(1)?,
        length_bytes: row.get::<_, i64>(2)? as u64,
        offset_bytes: row.get::<_, i64>(3)? as u64,
        metadata: serde_json::from_str::<Metadata>(&metadata).unwrap_or_default(),
        expires_ms: row.get(5)?,
        sha256: sha256.map(Sha256::from_bytes),
        result: row.get(7)?,
    })
}

impl SqliteUploads {
    /// The uploads of `db`.
    #[must_use]
    pub const fn new(db: Database) -> Self {
        Self { db }
    }

    async fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, Sql> + Send + 'static,
    ) -> Result<T, UploadError> {
        match self.db.write(move |tx| job(tx)).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(Sql(error))) => Err(UploadError::Store(error.to_string())),
            Err(error) => Err(UploadError::Store(error.to_string())),
        }
    }

    async fn look<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, Sql> + Send + 'static,
    ) -> Result<T, UploadError> {
        match self.db.read_inline(job).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(Sql(error))) => Err(UploadError::Store(error.to_string())),
            Err(error) => Err(UploadError::Store(error.to_string())),
        }
    }

    async fn all(&self, condition: &'static str, value: String, limit: u32) -> Result<Vec<Upload>, UploadError> {
        self.look(move |db| {
            let sql = format!("SELECT {COLUMNS} FROM uploads WHERE {condition} ORDER BY upload_id LIMIT ?2");
            let mut statement = db.prepare_cached(&sql)?;
            let rows = statement.query_map(params![value, limit], upload)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }
}

#[async_trait]
impl UploadStore for SqliteUploads {
    async fn create(&self, new: Upload, most: usize) -> Result<bool, UploadError> {
        self.write(move |db| {
            let open: i64 = db
                .prepare_cached("SELECT count(*) FROM uploads WHERE owner = ?1 AND result IS NULL")?
                .query_row([&new.owner], |row| row.get(0))?;
            if open as usize >= most {
                return Ok(false);
            }
            db.prepare_cached(
                "INSERT INTO uploads (upload_id, owner, length_bytes, offset_bytes, metadata, expires_ms) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                new.id,
                new.owner,
                new.length_bytes as i64,
                new.offset_bytes as i64,
                metadata_to_json(&new.metadata),
                new.expires_ms
            ])?;
            Ok(true)
        })
        .await
    }

    async fn get(&self, id: Uuid) -> Result<Option<Upload>, UploadError> {
        self.look(move |db| {
            let sql = format!("SELECT {COLUMNS} FROM uploads WHERE upload_id = ?1");
            Ok(db.prepare_cached(&sql)?.query_row([id], upload).optional()?)
        })
        .await
    }

    async fn open_of(&self, owner: &str) -> Result<Vec<Upload>, UploadError> {
        self.all("owner = ?1 AND result IS NULL", owner.to_owned(), 1000).await
    }

    async fn advance(&self, id: Uuid, offset_bytes: u64, expires_ms: i64) -> Result<(), UploadError> {
        self.write(move |db| {
            db.prepare_cached("UPDATE uploads SET offset_bytes = ?2, expires_ms = ?3 WHERE upload_id = ?1")?
                .execute(params![id, offset_bytes as i64, expires_ms])?;
            Ok(())
        })
        .await
    }

    async fn whole(&self, id: Uuid, sha256: Sha256) -> Result<(), UploadError> {
        self.write(move |db| {
            db.prepare_cached("UPDATE uploads SET sha256 = ?2 WHERE upload_id = ?1")?
                .execute(params![id, sha256.as_bytes()])?;
            Ok(())
        })
        .await
    }

    async fn finish(&self, id: Uuid, result: String) -> Result<(), UploadError> {
        self.write(move |db| {
            db.prepare_cached("UPDATE uploads SET result = ?2 WHERE upload_id = ?1")?
                .execute(params![id, result])?;
            Ok(())
        })
        .await
    }

    async fn remove(&self, id: Uuid) -> Result<(), UploadError> {
        self.write(move |db| {
            db.prepare_cached("DELETE FROM uploads WHERE upload_id = ?1")?.execute([id])?;
            Ok(())
        })
        .await
    }

    async fn arriving(&self, sha256: Sha256) -> Result<Option<u64>, UploadError> {
        self.look(move |db| {
            let mut statement = db.prepare_cached(
                "SELECT max(offset_bytes) FROM uploads WHERE metadata ->> 'sha256' = ?1 AND result IS NULL",
            )?;
            let furthest: Option<i64> = statement.query_row([sha256.to_string()], |row| row.get(0))?;
            Ok(furthest.map(|bytes| bytes as u64))
        })
        .await
    }

    async fn unfinished(&self, owners: &'static str, limit: u32) -> Result<Vec<Upload>, UploadError> {
        // Noted as whole, or with all its bytes noted and nothing after that.
        let condition = "result IS NULL AND offset_bytes = length_bytes AND substr(owner, 1, length(?1)) = ?1";
        self.all(condition, owners.to_owned(), limit).await
    }

    async fn expired(&self, owners: &'static str, now_ms: i64, limit: u32) -> Result<Vec<Uuid>, UploadError> {
        self.look(move |db| {
            let mut statement = db.prepare_cached(
                "SELECT upload_id FROM uploads WHERE expires_ms <= ?1 AND substr(owner, 1, length(?3)) = ?3 \
                 ORDER BY expires_ms LIMIT ?2",
            )?;
            let rows = statement.query_map(params![now_ms, limit, owners], |row| row.get(0))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }
}
