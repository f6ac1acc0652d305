//! The one door to SQLite.
//!
//! Layout: one file in WAL mode, one thread that owns the only writing connection of this process and commits
//! in groups (`writer`), a few read-only connections (`readers`), and a look-out that notices commits of
//! other processes (`lookout`). Opening, pragmas, versions and upgrades are in `open` and `migrate`.
//!
//! What makes it durable: `synchronous=FULL`, and a job is answered only after the COMMIT that holds it has
//! returned. What makes it survive failing disks: a batch whose transaction met a fatal error is rolled back
//! whole and nobody in it is told "done"; after an I/O error the connection is dropped and nothing is written
//! until a fresh one has moved the whole write-ahead log into the database file.
//!
//! Other processes may write to the same file. A job therefore reads inside its own transaction whatever
//! it relies on.

mod error;
mod in_place;
pub mod jobs;
mod lookout;
mod migrate;
mod open;
mod readers;
mod relief;
mod survey;
pub mod tidy;
pub mod uploads;
mod wipe;
mod writer;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::{Connection, Transaction};
use tokio::sync::{mpsc, oneshot, watch};

pub use error::{OpenError, ReadError, StoreError, WriteError};
pub use in_place::{Disk, Moment};
pub use migrate::{before_upgrade, runner};
pub use refinery;
pub use relief::Relief;
pub use rusqlite;

pub use survey::{Survey, survey};

use in_place::InPlace;
use lookout::Lookout;
use readers::Readers;
use writer::{Manner, Message, Shared, TypedJob};

/// How long a read may take before it is interrupted, unless it says otherwise.
pub const READ_DEADLINE: Duration = Duration::from_secs(10);
/// How many jobs may wait for the writer.
pub const QUEUE_JOBS: usize = 1024;
/// How long a job waits for a place in the queue before [`WriteError::Busy`].
const QUEUE_PATIENCE: Duration = Duration::from_secs(10);

/// How a database is opened.
pub struct OpenOptions {
    /// The database file; its folder must exist.
    pub path: PathBuf,
    /// Every schema change, in order.
    pub migrations: refinery::Runner,
    /// Read-only connections, 1..=64. Each costs about 1 MiB.
    pub readers: usize,
    /// The newest schema this program knows; a file with a newer one is refused.
    pub newest_schema: i32,
    /// What the writing connection is like.
    pub writing: Writing,
    /// What makes room where the disk is full.
    pub relief: Option<Arc<dyn Relief>>,
    /// Everything is done where it is asked for, on no thread of its own, as far as this disk lets it: for simulations.
    /// Commits of other processes are not noticed then.
    pub in_place: Option<Arc<dyn Disk>>,
}

impl OpenOptions {
    /// Options with four readers and full durability; the newest schema is the last migration's.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, migrations: refinery::Runner) -> Self {
        let newest_schema = migrations.get_migrations().iter().map(|one| one.version()).max();
        Self {
            path: path.into(),
            newest_schema: newest_schema.unwrap_or(0),
            migrations,
            readers: 4,
            writing: Writing::default(),
            relief: None,
            in_place: None,
        }
    }
}

/// What the writing connection is like. The default is durable and plain.
#[derive(Clone, Copy, Debug, Default)]
pub struct Writing {
    /// Trades durability for speed; only to show in a test that the test would notice.
    pub synchronous_off: bool,
    /// Statements run on the connection when it is opened: for temporary tables.
    pub setup: &'static str,
    /// Statements run once before each COMMIT, after all its jobs: for work that is dearer job by job than together.
    /// They fail the batch when they fail.
    pub before_commit: &'static [&'static str],
}

impl Writing {
    /// Does what is left to do before a COMMIT.
    fn finish(&self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        for sql in self.before_commit {
            transaction.prepare_cached(sql)?.execute([])?;
        }
        Ok(())
    }
}

/// An open database. Cheap to clone. Dropping the last clone writes what is queued, then closes the file.
#[derive(Clone)]
pub struct Database {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    in_place: Option<InPlace>,
    queue: Option<mpsc::Sender<Message>>,
    writer: Option<JoinHandle<()>>,
    lookout: Option<Lookout>,
    readers: Arc<Readers>,
    shared: Arc<Shared>,
}

