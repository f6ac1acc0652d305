//! Recording: stage → pure plan → apply, in one transaction that is durable before anyone is told.

use super::changes::{Incoming, Origin, add, feed, load_record, open_origin, own_origin, save_origin};
use super::fail::{Done, Fail};
use super::{incidents, site};
use crate::error::Refusal;
use crate::ledger::{Claim, Draft, Earlier, Recording, Staged, StagedRecord};
use chassis::sqlite::rusqlite::{Connection, OptionalExtension, params};
use serde_json::Value;
use std::collections::BTreeMap;
use sync_protocol::change::Change;
use sync_protocol::message::{Outcome, quarantine};
use sync_protocol::record::{FieldError, INCIDENT};
use sync_protocol::scope::Scope;
use uuid::Uuid;

/// Where headquarters' own running numbers begin, so that they never meet a store's.
const HUB_NUMBERS_FROM: i64 = 500_000;

/// `fresh_origin`: an id for a stream, should the hub have none for a scope yet.
pub(super) fn record(db: &Connection, recording: Recording, fresh_origin: impl Fn() -> Uuid) -> Done<()> {
    let Recording { records, by, at_ms, claim, plan } = recording;
    let mut staged = Staged::default();
    for id in records {
        staged.records.push(stage(db, id)?);
    }
    if let Some(claim) = &claim {
        staged.earlier = earlier(db, claim)?;
    }
    let known_before = staged.earlier.is_some();
    let drafts = plan(&staged)?;
    if drafts.is_empty() {
        return Ok(());
    }
    let is_hub = site::is_hub(db)?;
    let mut fed = Vec::new();
    let mut incident = None;
    for draft in drafts {
        let mut origin = match own_origin(db, &draft.scope)? {
            Some(origin) => origin,
            None if is_hub => open_origin(db, fresh_origin(), &draft.scope, "hub", true, None)?,
            None => return Err(Refusal::NotEnrolled.into()),
        };
        if draft.kind == INCIDENT && draft.new {
            incident = Some(draft.id);
        }
        let scope = draft.scope.clone();
        let change_no = apply(db, &mut origin, draft, &by, at_ms, is_hub)?;
        save_origin(db, &origin)?;
        fed.push((scope, change_no));
    }
    if let (Some(claim), Some(incident), false) = (claim, incident, known_before) {
        keep_claim(db, &claim, incident, at_ms)?;
    }
    if is_hub {
        feed(db, &fed)?;
    }
    Ok(())
}

fn stage(db: &Connection, id: Uuid) -> Done<Option<StagedRecord>> {
    let Some(record) = load_record(db, id)? else {
        return Ok(None);
    };
    let row = if record.kind == INCIDENT { incidents::row(db, id)? } else { None };
    Ok(Some(StagedRecord {
        id: record.id,
        kind: record.kind,
        scope: record.scope,
        etag: row.as_ref().map(incidents::etag),
        photo_count: row.map_or(0, |row| row.photo_count),
        state: record.state,
    }))
}

fn earlier(db: &Connection, claim: &Claim) -> Done<Option<Earlier>> {
    let by_id: Option<Option<Vec<u8>>> = db
        .prepare_cached(
            "SELECT d.claim FROM records r JOIN documents d ON d.incident_no = r.record_no WHERE r.record_id = ?1",
        )?
        .query_row([claim.id], |row| row.get(0))
        .optional()?;
    if let Some(Some(digest)) = by_id {
        return Ok(Some(Earlier { incident_id: claim.id, same: digest == claim.digest }));
    }
    let Some(key) = &claim.key else { return Ok(None) };
    let found: Option<(Vec<u8>, Uuid)> = db
        .prepare_cached("SELECT digest, incident_id FROM idempotency WHERE key = ?1")?
        .query_row([key], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(found.map(|(digest, incident_id)| Earlier { incident_id, same: digest == claim.digest }))
}

fn keep_claim(db: &Connection, claim: &Claim, incident: Uuid, at_ms: i64) -> Done<()> {
    db.prepare_cached(
        "UPDATE documents SET claim = ?2 WHERE incident_no = (SELECT record_no FROM records WHERE record_id = ?1)",
    )?
    .execute(params![incident, claim.digest])?;
    if let Some(key) = &claim.key {
        db.prepare_cached("INSERT INTO idempotency (key, digest, incident_id, at_ms) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![key, claim.digest, incident, at_ms])?;
    }
    Ok(())
}

fn apply(db: &Connection, origin: &mut Origin, draft: Draft, by: &str, at_ms: i64, is_hub: bool) -> Done<i64> {
    let mut set = draft.set;
    if let (Some(year), Scope::Store(code)) = (draft.number_year, &draft.scope) {
        set.insert("reference".to_owned(), Value::from(reference(db, code, year, draft.id, is_hub)?));
    }
    let state = load_record(db, draft.id)?.map(|record| record.state);
    let base: BTreeMap<_, _> = set
        .keys()
        .filter_map(|field| state.as_ref().and_then(|state| state.base_of(field)).map(|id| (field.clone(), id)))
        .collect();
    let mut change = Change {
        at: at_ms,
        base,
        by: by.to_owned(),
        hlc: None,
        id: draft.id,
        kind: draft.kind.to_owned(),
        new: draft.new,
        set,
    };
    change.set_order(site::tick(db, at_ms)?);
    let body = change
        .to_body()
        .map_err(|e| Refusal::Invalid(vec![FieldError { field: "body".to_owned(), message: e.0 }]))?;
    let received_ms = is_hub.then_some(at_ms);
    let (outcome, change_no) = add(db, Incoming { origin, body: &body, hlc: None, received_ms, now_ms: at_ms })?;
    match outcome {
        Outcome::Applied | Outcome::Merged | Outcome::Duplicate => Ok(change_no),
        // What a person records here has to be in its record when they are told so. Anything else rolls back.
        Outcome::Deferred => Err(Refusal::Conflict(
            "an earlier change of this record is in quarantine; settle that one first".to_owned(),
        )
        .into()),
        Outcome::Quarantined { code, reason } => Err(match code.as_str() {
            quarantine::BAD_VALUE => {
                let (field, message) = reason.split_once(": ").unwrap_or(("body", reason.as_str()));
                Refusal::field(field, message).into()
            }
            _ => Fail::Broken(format!("a local change was not taken: {code}: {reason}")),
        }),
    }
}

/// The next reference of a store's year: `042-2026-000017-K7`.
fn reference(db: &Connection, store_code: &str, year: i16, id: Uuid, is_hub: bool) -> Done<String> {
    let name = format!("reference/{store_code}/{year}");
    let mut number = site::counter(db, &name)?.unwrap_or(if is_hub { HUB_NUMBERS_FROM } else { 0 });
    number += 1;
    site::set_counter(db, &name, number)?;
    Ok(format!("{store_code}-{year:04}-{number:06}-{}", check_characters(id)))
}

/// Two characters from the random end of an id, in Crockford's alphabet, so that numbers counted twice (after a
/// restore, or at two sites) still make two references.
fn check_characters(id: Uuid) -> String {
    const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let bytes = id.as_bytes();
    let ten_bits = u16::from(bytes[14]) << 8 | u16::from(bytes[15]);
    [(ten_bits >> 5) & 31, ten_bits & 31]
        .iter()
        .map(|index| char::from(ALPHABET[usize::from(*index)]))
        .collect()
}
