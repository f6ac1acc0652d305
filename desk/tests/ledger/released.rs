//! Schemas as they were: what a program makes of an older folder is what it makes of a new one, and no row is lost.
//!
//! `migrations/released/schema-N-ROLE.sql` is a folder's whole database with the first N migrations applied, rows included,
//! as a node's and as a hub's. Never edited: `AINCIDENT_FREEZE_SCHEMA=N` writes the ones after the first N migrations where they are
//! missing, which is done when a version is released.

use chassis::ids::Ids;
use chassis::sqlite::rusqlite::{Connection, types::Value};
use chassis::sqlite::{Database, OpenOptions, runner};
use desk::ledger::Versions as _;
use desk::ledger::sqlite::{MIGRATIONS, SqliteLedger};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::site::{T0, TestSite};

const ROLES: [&str; 2] = ["node", "hub"];
const HUB_SCHEMA: &str = include_str!("../../../migrations/sqlite/hub.sql");

fn released() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations/released")
}

/// Tables and what hangs on them, by name; white space and what SQLite keeps for itself left out.
fn schema(db: &Connection) -> BTreeMap<String, String> {
    let mut statement = db
        .prepare(
            "SELECT type || ' ' || name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'",
        )
        .unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, String>(1)?))).unwrap();
    rows.map(Result::unwrap)
        .map(|(name, sql)| {
            (name, sql.split_whitespace().collect::<Vec<_>>().join(" ").replace("( ", "(").replace(" )", ")"))
        })
        .collect()
}

/// Tables that hold rows of their own: a text index' inner tables follow from it.
fn tables(db: &Connection) -> Vec<String> {
    let mut statement = db.prepare("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY rowid").unwrap();
    let all: Vec<String> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let of_an_index = |name: &str| name.starts_with("incident_words") || name.starts_with("incident_names");
    all.into_iter().filter(|name| !name.starts_with("sqlite_") && !of_an_index(name)).collect()
}

fn rows(db: &Connection) -> BTreeMap<String, i64> {
    let count = |table: &String| db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap();
    tables(db).into_iter().map(|table| (table.clone(), count(&table))).collect()
}

/// The whole database as SQL.
fn dump(db: &Connection) -> String {
    let mut text = String::from("-- Frozen: see desk/tests/ledger/released.rs. Never edited.\n");
    let mut statement = db
        .prepare(
            "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' \
             AND NOT (sql LIKE 'CREATE TABLE ''incident_%') ORDER BY type = 'index', rowid",
        )
        .unwrap();
    for sql in statement.query_map([], |row| row.get::<_, String>(0)).unwrap() {
        text.push_str(&sql.unwrap());
        text.push_str(";\n");
    }
    for table in tables(db) {
        let mut statement = db.prepare(&format!("SELECT * FROM {table}")).unwrap();
        let columns = statement.column_count();
        let mut rows = statement.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let values: Vec<String> = (0..columns).map(|at| quoted(row.get(at).unwrap())).collect();
            text.push_str(&format!("INSERT INTO {table} VALUES ({});\n", values.join(", ")));
        }
    }
    text
}

fn quoted(value: Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Integer(number) => number.to_string(),
        Value::Real(number) => number.to_string(),
        Value::Text(text) => format!("'{}'", text.replace('\'', "''")),
        Value::Blob(bytes) => format!("X'{}'", bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()),
    }
}

/// A few rows that every version so far has had, so that there is something to lose.
const ROWS: &str = "\
    INSERT INTO site (name, value) VALUES ('note', 'of a frozen schema'); \
    INSERT INTO counters (name, value) VALUES ('hlc', 117646784921600000); \
    INSERT INTO origins (origin_no, origin, scope, site, mine, seq, head) VALUES (1, zeroblob(16), 'store/042', '042', 0, 1, zeroblob(32)); \
    INSERT INTO changes (change_no, origin_no, seq, record_id, hlc, received_ms, body) VALUES (1, 1, 1, zeroblob(16), 5, 7, '{}'); \
    INSERT INTO records (record_no, record_id, kind, scope, state) VALUES (1, zeroblob(16), 'weather', 'store/042', '{}'); \
    INSERT INTO quarantine (change_no, record_id, waits, code, reason, since_ms) VALUES (1, zeroblob(16), 0, 'bad-value', 'x', 9); \
    INSERT INTO cursors (scope, cursor) VALUES ('company', 'c'); \
    INSERT INTO nodes (node_id, store_code, name, version, enrolled_ms) VALUES (zeroblob(16), '042', 'till', '0.1.0', 3); \
    INSERT INTO sessions (token_hash, username, created_ms, expires_ms) VALUES (zeroblob(32), 'kim', 1, 2);";

