//! Carrying changes over to a new stream, when a node is enrolled anew or its history disagrees with the hub's.
//!
//! What the hub does not hold under the old stream it will not take under it any more: those changes are sealed again, in
//! their order, under the new stream. Only who they are changes: who recorded what, when and with what in sight stays,
//! and so do members that this version does not know. All in the caller's transaction.

use super::changes::{self, Origin};
use super::fail::{Done, Fail};
use super::links::link_at;
use super::reviews::PREFIX;
use super::{erasures, sums};
use chassis::sqlite::rusqlite::{Connection, params};
use serde_json::{Map, Value};
use std::collections::{BTreeSet, HashMap};
use sync_protocol::change::{Change, ChangeId, MAX_BODY_BYTES};
use sync_protocol::erasure::{ERASED, original};
use sync_protocol::hlc::Hlc;
use sync_protocol::merge::{DELETED, Deletion};
use sync_protocol::record::{ERASURE, SETTLEMENT};
use uuid::Uuid;

/// A change as it lies: its number here and in its stream, its body, its place, its digest.
type Row = (i64, i64, String, i64, Option<[u8; 16]>);

/// Moves every change of `old` after number `kept` to `new`, which is empty; answers how many.
pub(super) fn carry_over(db: &Connection, old: &Origin, kept: u64, new: &mut Origin) -> Done<u64> {
    let mut statement = db.prepare(
        "SELECT change_no, seq, body, hlc, digest FROM changes WHERE origin_no = ?1 AND seq > ?2 ORDER BY seq",
    )?;
    let rows: Vec<Row> =
        statement.query_map(params![old.no, kept as i64], |row| row.try_into())?.collect::<Result<_, _>>()?;
    let mut moved: HashMap<u64, u64> = HashMap::new();
    let own = erasures::own_id(db)?;
    let mut records: BTreeSet<Uuid> = BTreeSet::new();
    for (change_no, seq, body, hlc, digest) in &rows {
        // One that is damaged stays damaged: with a digest of its own it would count as whole.
        let is_whole = sums::is_whole(*digest, Hlc::from_i64(*hlc), body);
        // A body that is no change goes along as it is: the hub will say what is wrong with it.
        let change = Change::from_body(body).ok();
        let body = match &change {
            Some(change) => {
                let body = sealed_again(change, body, old.id, kept, new.id, &moved)?;
                if change.kind == ERASURE { said_by(own, body)? } else { body }
            }
            None => body.clone(),
        };
        new.seq += 1;
        new.head = new.head.extend(body.as_bytes());
        moved.insert(*seq as u64, new.seq);
        db.prepare_cached(
            "UPDATE changes SET origin_no = ?2, seq = ?3, body = ?4, outcome = NULL, digest = ?5 WHERE change_no = ?1",
        )?
        .execute(params![
            change_no,
            new.no,
            new.seq as i64,
            body,
            if is_whole { Some(sums::digest(Hlc::from_i64(*hlc), &body)) } else { *digest }
        ])?;
        // Headquarters tells anew what is left of it.
        db.prepare_cached("UPDATE erased_changes SET listed = 0 WHERE change_no = ?1")?
            .execute([change_no])?;
        if let Some(change) = change {
            records.insert(change.id);
            if change.new {
                not_received(db, change.id)?;
            }
        }
    }
    if rows.is_empty() {
        return Ok(0);
    }
    let head = link_at(db, old.no, old.id, kept as i64)?;
    changes::save_origin(db, &Origin { seq: kept, head, ..old.clone() })?;
    changes::save_origin(db, new)?;
    for record in records {
        changes::put_together(db, record)?;
    }
    Ok(rows.len() as u64)
}

/// The hub will say anew when it first had a record whose first change it has yet to get.
fn not_received(db: &Connection, record: Uuid) -> Done<()> {
    db.prepare_cached("UPDATE records SET received_ms = NULL WHERE record_id = ?1")?.execute([record])?;
    db.prepare_cached(
        "UPDATE incidents SET received_ms = NULL WHERE incident_no = (SELECT record_no FROM records WHERE record_id = ?1)",
    )?
    .execute([record])?;
    Ok(())
}