impl Database {
    /// Opens the database, creating the file (mode 0600) and bringing its schema up to date where needed.
    ///
    /// A file that is up to date is opened without a write lock. Blocks; a few milliseconds at most then.
    ///
    /// # Errors
    ///
    /// When the file or its folder cannot be used, is no database, is damaged, was written by a newer version
    /// (nothing is touched then), or an upgrade fails.
    pub fn open(options: OpenOptions) -> Result<Self, OpenError> {
        let path = options.path.clone();
        migrate::bring_up_to_date(options.migrations, &path, options.newest_schema)?;
        let connection = open::writer(&path, options.writing).map_err(|cause| OpenError::from_sqlite(&path, cause))?;
        let readers =
            Readers::open(&path, options.readers.clamp(1, 64)).map_err(|cause| OpenError::from_sqlite(&path, cause))?;
        let shared = Arc::new(Shared::new());
        let readers = Arc::new(readers);
        if let Some(disk) = options.in_place {
            let in_place = Some(InPlace::new(connection, options.writing, disk));
            let inner = Inner { path, in_place, queue: None, writer: None, lookout: None, readers, shared };
            return Ok(Self { inner: Arc::new(inner) });
        }
        let (queue, jobs) = mpsc::channel(QUEUE_JOBS);
        let lookout = Lookout::start(&path, queue.clone())?;
        let relief = options.relief;
        let writer = writer::start(path.clone(), connection, options.writing, relief, jobs, Arc::clone(&shared))?;
        Ok(Self {
            inner: Arc::new(Inner {
                path,
                in_place: None,
                queue: Some(queue),
                writer: Some(writer),
                lookout: Some(lookout),
                readers,
                shared,
            }),
        })
    }

