//! What records are looked up by: tables that follow from `records` and can be made anew from it at any time.

use super::changes::{Record, load_record, load_record_no};
use super::fail::Done;
use super::{erasures, photos, settings};
use crate::document::{Document, document};
use crate::search::fold;
use chassis::sqlite::rusqlite::{self, Connection, ErrorCode, OptionalExtension, params};
use serde_json::Value;
use std::collections::BTreeSet;
use sync_protocol::merge::RecordState;
use sync_protocol::record;
use sync_protocol::scope::Scope;
use uuid::Uuid;

/// Enters a record that is new here; answers the document of an incident. `claim`: digest of the request behind it.
pub(super) fn fresh(db: &Connection, record: &Record, claim: Option<&[u8; 32]>) -> Done<Option<Document>> {
    if record.kind == record::INCIDENT {
        return fresh_incident(db, record, claim).map(Some);
    }
    self::record(db, record)?;
    Ok(None)
}

/// Brings the tables of `record`'s kind up to its state. Kinds this version does not know have none.
pub(super) fn record(db: &Connection, record: &Record) -> Done<()> {
    match record.kind.as_str() {
        record::INCIDENT => incident(db, record),
        record::STORE => store(db, record),
        record::ACCOUNT => account(db, record),
        record::ERASURE => erasures::project(db, record),
        record::SETTINGS => settings::project(db, record),
        _ => Ok(()),
    }
}

/// Brings the incident's tables up to a record that belongs to it.
pub(super) fn child(db: &Connection, parent: &Record, child: &Record) -> Done<()> {
    match child.kind.as_str() {
        record::COMMENT => comment(db, parent, child),
        record::PHOTO => photos::project(db, parent.no, child),
        _ => Ok(()),
    }
}

fn text(state: &RecordState, field: &str) -> String {
    state.get(field).and_then(Value::as_str).unwrap_or("").to_owned()
}

/// The document of an incident's record.
pub(super) fn document_of(record: &Record) -> Document {
    document(record.id, record.scope.store_code().unwrap_or(""), &record.state)
}

