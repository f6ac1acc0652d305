use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc as channel};
use std::time::{Duration, Instant};

use rusqlite::{Connection, Result as SqlResult, Transaction, params};

use super::*;
use crate::folder::tests::{Scratch, scratch};

const V1: (&str, &str) = (
    "V1__notes",
    "CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT;
     CREATE TABLE replies (id INTEGER PRIMARY KEY, note INTEGER NOT NULL REFERENCES notes) STRICT;",
);
const V2: (&str, &str) = ("V2__titles", "ALTER TABLE notes ADD COLUMN title TEXT;");
const BROKEN: (&str, &str) = ("V2__broken", "ALTER TABLE notes ADD COLUMN title TEXT; INSERT INTO nowhere VALUES (1);");

fn options(path: &Path, migrations: &[(&str, &str)]) -> OpenOptions {
    OpenOptions::new(path, runner(migrations).unwrap())
}

fn file(folder: &Scratch) -> PathBuf {
    folder.join("ledger.sqlite")
}

fn fresh() -> (Scratch, Database) {
    let folder = scratch("sqlite");
    let database = Database::open(options(&file(&folder), &[V1])).unwrap();
    (folder, database)
}

fn add(transaction: &Transaction<'_>, body: &str) -> SqlResult<i64> {
    transaction.execute("INSERT INTO notes (body) VALUES (?1)", [body])?;
    Ok(transaction.last_insert_rowid())
}

fn bodies(connection: &Connection) -> SqlResult<Vec<String>> {
    let mut statement = connection.prepare("SELECT body FROM notes ORDER BY id")?;
    statement.query_map([], |row| row.get(0))?.collect()
}

fn count(connection: &Connection) -> SqlResult<i64> {
    connection.query_row("SELECT count(*) FROM notes", [], |row| row.get(0))
}

/// Keeps the writer busy until the returned sender is dropped, so that what is written meanwhile queues up.
async fn hold(database: &Database) -> (channel::Sender<()>, tokio::task::JoinHandle<()>) {
    let (release, held) = channel::channel::<()>();
    let (entered, inside) = oneshot::channel();
    let database = database.clone();
    let holding = tokio::spawn(async move {
        let job = move |_: &Transaction<'_>| -> SqlResult<()> {
            let _ = entered.send(());
            let _ = held.recv();
            Ok(())
        };
        // It may share its transaction with one that is meant to fail.
        let _ = database.write(job).await;
    });
    inside.await.unwrap();
    (release, holding)
}

fn queued(database: &Database) -> usize {
    let queue = database.inner.queue.as_ref().unwrap();
    queue.max_capacity() - queue.capacity()
}

async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_secs(20), "never came true: {what}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn jobs_that_wait_together_share_one_commit() {
    let (_folder, database) = fresh();
    let commits = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&commits);
    let hook = move |transaction: &Transaction<'_>| {
        transaction.commit_hook(Some(move || {
            counted.fetch_add(1, Ordering::SeqCst);
            false
        }))
    };
    database.write(hook).await.unwrap().unwrap();
    let (release, holding) = hold(&database).await;
    let before = commits.load(Ordering::SeqCst);
    let jobs: Vec<_> = (0..200)
        .map(|n| {
            let database = database.clone();
            tokio::spawn(async move { database.write(move |tx| add(tx, &n.to_string())).await.unwrap().unwrap() })
        })
        .collect();
    until("200 jobs queued", || queued(&database) == 200).await;
    drop(release);
    holding.await.unwrap();
    for job in jobs {
        job.await.unwrap();
    }
    assert_eq!(database.read(count).await.unwrap().unwrap(), 200);
    // One for the job that held the writer, and with luck one for all others; a slow machine may need a few.
    let spent = commits.load(Ordering::SeqCst) - before;
    assert!(spent <= 10, "{spent} commits for 200 jobs");
}

