//! [`crate::jobs`] in SQLite, in the table `jobs`. One process works on a file, so "running" needs no lease: whatever runs
//! when a process starts was cut off.

use super::{Database, ReadError, StoreError, WriteError};
use crate::jobs::{DeadJob, Job, JobCount, MOST_CRASHES, NewJob, Queue, QueueError};
use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use tokio::sync::watch;

/// Queues a job inside a transaction of its caller's.
///
/// # Errors
/// When SQLite says so.
pub fn enqueue(db: &Connection, job: &NewJob, now_ms: i64) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT INTO jobs (kind, key, payload, priority, run_at_ms, state, queued_ms, lane) \
         VALUES (?1, ?2, ?3, ?4, ?5, 'waiting', ?6, ?7) \
         ON CONFLICT (kind, key) WHERE state <> 'dead' DO UPDATE SET priority = min(priority, excluded.priority)",
    )?
    .execute(params![job.kind, job.key, job.payload, job.priority, job.run_at_ms, now_ms, job.lane])?;
    Ok(())
}

/// The queue in a database that has the table.
#[derive(Clone, Debug)]
pub struct SqliteQueue {
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

impl SqliteQueue {
    /// The queue of `db`.
    #[must_use]
    pub const fn new(db: Database) -> Self {
        Self { db }
    }

    async fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, Sql> + Send + 'static,
    ) -> Result<T, QueueError> {
        match self.db.write(move |tx| job(tx)).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(Sql(error))) => Err(QueueError(error.to_string())),
            Err(error) => Err(failed::<WriteError>(&error)),
        }
    }

    async fn look<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, Sql> + Send + 'static,
    ) -> Result<T, QueueError> {
        match self.db.read_inline(job).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(Sql(error))) => Err(QueueError(error.to_string())),
            Err(error) => Err(failed::<ReadError>(&error)),
        }
    }
}

fn failed<E: std::fmt::Display>(error: &E) -> QueueError {
    QueueError(error.to_string())
}

/// As SQL reads them.
fn names(lanes: &[String]) -> String {
    serde_json::Value::from(lanes).to_string()
}

fn dead_job(row: &Row<'_>) -> rusqlite::Result<DeadJob> {
    Ok(DeadJob {
        no: row.get(0)?,
        kind: row.get(1)?,
        key: row.get(2)?,
        error: row.get(3)?,
        attempts: row.get(4)?,
        queued_ms: row.get(5)?,
    })
}

/// From lane to lane by the index: what waits in a closed one, and that may be much, is passed over and not read.
const NEXT_DUE: &str = "\
    WITH RECURSIVE lanes (lane) AS ( \
      SELECT min(lane) FROM jobs WHERE kind = ?1 AND state = 'waiting' \
      UNION ALL \
      SELECT (SELECT min(jobs.lane) FROM jobs WHERE kind = ?1 AND state = 'waiting' AND jobs.lane > lanes.lane) \
      FROM lanes WHERE lanes.lane IS NOT NULL) \
    SELECT min((SELECT min(run_at_ms) FROM jobs WHERE kind = ?1 AND state = 'waiting' AND jobs.lane = lanes.lane)) \
    FROM lanes WHERE lane IS NOT NULL AND lane NOT IN (SELECT value FROM json_each(?2))";

#[async_trait]
impl Queue for SqliteQueue {
    async fn recover(&self) -> Result<(), QueueError> {
        self.write(|db| {
            db.prepare_cached(
                "UPDATE jobs SET crashes = crashes + 1, state = CASE WHEN crashes + 1 >= ?1 THEN 'dead' ELSE 'waiting' END, \
                 error = CASE WHEN crashes + 1 >= ?1 THEN 'the program ended ' || ?1 || ' times while it worked on this' ELSE error END \
                 WHERE state = 'running'",
            )?
            .execute([MOST_CRASHES])?;
            Ok(())
        })
        .await
    }

    async fn next_due(&self, kind: &'static str, closed: &[String]) -> Result<Option<i64>, QueueError> {
        let closed = names(closed);
        self.look(move |db| Ok(db.prepare_cached(NEXT_DUE)?.query_row(params![kind, closed], |row| row.get(0))?))
            .await
    }

    async fn take(&self, kind: &'static str, now_ms: i64, closed: &[String]) -> Result<Option<Job>, QueueError> {
        let closed = names(closed);
        self.write(move |db| {
            Ok(db
                .prepare_cached(
                    "UPDATE jobs SET state = 'running', attempts = attempts + 1, done = 0, total = 0 WHERE job_no = \
                     (SELECT job_no FROM jobs WHERE kind = ?1 AND state = 'waiting' AND run_at_ms <= ?2 \
                      AND lane NOT IN (SELECT value FROM json_each(?3)) \
                      ORDER BY priority, run_at_ms, job_no LIMIT 1) \
                     RETURNING job_no, kind, key, payload, attempts, queued_ms, lane",
                )?
                .query_row(params![kind, now_ms, closed], |row| {
                    Ok(Job {
                        no: row.get(0)?,
                        kind: row.get(1)?,
                        key: row.get(2)?,
                        payload: row.get(3)?,
                        attempt: row.get(4)?,
                        queued_ms: row.get(5)?,
                        lane: row.get(6)?,
                    })
                })
                .optional()?)
        })
        .await
    }

