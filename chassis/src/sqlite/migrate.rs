//! Which schema a file has, and how it gets to this program's.
//!
//! A look with a read-only connection comes first: a newer file is refused before anything could touch it, and
//! an up-to-date one (every start but the first) needs no more. Only then is the upgrade lock taken, a file
//! lock beside the database, because the migration tool has none and several commands may start at once.
//! All missing migrations run in one transaction together with their entries in the history: a power cut leaves
//! the old schema or the new one.
//!
//! Before a schema is changed the database is copied beside itself ([`before_upgrade`]), whoever starts the upgrade: a package,
//! a person who put a newer program there, a command. The older program opens that copy. One copy is kept, that of the last
//! upgrade, and [`wipe`](super::Database::wipe) removes it.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use refinery::{Migration, Runner};
use rusqlite::{Connection, OptionalExtension as _};

use super::error::{OpenError, one_line};
use super::open;

/// A runner from `("V1__initial", "CREATE TABLE …")` pairs, for where the macro that reads a folder does not fit.
///
/// # Errors
///
/// When a name is not `V<number>__<name>`; says which.
pub fn runner(migrations: &[(&str, &str)]) -> Result<Runner, String> {
    let parsed: Result<Vec<_>, _> = migrations
        .iter()
        .map(|(name, sql)| Migration::unapplied(name, sql).map_err(|cause| format!("migration {name:?}: {cause}")))
        .collect();
    Ok(Runner::new(&parsed?))
}

pub(super) fn bring_up_to_date(migrations: Runner, path: &Path, newest: i32) -> Result<(), OpenError> {
    open::ensure_file(path)?;
    let ready = look(&migrations, path, newest)?;
    open::make_private(path)?;
    if ready {
        return Ok(());
    }
    let _lock = upgrade_lock(path)?;
    // Another process may have been faster.
    if look(&migrations, path, newest)? {
        return Ok(());
    }
    keep_a_copy(path, newest)?;
    upgrade(migrations, path)
}

/// Where the database as it was before its last upgrade lies: beside it.
#[must_use]
pub fn before_upgrade(path: &Path) -> PathBuf {
    beside(path, ".before-upgrade")
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

/// Copies a database whose schema is about to be changed; a new one holds nothing yet.
fn keep_a_copy(path: &Path, newest: i32) -> Result<(), OpenError> {
    let found = open::reader(path).and_then(|connection| schema(&connection));
    let Some(found) = found.map_err(|cause| OpenError::from_sqlite(path, cause))? else {
        return Ok(());
    };
    if found >= newest {
        return Ok(());
    }
    let (copy, part) = (before_upgrade(path), beside(path, ".before-upgrade.tmp"));
    let failed = |cause| OpenError::io(&copy, cause);
    match std::fs::remove_file(&part) {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => return Err(failed(cause)),
        _ => {}
    }
    open::copy(path, &part)?;
    std::fs::rename(&part, &copy).map_err(failed)?;
    open::sync_parent(&copy).map_err(failed)?;
    tracing::info!(copy = %copy.display(), schema = found, "the database was copied before its upgrade");
    Ok(())
}

/// Whether the file has this program's schema; refuses one it must not touch.
fn look(migrations: &Runner, path: &Path, newest: i32) -> Result<bool, OpenError> {
    let failed = |cause| OpenError::from_sqlite(path, cause);
    if std::fs::metadata(path).map_err(|cause| OpenError::io(path, cause))?.len() == 0 {
        return Ok(false);
    }
    let mut connection = open::reader(path).map_err(failed)?;
    let Some(found) = schema(&connection).map_err(failed)? else {
        return Ok(false);
    };
    if found > newest {
        return Err(OpenError::Newer { path: path.to_owned(), found, newest });
    }
    let applied = migrations.get_applied_migrations(&mut connection).map_err(|cause| refused(path, &cause))?;
    for old in &applied {
        // The tool compares too, but only when it upgrades.
        if let Some(ours) = migrations.get_migrations().iter().find(|one| one.version() == old.version())
            && ours != old
        {
            let detail = format!(
                "its migration {old} is not the one this program has ({ours}); a released migration must never be edited"
            );
            return Err(OpenError::Migration { path: path.to_owned(), detail });
        }
    }
    let mode: String = connection.query_row("PRAGMA journal_mode", [], |row| row.get(0)).map_err(failed)?;
    let wanted = migrations.get_migrations().iter().map(Migration::version).max().unwrap_or(0);
    Ok(found >= wanted && mode == "wal")
}

/// The newest migration in the file's history; `None` for a file without one.
fn schema(connection: &Connection) -> rusqlite::Result<Option<i32>> {
    let known = connection
        .query_row("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'refinery_schema_history'", [], |_| {
            Ok(())
        })
        .optional()?;
    if known.is_none() {
        return Ok(None);
    }
    connection.query_row("SELECT max(version) FROM refinery_schema_history", [], |row| row.get(0))
}

fn upgrade(migrations: Runner, path: &Path) -> Result<(), OpenError> {
    let failed = |cause| OpenError::from_sqlite(path, cause);
    let mut connection = open::writer(path, super::Writing::default()).map_err(failed)?;
    connection.pragma_update(None, "journal_mode", "WAL").map_err(failed)?;
    // Rebuilding a table drops it for a moment; with enforcement on, that would delete what refers to it.
    connection.pragma_update(None, "foreign_keys", false).map_err(failed)?;
    let report = migrations.set_grouped(true).run(&mut connection).map_err(|cause| refused(path, &cause))?;
    if report.applied_migrations().is_empty() {
        return Ok(());
    }
    let broken = open::broken_references(&connection).map_err(failed)?;
    if let Some(first) = broken.first() {
        return Err(OpenError::Migration { path: path.to_owned(), detail: format!("after the upgrade {first}") });
    }
    tracing::info!(migrations = report.applied_migrations().len(), "database schema is up to date");
    Ok(())
}

fn refused(path: &Path, cause: &refinery::Error) -> OpenError {
    use std::error::Error as _;
    let detail = match cause.source() {
        Some(source) => one_line(&format!("{cause}: {source}")),
        None => one_line(cause),
    };
    OpenError::Migration { path: path.to_owned(), detail }
}

fn upgrade_lock(path: &Path) -> Result<File, OpenError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".upgrade-lock");
    let name = PathBuf::from(name);
    let failed = |cause| OpenError::io(&name, cause);
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&name)
        .map_err(failed)?;
    // Held for one upgrade, and given free by the system when its holder dies.
    file.lock().map_err(failed)?;
    Ok(file)
}