#[tokio::test]
async fn a_job_that_fails_or_panics_is_undone_alone() {
    let (_folder, database) = fresh();
    let (release, holding) = hold(&database).await;
    let good = |body: &'static str| database.write(move |tx| add(tx, body));
    let (first, failed, panicked, last) = tokio::join!(
        good("first"),
        database.write(|tx| {
            add(tx, "lost")?;
            tx.execute("INSERT INTO notes (id, body) VALUES (1, 'twice'), (1, 'twice')", [])
        }),
        database.write(|tx| -> SqlResult<()> {
            add(tx, "lost too")?;
            panic!("on purpose");
        }),
        async {
            until("three jobs queued", || queued(&database) == 3).await;
            drop(release);
            good("last").await
        },
    );
    holding.await.unwrap();
    first.unwrap().unwrap();
    assert!(failed.unwrap().is_err());
    assert_eq!(panicked, Err(WriteError::Panicked));
    last.unwrap().unwrap();
    assert_eq!(database.read(bodies).await.unwrap().unwrap(), ["first", "last"]);
}

#[tokio::test]
async fn the_first_of_a_batch_fails_without_those_behind_it() {
    let (_folder, database) = fresh();
    let alone = database.write(|tx| {
        add(tx, "lost")?;
        tx.execute("INSERT INTO notes (id, body) VALUES (1, 'twice'), (1, 'twice')", [])
    });
    assert!(alone.await.unwrap().is_err());
    let (release, holding) = hold(&database).await;
    let held_since = Instant::now();
    let (failed, panicked, good) = tokio::join!(
        database.write(|tx| {
            add(tx, "lost too")?;
            tx.execute("INSERT INTO nothing VALUES (1)", [])
        }),
        database.write(|tx| -> SqlResult<()> {
            add(tx, "lost as well")?;
            panic!("on purpose");
        }),
        async {
            // Long enough that they are a batch of their own.
            until("two jobs queued", || queued(&database) == 2 && held_since.elapsed() > writer::BATCH_TIME).await;
            drop(release);
            database.write(|tx| add(tx, "good")).await
        },
    );
    holding.await.unwrap();
    assert!(failed.unwrap().is_err());
    assert_eq!(panicked, Err(WriteError::Panicked));
    good.unwrap().unwrap();
    assert_eq!(database.read(bodies).await.unwrap().unwrap(), ["good"]);
}

#[tokio::test]
async fn a_tidy_job_is_undone_alone_and_one_that_breaks_its_word_takes_its_batch_along() {
    let (_folder, database) = fresh();
    const TWICE: &str = "INSERT INTO notes (id, body) VALUES (1, 'twice'), (1, 'twice')";
    // Both are a batch of their own, and begin together.
    let together = async |release: channel::Sender<()>| {
        let held_since = Instant::now();
        until("two jobs queued", || queued(&database) == 2 && held_since.elapsed() > writer::BATCH_TIME).await;
        drop(release);
    };
    let (release, holding) = hold(&database).await;
    let (good, failed, ()) = tokio::join!(
        database.write_tidily(|tx| tidy::alone(tx, || add(tx, "good"))),
        database.write_tidily(|tx| tidy::alone(tx, || add(tx, "lost").and_then(|_| tx.execute(TWICE, [])))),
        together(release)
    );
    holding.await.unwrap();
    assert!(good.unwrap().is_ok() && failed.unwrap().is_err());
    for panics in [false, true] {
        let (release, holding) = hold(&database).await;
        let half = move |tx: &Transaction<'_>| add(tx, "half").map(|_| assert!(!panics, "on purpose"));
        let (beside, broken, ()) = tokio::join!(
            database.write(|tx| add(tx, "beside it")),
            database.write_tidily(move |tx| tidy::sure(tx, || half(tx).and_then(|()| tx.execute(TWICE, [])))),
            together(release)
        );
        holding.await.unwrap();
        assert!(matches!((beside, broken), (Err(WriteError::Io(_)), Err(WriteError::Io(_)))));
    }
    assert_eq!(database.read(bodies).await.unwrap().unwrap(), ["good"]);
}

