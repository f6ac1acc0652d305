//! What headquarters sets for its nodes: a row follows from each record of kind `settings` that is the one of its scope.

use super::SqliteLedger;
use super::changes::{Record, parse_scope};
use super::fail::{Done, Fail};
use crate::error::Error;
use crate::ledger::{Settings, SettingsRow};
use crate::settings::standing;
use async_trait::async_trait;
use chassis::sqlite::rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::Value;
use std::collections::BTreeMap;
use sync_protocol::change::{Change, ChangeId, Field};
use sync_protocol::record::settings_of;
use sync_protocol::scope::Scope;

#[async_trait]
impl Settings for SqliteLedger {
    async fn settings(&self, store: Option<String>) -> Result<Vec<SettingsRow>, Error> {
        self.look(move |db| rows(db, store)).await
    }
}

fn rows(db: &Connection, store: Option<String>) -> Done<Vec<SettingsRow>> {
    const COLUMNS: &str = "SELECT scope, fields, changed_ms FROM settings";
    let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    let found: Vec<(String, String, i64)> = match store {
        None => db.prepare_cached(COLUMNS)?.query_map([], read)?.collect::<Result<_, _>>()?,
        Some(code) => {
            let ids = [settings_of(&Scope::Company), settings_of(&Scope::Store(code))];
            db.prepare_cached(&format!("{COLUMNS} WHERE settings_id IN (?1, ?2)"))?
                .query_map(ids, read)?
                .collect::<Result<_, _>>()?
        }
    };
    let row = |(scope, fields, changed_ms): (String, String, i64)| {
        let fields = serde_json::from_str(&fields).map_err(|e| Fail::Broken(format!("settings of {scope}: {e}")))?;
        Ok(SettingsRow { scope: parse_scope(&scope)?, fields, changed_ms })
    };
    found.into_iter().map(row).collect()
}

/// What of a record is shown: its values, as JSON, and when the last of them was set.
fn shown(record: &Record) -> Done<(String, i64)> {
    let fields = serde_json::to_string(&standing(&record.state)).map_err(|e| Fail::Broken(e.to_string()))?;
    let changed_ms = record.state.cells.values().map(|cell| cell.stamp.hlc).max().map_or(0, |hlc| hlc.ms());
    Ok((fields, changed_ms))
}

/// Brings the row of a record up to it. Another record than the one of its scope says nothing: nobody of ours makes one.
pub(super) fn project(db: &Connection, record: &Record) -> Done<()> {
    if record.id != settings_of(&record.scope) {
        return Ok(());
    }
    let (fields, changed_ms) = shown(record)?;
    db.prepare_cached(
        "INSERT OR REPLACE INTO settings (settings_no, settings_id, scope, fields, changed_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![record.no, record.id, record.scope.to_string(), fields, changed_ms])?;
    Ok(())
}

/// Compares the row of a record with what its state says.
pub(super) fn compare(db: &Connection, record: &Record) -> Done<Option<String>> {
    let row: Option<(String, String, i64)> = db
        .prepare_cached("SELECT scope, fields, changed_ms FROM settings WHERE settings_no = ?1")?
        .query_row([record.no], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let says = if record.id == settings_of(&record.scope) {
        let (fields, changed_ms) = shown(record)?;
        Some((record.scope.to_string(), fields, changed_ms))
    } else {
        None
    };
    Ok((row != says).then(|| "the settings table differs".to_owned()))
}

/// What each field that a change sets was before, as the change's author saw it, and what it became.
pub(super) fn told(db: &Connection, change: &Change) -> Done<BTreeMap<Field, (Value, Value)>> {
    let mut told = BTreeMap::new();
    for (field, after) in &change.set {
        let before = match change.base.get(field) {
            Some(base) => value_in(db, *base, field)?,
            None => Value::Null,
        };
        told.insert(field.clone(), (before, after.clone()));
    }
    Ok(told)
}

fn value_in(db: &Connection, id: ChangeId, field: &str) -> Done<Value> {
    let body: Option<String> = db
        .prepare_cached(
            "SELECT c.body FROM changes c JOIN origins o ON o.origin_no = c.origin_no WHERE o.origin = ?1 AND c.seq = ?2",
        )?
        .query_row(params![id.origin, id.seq as i64], |row| row.get(0))
        .optional()?;
    let change = body.and_then(|body| Change::from_body(&body).ok());
    Ok(change.and_then(|mut change| change.set.remove(field)).unwrap_or(Value::Null))
}