    /// The database file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Runs `job` in a transaction and answers once that is on disk.
    ///
    /// Jobs that wait together share one transaction, each inside its own savepoint: one that returns `Err`
    /// or panics is undone alone. A job must not commit or roll back itself, and must not block.
    /// When the caller goes away before the job has started, the job is never run.
    ///
    /// # Errors
    ///
    /// The inner result is the job's own. The outer one says that nothing of the job was kept:
    /// [`WriteError::Full`], [`WriteError::Io`], [`WriteError::Busy`], [`WriteError::Unavailable`],
    /// [`WriteError::Panicked`], [`WriteError::Stopped`].
    pub async fn write<T, E>(
        &self,
        job: impl FnOnce(&Transaction<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<Result<T, E>, WriteError>
    where
        T: Send + 'static,
        E: StoreError + Send + 'static,
    {
        self.line_up(job, Manner { is_tidy: false, again: None }).await
    }

    /// [`Database::write`] for a job that leaves nothing behind when it returns `Err`: what it may be refused for it looks at
    /// before it writes, or it writes inside [`tidy::alone`]. Nothing is kept ready to undo it. One that cannot keep to that rolls the
    /// transaction back; with everyone whose jobs it shares with, it is then told [`WriteError::Io`], as where it panics.
    ///
    /// # Errors
    ///
    /// As [`Database::write`].
    pub async fn write_tidily<T, E>(
        &self,
        job: impl FnOnce(&Transaction<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<Result<T, E>, WriteError>
    where
        T: Send + 'static,
        E: StoreError + Send + 'static,
    {
        self.line_up(job, Manner { is_tidy: true, again: None }).await
    }

    /// [`Database::write`], or with `is_tidy` [`Database::write_tidily`], for a job that there can be another one of: where the disk is
    /// full and [`Relief`] makes room, it is run once more before it is answered.
    ///
    /// # Errors
    ///
    /// As [`Database::write`].
    pub async fn write_stubbornly<T, E>(
        &self,
        job: impl FnOnce(&Transaction<'_>) -> Result<T, E> + Clone + Send + 'static,
        is_tidy: bool,
    ) -> Result<Result<T, E>, WriteError>
    where
        T: Send + 'static,
        E: StoreError + Send + 'static,
    {
        self.line_up(job, Manner { is_tidy, again: Some(Clone::clone) }).await
    }

    async fn line_up<T, E, F>(&self, job: F, manner: Manner<F>) -> Result<Result<T, E>, WriteError>
    where
        T: Send + 'static,
        E: StoreError + Send + 'static,
        F: FnOnce(&Transaction<'_>) -> Result<T, E> + Send + 'static,
    {
        if let Some(in_place) = &self.inner.in_place {
            return in_place.write(job, &self.inner.shared);
        }
        let queue = self.queue()?;
        let place = match queue.try_reserve() {
            Ok(place) => place,
            Err(mpsc::error::TrySendError::Closed(())) => return Err(WriteError::Stopped),
            Err(mpsc::error::TrySendError::Full(())) => tokio::time::timeout(QUEUE_PATIENCE, queue.reserve())
                .await
                .map_err(|_| WriteError::Busy)?
                .map_err(|_| WriteError::Stopped)?,
        };
        let (reply, answer) = oneshot::channel();
        place.send(Message::Job(TypedJob::boxed(job, manner, reply)));
        self.inner.shared.note_queue(queue);
        answer.await.unwrap_or(Err(WriteError::Stopped))
    }

    /// [`Database::write`] for code without a runtime; blocks the thread.
    ///
    /// # Errors
    ///
    /// As [`Database::write`].
    pub fn write_blocking<T, E>(
        &self,
        job: impl FnOnce(&Transaction<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<Result<T, E>, WriteError>
    where
        T: Send + 'static,
        E: StoreError + Send + 'static,
    {
        if let Some(in_place) = &self.inner.in_place {
            return in_place.write(job, &self.inner.shared);
        }
        let queue = self.queue()?;
        let place = block_on(queue.reserve()).map_err(|_| WriteError::Stopped)?;
        let (reply, answer) = oneshot::channel();
        place.send(Message::Job(TypedJob::boxed(job, Manner { is_tidy: false, again: None }, reply)));
        block_on(answer).unwrap_or(Err(WriteError::Stopped))
    }

    fn queue(&self) -> Result<&mpsc::Sender<Message>, WriteError> {
        if !self.inner.shared.available() {
            return Err(WriteError::Unavailable);
        }
        self.inner.queue.as_ref().ok_or(WriteError::Stopped)
    }

    /// Runs `job` on a read-only connection, inside one transaction: all its statements see one state.
    /// It is interrupted after [`READ_DEADLINE`].
    ///
    /// # Errors
    ///
    /// The inner result is the job's own. The outer one: [`ReadError::TooLong`], [`ReadError::Io`],
    /// [`ReadError::Panicked`], [`ReadError::Stopped`].
    pub async fn read<T, E>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<Result<T, E>, ReadError>
    where
        T: Send + 'static,
        E: Send + 'static,
    {
        self.read_within(READ_DEADLINE, job).await
    }

    /// [`Database::read`] with a deadline of its own, for exports and audits. While it runs, the write-ahead
    /// log cannot shrink: prefer several short reads.
    ///
    /// # Errors
    ///
    /// As [`Database::read`].
    pub async fn read_within<T, E>(
        &self,
        limit: Duration,
        job: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<Result<T, E>, ReadError>
    where
        T: Send + 'static,
        E: Send + 'static,
    {
        let permit = self.inner.readers.permit().await?;
        if self.inner.in_place.is_some() {
            return self.inner.readers.run(permit, limit, job);
        }
        let readers = Arc::clone(&self.inner.readers);
        tokio::task::spawn_blocking(move || readers.run(permit, limit, job))
            .await
            .unwrap_or(Err(ReadError::Stopped))
    }

    /// [`Database::read`] without the hop to another thread when a connection is free: for reads of a few rows
    /// by key, which it makes several times faster. Anything that scans would hold up the runtime.
    ///
    /// # Errors
    ///
    /// As [`Database::read`].
    pub async fn read_inline<T, E>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<Result<T, E>, ReadError>
    where
        T: Send + 'static,
        E: Send + 'static,
    {
        match self.inner.readers.try_permit() {
            Some(permit) => self.inner.readers.run(permit, READ_DEADLINE, job),
            None => self.read(job).await,
        }
    }

    /// [`Database::read`] for code without a runtime; blocks the thread, and has no deadline.
    ///
    /// # Errors
    ///
    /// As [`Database::read`], without [`ReadError::TooLong`].
    pub fn read_blocking<T, E>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, E>,
    ) -> Result<Result<T, E>, ReadError> {
        let permit = block_on(self.inner.readers.permit())?;
        self.inner.readers.run(permit, Duration::MAX, job)
    }

    /// How many times what is in the database has changed since it was opened, by this process or another one
    /// (those are noticed within about 150 ms). Equal numbers mean: nothing known to have changed between.
    #[must_use]
    pub fn generation(&self) -> u64 {
        *self.inner.shared.committed.borrow()
    }

    /// Follows [`Database::generation`].
    #[must_use]
    pub fn committed(&self) -> watch::Receiver<u64> {
        self.inner.shared.committed.subscribe()
    }

    /// Whether writes are being taken; false while the disk is failing.
    #[must_use]
    pub fn available(&self) -> bool {
        self.inner.shared.available()
    }

    /// Returns once the writing thread has come by: it turns, whether or not the disk takes writes. Writes nothing.
    pub async fn answers(&self) {
        let (reply, answer) = oneshot::channel();
        if let Some(queue) = &self.inner.queue
            && queue.send(Message::Answer(reply)).await.is_ok()
        {
            let _ = answer.await;
        }
    }

    /// Writes a consistent, compact copy to `to`, which must not exist, and flushes it to disk. Blocks;
    /// readers and writers go on meanwhile.
    ///
    /// # Errors
    ///
    /// When the copy cannot be written or the database cannot be read; what was half-written is removed.
    pub fn backup_to(&self, to: &Path) -> Result<(), OpenError> {
        open::copy(&self.inner.path, to)
    }

    /// Overwrites what was deleted, cuts the log and removes the copy of before the last upgrade: nothing that is not in a table
    /// any more is in the files afterwards. False
    /// when somebody read for so long that the log could not be cut. Blocks; readers and writers go on meanwhile.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn wipe(&self) -> Result<bool, OpenError> {
        let failed = |cause| OpenError::from_sqlite(&self.inner.path, cause);
        let copy = before_upgrade(&self.inner.path);
        match std::fs::remove_file(&copy) {
            Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => return Err(OpenError::io(&copy, cause)),
            _ => {}
        }
        let connection = open::writer(&self.inner.path, Writing::default()).map_err(failed)?;
        wipe::wipe(&connection).map_err(failed)
    }

    /// Everything SQLite finds wrong with the file: damaged pages, indexes that miss rows, references to rows
    /// that are not there. Empty when all is well. Reads the whole file; blocks.
    ///
    /// # Errors
    ///
    /// When the file cannot be opened or read at all.
    pub fn verify(&self) -> Result<Vec<String>, OpenError> {
        open::verify(&self.inner.path)
    }
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").field("path", &self.inner.path).finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The look-out holds a sender too: it has to go first, or the writer would wait for ever.
        drop(self.lookout.take());
        // Then the readers, so that the writer's connection is the last one: closing it empties the log.
        self.readers.close();
        drop(self.queue.take());
        if let Some(writer) = self.writer.take() {
            // A job that owned the last clone is dropped on the writer's own thread, which cannot wait for itself.
            if writer.thread().id() != std::thread::current().id() {
                let _ = writer.join();
            }
        }
    }
}

/// Writes a consistent, compact copy of the database `from` to `to`, which must not exist, and flushes it to disk. Blocks; whoever
/// has it open goes on meanwhile.
///
/// # Errors
///
/// When the copy cannot be written or the database cannot be read; what was half-written is removed.
pub fn copy(from: &Path, to: &Path) -> Result<(), OpenError> {
    open::copy(from, to)
}

/// Everything SQLite finds wrong with the file `path`; see [`Database::verify`]. Blocks.
///
/// # Errors
///
/// When the file cannot be opened or read at all.
pub fn verify(path: &Path) -> Result<Vec<String>, OpenError> {
    open::verify(path)
}

/// Waits for a future that needs no runtime (the channels and semaphores here do not).
fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    loop {
        // Without a deadline there is only one way out.
        if let Some(output) = block_on_until(future.as_mut(), None) {
            return output;
        }
    }
}

/// As [`block_on`], but `None` when `deadline` comes first.
fn block_on_until<F: Future>(future: F, deadline: Option<Instant>) -> Option<F::Output> {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Unpark(std::thread::current())).into();
    let mut context = std::task::Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        if let std::task::Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Some(output);
        }
        match deadline.map(|at| at.saturating_duration_since(Instant::now())) {
            None => std::thread::park(),
            Some(Duration::ZERO) => return None,
            Some(left) => std::thread::park_timeout(left),
        }
    }
}

/// Locks even when a panic elsewhere poisoned the lock: what it guards here is whole at all times.
fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