#[tokio::test]
async fn a_job_that_ends_the_shared_transaction_hurts_but_does_not_stop_the_writer() {
    let (_folder, database) = fresh();
    let ended = database.write(|tx| tx.execute_batch("ROLLBACK")).await;
    assert!(matches!(ended, Err(WriteError::Io(_))), "{ended:?}");
    database.write(|tx| add(tx, "after")).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_full_disk_acknowledges_nobody_and_heals() {
    let (_folder, database) = fresh();
    let limit = |pages: i64| {
        move |tx: &Transaction<'_>| {
            tx.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |row| row.get::<_, i64>(0))
        }
    };
    database.write(limit(12)).await.unwrap().unwrap();
    let (release, holding) = hold(&database).await;
    let (small, big, ()) = tokio::join!(
        database.write(|tx| add(tx, "small")),
        database.write(|tx| add(tx, &"x".repeat(1 << 20))),
        async {
            until("two jobs queued", || queued(&database) == 2).await;
            drop(release);
        },
    );
    holding.await.unwrap();
    assert_eq!(big, Err(WriteError::Full));
    assert_eq!(small, Err(WriteError::Full));
    assert!(database.available());
    assert_eq!(database.read(count).await.unwrap().unwrap(), 0);
    database.write(|tx| add(tx, "small still fits")).await.unwrap().unwrap();
    database.write(limit(1 << 20)).await.unwrap().unwrap();
    database.write(|tx| add(tx, &"x".repeat(1 << 20))).await.unwrap().unwrap();
}

#[tokio::test]
async fn after_a_failed_flush_nothing_is_written_until_the_disk_works_again() {
    let (_folder, database) = fresh();
    let generation = database.generation();
    database.inner.shared.broken_disk.store(true, Ordering::SeqCst);
    let failed = database.write(|tx| add(tx, "lost")).await;
    assert!(matches!(failed, Err(WriteError::Io(_))), "{failed:?}");
    for _ in 0..50 {
        assert_eq!(database.write(|tx| add(tx, "refused")).await, Err(WriteError::Unavailable));
    }
    assert_eq!(database.read(count).await.unwrap().unwrap(), 0);
    database.inner.shared.broken_disk.store(false, Ordering::SeqCst);
    until("the disk works again", || database.available()).await;
    database.write(|tx| add(tx, "kept")).await.unwrap().unwrap();
    assert_eq!(database.read(bodies).await.unwrap().unwrap(), ["kept"]);
    assert!(database.generation() > generation);
}

#[tokio::test]
async fn a_job_nobody_waits_for_any_more_is_not_run() {
    let (_folder, database) = fresh();
    let (release, holding) = hold(&database).await;
    {
        let mut gone = std::pin::pin!(database.write(|tx| add(tx, "gone")));
        assert!(futures::poll!(gone.as_mut()).is_pending());
    }
    drop(release);
    holding.await.unwrap();
    database.write(|tx| add(tx, "stays")).await.unwrap().unwrap();
    assert_eq!(database.read(bodies).await.unwrap().unwrap(), ["stays"]);
}

#[tokio::test]
async fn a_statement_with_a_bound_limit_is_planned_once() {
    let (_folder, database) = fresh();
    let asked = database.read(|connection| {
        let mut statement = connection.prepare("SELECT body FROM notes WHERE id > ?1 ORDER BY id LIMIT ?2")?;
        for limit in 1..5 {
            let rows = statement.query_map(params![0, limit], |row| row.get::<_, String>(0))?;
            rows.collect::<SqlResult<Vec<_>>>()?;
        }
        Ok::<_, rusqlite::Error>(statement.get_status(rusqlite::StatementStatus::RePrepare))
    });
    assert_eq!(asked.await.unwrap().unwrap(), 0);
}

#[test]
fn two_processes_write_at_once_and_lose_nothing() {
    let (folder, database) = fresh();
    let other = Database::open(options(&file(&folder), &[V1])).unwrap();
    let start = Arc::new(Barrier::new(4));
    std::thread::scope(|scope| {
        for who in [&database, &database, &other, &other] {
            let start = Arc::clone(&start);
            scope.spawn(move || {
                start.wait();
                for n in 0..50 {
                    who.write_blocking(move |tx| add(tx, &n.to_string())).unwrap().unwrap();
                }
            });
        }
    });
    assert_eq!(other.read_blocking(count).unwrap().unwrap(), 200);
}

