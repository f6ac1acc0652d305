//! Connections and their pragmas; copies and checks of the whole file.

use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::Writing;
use super::error::OpenError;
use crate::folder::sync_folder;

/// How long a statement waits for another process.
pub(super) const BUSY: Duration = Duration::from_secs(10);
/// Statements kept prepared, per connection.
const STATEMENTS: usize = 192;
/// The writer's page cache, in KiB as SQLite spells it: holds the upper levels of some twenty indexes.
const WRITER_CACHE: i32 = -12 * 1024;
/// Pages in the write-ahead log before they are moved into the file. Larger means that a page which many commits
/// touch is moved once for all of them.
const LOG_PAGES: u32 = 8000;
/// What the write-ahead log is cut back to after a burst, in bytes.
const LOG_KEPT_BYTES: u32 = 32 << 20;

/// The connection that writes. Takes no lock on a file that is in WAL mode already.
pub(super) fn writer(path: &Path, writing: Writing) -> rusqlite::Result<Connection> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.pragma_update(None, "synchronous", if writing.synchronous_off { "OFF" } else { "FULL" })?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "cache_size", WRITER_CACHE)?;
    connection.pragma_update(None, "wal_autocheckpoint", LOG_PAGES)?;
    // Answers with the value, which `pragma_update` does not mind.
    connection.pragma_update(None, "journal_size_limit", LOG_KEPT_BYTES)?;
    // What is deleted is overwritten where that costs no further page; [`super::wipe`] sees to the rest.
    connection.pragma_update(None, "secure_delete", "FAST")?;
    connection.execute_batch(writing.setup)?;
    Ok(connection)
}

/// A connection that only reads.
pub(super) fn reader(path: &Path) -> rusqlite::Result<Connection> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.pragma_update(None, "query_only", true)?;
    connection.pragma_update(None, "cache_size", -1024)?;
    Ok(connection)
}

fn connect(path: &Path, access: OpenFlags) -> rusqlite::Result<Connection> {
    // No SQLITE_OPEN_URI: a folder named `file:…` is a folder. No mutex: a connection is on one thread at a time.
    let connection = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // A plan does not depend on what is bound. Otherwise every statement with `LIMIT ?` is planned anew each time it runs.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "mmap_size", 0)?;
    // Sorting and grouping spill here instead of into a temporary folder we were never told about.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    Ok(connection)
}

/// The write-ahead log of a database.
pub(super) fn log_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    PathBuf::from(name)
}

/// Makes sure there is a file, readable by its owner only. SQLite gives the log files the same mode.
pub(super) fn ensure_file(path: &Path) -> Result<(), OpenError> {
    let failed = |cause| OpenError::io(path, cause);
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(file) => {
            file.sync_all().map_err(failed)?;
            sync_parent(path).map_err(failed)
        }
        Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {
            let found = std::fs::metadata(path).map_err(failed)?;
            if !found.is_file() {
                return Err(OpenError::NotADatabase { path: path.to_owned() });
            }
            if found.len() == 0 {
                File::open(path).map_err(failed)?;
            }
            Ok(())
        }
        Err(cause) => Err(failed(cause)),
    }
}

/// Takes the rights of others away, where a copy or an older version left some.
pub(super) fn make_private(path: &Path) -> Result<(), OpenError> {
    let failed = |cause| OpenError::io(path, cause);
    let mode = std::fs::metadata(path).map_err(failed)?.permissions().mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    std::fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(failed)
}

pub(super) fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync_folder(parent),
        _ => sync_folder(Path::new(".")),
    }
}

/// A compact copy of one consistent state. Copying the file itself would miss what is in the log.
pub(super) fn copy(from: &Path, to: &Path) -> Result<(), OpenError> {
    // VACUUM INTO takes an empty file, which lets the copy be private from its first byte.
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(to)
        .map_err(|cause| OpenError::io(to, cause))?;
    let target = to
        .to_str()
        .ok_or_else(|| OpenError::io(to, io::Error::new(io::ErrorKind::InvalidInput, "the path is not UTF-8")));
    let copied = target.and_then(|target| {
        let connection =
            connect(from, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(|cause| OpenError::from_sqlite(from, cause))?;
        connection.execute("VACUUM INTO ?1", [target]).map_err(|cause| OpenError::from_sqlite(to, cause))?;
        // SQLite does not flush what VACUUM INTO writes.
        file.sync_all().and_then(|()| sync_parent(to)).map_err(|cause| OpenError::io(to, cause))
    });
    if copied.is_err() {
        let _ = std::fs::remove_file(to);
    }
    copied
}

/// What SQLite finds wrong, at most 100 lines of it.
pub(super) fn verify(path: &Path) -> Result<Vec<String>, OpenError> {
    let failed = |cause| OpenError::from_sqlite(path, cause);
    let connection = reader(path).map_err(failed)?;
    let mut found = Vec::new();
    let check = connection.prepare("PRAGMA integrity_check(100)").and_then(|mut statement| {
        statement.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()
    });
    found.extend(check.map_err(failed)?.into_iter().filter(|line| line != "ok"));
    found.extend(broken_references(&connection).map_err(failed)?);
    Ok(found)
}

/// Rows that refer to rows which are not there.
pub(super) fn broken_references(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement =
        connection.prepare("SELECT \"table\", rowid, parent FROM pragma_foreign_key_check LIMIT 100")?;
    let lines = statement.query_map([], |row| {
        let (table, row_id, parent): (String, Option<i64>, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let row_id = row_id.map_or_else(|| "?".to_owned(), |id| id.to_string());
        Ok(format!("row {row_id} of {table} refers to a missing row of {parent}"))
    })?;
    lines.collect()
}
