//! For jobs of [`Database::write_tidily`](super::Database::write_tidily), which leave nothing behind when they fail.

use rusqlite::Connection;

/// Runs `work` so that nothing of it is left when it fails. Costs a copy of each page that it writes.
///
/// # Errors
/// Those of `work`; SQLite's.
pub fn alone<T, E: From<rusqlite::Error>>(db: &Connection, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    let statement = |sql| db.prepare_cached(sql).and_then(|mut statement| statement.execute([])).map(|_| ());
    statement("SAVEPOINT alone")?;
    sure(db, || match work() {
        Ok(done) => {
            statement("RELEASE alone")?;
            Ok(Ok(done))
        }
        // SQLite gives up the whole transaction by itself after some errors.
        Err(error) if db.is_autocommit() => Err(error),
        Err(error) => {
            statement("ROLLBACK TO alone").and_then(|()| statement("RELEASE alone"))?;
            Ok(Err(error))
        }
    })?
}

/// Runs `work` of which is known that it does not fail. Should it, the whole transaction is rolled back.
///
/// # Errors
/// Those of `work`.
///
/// # Panics
/// When there is not even memory to roll back.
pub fn sure<T, E>(db: &Connection, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    let done = work();
    if done.is_err() && !db.is_autocommit() {
        let _ = db.execute_batch("ROLLBACK");
        // The writer catches this, and drops the connection.
        assert!(db.is_autocommit(), "what was left half done cannot be rolled back");
    }
    done
}