#[tokio::test]
async fn the_generation_moves_with_every_commit_and_only_then() {
    let (folder, database) = fresh();
    let mut committed = database.committed();
    let mut last = database.generation();
    database.write(|tx| add(tx, "ours")).await.unwrap().unwrap();
    last += 1;
    assert_eq!(database.generation(), last);
    database.write(|tx| count(tx)).await.unwrap().unwrap();
    assert_eq!(database.generation(), last, "a job that changed nothing");

    committed.mark_unchanged();
    let other = Database::open(options(&file(&folder), &[V1])).unwrap();
    other.write(|tx| add(tx, "theirs")).await.unwrap().unwrap();
    tokio::time::timeout(Duration::from_secs(20), committed.changed()).await.unwrap().unwrap();
    assert_eq!(database.generation(), last + 1);

    // The look-out of `other` has seen our commits; its own must not count twice, however often it looks.
    let before = other.generation();
    other.write(|tx| add(tx, "again")).await.unwrap().unwrap();
    let mut theirs = database.committed();
    theirs.wait_for(|now| *now >= last + 2).await.unwrap();
    assert_eq!(other.generation(), before + 1);
}

#[tokio::test]
async fn all_statements_of_a_read_see_one_state() {
    let (_folder, database) = fresh();
    let writing = database.clone();
    let seen = database.read(move |connection| -> SqlResult<(i64, i64)> {
        let before = count(connection)?;
        writing.write_blocking(|tx| add(tx, "meanwhile")).unwrap()?;
        Ok((before, count(connection)?))
    });
    assert_eq!(seen.await.unwrap().unwrap(), (0, 0));
    assert_eq!(database.read(count).await.unwrap().unwrap(), 1);
}

#[tokio::test]
async fn a_read_that_takes_too_long_is_stopped_and_its_connection_serves_on() {
    let folder = scratch("sqlite");
    let database = Database::open(OpenOptions { readers: 1, ..options(&file(&folder), &[V1]) }).unwrap();
    let endless = |connection: &Connection| -> SqlResult<i64> {
        connection.query_row(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n",
            [],
            |row| row.get(0),
        )
    };
    let stopped = database.read_within(Duration::from_millis(30), endless).await;
    assert_eq!(stopped, Err(ReadError::TooLong));
    let panicked = database.read_inline(|_| -> SqlResult<()> { panic!("on purpose") }).await;
    assert_eq!(panicked, Err(ReadError::Panicked));
    assert_eq!(database.read_inline(count).await.unwrap().unwrap(), 0);
}

#[tokio::test]
async fn a_read_cannot_write_and_an_inline_read_waits_when_none_is_free() {
    let folder = scratch("sqlite");
    let database = Database::open(OpenOptions { readers: 1, ..options(&file(&folder), &[V1]) }).unwrap();
    let written = database.read(|connection| connection.execute("INSERT INTO notes (body) VALUES ('x')", [])).await;
    assert!(written.unwrap().is_err());
    let (release, held) = channel::channel::<()>();
    let holder = database.clone();
    let holding = tokio::spawn(async move {
        holder
            .read(move |_| -> SqlResult<()> { held.recv().map_err(|_| rusqlite::Error::InvalidQuery) })
            .await
    });
    until("the one reader is taken", || database.inner.readers.try_permit().is_none()).await;
    let mut waiting = std::pin::pin!(database.read_inline(count));
    assert!(futures::poll!(waiting.as_mut()).is_pending());
    drop(release);
    assert!(holding.await.unwrap().unwrap().is_err());
    assert_eq!(waiting.await.unwrap().unwrap(), 0);
}

#[test]
fn many_openers_upgrade_a_file_once() {
    let folder = scratch("sqlite");
    let path = file(&folder);
    let start = Barrier::new(6);
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                start.wait();
                let database = Database::open(options(&path, &[V1, V2])).unwrap();
                database.write_blocking(|tx| add(tx, "here")).unwrap().unwrap();
            });
        }
    });
    let database = Database::open(options(&path, &[V1, V2])).unwrap();
    assert_eq!(database.read_blocking(count).unwrap().unwrap(), 6);
    assert_eq!(database.verify().unwrap(), Vec::<String>::new());
}