    async fn done(&self, no: i64) -> Result<(), QueueError> {
        self.write(move |db| {
            db.prepare_cached("DELETE FROM jobs WHERE job_no = ?1 AND state = 'running'")?.execute([no])?;
            Ok(())
        })
        .await
    }

    async fn retry(&self, no: i64, run_at_ms: i64, error: String) -> Result<(), QueueError> {
        self.write(move |db| {
            db.prepare_cached(
                // A try that has ended did not end the program. What a clock that was ahead queued is no younger than its next try.
                "UPDATE jobs SET state = 'waiting', run_at_ms = ?2, error = ?3, crashes = 0, queued_ms = min(queued_ms, ?2) \
                 WHERE job_no = ?1 AND state = 'running'",
            )?
            .execute(params![no, run_at_ms, error])?;
            Ok(())
        })
        .await
    }

    async fn put_off(&self, no: i64, run_at_ms: i64) -> Result<(), QueueError> {
        self.write(move |db| {
            db.prepare_cached(
                "UPDATE jobs SET state = 'waiting', run_at_ms = ?2, attempts = max(attempts - 1, 0), crashes = 0 \
                 WHERE job_no = ?1 AND state = 'running'",
            )?
            .execute(params![no, run_at_ms])?;
            Ok(())
        })
        .await
    }

    async fn hasten(&self, kind: String, lane: String, now_ms: i64) -> Result<(), QueueError> {
        self.write(move |db| {
            db.prepare_cached(
                "UPDATE jobs SET run_at_ms = ?3 WHERE kind = ?1 AND lane = ?2 AND state = 'waiting' AND run_at_ms > ?3",
            )?
            .execute(params![kind, lane, now_ms])?;
            Ok(())
        })
        .await
    }

    async fn bury(&self, no: i64, error: String) -> Result<(), QueueError> {
        self.write(move |db| {
            db.prepare_cached("UPDATE jobs SET state = 'dead', error = ?2 WHERE job_no = ?1 AND state = 'running'")?
                .execute(params![no, error])?;
            Ok(())
        })
        .await
    }

    async fn progress(&self, no: i64, done: u64, total: u64) -> Result<(), QueueError> {
        self.write(move |db| {
            db.prepare_cached("UPDATE jobs SET done = ?2, total = ?3 WHERE job_no = ?1 AND state = 'running'")?
                .execute(params![no, done as i64, total as i64])?;
            Ok(())
        })
        .await
    }

    async fn dead(&self, limit: u32) -> Result<Vec<DeadJob>, QueueError> {
        self.look(move |db| {
            let mut statement = db.prepare_cached(
                "SELECT job_no, kind, key, coalesce(error, ''), attempts, queued_ms FROM jobs WHERE state = 'dead' \
                 ORDER BY job_no DESC LIMIT ?1",
            )?;
            let rows = statement.query_map([limit], dead_job)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn dead_job(&self, no: i64) -> Result<Option<DeadJob>, QueueError> {
        self.look(move |db| {
            let mut statement = db.prepare_cached(
                "SELECT job_no, kind, key, coalesce(error, ''), attempts, queued_ms FROM jobs WHERE state = 'dead' AND job_no = ?1",
            )?;
            Ok(statement.query_row([no], dead_job).optional()?)
        })
        .await
    }

    async fn revive(&self, no: i64, now_ms: i64) -> Result<bool, QueueError> {
        self.write(move |db| {
            let changed = db
                .prepare_cached(
                    "UPDATE OR IGNORE jobs SET state = 'waiting', run_at_ms = ?2, queued_ms = ?2, attempts = 0, crashes = 0, died_ms = NULL \
                     WHERE job_no = ?1 AND state = 'dead'",
                )?
                .execute(params![no, now_ms])?;
            Ok(changed == 1)
        })
        .await
    }

    async fn discard(&self, no: i64) -> Result<bool, QueueError> {
        self.write(move |db| {
            Ok(db.prepare_cached("DELETE FROM jobs WHERE job_no = ?1 AND state = 'dead'")?.execute([no])? == 1)
        })
        .await
    }

    async fn counts(&self) -> Result<Vec<JobCount>, QueueError> {
        self.look(|db| {
            let mut statement = db.prepare_cached(
                "SELECT kind, state, count(*), min(queued_ms) FROM jobs GROUP BY kind, state ORDER BY kind, state",
            )?;
            let rows = statement.query_map([], |row| {
                Ok(JobCount {
                    kind: row.get(0)?,
                    state: row.get(1)?,
                    count: row.get::<_, i64>(2)? as u64,
                    oldest_ms: row.get(3)?,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    fn changed(&self) -> watch::Receiver<u64> {
        self.db.committed()
    }
}