/// A database with the first `count` migrations, as it was.
fn make(path: &Path, count: usize, role: &str) {
    drop(Database::open(OpenOptions::new(path, runner(&MIGRATIONS[..count]).unwrap())).unwrap());
    let db = Connection::open(path).unwrap();
    if role == "hub" {
        db.execute_batch(HUB_SCHEMA).unwrap();
    }
    db.execute_batch(ROWS).unwrap();
}

/// Writes the frozen schemas that are missing, where it is asked for: the number of migrations to take.
fn freeze_what_is_missing() {
    let Some(asked) = std::env::var_os("AINCIDENT_FREEZE_SCHEMA") else {
        return;
    };
    let count: usize = asked.to_str().and_then(|text| text.parse().ok()).unwrap();
    let version = MIGRATIONS[count - 1].0.split("__").next().unwrap().trim_start_matches('V');
    std::fs::create_dir_all(released()).unwrap();
    for role in ROLES {
        let file = released().join(format!("schema-{version}-{role}.sql"));
        if file.exists() {
            continue;
        }
        let scratch = TestSite::open(1);
        let path = scratch.folder.0.join("frozen.sqlite");
        make(&path, count, role);
        std::fs::write(file, dump(&Connection::open(&path).unwrap())).unwrap();
    }
}

/// A new folder of today, as a node's and as a hub's.
fn fresh(role: &str) -> BTreeMap<String, String> {
    let scratch = TestSite::open(2);
    let path = scratch.folder.0.join("fresh.sqlite");
    drop(SqliteLedger::open(&path, Ids::seeded(3)).unwrap());
    let db = Connection::open(&path).unwrap();
    if role == "hub" {
        db.execute_batch(HUB_SCHEMA).unwrap();
    }
    schema(&db)
}

#[tokio::test]
async fn every_released_schema_becomes_what_a_fresh_one_is_and_keeps_its_rows() {
    freeze_what_is_missing();
    let mut seen = 0;
    for entry in std::fs::read_dir(released()).unwrap() {
        let file = entry.unwrap().path();
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        let role = ROLES
            .into_iter()
            .find(|role| name.ends_with(role))
            .unwrap_or_else(|| panic!("{name} is of no role"));
        let scratch = TestSite::open(4);
        let path = scratch.folder.0.join("old.sqlite");
        let before = {
            let db = Connection::open(&path).unwrap();
            db.execute_batch(&std::fs::read_to_string(&file).unwrap()).unwrap_or_else(|e| panic!("{name}: {e}"));
            rows(&db)
        };
        assert!(before.values().sum::<i64>() > 15, "{name} holds next to nothing");
        let ledger = SqliteLedger::open(&path, Ids::seeded(5)).unwrap_or_else(|e| panic!("{name}: {e}"));
        ledger.catch_up(T0).await.unwrap();
        let db = Connection::open(&path).unwrap();
        let (upgraded, fresh) = (schema(&db), fresh(role));
        for (what, sql) in &fresh {
            assert_eq!(upgraded.get(what), Some(sql), "{name}: {what}");
        }
        assert_eq!(upgraded.len(), fresh.len(), "{name} has what a fresh one has not");
        let after = rows(&db);
        for (table, count) in before.iter().filter(|(table, _)| *table != "refinery_schema_history") {
            assert!(after.get(table).is_some_and(|now| now >= count), "{name}: rows of {table} are gone");
        }
        let check: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(check, "ok", "{name}");
        seen += 1;
    }
    assert!(seen >= 2, "no frozen schema was found");
}