fn fresh_incident(db: &Connection, record: &Record, claim: Option<&[u8; 32]>) -> Done<Document> {
    let made = document_of(record);
    db.prepare_cached(
        "INSERT INTO incidents (incident_no, incident_id, occurred_at_ms, store_code, status, category, severity, reported_by, \
         deleted, reference, people, comment_count, photo_count, received_ms) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, 0, 0, ?12)",
    )?
    .execute(params![
        record.no,
        record.id,
        made.occurred_at_ms,
        record.scope.store_code().unwrap_or(""),
        made.status,
        made.category,
        made.severity,
        made.reported_by,
        made.deleted,
        made.reference,
        made.people,
        record.received_ms
    ])?;
    db.prepare_cached("INSERT INTO documents (incident_no, version, doc, claim) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![record.no, made.version, made.doc, claim])?;
    tags(db, record, &made)?;
    values(db, record, &made)?;
    loss(db, record, true)?;
    index_later(db, record.no, true, &made.words, &made.people)?;
    Ok(made)
}

fn incident(db: &Connection, record: &Record) -> Done<()> {
    let made = document_of(record);
    db.prepare_cached(
        "UPDATE incidents SET occurred_at_ms = ?2, status = ?3, category = ?4, severity = ?5, reported_by = ?6, deleted = ?7, \
         reference = ?8, people = ?9 WHERE incident_no = ?1",
    )?
    .execute(params![
        record.no,
        made.occurred_at_ms,
        made.status,
        made.category,
        made.severity,
        made.reported_by,
        made.deleted,
        made.reference,
        made.people
    ])?;
    db.prepare_cached("UPDATE documents SET version = ?2, doc = ?3 WHERE incident_no = ?1")?
        .execute(params![record.no, made.version, made.doc])?;
    db.prepare_cached("DELETE FROM incident_tags WHERE incident_no = ?1")?.execute([record.no])?;
    tags(db, record, &made)?;
    db.prepare_cached("DELETE FROM incident_values WHERE incident_no = ?1")?.execute([record.no])?;
    values(db, record, &made)?;
    loss(db, record, false)?;
    let words = made.words + &comments_folded(db, record.no)?;
    index_later(db, record.no, false, &words, &made.people)
}

fn tags(db: &Connection, record: &Record, made: &Document) -> Done<()> {
    for tag in &made.tags {
        db.prepare_cached("INSERT OR IGNORE INTO incident_tags (tag, occurred_at_ms, incident_id, incident_no) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![tag, made.occurred_at_ms, record.id, record.no])?;
    }
    Ok(())
}

/// Longest value that is looked up by, in characters: the longest that a filter can name.
const MAX_VALUE: usize = 200;

/// What an incident says in words of the company's own: subcategory and custom fields, each as text.
fn values_of(state: &RecordState) -> impl Iterator<Item = (&str, String)> {
    let own = state.cells.iter().filter(|(field, _)| *field == "subcategory" || field.starts_with("custom/"));
    own.filter_map(|(field, cell)| {
        let text = match &cell.value {
            Value::String(text) if text.chars().count() <= MAX_VALUE => text.clone(),
            Value::Number(_) | Value::Bool(_) => cell.value.to_string(),
            _ => return None,
        };
        Some((field.as_str(), text))
    })
}

fn values(db: &Connection, record: &Record, made: &Document) -> Done<()> {
    for (name, value) in values_of(&record.state) {
        db.prepare_cached(
            "INSERT OR IGNORE INTO incident_values (name, value, occurred_at_ms, incident_id, incident_no) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![name, value, made.occurred_at_ms, record.id, record.no])?;
    }
    Ok(())
}

/// What an incident cost, where it says so: currency, amount and what of it came back.
fn loss_of(state: &RecordState) -> Option<(String, i64, i64)> {
    let minor = |field: &str| state.get(field).and_then(Value::as_i64);
    let (amount, recovered) = (minor("loss/amount_minor"), minor("loss/recovered_minor"));
    if amount.is_none() && recovered.is_none() {
        return None;
    }
    Some((text(state, "loss/currency"), amount.unwrap_or(0), recovered.unwrap_or(0)))
}

/// `fresh`: there can be no row yet.
fn loss(db: &Connection, record: &Record, fresh: bool) -> Done<()> {
    match loss_of(&record.state) {
        Some((currency, amount, recovered)) => {
            db.prepare_cached("INSERT OR REPLACE INTO losses (incident_no, currency, amount_minor, recovered_minor) VALUES (?1, ?2, ?3, ?4)")?
                .execute(params![record.no, currency, amount, recovered])?;
        }
        None if fresh => {}
        None => {
            db.prepare_cached("DELETE FROM losses WHERE incident_no = ?1")?.execute([record.no])?;
        }
    }
    Ok(())
}

/// Words of incidents changed in the open transaction, on their way into the text indexes.
pub(super) const WAITING_TABLE: &str = "CREATE TEMP TABLE waiting ( \
     incident_no INTEGER PRIMARY KEY, known INTEGER NOT NULL, words TEXT NOT NULL, names TEXT NOT NULL)";

/// Brings the text indexes up to the open transaction, once for all its incidents.
pub(super) const INDEX_WAITING: &[&str] = &[
    "DELETE FROM incident_words WHERE rowid IN (SELECT incident_no FROM temp.waiting WHERE known)",
    "DELETE FROM incident_names WHERE rowid IN (SELECT incident_no FROM temp.waiting WHERE known)",
    "INSERT INTO incident_words (rowid, words) SELECT incident_no, words FROM temp.waiting",
    "INSERT INTO incident_names (rowid, names) SELECT incident_no, names FROM temp.waiting WHERE names <> ''",
    "DELETE FROM temp.waiting",
];

/// Leaves an incident's words to [`INDEX_WAITING`]. `fresh`: the indexes cannot hold it yet.
fn index_later(db: &Connection, incident_no: i64, fresh: bool, words: &str, names: &str) -> Done<()> {
    db.prepare_cached(
        "INSERT INTO temp.waiting (incident_no, known, words, names) VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT (incident_no) DO UPDATE SET words = excluded.words, names = excluded.names",
    )?
    .execute(params![incident_no, !fresh, words, names])?;
    Ok(())
}

fn comments_folded(db: &Connection, incident_no: i64) -> Done<String> {
    let mut folded = String::new();
    let mut statement =
        db.prepare_cached("SELECT body FROM comments WHERE incident_no = ?1 ORDER BY hlc, comment_id")?;
    let mut rows = statement.query([incident_no])?;
    while let Some(row) = rows.next()? {
        folded.push_str(&fold(&row.get::<_, String>(0)?));
        folded.push('\n');
    }
    Ok(folded)
}

fn comment(db: &Connection, incident: &Record, record: &Record) -> Done<()> {
    let Some(born) = &record.state.born else { return Ok(()) };
    db.prepare_cached(
        "INSERT OR REPLACE INTO comments (comment_no, comment_id, incident_no, author, kind, body, created_ms, hlc) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        record.no,
        record.id,
        incident.no,
        born.by,
        comment_kind(&record.state),
        text(&record.state, "body"),
        born.at,
        born.stamp.hlc.to_i64()
    ])?;
    commented(db, incident)
}

/// Brings an incident's count and words up to its comments.
fn commented(db: &Connection, incident: &Record) -> Done<()> {
    db.prepare_cached("UPDATE incidents SET comment_count = (SELECT count(*) FROM comments WHERE incident_no = ?1) WHERE incident_no = ?1")?
        .execute([incident.no])?;
    let made = document_of(incident);
    let words = made.words + &comments_folded(db, incident.no)?;
    index_later(db, incident.no, false, &words, &made.people)
}

fn comment_kind(state: &RecordState) -> String {
    state.get("kind").and_then(Value::as_str).unwrap_or("comment").to_owned()
}

fn store(db: &Connection, record: &Record) -> Done<()> {
    let state = &record.state;
    db.prepare_cached(
        "INSERT OR REPLACE INTO stores (store_no, store_id, store_code, name, timezone) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![record.no, record.id, text(state, "code"), text(state, "name"), timezone(state)])?;
    Ok(())
}

fn timezone(state: &RecordState) -> String {
    state.get("timezone").and_then(Value::as_str).unwrap_or("UTC").to_owned()
}

fn account(db: &Connection, record: &Record) -> Done<()> {
    let state = &record.state;
    let active = state.get("active").and_then(Value::as_bool).unwrap_or(true);
    let store_code = match &record.scope {
        Scope::Store(code) => Some(code.as_str()),
        Scope::Company | Scope::Hub => None,
    };
    let before: Option<(String, bool)> = {
        db.prepare_cached("SELECT password_hash, active FROM accounts WHERE account_no = ?1")?
            .query_row([record.no], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?
    };
    let password_hash = text(state, "password_hash");
    db.prepare_cached(
        "INSERT OR REPLACE INTO accounts (account_no, account_id, username, display_name, role, store_code, password_hash, active) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        record.no,
        record.id,
        text(state, "username"),
        text(state, "display_name"),
        text(state, "role"),
        store_code,
        password_hash,
        active
    ])?;
    // A new password or a closed account ends what is open, at whichever site the news arrives.
    if before.is_some_and(|(hash, was_active)| hash != password_hash || (was_active && !active)) {
        // So does its PIN: whoever knew the old password may have set it.
        for sql in ["DELETE FROM sessions WHERE username = ?1", "DELETE FROM pins WHERE username = ?1"] {
            db.prepare_cached(sql)?.execute([text(state, "username")])?;
        }
    }
    Ok(())
}

/// Takes a record off every table. Nothing may belong to it any more.
pub(super) fn forget(db: &Connection, record: &Record) -> Done<()> {
    let parent = record.parent_no;
    db.prepare_cached("DELETE FROM reviews WHERE record_no = ?1")?.execute([record.no])?;
    match record.kind.as_str() {
        record::INCIDENT => {
            for sql in [
                "DELETE FROM temp.waiting WHERE incident_no = ?1",
                "DELETE FROM incident_words WHERE rowid = ?1",
                "DELETE FROM incident_names WHERE rowid = ?1",
                "DELETE FROM incident_tags WHERE incident_no = ?1",
                "DELETE FROM incident_values WHERE incident_no = ?1",
                "DELETE FROM losses WHERE incident_no = ?1",
                "DELETE FROM documents WHERE incident_no = ?1",
                "DELETE FROM incidents WHERE incident_no = ?1",
            ] {
                db.prepare_cached(sql)?.execute([record.no])?;
            }
            db.prepare_cached("DELETE FROM idempotency WHERE incident_id = ?1")?.execute([record.id])?;
        }
        record::COMMENT => {
            db.prepare_cached("DELETE FROM comments WHERE comment_no = ?1")?.execute([record.no])?;
        }
        record::PHOTO => photos::forget(db, record.no, parent)?,
        record::SETTLEMENT => {
            db.prepare_cached("DELETE FROM settlements WHERE settlement_no = ?1")?.execute([record.no])?;
        }
        record::SETTINGS => {
            db.prepare_cached("DELETE FROM settings WHERE settings_no = ?1")?.execute([record.no])?;
        }
        _ => {}
    }
    db.prepare_cached("DELETE FROM records WHERE record_no = ?1")?.execute([record.no])?;
    if record.kind == record::COMMENT
        && let Some(incident) = parent.map(|no| load_record_no(db, no)).transpose()?.flatten()
    {
        commented(db, &incident)?;
    }
    Ok(())
}

/// Makes all rows of a record anew, also those that are gone, and those of what belongs to it.
pub(super) fn again(db: &Connection, record: &Record) -> Done<()> {
    if record.kind == record::ERASURE {
        return erasures::again(db, record);
    }
    if record.kind != record::INCIDENT {
        self::record(db, record)?;
        return match record.parent_no.map(|no| load_record_no(db, no)).transpose()?.flatten() {
            Some(parent) => child(db, &parent, record),
            None => Ok(()),
        };
    }
    db.prepare_cached(
        "INSERT OR IGNORE INTO incidents (incident_no, incident_id, occurred_at_ms, store_code, status, category, severity, \
         reported_by, deleted, reference, people, comment_count, photo_count, received_ms) \
         VALUES (?1, ?2, 0, '', '', '', 3, '', 0, '', '', 0, 0, NULL)",
    )?
    .execute(params![record.no, record.id])?;
    db.prepare_cached(
        "UPDATE incidents SET incident_id = ?2, store_code = ?3, received_ms = ?4 WHERE incident_no = ?1",
    )?
    .execute(params![record.no, record.id, record.scope.store_code().unwrap_or(""), record.received_ms])?;
    db.prepare_cached("INSERT OR IGNORE INTO documents (incident_no, version, doc) VALUES (?1, '', '')")?
        .execute([record.no])?;
    incident(db, record)?;
    let mut statement = db.prepare_cached("SELECT record_no FROM records WHERE parent_no = ?1 ORDER BY record_no")?;
    let children: Vec<i64> = statement.query_map([record.no], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for no in children {
        // One that cannot be read is mended by itself.
        if let Ok(Some(one)) = load_record_no(db, no) {
            child(db, record, &one)?;
        }
    }
    Ok(())
}

/// The number that a lost record had, where its tables still know.
pub(super) fn number_of(db: &Connection, kind: &str, id: Uuid) -> Done<Option<i64>> {
    let sql = match kind {
        record::INCIDENT => "SELECT incident_no FROM incidents WHERE incident_id = ?1",
        record::COMMENT => "SELECT comment_no FROM comments WHERE comment_id = ?1",
        record::PHOTO => "SELECT photo_no FROM photos WHERE photo_id = ?1",
        record::STORE => "SELECT store_no FROM stores WHERE store_id = ?1",
        record::ACCOUNT => "SELECT account_no FROM accounts WHERE account_id = ?1",
        record::SETTINGS => "SELECT settings_no FROM settings WHERE settings_id = ?1",
        _ => return Ok(None),
    };
    let no: Option<i64> = db.prepare_cached(sql)?.query_row([id], |row| row.get(0)).optional()?;
    let Some(no) = no else { return Ok(None) };
    let is_taken: bool = db
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM records WHERE record_no = ?1)")?
        .query_row([no], |row| row.get(0))?;
    Ok((!is_taken).then_some(no))
}

/// What is shown of a record now, as it is kept: for what is set aside.
pub(super) fn shown(db: &Connection, record: &Record) -> Done<Option<String>> {
    let sql = match record.kind.as_str() {
        record::INCIDENT => "SELECT CAST(doc AS BLOB) FROM documents WHERE incident_no = ?1",
        record::COMMENT => "SELECT CAST(body AS BLOB) FROM comments WHERE comment_no = ?1",
        _ => return Ok(None),
    };
    let bytes: Option<Vec<u8>> = db.prepare_cached(sql)?.query_row([record.no], |row| row.get(0)).optional()?;
    Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

/// Compares the tables of one record with what its state says; answers what differs, in words.
pub(super) fn compare(db: &Connection, record: &Record) -> Done<Option<String>> {
    match record.kind.as_str() {
        record::INCIDENT => compare_incident(db, record),
        record::COMMENT => {
            let row: Option<(String, String)> = optional(
                db.prepare_cached("SELECT body, author FROM comments WHERE comment_no = ?1")?
                    .query_row([record.no], |row| Ok((row.get(0)?, row.get(1)?))),
            )?;
            let by = record.state.born.as_ref().map_or("", |born| born.by.as_str());
            let same = row.is_some_and(|(body, author)| body == text(&record.state, "body") && author == by);
            Ok((!same).then(|| "the comments table differs".to_owned()))
        }
        record::STORE => {
            let row: Option<(String, String, String)> = optional(
                db.prepare_cached("SELECT store_code, name, timezone FROM stores WHERE store_no = ?1")?
                    .query_row([record.no], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))),
            )?;
            let says = (text(&record.state, "code"), text(&record.state, "name"), timezone(&record.state));
            Ok((row != Some(says)).then(|| "the stores table differs".to_owned()))
        }
        record::ACCOUNT => {
            let row: Option<(String, String, String, String, bool)> = optional(
                db.prepare_cached(
                    "SELECT username, display_name, role, password_hash, active FROM accounts WHERE account_no = ?1",
                )?
                .query_row([record.no], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))),
            )?;
            let state = &record.state;
            let says = (
                text(state, "username"),
                text(state, "display_name"),
                text(state, "role"),
                text(state, "password_hash"),
                state.get("active").and_then(Value::as_bool).unwrap_or(true),
            );
            Ok((row != Some(says)).then(|| "the accounts table differs".to_owned()))
        }
        record::PHOTO => photos::compare(db, record),
        record::ERASURE => erasures::compare(db, record),
        record::SETTINGS => settings::compare(db, record),
        _ => Ok(None),
    }
}

