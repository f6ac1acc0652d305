//! Overwriting what was deleted, for the day on which it must not be found any more.
//!
//! Rows that are deleted are overwritten as they go (`secure_delete=FAST`, see `open`). Pages that were given free whole keep
//! what was on them until they are used again: so all of them are used, for nothing but zeros, and given free again, some at
//! a time so that nobody waits for long. Then the log is copied into the file and cut to nothing.

use rusqlite::Connection;

/// Pages overwritten in one transaction.
const PAGES: i64 = 1000;
/// Bytes of a page that are not content, in a row of many pages.
const OVERHEAD_BYTES: i64 = 4;
/// Rounds beyond those that the free pages found at first need: others give pages free meanwhile.
const MORE_ROUNDS: i64 = 64;

/// False when somebody reads, or writes, for so long that the log could not be cut.
pub(super) fn wipe(db: &Connection) -> rusqlite::Result<bool> {
    db.pragma_update(None, "secure_delete", true)?;
    db.execute_batch("CREATE TABLE IF NOT EXISTS wiping (row INTEGER PRIMARY KEY, zeros BLOB NOT NULL) STRICT")?;
    let page: i64 = db.query_row("PRAGMA page_size", [], |row| row.get(0))?;
    let free = || db.query_row("PRAGMA freelist_count", [], |row| row.get::<_, i64>(0));
    for _ in 0..free()? / PAGES + MORE_ROUNDS {
        let pages = free()?.min(PAGES);
        if pages == 0 {
            break;
        }
        db.execute("INSERT INTO wiping (zeros) VALUES (zeroblob(?1))", [pages * (page - OVERHEAD_BYTES)])?;
    }
    while db.execute("DELETE FROM wiping WHERE row = (SELECT max(row) FROM wiping)", [])? > 0 {}
    db.execute_batch("DROP TABLE wiping")?;
    let busy: i64 = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    Ok(busy == 0)
}
