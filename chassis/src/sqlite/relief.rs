//! What makes room where the disk is full.

use rusqlite::{Connection, ErrorCode};

/// Makes room on the disk where a transaction found none. Asked on the writer's thread; may block.
pub trait Relief: Send + Sync {
    /// Whether the disk may be full before a transaction that begins now is over: its jobs are then kept to be run again.
    fn is_near(&self) -> bool;
    /// Whether the disk is full, or nearly so.
    fn is_full(&self) -> bool;
    /// Makes some room, durably; false where there is none left to give.
    fn give(&self) -> bool;
}

/// Makes room for a transaction that met a full disk; false where there is none to be had. What is in the log is moved into the file
/// first: then the log begins anew, in the room that it has, which is worth more than what is given. Moving it takes some itself.
pub(super) fn make_room(connection: &Connection, relief: &dyn Relief) -> bool {
    let mut was_given = relief.give();
    loop {
        match move_log(connection) {
            Ok(is_all) => return is_all || was_given,
            Err(cause) if cause.sqlite_error_code() == Some(ErrorCode::DiskFull) => {
                if !relief.give() {
                    return was_given;
                }
                was_given = true;
            }
            Err(_) => return was_given,
        }
    }
}

/// Moves what is in the log into the file; whether that was all of it. Waits for nobody.
fn move_log(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
        let (busy, pages, moved): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(busy == 0 && pages > 0 && pages == moved)
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Database, OpenOptions, WriteError, runner};
    use super::*;
    use crate::folder::tests::{Scratch, scratch};
    use rusqlite::{Transaction, ffi};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    const NOTES: (&str, &str) = ("V1__notes", "CREATE TABLE notes (body TEXT NOT NULL) STRICT;");

    /// A disk that is full until room is given, and so often gives some.
    #[derive(Default)]
    struct Spare {
        pieces: AtomicUsize,
        room: AtomicUsize,
    }

    impl Spare {
        /// As SQLite fails where there is no room.
        fn take(&self) -> rusqlite::Result<()> {
            match self.room.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |room| room.checked_sub(1)) {
                Ok(_) => Ok(()),
                Err(_) => Err(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_FULL), None)),
            }
        }
    }

    impl Relief for Spare {
        fn is_near(&self) -> bool {
            true
        }

        fn is_full(&self) -> bool {
            true
        }

        fn give(&self) -> bool {
            let given = self.pieces.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |pieces| pieces.checked_sub(1));
            self.room.store(usize::from(given.is_ok()), Ordering::SeqCst);
            given.is_ok()
        }
    }

    fn with(spare: &Arc<Spare>) -> (Scratch, Database) {
        let folder = scratch("relief");
        let relief: Arc<dyn Relief> = spare.clone();
        let options = OpenOptions::new(folder.join("ledger.sqlite"), runner(&[NOTES]).unwrap());
        let database = Database::open(OpenOptions { relief: Some(relief), ..options }).unwrap();
        (folder, database)
    }

    fn add(spare: &Arc<Spare>) -> impl FnOnce(&Transaction<'_>) -> rusqlite::Result<usize> + Clone + Send + use<> {
        let spare = Arc::clone(spare);
        move |transaction| {
            spare.take()?;
            transaction.execute("INSERT INTO notes (body) VALUES ('one')", [])
        }
    }

    async fn notes(database: &Database) -> i64 {
        let count = |db: &Connection| db.query_row("SELECT count(*) FROM notes", [], |row| row.get(0));
        database.read(count).await.unwrap().unwrap()
    }

    #[tokio::test]
    async fn where_room_is_made_the_same_job_is_run_again_before_it_is_answered() {
        let spare = Arc::new(Spare::default());
        spare.pieces.store(2, Ordering::SeqCst);
        let (_folder, database) = with(&spare);
        for written in 1..=2 {
            for is_tidy in [false, true] {
                spare.room.store(usize::from(is_tidy), Ordering::SeqCst);
                assert_eq!(database.write_stubbornly(add(&spare), is_tidy).await, Ok(Ok(1)));
            }
            assert_eq!(notes(&database).await, 2 * written);
        }
        assert_eq!(spare.pieces.load(Ordering::SeqCst), 0);
    }

    #[tokio::test]
    async fn whoever_can_be_run_only_once_is_refused_and_whoever_comes_next_has_the_room() {
        let spare = Arc::new(Spare::default());
        spare.pieces.store(1, Ordering::SeqCst);
        let (_folder, database) = with(&spare);
        assert_eq!(database.write(add(&spare)).await, Err(WriteError::Full));
        assert_eq!(database.write(add(&spare)).await, Ok(Ok(1)));
        assert_eq!(notes(&database).await, 1);
    }

    #[tokio::test]
    async fn what_stands_behind_a_full_disk_is_refused_when_nothing_is_left_to_give() {
        let spare = Arc::new(Spare::default());
        let (_folder, database) = with(&spare);
        for _ in 0..3 {
            assert_eq!(database.write_stubbornly(add(&spare), false).await, Err(WriteError::Full));
        }
        assert!(database.available());
        spare.room.store(1, Ordering::SeqCst);
        assert_eq!(database.write_stubbornly(add(&spare), false).await, Ok(Ok(1)));
        assert_eq!(notes(&database).await, 1);
    }
}
