//! Who changed what from what to what: told from the changes themselves.

use super::changes::{Record, Told, load_record_no, told};
use super::fail::Done;
use super::project::incident_record;
use crate::erasures::{Mark, marks};
use crate::ledger::{ErasedBy, HistoryItem};
use chassis::clock::format_rfc3339;
use chassis::sqlite::rusqlite::Connection;
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use sync_protocol::change::ChangeId;
use sync_protocol::erasure::{is_mark, left_of};
use sync_protocol::merge::{DELETED, Stamp, Write, losers};
use sync_protocol::record;
use uuid::Uuid;

/// Everything done to the incident, oldest first; empty where there is none.
pub(super) fn history(db: &Connection, id: Uuid) -> Done<Vec<HistoryItem>> {
    let Some(incident) = incident_record(db, id)? else {
        return Ok(Vec::new());
    };
    let own = told(db, id)?;
    let mut items: Vec<(Stamp, HistoryItem)> = orders(&incident);
    let gone = marks(&incident.state);
    let lost = lost_writes(&own);
    let by_id: HashMap<ChangeId, &Told> = own.iter().map(|told| (told.id, told)).collect();
    for told in &own {
        if told.change.new {
            items.push((stamp(told), item(told, "created", None, Value::Null, Value::Null, false)));
        }
        for (field, to) in &told.change.set {
            let is_lost = lost.contains(&(field.as_str(), told.id));
            // What a new incident starts with is no edit, unless somebody else wrote it at the same time.
            if told.change.new && !is_lost {
                continue;
            }
            if let Some(about) = field.strip_prefix(super::reviews::PREFIX) {
                let kept = to.get("keep").cloned().unwrap_or(Value::Null);
                items.push((stamp(told), item(told, "settled", Some(about), Value::Null, kept, false)));
                continue;
            }
            let before = told.change.base.get(field).and_then(|base| by_id.get(base));
            let (from, from_erased) = before.map_or((Value::Null, None), |before| value_of(before, field, &gone));
            let (shown, to_erased) = value_of(told, field, &gone);
            // Where nobody had said anything people saw what stands for that.
            let says_nothing = |value: Value, erased: &Option<ErasedBy>| match erased {
                None if value.is_null() => record::default_value(record::INCIDENT, field),
                _ => value,
            };
            let is_first = !told.change.base.contains_key(field);
            let from = if is_first { says_nothing(from, &from_erased) } else { from };
            let shown = says_nothing(shown, &to_erased);
            let mut line = match (field.as_str(), to.is_null()) {
                (DELETED, false) => item(told, "deleted", None, Value::Bool(false), Value::Bool(true), is_lost),
                (DELETED, true) => item(told, "restored", None, Value::Bool(true), Value::Bool(false), is_lost),
                _ => item(told, "edited", Some(field), from, shown, is_lost),
            };
            line.erased = to_erased.or(from_erased);
            items.push((stamp(told), line));
        }
    }
    let mut children = db.prepare_cached("SELECT record_no FROM records WHERE parent_no = ?1 ORDER BY record_no")?;
    let children: Vec<i64> = children.query_map([incident.no], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for child in children {
        let Some(child) = load_record_no(db, child)? else {
            continue;
        };
        let gone = marks(&child.state);
        items.extend(orders(&child));
        for told in told(db, child.id)? {
            if let Some(line) = child_item(&told, &gone) {
                items.push((stamp(&told), HistoryItem { id: Some(child.id), ..line }));
            }
        }
    }
    items.sort_by_key(|(stamp, _)| *stamp);
    Ok(items.into_iter().map(|(_, item)| item).collect())
}

/// What orders took from a record, a line for each field.
fn orders(record: &Record) -> Vec<(Stamp, HistoryItem)> {
    let stamps = record.state.cells.iter().filter(|(field, _)| is_mark(field)).map(|(_, cell)| cell.stamp);
    let mut stamps: Vec<Stamp> = stamps.collect();
    stamps.sort_unstable();
    let mut items = Vec::new();
    for (stamp, mark) in stamps.into_iter().zip(marks(&record.state)) {
        // Of a photo it is enough to say that it is gone.
        let fields = if record.kind == record::PHOTO {
            vec!["photo".to_owned()]
        } else {
            mark.fields.clone()
        };
        for field in fields {
            let item = HistoryItem {
                at: format_rfc3339(mark.at),
                actor: mark.by.clone(),
                site: "hub".to_owned(),
                kind: "erased".to_owned(),
                field: Some(field),
                from: Value::Null,
                to: Value::Null,
                lost: false,
                clock_off: false,
                reason: Some(mark.reason.clone()).filter(|reason| !reason.is_empty()),
                erased: None,
                id: None,
            };
            items.push((stamp, item));
        }
    }
    items
}

/// A written value, or that it was erased.
fn value_of(told: &Told, field: &str, gone: &[Mark]) -> (Value, Option<ErasedBy>) {
    let Some(value) = told.change.set.get(field) else {
        return (Value::Null, None);
    };
    let by = gone.iter().find(|mark| mark.fields.iter().any(|named| named == field));
    match by {
        // Others than those that were erased may have been written by the same change.
        Some(mark) if told.erased && left_of(&told.change.kind, field, value) == *value => {
            (Value::Null, Some(ErasedBy { at: format_rfc3339(mark.at), by: mark.by.clone() }))
        }
        _ => (value.clone(), None),
    }
}

fn child_item(told: &Told, gone: &[Mark]) -> Option<HistoryItem> {
    let value = |field: &str| value_of(told, field, gone);
    let plain = |field: &str| value(field).0;
    match told.change.kind.as_str() {
        record::STEP => {
            let mut line = item(told, "step", Some("status"), plain("from"), plain("to"), false);
            let (reason, erased) = value("reason");
            line.reason = reason.as_str().map(ToOwned::to_owned);
            line.erased = erased;
            Some(line)
        }
        record::PHOTO if told.change.new => Some(with_value(told, "photo", value("filename"))),
        record::COMMENT => Some(with_value(told, "comment", value("body"))),
        _ => None,
    }
}

fn with_value(told: &Told, kind: &str, (to, erased): (Value, Option<ErasedBy>)) -> HistoryItem {
    HistoryItem { erased, ..item(told, kind, None, Value::Null, to, false) }
}

fn stamp(told: &Told) -> Stamp {
    Stamp { hlc: told.hlc, id: told.id }
}

fn item(told: &Told, kind: &str, field: Option<&str>, from: Value, to: Value, lost: bool) -> HistoryItem {
    HistoryItem {
        at: format_rfc3339(told.change.at),
        actor: told.change.by.clone(),
        site: told.site.clone(),
        kind: kind.to_owned(),
        field: field.map(ToOwned::to_owned),
        from,
        to,
        lost,
        clock_off: told.hlc.tells_a_wrong_clock(told.change.at),
        reason: None,
        erased: None,
        id: None,
    }
}

fn lost_writes(own: &[Told]) -> HashSet<(&str, ChangeId)> {
    let mut writes: HashMap<&str, Vec<Write>> = HashMap::new();
    for told in own {
        for field in told.change.set.keys() {
            writes
                .entry(field)
                .or_default()
                .push(Write { stamp: stamp(told), base: told.change.base.get(field).copied() });
        }
    }
    writes
        .into_iter()
        .flat_map(|(field, writes)| losers(&writes).into_iter().map(move |id| (field, id)))
        .collect()
}
