//! Acts: rows that are written with what they tell of, and never altered (two triggers see to that).
//!
//! An act that is a change (an account, a store, a decision, an order) is noted where the change goes into its record, once: a
//! hub that takes changes back finds the row by the change's number.

use super::SqliteLedger;
use super::fail::{Done, Fail};
use super::settings;
use crate::error::Error;
use crate::ledger::acts::name;
use crate::ledger::{ActQuery, ActRow, Acts, NewAct};
use async_trait::async_trait;
use chassis::sqlite::rusqlite::{Connection, params};
use serde_json::{Map, Value, json};
use sync_protocol::change::Change;
use sync_protocol::merge::RecordState;
use sync_protocol::record::{ACCOUNT, ERASURE, INCIDENT, SETTINGS, SETTLEMENT, STORE};
use sync_protocol::scope::Scope;

#[async_trait]
impl Acts for SqliteLedger {
    async fn note_act(&self, act: NewAct) -> Result<(), Error> {
        self.write(move |db| note(db, &act)).await
    }

    async fn acts(&self, query: ActQuery, limit: u32) -> Result<Vec<ActRow>, Error> {
        self.read(move |db| list(db, &query, limit)).await
    }
}

pub(super) fn note(db: &Connection, act: &NewAct) -> Done<()> {
    insert(db, act, None)
}

fn insert(db: &Connection, act: &NewAct, change_no: Option<i64>) -> Done<()> {
    let details = serde_json::to_string(&act.details).map_err(|e| Fail::Broken(e.to_string()))?;
    db.prepare_cached(
        "INSERT INTO acts (at_ms, actor, act, subject, store_code, details, change_no) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) \
         ON CONFLICT (change_no) DO NOTHING",
    )?
    .execute(params![act.at_ms, act.by, act.act, act.subject, act.store_code, details, change_no])?;
    Ok(())
}

/// Whether a change may be an act; cheap, for every change comes by here.
pub(super) fn is_act(change: &Change) -> bool {
    match change.kind.as_str() {
        ACCOUNT | STORE | SETTLEMENT | SETTINGS => true,
        // Sites say in an order's record that they have carried it out; ordering is the act.
        ERASURE => change.new,
        INCIDENT => change.set.contains_key("hold"),
        _ => false,
    }
}

/// Notes the act that a change is, which is in its record by now. `state`: the record's.
pub(super) fn note_change(
    db: &Connection,
    change_no: i64,
    scope: &Scope,
    change: &Change,
    state: &RecordState,
) -> Done<()> {
    let text = |field: &str| state.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let set = |field: &str| change.set.get(field).filter(|value| !value.is_null());
    let mut details = Map::new();
    let (act, subject) = match change.kind.as_str() {
        ACCOUNT => {
            for field in ["role", "store_code", "active"] {
                details.extend(set(field).map(|value| (field.to_owned(), value.clone())));
            }
            if !change.new {
                // What was changed; a password's hash is nobody's business.
                let named = change.set.keys().map(|field| field.replace("password_hash", "password"));
                details.insert("fields".to_owned(), named.collect());
            }
            (if change.new { name::ACCOUNT_ADDED } else { name::ACCOUNT_CHANGED }, text("username"))
        }
        STORE => {
            for field in ["name", "timezone"] {
                details.extend(set(field).map(|value| (field.to_owned(), value.clone())));
            }
            (if change.new { name::STORE_ADDED } else { name::STORE_CHANGED }, text("code"))
        }
        SETTLEMENT => {
            let decided = set("decided");
            let why = decided.or(set("retried")).and_then(|value| value.get("reason"));
            details.extend(why.map(|reason| ("reason".to_owned(), reason.clone())));
            let action = decided.and_then(|value| value.get("action")).cloned().unwrap_or_else(|| json!("retry"));
            details.insert("action".to_owned(), action);
            (name::SETTLED, text("change"))
        }
        ERASURE => {
            details.extend(set("reason").map(|reason| ("reason".to_owned(), reason.clone())));
            let records = change.set.keys().filter(|field| field.starts_with("what/")).count();
            details.insert("records".to_owned(), json!(records));
            (name::ERASURE_ORDERED, text("incident"))
        }
        SETTINGS => {
            let told = settings::told(db, change)?;
            let of = |(field, (before, after))| (field, json!({"before": before, "after": after}));
            details.insert("changed".to_owned(), Value::Object(told.into_iter().map(of).collect()));
            (name::SETTINGS_CHANGED, scope.to_string())
        }
        _ => match set("hold") {
            Some(hold) => {
                details.extend(hold.get("reason").map(|reason| ("reason".to_owned(), reason.clone())));
                (name::HELD, change.id.hyphenated().to_string())
            }
            None => (name::RELEASED, change.id.hyphenated().to_string()),
        },
    };
    let act = NewAct {
        at_ms: change.at,
        by: change.by.clone(),
        act,
        subject,
        store_code: scope.store_code().unwrap_or_default().to_owned(),
        details: Value::Object(details),
    };
    insert(db, &act, Some(change_no))
}

pub(super) fn list(db: &Connection, query: &ActQuery, limit: u32) -> Done<Vec<ActRow>> {
    let mut statement = db.prepare_cached(statement(query).as_str())?;
    let mut rows = statement.query(params![
        query.act,
        query.by,
        query.subject,
        query.from_ms.unwrap_or(i64::MIN),
        query.to_ms.unwrap_or(i64::MAX),
        query.before.unwrap_or(i64::MAX),
        limit
    ])?;
    let mut acts = Vec::new();
    while let Some(row) = rows.next()? {
        let details: String = row.get(6)?;
        acts.push(ActRow {
            no: row.get(0)?,
            at_ms: row.get(1)?,
            by: row.get(2)?,
            act: row.get(3)?,
            subject: row.get(4)?,
            store_code: row.get(5)?,
            details: serde_json::from_str(&details).unwrap_or_default(),
        });
    }
    Ok(acts)
}

/// Whatever narrows most drives; each index is in the order of the numbers, so nothing is sorted.
fn statement(query: &ActQuery) -> String {
    let by = match query {
        _ if query.subject.is_some() => "INDEXED BY acts_subject",
        _ if query.by.is_some() => "INDEXED BY acts_actor",
        _ if query.act.is_some() => "INDEXED BY acts_act",
        _ => "NOT INDEXED",
    };
    let mut sql = format!(
        "SELECT act_no, at_ms, actor, act, subject, store_code, details FROM acts {by} WHERE act_no < ?6 AND at_ms >= ?4 AND at_ms < ?5"
    );
    for (asked, condition) in [
        (query.act.is_some(), " AND act = ?1"),
        (query.by.is_some(), " AND actor = ?2"),
        (query.subject.is_some(), " AND subject = ?3"),
    ] {
        if asked {
            sql.push_str(condition);
        }
    }
    sql.push_str(" ORDER BY act_no DESC LIMIT ?7");
    // Every value is bound whatever is asked: their numbers stay the same.
    sql
}
