//! How large a database is, and what is in it, in numbers only.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::Connection;

use super::error::OpenError;
use super::open;

/// A database in numbers.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Survey {
    /// SQLite's version.
    pub sqlite: String,
    /// The newest migration that was applied.
    pub schema: u32,
    /// A page, in bytes.
    pub page_bytes: u64,
    /// Pages.
    pub pages: u64,
    /// Pages that hold nothing.
    pub free_pages: u64,
    /// The write-ahead log, in bytes.
    pub log_bytes: u64,
    /// How many rows each table has.
    pub rows: BTreeMap<String, u64>,
}

/// Counts. Blocks; whoever has the database open goes on meanwhile.
///
/// # Errors
///
/// When the file cannot be opened or read.
pub fn survey(path: &Path) -> Result<Survey, OpenError> {
    let connection = open::reader(path).map_err(|cause| OpenError::from_sqlite(path, cause))?;
    let mut survey = count(&connection).map_err(|cause| OpenError::from_sqlite(path, cause))?;
    survey.log_bytes = std::fs::metadata(open::log_of(path)).map_or(0, |found| found.len());
    Ok(survey)
}

fn count(connection: &Connection) -> rusqlite::Result<Survey> {
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).map(i64::unsigned_abs);
    let mut names =
        connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")?;
    let names = names.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
    let mut rows = BTreeMap::new();
    for name in names {
        let count = number(&format!("SELECT COUNT(*) FROM \"{}\"", name.replace('"', "\"\"")))?;
        rows.insert(name, count);
    }
    Ok(Survey {
        sqlite: rusqlite::version().to_owned(),
        schema: connection.query_row("SELECT MAX(version) FROM refinery_schema_history", [], |row| row.get(0))?,
        page_bytes: number("PRAGMA page_size")?,
        pages: number("PRAGMA page_count")?,
        free_pages: number("PRAGMA freelist_count")?,
        log_bytes: 0,
        rows,
    })
}
