//! Group commit: one thread, one connection, one transaction for all jobs that wait together.
//!
//! The first job is taken as soon as it comes, then whatever is queued already, up to `BATCH_JOBS` or
//! `BATCH_TIME`. A lone writer never waits for company; after a batch of many the next one waits a moment for half as
//! many again (`GATHER_TIME`), while the other half is being answered. Each job is undone alone when it fails or panics: the
//! first by rolling back what is nothing but it, all others by a savepoint. So the largest jobs, which come alone, do without
//! one: inside a savepoint SQLite keeps every page's former self in one list, and walks it after each statement. So do tidy jobs,
//! which leave nothing behind when they fail: a savepoint is a seventh of what recording an incident takes.
//! Nobody is answered before COMMIT has returned. What is dearer job by job than together (a savepoint makes a full-text
//! index write out what it has gathered) is left to the statements of [`Writing::before_commit`].
//!
//! A fatal error (disk full, I/O, damage, memory) aborts the batch: rolled back, everyone in it gets the error. Where the disk was full
//! and [`Relief`] makes room, those of its jobs that can be run again are, in one transaction, before they are answered.
//! After an I/O error the state of the log on disk is unknown, and a flush that failed once must not be
//! believed when it is tried again (the kernel may have dropped the pages). So the connection is dropped, and
//! writing goes on only after a fresh one has copied the whole log into the database and flushed that.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::{mpsc, oneshot, watch};

use super::error::{Fault, OpenError, StoreError, WriteError, one_line};
use super::relief::{Relief, make_room};
use super::{Writing, block_on_until, lookout, open};
use crate::slow::{self, Kind};

/// Jobs in one transaction, at most.
const BATCH_JOBS: usize = 512;
/// How long a batch that follows a larger one waits for company, at most. Whoever was answered a moment ago asks again
/// soon: without the wait the first of them would have a commit of its own while all others queue behind it.
const GATHER_TIME: Duration = Duration::from_millis(2);
/// How long jobs are added to a transaction, at most.
pub(super) const BATCH_TIME: Duration = Duration::from_millis(20);
/// First and longest pause between two attempts to get the disk back.
const RECOVERY_PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

pub(super) enum Message {
    Job(Box<dyn Job>),
    /// Another process may have committed.
    Look,
    /// Somebody wants to know whether the writer still turns.
    Answer(oneshot::Sender<()>),
}

impl Message {
    /// The job in it; what is none is dealt with. The writer looks after every batch anyway.
    fn job(self) -> Option<Box<dyn Job>> {
        match self {
            Self::Job(job) => Some(job),
            Self::Look => None,
            Self::Answer(reply) => {
                let _ = reply.send(());
                None
            }
        }
    }
}

/// What the writer and the handles know of each other.
pub(super) struct Shared {
    available: AtomicBool,
    pub(super) committed: watch::Sender<u64>,
    /// Lets a test fail the next commits, and the recovery after them, as a disk would.
    #[cfg(test)]
    pub(super) broken_disk: AtomicBool,
}

impl Shared {
    pub(super) fn new() -> Self {
        Self {
            available: AtomicBool::new(true),
            committed: watch::Sender::new(0),
            #[cfg(test)]
            broken_disk: AtomicBool::new(false),
        }
    }

    pub(super) fn available(&self) -> bool {
        self.available.load(Ordering::Acquire)
    }

    #[allow(clippy::cast_precision_loss, reason = "a queue is never that long")]
    pub(super) fn note_queue(&self, queue: &mpsc::Sender<Message>) {
        metrics::gauge!("sqlite_write_queue_jobs").set((queue.max_capacity() - queue.capacity()) as f64);
    }

    pub(super) fn bump(&self) {
        self.committed.send_modify(|generation| *generation += 1);
    }

    fn disk(&self) -> rusqlite::Result<()> {
        #[cfg(test)]
        if self.broken_disk.load(Ordering::SeqCst) {
            let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR_FSYNC);
            return Err(rusqlite::Error::SqliteFailure(code, None));
        }
        Ok(())
    }
}

