//! A few read-only connections, each used by one job at a time.
//!
//! A job runs between BEGIN and ROLLBACK, so that all its statements see one state. A progress handler stops it
//! at its deadline: dropping the future that waits for it would not. A job that panics, or leaves a transaction
//! that cannot be closed, costs its connection; the next job opens another one.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::{ReadError, one_line};
use super::{locked, open};
use crate::slow::{self, Kind};

/// Virtual-machine steps between two looks at the deadline; well below a millisecond.
const STEPS: i32 = 4096;

pub(super) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Reader>>,
    permits: Arc<Semaphore>,
}

struct Reader {
    connection: Connection,
    deadline: Arc<Deadline>,
}

/// When the running job is stopped, in milliseconds after `epoch`.
struct Deadline {
    epoch: Instant,
    at_ms: AtomicU64,
    passed: AtomicBool,
}

impl Readers {
    pub(super) fn open(path: &Path, count: usize) -> rusqlite::Result<Self> {
        let idle = (0..count).map(|_| Reader::open(path)).collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            path: path.to_owned(),
            idle: Mutex::new(idle),
            permits: Arc::new(Semaphore::new(count)),
        })
    }

    /// No more reads; connections in use close when their jobs end.
    pub(super) fn close(&self) {
        self.permits.close();
        locked(&self.idle).clear();
    }

    pub(super) async fn permit(&self) -> Result<OwnedSemaphorePermit, ReadError> {
        Arc::clone(&self.permits).acquire_owned().await.map_err(|_| ReadError::Stopped)
    }

    pub(super) fn try_permit(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.permits).try_acquire_owned().ok()
    }

    pub(super) fn run<T, E>(
        &self,
        permit: OwnedSemaphorePermit,
        limit: Duration,
        job: impl FnOnce(&Connection) -> Result<T, E>,
    ) -> Result<Result<T, E>, ReadError> {
        let idle = locked(&self.idle).pop();
        let reader = match idle {
            Some(reader) => reader,
            None => Reader::open(&self.path).map_err(|cause| ReadError::Io(one_line(&cause)))?,
        };
        let begun = Instant::now();
        let answer = reader.run(limit, job);
        let took = begun.elapsed();
        metrics::histogram!("sqlite_read_seconds").record(took.as_secs_f64());
        slow::note(Kind::Read, took, || "a read of the database".to_owned());
        if reader.connection.is_autocommit() && !self.permits.is_closed() {
            locked(&self.idle).push(reader);
        }
        // Given back after the connection: whoever gets the permit finds it.
        drop(permit);
        answer
    }
}

impl Reader {
    fn open(path: &Path) -> rusqlite::Result<Self> {
        let connection = open::reader(path)?;
        let deadline = Arc::new(Deadline {
            epoch: Instant::now(),
            at_ms: AtomicU64::new(u64::MAX),
            passed: AtomicBool::new(false),
        });
        let watched = Arc::clone(&deadline);
        connection.progress_handler(STEPS, Some(move || watched.over()))?;
        Ok(Self { connection, deadline })
    }

    fn run<T, E>(
        &self,
        limit: Duration,
        job: impl FnOnce(&Connection) -> Result<T, E>,
    ) -> Result<Result<T, E>, ReadError> {
        let statement = |sql| self.connection.prepare_cached(sql)?.execute([]);
        statement("BEGIN DEFERRED").map_err(|cause| ReadError::Io(one_line(&cause)))?;
        self.deadline.set(limit);
        let ran = catch_unwind(AssertUnwindSafe(|| job(&self.connection)));
        let stopped = self.deadline.clear();
        // Nothing to keep; and unlike COMMIT it cannot be refused for a statement still open.
        if let Err(cause) = statement("ROLLBACK") {
            tracing::warn!(%cause, "a read transaction could not be closed");
        }
        match ran {
            Err(_) => Err(ReadError::Panicked),
            Ok(_) if stopped => Err(ReadError::TooLong),
            Ok(answer) => Ok(answer),
        }
    }
}

impl Deadline {
    fn set(&self, limit: Duration) {
        self.passed.store(false, Ordering::Relaxed);
        let at = self.epoch.elapsed().saturating_add(limit).as_millis();
        self.at_ms.store(u64::try_from(at).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Whether the deadline stopped something since it was set.
    fn clear(&self) -> bool {
        self.at_ms.store(u64::MAX, Ordering::Relaxed);
        self.passed.load(Ordering::Relaxed)
    }

    fn over(&self) -> bool {
        let at = self.at_ms.load(Ordering::Relaxed);
        let over = at != u64::MAX && self.epoch.elapsed().as_millis() >= u128::from(at);
        if over {
            self.passed.store(true, Ordering::Relaxed);
        }
        over
    }
}