/// The body under its new name: what it refers to renamed, its place written out, everything else as it was.
fn sealed_again(
    change: &Change,
    body: &str,
    old: Uuid,
    kept: u64,
    new: Uuid,
    moved: &HashMap<u64, u64>,
) -> Done<String> {
    let broken = |error: serde_json::Error| Fail::Broken(error.to_string());
    let mut members: Map<String, Value> = serde_json::from_str(body).map_err(broken)?;
    let mut base = change.base.clone();
    for id in base.values_mut() {
        if let Some(there) = moved_to(*id, old, new, moved) {
            *id = there;
        }
    }
    if base != change.base {
        members.insert("base".to_owned(), serde_json::to_value(base).map_err(broken)?);
    }
    if let Some(id) = change.instead_of.and_then(|id| moved_to(id, old, new, moved)) {
        members.insert("instead_of".to_owned(), id.to_string().into());
    }
    if let Some(deletion) = renamed(change, old, kept, new, moved)
        && let Some(Value::Object(set)) = members.get_mut("set")
    {
        set.insert(DELETED.to_owned(), serde_json::to_value(deletion).map_err(broken)?);
    }
    // What was left of the whole is a whole of its own under its new name.
    let was_erased = members.remove(ERASED).is_some() && original(body.as_bytes()).is_some();
    // What was decided is about the same changes under their new names.
    if let Some(Value::Object(set)) = members.get_mut("set") {
        for (field, value) in set.iter_mut() {
            let place = match field.as_str() {
                "change" if change.kind == SETTLEMENT => Some(value),
                "decided" if change.kind == SETTLEMENT => value.get_mut("instead"),
                field if field.starts_with(PREFIX) => value.get_mut("lost"),
                _ => None,
            };
            match place {
                Some(Value::Array(ids)) => ids.iter_mut().for_each(|id| rename(id, old, new, moved)),
                Some(id) => rename(id, old, new, moved),
                None => {}
            }
        }
    }
    let short = serde_json::to_string(&members).map_err(broken)?;
    members.insert("hlc".to_owned(), serde_json::to_value(change.order()).map_err(broken)?);
    let whole = serde_json::to_string(&members).map_err(broken)?;
    // The place is where the body says with or without it; nothing must be too large for its hub because of it.
    let sealed = if whole.len() <= MAX_BODY_BYTES { whole } else { short };
    if !was_erased {
        return Ok(sealed);
    }
    let mut members: Map<String, Value> = serde_json::from_str(&sealed).map_err(broken)?;
    members.insert(ERASED.to_owned(), blake3::hash(sealed.as_bytes()).to_hex().as_str().into());
    serde_json::to_string(&members).map_err(broken)
}

/// What the site says that it has erased, said by the name that it goes by now. Headquarters takes it from nobody else.
fn said_by(own: Option<Uuid>, body: String) -> Done<String> {
    let Some(own) = own else { return Ok(body) };
    let broken = |error: serde_json::Error| Fail::Broken(error.to_string());
    let mut members: Map<String, Value> = serde_json::from_str(&body).map_err(broken)?;
    if let Some(Value::Object(set)) = members.get_mut("set") {
        let said = std::mem::take(set).into_iter();
        let name = |field: String| {
            if field.starts_with("done/") {
                format!("done/{}", own.hyphenated())
            } else {
                field
            }
        };
        *set = said.map(|(field, value)| (name(field), value)).collect();
    }
    serde_json::to_string(&members).map_err(broken)
}

/// The name that a change of the old stream has under the new one; `None` when it stayed.
fn moved_to(id: ChangeId, old: Uuid, new: Uuid, moved: &HashMap<u64, u64>) -> Option<ChangeId> {
    let seq = moved.get(&id.seq).filter(|_| id.origin == old)?;
    Some(ChangeId { origin: new, seq: *seq })
}

fn rename(value: &mut Value, old: Uuid, new: Uuid, moved: &HashMap<u64, u64>) {
    let id = value.as_str().and_then(|text| text.parse().ok());
    if let Some(id) = id.and_then(|id| moved_to(id, old, new, moved)) {
        *value = id.to_string().into();
    }
}

/// What a deletion had seen, under the names it has now; `None` when they are the same.
fn renamed(change: &Change, old: Uuid, kept: u64, new: Uuid, moved: &HashMap<u64, u64>) -> Option<Deletion> {
    // A deletion that cannot be read saw nothing.
    let mut deletion: Deletion = serde_json::from_value(change.set.get(DELETED)?.clone()).ok()?;
    let saw = deletion.saw.get(&old).copied().filter(|saw| *saw > kept)?;
    deletion.saw.insert(old, kept);
    // It may name a number that is not there; the last one before it that is says the same.
    if let Some((_, seq)) = moved.iter().filter(|(was, _)| **was <= saw).max_by_key(|(was, _)| **was) {
        deletion.saw.insert(new, *seq);
    }
    Some(deletion)
}