/// A job with its types forgotten.
pub(super) trait Job: Send {
    /// Nobody waits for it any more.
    fn abandoned(&self) -> bool;
    /// It leaves nothing behind when it fails.
    fn is_tidy(&self) -> bool;
    /// Runs it. `keeps`: so that it can be run again, where it is of that kind.
    fn run(&mut self, transaction: &Transaction<'_>, keeps: bool) -> Verdict;
    /// Whether running it would do it, after it ran.
    fn can_run_again(&self) -> bool;
    fn finish(self: Box<Self>, batch: Result<(), WriteError>);
}

pub(super) enum Verdict {
    Keep,
    Undo,
    /// A tidy one panicked.
    Unknown,
    Abort(Fault),
}

/// What a job is like.
pub(super) struct Manner<F> {
    /// It leaves nothing behind when it fails.
    pub is_tidy: bool,
    /// How there is another one of it, where that can be.
    pub again: Option<fn(&F) -> F>,
}

pub(super) struct TypedJob<T, E, F> {
    job: Option<F>,
    manner: Manner<F>,
    answer: Result<Result<T, E>, WriteError>,
    reply: oneshot::Sender<Result<Result<T, E>, WriteError>>,
}

impl<T, E, F> TypedJob<T, E, F>
where
    T: Send + 'static,
    E: StoreError + Send + 'static,
    F: FnOnce(&Transaction<'_>) -> Result<T, E> + Send + 'static,
{
    pub(super) fn boxed(
        job: F,
        manner: Manner<F>,
        reply: oneshot::Sender<Result<Result<T, E>, WriteError>>,
    ) -> Box<dyn Job> {
        Box::new(Self { job: Some(job), manner, answer: Err(WriteError::Stopped), reply })
    }
}

impl<T, E, F> Job for TypedJob<T, E, F>
where
    T: Send + 'static,
    E: StoreError + Send + 'static,
    F: FnOnce(&Transaction<'_>) -> Result<T, E> + Send + 'static,
{
    fn abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    fn is_tidy(&self) -> bool {
        self.manner.is_tidy
    }

    fn can_run_again(&self) -> bool {
        self.job.is_some()
    }

    fn run(&mut self, transaction: &Transaction<'_>, keeps: bool) -> Verdict {
        let Some(job) = self.job.take() else {
            return Verdict::Undo;
        };
        if keeps {
            self.job = self.manner.again.map(|again| again(&job));
        }
        let (answer, verdict) = match catch_unwind(AssertUnwindSafe(|| job(transaction))) {
            Err(_) if self.manner.is_tidy => (Err(WriteError::Panicked), Verdict::Unknown),
            Err(_) => (Err(WriteError::Panicked), Verdict::Undo),
            Ok(Ok(value)) => (Ok(Ok(value)), Verdict::Keep),
            Ok(Err(error)) => {
                let verdict = error.sqlite().and_then(Fault::behind).map_or(Verdict::Undo, Verdict::Abort);
                (Ok(Err(error)), verdict)
            }
        };
        self.answer = answer;
        verdict
    }

    fn finish(self: Box<Self>, batch: Result<(), WriteError>) {
        // The receiver may be gone; the work is done all the same.
        let _ = self.reply.send(batch.and(self.answer));
    }
}

pub(super) fn start(
    path: PathBuf,
    connection: Connection,
    writing: Writing,
    relief: Option<Arc<dyn Relief>>,
    jobs: mpsc::Receiver<Message>,
    shared: Arc<Shared>,
) -> Result<JoinHandle<()>, OpenError> {
    let seen = lookout::data_version(&connection).unwrap_or(0);
    let failed_path = path.clone();
    let mut writer = Writer { path, writing, relief, jobs, shared, previous: 0, seen };
    std::thread::Builder::new()
        .name("sqlite-writer".to_owned())
        .spawn(move || writer.work(connection))
        .map_err(|cause| OpenError::io(&failed_path, cause))
}

struct Writer {
    path: PathBuf,
    writing: Writing,
    relief: Option<Arc<dyn Relief>>,
    jobs: mpsc::Receiver<Message>,
    shared: Arc<Shared>,
    /// How many jobs the last batch had.
    previous: usize,
    /// `PRAGMA data_version` as last seen on the connection.
    seen: i64,
}

impl Writer {
    fn work(&mut self, mut connection: Connection) {
        while let Some(message) = self.jobs.blocking_recv() {
            let outcome = message.job().map_or(Ok(()), |first| self.batch(&mut connection, first));
            if let Err(fault) = outcome
                && fault.reopen
            {
                drop(connection);
                match self.recover() {
                    Some(fresh) => connection = fresh,
                    None => return,
                }
            }
            self.look(&connection);
        }
    }

    /// Counts a change when another process has committed since the last look.
    fn look(&mut self, connection: &Connection) {
        if let Ok(now) = lookout::data_version(connection)
            && now != self.seen
        {
            self.seen = now;
            self.shared.bump();
        }
    }

    /// Runs `first` and what is queued behind it in one transaction, and answers all of them.
    fn batch(&mut self, connection: &mut Connection, first: Box<dyn Job>) -> Result<(), Fault> {
        let mut taken = Vec::new();
        let before = connection.total_changes();
        let keeps = self.relief.as_ref().is_some_and(|relief| relief.is_near());
        let mut waiting = VecDeque::from([first]);
        let mut outcome = self.transaction(connection, &mut waiting, Run { gathers: true, keeps }, &mut taken);
        if outcome.as_ref().is_err_and(|fault| fault.error == WriteError::Full) && connection.is_autocommit() {
            self.relieve(connection, &mut outcome, &mut taken);
        }
        if let Err(fault) = &mut outcome {
            // A rollback that failed as well leaves a connection which could never begin again.
            fault.reopen |= !connection.is_autocommit();
        }
        if outcome.is_ok() && connection.total_changes() != before {
            self.shared.bump();
        }
        if let Err(fault) = &outcome {
            tracing::error!(cause = %fault.error, jobs = taken.len(), "a batch of writes was rolled back");
            metrics::counter!("sqlite_failed_batches_total").increment(1);
            if matches!(fault.error, WriteError::Busy) {
                metrics::counter!("sqlite_busy_total").increment(1);
            }
            if fault.reopen {
                // Before anyone is answered: whoever tries again at once must be told to wait.
                self.shared.available.store(false, Ordering::Release);
            }
        }
        let answer = match &outcome {
            Ok(()) => Ok(()),
            Err(fault) => Err(fault.error.clone()),
        };
        for job in taken {
            job.finish(answer.clone());
        }
        outcome
    }

    /// After a full disk: makes room where that can be, and runs what can be run again of what was `taken`, once. Who cannot is
    /// answered here, and taken off.
    fn relieve(&mut self, connection: &mut Connection, outcome: &mut Result<(), Fault>, taken: &mut Vec<Box<dyn Job>>) {
        let Some(relief) = &self.relief else { return };
        if !make_room(connection, relief.as_ref()) {
            return;
        }
        let (again, lost): (Vec<_>, Vec<_>) = taken.drain(..).partition(|job| job.can_run_again());
        if again.is_empty() {
            *taken = lost;
            return;
        }
        metrics::counter!("sqlite_relieved_batches_total").increment(1);
        for job in lost {
            job.finish(Err(WriteError::Full));
        }
        let mut waiting = VecDeque::from(again);
        *outcome = self.transaction(connection, &mut waiting, Run { gathers: false, keeps: false }, taken);
        // Those that it did not come to.
        taken.extend(waiting);
    }

    /// Runs the jobs that are `waiting`, and leaves in `taken` whom there is to answer.
    #[allow(clippy::cast_precision_loss, reason = "a batch is never that long")]
    fn transaction(
        &mut self,
        connection: &mut Connection,
        waiting: &mut VecDeque<Box<dyn Job>>,
        how: Run,
        taken: &mut Vec<Box<dyn Job>>,
    ) -> Result<(), Fault> {
        let begun = Instant::now();
        taken.extend(waiting.pop_front());
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(|cause| Fault::of(&cause))?;
        metrics::histogram!("sqlite_lock_seconds").record(begun.elapsed().as_secs_f64());
        let before = transaction.total_changes();
        let company = self.previous / 2;
        let mut next = taken.pop();
        let mut is_empty = true;
        while let Some(mut job) = next.take() {
            let ran = run(&transaction, job.as_mut(), is_empty, how.keeps);
            taken.push(job);
            is_empty &= !ran?;
            next = waiting.pop_front();
            while how.gathers && next.is_none() && taken.len() < BATCH_JOBS && begun.elapsed() < BATCH_TIME {
                match self.jobs.try_recv() {
                    Ok(message) => next = message.job(),
                    Err(_) if taken.len() >= company => break,
                    Err(_) => match block_on_until(self.jobs.recv(), Some(begun + GATHER_TIME)) {
                        Some(Some(message)) => next = message.job(),
                        Some(None) | None => break,
                    },
                }
            }
        }
        self.previous = taken.len();
        let ran = Instant::now();
        if transaction.total_changes() != before {
            self.writing.finish(&transaction).map_err(|cause| Fault::of(&cause))?;
        }
        self.shared.disk().and_then(|()| transaction.commit()).map_err(|cause| Fault::of(&cause))?;
        metrics::histogram!("sqlite_commit_seconds").record(ran.elapsed().as_secs_f64());
        metrics::histogram!("sqlite_batch_jobs").record(taken.len() as f64);
        metrics::histogram!("sqlite_transaction_seconds").record(begun.elapsed().as_secs_f64());
        let (all, jobs) = (begun.elapsed(), taken.len());
        slow::note(Kind::Write, all, || {
            format!("a transaction of {jobs} jobs, {} ms of it its commit", ran.elapsed().as_millis())
        });
        Ok(())
    }

    /// Tries until the disk works again; `None` when the database is closed meanwhile.
    fn recover(&mut self) -> Option<Connection> {
        let (mut pause, longest) = RECOVERY_PAUSE;
        loop {
            match self.reopen() {
                Ok(connection) => {
                    self.seen = lookout::data_version(&connection).unwrap_or(0);
                    self.shared.available.store(true, Ordering::Release);
                    // What of the failed batch reached the disk is not known: whoever keeps results must look again.
                    self.shared.bump();
                    tracing::info!("the database takes writes again");
                    return Some(connection);
                }
                Err(cause) => {
                    tracing::error!(%cause, "the database takes no writes, trying to reopen it");
                    // Copying the log needs room; a disk that has none reports it in several ways.
                    if let Some(relief) = self.relief.as_ref().filter(|relief| relief.is_full()) {
                        relief.give();
                    }
                }
            }
            if !self.turn_away(Instant::now() + pause) {
                return None;
            }
            pause = (pause * 2).min(longest);
        }
    }

    fn reopen(&self) -> Result<Connection, String> {
        let connection = open::writer(&self.path, self.writing).map_err(|cause| one_line(&cause))?;
        connection.busy_timeout(Duration::from_secs(1)).map_err(|cause| one_line(&cause))?;
        self.shared.disk().map_err(|cause| one_line(&cause))?;
        let busy: i64 = connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
            .map_err(|cause| one_line(&cause))?;
        if busy != 0 {
            return Err("a reader holds the log".to_owned());
        }
        connection.busy_timeout(open::BUSY).map_err(|cause| one_line(&cause))?;
        Ok(connection)
    }

    /// Refuses everyone who comes before `until`; false when nobody can come any more.
    fn turn_away(&mut self, until: Instant) -> bool {
        loop {
            match block_on_until(self.jobs.recv(), Some(until)) {
                Some(Some(message)) => {
                    if let Some(job) = message.job() {
                        job.finish(Err(WriteError::Unavailable));
                    }
                }
                Some(None) => return false,
                None => return true,
            }
        }
    }
}

/// How a transaction is run.
#[derive(Clone, Copy)]
struct Run {
    /// It takes in who comes meanwhile.
    gathers: bool,
    /// Its jobs are kept to be run again.
    keeps: bool,
}

/// Runs one job so that it can be undone alone; whether what it did stays. `is_empty`: the transaction holds nothing yet.
fn run(transaction: &Transaction<'_>, job: &mut dyn Job, is_empty: bool, keeps: bool) -> Result<bool, Fault> {
    let statement = |sql| -> Result<(), Fault> {
        let done = transaction.prepare_cached(sql).and_then(|mut statement| statement.execute([]));
        done.map(|_| ()).map_err(|cause| Fault::of(&cause))
    };
    if job.abandoned() {
        return Ok(false);
    }
    let before = transaction.total_changes();
    let is_guarded = !is_empty && !job.is_tidy();
    if is_guarded {
        statement("SAVEPOINT job")?;
    }
    let verdict = job.run(transaction, keeps);
    // SQLite gives up the whole transaction by itself after some errors, whatever the job made of them.
    if transaction.is_autocommit() {
        return Err(match verdict {
            Verdict::Abort(fault) => fault,
            _ => Fault::untidy(),
        });
    }
    match verdict {
        Verdict::Keep if is_guarded => statement("RELEASE job").map(|()| true),
        Verdict::Keep => Ok(true),
        // Nobody knows what it left half done, where it has begun to write.
        Verdict::Unknown if transaction.total_changes() != before => Err(Fault::untidy()),
        Verdict::Undo | Verdict::Unknown if is_empty => {
            statement("ROLLBACK")?;
            statement("BEGIN IMMEDIATE").map(|()| false)
        }
        Verdict::Unknown => Ok(false),
        Verdict::Undo if job.is_tidy() => Ok(false),
        Verdict::Undo => {
            statement("ROLLBACK TO job")?;
            statement("RELEASE job").map(|()| false)
        }
        Verdict::Abort(fault) => Err(fault),
    }
}