#[test]
fn a_newer_schema_is_refused_and_nothing_is_touched() {
    let folder = scratch("sqlite");
    let path = file(&folder);
    drop(Database::open(options(&path, &[V1, V2])).unwrap());
    let before = std::fs::read(&path).unwrap();
    let error = Database::open(options(&path, &[V1])).unwrap_err();
    assert!(matches!(error, OpenError::Newer { found: 2, newest: 1, .. }));
    assert!(!error.to_string().contains('\n'));
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn an_upgrade_leaves_a_copy_that_the_older_program_opens_and_wiping_removes_it() {
    let folder = scratch("sqlite");
    let path = file(&folder);
    let copy = before_upgrade(&path);
    let old = Database::open(options(&path, &[V1])).unwrap();
    old.write_blocking(|transaction| add(transaction, "of before")).unwrap().unwrap();
    assert!(!copy.exists(), "a new database holds nothing to be copied");
    // Two at once, and what is still in the log goes along.
    let new = Database::open(options(&path, &[V1, V2])).unwrap();
    drop(old);
    assert!(copy.exists());
    drop(Database::open(options(&path, &[V1, V2])).unwrap());
    let kept = Database::open(options(&copy, &[V1])).unwrap();
    assert_eq!(kept.read_blocking(bodies).unwrap().unwrap(), ["of before"]);
    drop(kept);
    new.wipe().unwrap();
    assert!(!copy.exists());
}

#[tokio::test]
async fn the_writer_answers_also_while_the_disk_takes_nothing_and_not_while_it_stands_still() {
    let (_folder, database) = fresh();
    let generation = database.generation();
    tokio::time::timeout(Duration::from_secs(8), database.answers()).await.unwrap();
    assert_eq!(database.generation(), generation, "asking changed something");
    let (release, holding) = hold(&database).await;
    assert!(tokio::time::timeout(Duration::from_millis(50), database.answers()).await.is_err());
    drop(release);
    holding.await.unwrap();
    database.inner.shared.broken_disk.store(true, Ordering::SeqCst);
    assert!(database.write(|transaction| add(transaction, "lost")).await.is_err());
    tokio::time::timeout(Duration::from_secs(8), database.answers()).await.unwrap();
    assert!(!database.available());
    database.inner.shared.broken_disk.store(false, Ordering::SeqCst);
}

#[test]
fn a_failed_upgrade_leaves_the_old_schema_whole() {
    let folder = scratch("sqlite");
    let path = file(&folder);
    drop(Database::open(options(&path, &[V1])).unwrap());
    let error = Database::open(options(&path, &[V1, BROKEN])).unwrap_err();
    assert!(matches!(error, OpenError::Migration { .. }), "{error}");
    assert!(!error.to_string().contains('\n'), "{error}");
    let database = Database::open(options(&path, &[V1, V2])).unwrap();
    database
        .write_blocking(|tx| tx.execute("INSERT INTO notes (body, title) VALUES ('b', 't')", []))
        .unwrap()
        .unwrap();
}

#[test]
fn a_migration_that_was_edited_after_its_release_is_refused() {
    let folder = scratch("sqlite");
    let path = file(&folder);
    drop(Database::open(options(&path, &[V1])).unwrap());
    let edited = ("V1__notes", "CREATE TABLE notes (id INTEGER PRIMARY KEY) STRICT;");
    let error = Database::open(options(&path, &[edited])).unwrap_err();
    assert!(error.to_string().contains("never be edited"), "{error}");
}

#[test]
fn what_is_no_database_is_reported_and_left_alone() {
    let folder = scratch("sqlite");
    let path = file(&folder);
    let junk = "this is a shopping list, not a database\n".repeat(500);
    std::fs::write(&path, &junk).unwrap();
    let error = Database::open(options(&path, &[V1])).unwrap_err();
    assert!(matches!(error, OpenError::NotADatabase { .. }), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), junk);

    let missing = folder.join("no/such/folder/ledger.sqlite");
    let error = Database::open(options(&missing, &[V1])).unwrap_err();
    assert!(matches!(error, OpenError::Io { .. }), "{error}");
    std::fs::create_dir(folder.join("sub")).unwrap();
    let error = Database::open(options(&folder.join("sub"), &[V1])).unwrap_err();
    assert!(matches!(error, OpenError::NotADatabase { .. }), "{error}");
}

