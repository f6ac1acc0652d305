//! Who changed what from what to what: told from the changes themselves.

use super::changes::{Told, told};
use super::fail::Done;
use super::project::incident_record;
use crate::ledger::HistoryItem;
use chassis::clock::format_rfc3339;
use chassis::sqlite::rusqlite::Connection;
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use sync_protocol::change::ChangeId;
use sync_protocol::merge::{DELETED, Stamp, Write, losers};
use sync_protocol::record;
use uuid::Uuid;

/// Everything done to the incident, oldest first; empty where there is none.
pub(super) fn history(db: &Connection, id: Uuid) -> Done<Vec<HistoryItem>> {
    let Some(incident) = incident_record(db, id)? else {
        return Ok(Vec::new());
    };
    let own = told(db, id)?;
    let mut items: Vec<(Stamp, HistoryItem)> = Vec::new();
    let lost = lost_writes(&own);
    let values: HashMap<(ChangeId, &str), &Value> = own
        .iter()
        .flat_map(|told| told.change.set.iter().map(move |(field, value)| ((told.id, field.as_str()), value)))
        .collect();
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
            let from = told
                .change
                .base
                .get(field)
                .and_then(|base| values.get(&(*base, field.as_str())))
                .map_or(Value::Null, |value| (*value).clone());
            if let Some(about) = field.strip_prefix(super::reviews::PREFIX) {
                let kept = to.get("keep").cloned().unwrap_or(Value::Null);
                items.push((stamp(told), item(told, "settled", Some(about), Value::Null, kept, false)));
                continue;
            }
            let line = match (field.as_str(), to.is_null()) {
                (DELETED, false) => item(told, "deleted", None, Value::Bool(false), Value::Bool(true), is_lost),
                (DELETED, true) => item(told, "restored", None, Value::Bool(true), Value::Bool(false), is_lost),
                _ => item(told, "edited", Some(field), from, to.clone(), is_lost),
            };
            items.push((stamp(told), line));
        }
    }
    let mut children = db.prepare_cached("SELECT record_id FROM records WHERE parent_no = ?1 ORDER BY record_no")?;
    let children: Vec<Uuid> = children.query_map([incident.no], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for child in children {
        for told in told(db, child)? {
            if let Some(line) = child_item(&told) {
                items.push((stamp(&told), line));
            }
        }
    }
    items.sort_by_key(|(stamp, _)| *stamp);
    Ok(items.into_iter().map(|(_, item)| item).collect())
}

fn child_item(told: &Told) -> Option<HistoryItem> {
    let value = |field: &str| told.change.set.get(field).cloned().unwrap_or(Value::Null);
    match told.change.kind.as_str() {
        record::STEP => {
            let mut line = item(told, "step", Some("status"), value("from"), value("to"), false);
            line.reason = value("reason").as_str().map(ToOwned::to_owned);
            Some(line)
        }
        record::PHOTO if told.change.new => Some(item(told, "photo", None, Value::Null, value("filename"), false)),
        record::COMMENT => Some(item(told, "comment", None, Value::Null, value("body"), false)),
        _ => None,
    }
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