fn compare_incident(db: &Connection, record: &Record) -> Done<Option<String>> {
    let made = document_of(record);
    let doc: Option<(String, String)> = optional(
        db.prepare_cached("SELECT version, doc FROM documents WHERE incident_no = ?1")?
            .query_row([record.no], |row| Ok((row.get(0)?, row.get(1)?))),
    )?;
    if doc != Some((made.version.clone(), made.doc.clone())) {
        return Ok(Some("the document differs".to_owned()));
    }
    #[allow(clippy::type_complexity)]
    let row: Option<(Uuid, i64, String, String, String, u8, String, bool, String)> = optional(
        db.prepare_cached(
            "SELECT incident_id, occurred_at_ms, store_code, status, category, severity, reported_by, deleted, reference \
             FROM incidents WHERE incident_no = ?1",
        )?
        .query_row([record.no], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?, row.get(7)?, row.get(8)?))
        }),
    )?;
    let says = (
        record.id,
        made.occurred_at_ms,
        record.scope.store_code().unwrap_or("").to_owned(),
        made.status,
        made.category,
        made.severity,
        made.reported_by,
        made.deleted,
        made.reference,
    );
    if row != Some(says) {
        return Ok(Some("the incidents table differs".to_owned()));
    }
    let loss: Option<(String, i64, i64)> = optional(
        db.prepare_cached("SELECT currency, amount_minor, recovered_minor FROM losses WHERE incident_no = ?1")?
            .query_row([record.no], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))),
    )?;
    if loss != loss_of(&record.state) {
        return Ok(Some("the losses table differs".to_owned()));
    }
    compare_lookups(db, record, &made.tags, made.occurred_at_ms)
}