#[test]
fn a_damaged_page_is_found() {
    let (folder, database) = fresh();
    for n in 0..400 {
        database.write_blocking(move |tx| add(tx, &format!("{n:0>200}"))).unwrap().unwrap();
    }
    drop(database);
    let path = file(&folder);
    let mut bytes = std::fs::read(&path).unwrap();
    let page = bytes.len() / 4096 / 2 * 4096;
    bytes[page..page + 512].fill(0xA5);
    std::fs::write(&path, bytes).unwrap();
    let database = Database::open(options(&path, &[V1])).unwrap();
    let verdict = database.verify();
    assert!(verdict.is_err() || !verdict.unwrap().is_empty());
}

#[test]
fn an_up_to_date_file_opens_fast_and_beside_a_writer() {
    let (folder, database) = fresh();
    let path = file(&folder);
    drop(database);
    let mut other = Connection::open(&path).unwrap();
    let held = other.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).unwrap();
    // The best of several: other tests run at the same time.
    let fastest = (0..5).map(|_| {
        let begun = Instant::now();
        let database = Database::open(options(&path, &[V1])).unwrap();
        let took = begun.elapsed();
        assert_eq!(database.read_blocking(count).unwrap().unwrap(), 0);
        took
    });
    let fastest = fastest.min().unwrap();
    assert!(fastest < Duration::from_millis(50), "{fastest:?}");
    drop(held);
}

#[test]
fn files_are_private_and_pragmas_are_as_promised() {
    use std::os::unix::fs::PermissionsExt as _;
    let (folder, database) = fresh();
    database.write_blocking(|tx| add(tx, "x")).unwrap().unwrap();
    for name in ["ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm"] {
        let mode = std::fs::metadata(folder.join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let pragma = |name: &'static str| {
        let answer = database.write_blocking(move |tx| {
            tx.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, rusqlite::types::Value>(0))
        });
        match answer.unwrap().unwrap() {
            rusqlite::types::Value::Integer(number) => number.to_string(),
            rusqlite::types::Value::Text(text) => text,
            other => format!("{other:?}"),
        }
    };
    assert_eq!(pragma("journal_mode"), "wal");
    assert_eq!(pragma("synchronous"), "2");
    assert_eq!(pragma("foreign_keys"), "1");
    assert_eq!(pragma("trusted_schema"), "0");
    let orphan = database.write_blocking(|tx| tx.execute("INSERT INTO replies (note) VALUES (99)", []));
    assert!(orphan.unwrap().is_err());
}

#[test]
fn a_backup_is_a_whole_database_and_never_overwrites() {
    let (folder, database) = fresh();
    for n in 0..10 {
        database
            .write_blocking(move |tx| tx.execute("INSERT INTO notes (id, body) VALUES (?1, 'n')", params![n]))
            .unwrap()
            .unwrap();
    }
    let copy = folder.join("copy.sqlite");
    database.backup_to(&copy).unwrap();
    assert!(database.backup_to(&copy).is_err());
    let copy = Database::open(options(&copy, &[V1])).unwrap();
    assert_eq!(copy.read_blocking(count).unwrap().unwrap(), 10);
    let nowhere = folder.join("no/such/folder");
    assert!(database.backup_to(&nowhere).is_err());
}

#[tokio::test]
async fn blocking_calls_work_inside_a_runtime_and_the_last_clone_may_die_in_a_job() {
    let (_folder, database) = fresh();
    database.write_blocking(|tx| add(tx, "x")).unwrap().unwrap();
    assert_eq!(database.read_blocking(count).unwrap().unwrap(), 1);
    let inner = Arc::downgrade(&database.inner);
    let last = database.clone();
    let mut write = Box::pin(async move {
        let captured = database.clone();
        database
            .write(move |tx| {
                drop(captured);
                add(tx, "y")
            })
            .await
    });
    drop(last);
    let _ = futures::poll!(write.as_mut());
    drop(write);
    until("the database is closed", || inner.strong_count() == 0).await;
}