/// What an incident is found by.
fn compare_lookups(db: &Connection, record: &Record, tags: &[String], occurred_at_ms: i64) -> Done<Option<String>> {
    let mut statement =
        db.prepare_cached("SELECT tag, occurred_at_ms FROM incident_tags WHERE incident_no = ?1 ORDER BY tag")?;
    let held: Vec<(String, i64)> =
        statement.query_map([record.no], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
    let says: BTreeSet<&String> = tags.iter().collect();
    if !held.iter().map(|(tag, _)| tag).eq(says) || held.iter().any(|(_, at)| *at != occurred_at_ms) {
        return Ok(Some("the tags table differs".to_owned()));
    }
    let mut statement = db.prepare_cached(
        "SELECT name, value, occurred_at_ms FROM incident_values WHERE incident_no = ?1 ORDER BY name, value",
    )?;
    let held: Vec<(String, String, i64)> = statement
        .query_map([record.no], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<_, _>>()?;
    let says: BTreeSet<(String, String, i64)> =
        values_of(&record.state).map(|(name, value)| (name.to_owned(), value, occurred_at_ms)).collect();
    if !held.into_iter().eq(says) {
        return Ok(Some("the table of subcategories and custom fields differs".to_owned()));
    }
    Ok(None)
}

/// What the text index lacks of an incident. It keeps no texts that could be compared: it has to find the incident by a word of its own.
pub(super) fn compare_index(db: &Connection, record: &Record) -> Done<Option<String>> {
    if record.kind != record::INCIDENT {
        return Ok(None);
    }
    let words = document_of(record).words;
    // An index of an earlier program took some signs for letters: only what stands between plain ones was a word to both.
    let plain = |word: &&str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let between = words.split(|c: char| c.is_ascii() && !c.is_ascii_alphanumeric()).filter(plain);
    let Some(word) = between.max_by_key(|word| word.len()) else {
        return Ok(None);
    };
    let found = db
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM incident_words WHERE incident_words MATCH ?1 AND rowid = ?2)")?
        .query_row(params![format!("\"{word}\""), record.no], |row| row.get(0));
    let is_found: bool = match found {
        // An index that cannot be read finds nothing.
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt) => false,
        found => found?,
    };
    Ok((!is_found).then(|| "the text index, which does not find it, differs".to_owned()))
}

fn optional<T>(result: rusqlite::Result<T>) -> Done<Option<T>> {
    Ok(result.optional()?)
}

/// The incident's record, where `id` is one.
pub(super) fn incident_record(db: &Connection, id: Uuid) -> Done<Option<Record>> {
    Ok(load_record(db, id)?.filter(|record| record.kind == record::INCIDENT))
}
